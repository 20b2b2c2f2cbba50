//! Holds (contract: `beyond.md`, g, and "Everything with everything").

use kana_core::Refusal;
use kana_core::catalog_command::{CatalogCommand, FeatureEdit};
use kana_core::credits::Cost;
use kana_core::entitlement::{Consumption, Reason};
use kana_core::hold::{AMOUNT_MAX, HOLDS_MAX, HoldState};
use kana_core::period::ResetPeriod;
use kana_core::threshold::Threshold;
use kana_core::usage::LoggedAction;
use proptest::prelude::*;

use crate::world::{
    World, feature_id, giving, holding, limit, recording, releasing, setting, settling,
    switched_on, unlimited, using,
};

const MINUTE_MS: i64 = 60_000;

/// A user with 10 calls a month, on `basic`, since 2024-01-01.
fn world() -> World {
    World::new()
        .consumable("calls")
        .consumable("seats")
        .binary("sso")
        .package("basic", [("calls", limit(10).monthly()), ("sso", switched_on())])
        .user("ada")
        .subscribed("ada", "basic")
}

fn hold(world: &mut World, id: &str, amount: i64) -> (bool, Reason) {
    let held = world.hold(holding("ada", "calls", amount).id(id)).unwrap();
    (held.hold.is_some(), held.reason)
}

fn consumption(world: &World) -> Consumption {
    world.can_use("ada", "calls", 0).unwrap().consumption.unwrap()
}

/// Used, held, budget, remaining.
fn numbers(world: &World) -> [i64; 4] {
    let known = consumption(world);
    let [budget, remaining] = [known.budget, known.remaining()].map(|number| number.unwrap_or(-1));
    [known.used, known.held(), budget, remaining]
}

fn state(world: &World, id: &str) -> HoldState {
    let found = world.holds("ada").iter().find(|hold| hold.id.as_str() == id);
    found.unwrap().state(world.now())
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> String {
    answer.unwrap_err().to_string()
}

#[test]
fn a_hold_of_a_period_that_was_taken_over_returns_what_it_drew_at_once() {
    for releases in [true, false] {
        let mut world = world();
        world.give(giving("ada", "calls", 5)).unwrap();
        world.record(recording("ada", "calls").add(9)).unwrap();
        hold(&mut world, "job", 4);
        world.set_clock("2024-01-01T00:01:00.000Z");
        world.change_terms("basic", &[("calls", limit(10).every(ResetPeriod::Year))]);
        // The year has it once it is written.
        world.record(recording("ada", "calls").add(1)).unwrap();
        assert_eq!((numbers(&world), world.grants("ada")[0].drawn), ([10, 4, 15, 1], 4));
        if releases {
            world.release("ada", "job").unwrap();
            assert_eq!((numbers(&world), world.grants("ada")[0].drawn), ([10, 0, 15, 5], 0));
        } else {
            world.settle("ada", "job", Some(2)).unwrap();
            assert_eq!((numbers(&world), world.grants("ada")[0].drawn), ([12, 0, 15, 3], 2));
        }
    }
}

// What a hold is, and what becomes of it.

#[test]
fn what_is_held_is_not_left_for_others() {
    let mut world = world();
    world.record(recording("ada", "calls").add(2)).unwrap();
    let held = world.hold(holding("ada", "calls", 5).id("job")).unwrap();
    let (made, after) = (held.hold.unwrap(), held.consumption.unwrap());
    assert_eq!((made.amount, made.created_at), (5, world.now()));
    assert_eq!(made.expires_at, world.now().saturating_add_ms(15 * MINUTE_MS));
    assert_eq!(
        (held.reason, after.used, after.held(), after.remaining()),
        (Reason::WithinLimit, 2, 5, Some(3))
    );
    assert_eq!(world.can_use("ada", "calls", 3).unwrap().reason, Reason::WithinLimit);
    assert_eq!(world.can_use("ada", "calls", 4).unwrap().reason, Reason::LimitReached);
    assert!(!world.use_feature(using("ada", "calls").delta(4)).unwrap().granted);
    let used = world.use_feature(using("ada", "calls").delta(3)).unwrap();
    assert_eq!((used.granted, used.consumption.unwrap().held()), (true, 5));
    assert_eq!(hold(&mut world, "other", 1), (false, Reason::LimitReached));
    assert_eq!(world.holds("ada").len(), 1, "what is refused leaves no trace");
    assert_eq!(world.usage("ada", "calls").current.unwrap().consumption.held(), 5);
    // Usage that happened is counted, whatever is held.
    world.record(recording("ada", "calls").add(4)).unwrap();
    assert_eq!(numbers(&world), [9, 5, 10, 0]);
}

#[test]
fn as_many_are_granted_as_fit() {
    let mut world = world();
    world.set_override(setting("ada", "calls").limit(500)).unwrap();
    let granted = (0..20).filter(|n| hold(&mut world, &format!("job-{n}"), 75).0).count();
    assert_eq!((granted, numbers(&world)), (6, [0, 450, 500, 50]));
}

#[test]
fn it_is_settled_with_what_was_used_less_equal_or_more() {
    for (used, left) in [(None, 6), (Some(0), 10), (Some(3), 7), (Some(4), 6), (Some(12), 0)] {
        let mut world = world();
        hold(&mut world, "job", 4);
        world.wait_ms(1);
        let settled = world.settle("ada", "job", used).unwrap();
        let amount = used.unwrap_or(4);
        assert_eq!((settled.settled(), settled.amount), (Some(amount), 4));
        assert_eq!(numbers(&world), [amount, 0, 10, left]);
        let [event] = world.events() else { panic!("{:?}", world.events()) };
        assert_eq!((event.action, event.delta, event.amount), (LoggedAction::Add, amount, amount));
        assert_eq!((event.occurred_at, event.recorded_at), (world.now(), world.now()));
        assert_eq!(event.subscription, Some(world.subscription("ada", "basic").id));
    }
}

#[test]
fn one_that_is_released_or_has_expired_keeps_nothing() {
    let mut world = world();
    hold(&mut world, "released", 4);
    hold(&mut world, "expires", 5);
    assert_eq!(numbers(&world), [0, 9, 10, 1]);
    world.release("ada", "released").unwrap();
    assert_eq!(numbers(&world), [0, 5, 10, 5]);
    world.wait_ms(15 * MINUTE_MS - 1);
    assert_eq!(numbers(&world), [0, 5, 10, 5]);
    world.wait_ms(1);
    assert_eq!((numbers(&world), state(&world, "expires")), ([0, 0, 10, 10], HoldState::Expired));
    assert!(world.events().is_empty());
    // Usage is a fact, also that of a job that took longer than its hold.
    world.settle("ada", "expires", None).unwrap();
    assert_eq!((numbers(&world), state(&world, "expires")), ([5, 0, 10, 5], HoldState::Settled));
}

#[test]
fn every_state_answers_every_call() {
    use HoldState::{Expired, Held, Released, Settled};
    let begin = || {
        let mut world = world();
        for id in ["Held", "Expired", "Settled", "Released"] {
            let seconds = if id == "Expired" { 1 } else { 900 };
            world.hold(holding("ada", "calls", 2).id(id).seconds(seconds)).unwrap();
        }
        world.settle("ada", "Settled", Some(1)).unwrap();
        world.release("ada", "Released").unwrap();
        world.wait_ms(1000);
        world
    };
    let cases = [Held, Expired, Settled, Released];
    let after = |call: &dyn Fn(&mut World, &str) -> Result<(), Refusal>| {
        cases.map(|before| {
            let mut world = begin();
            let id = format!("{before:?}");
            assert_eq!(state(&world, &id), before);
            let stored = world.stored();
            let answer = call(&mut world, &id);
            if state(&world, &id) == before && before != Held {
                assert!(world.stored() == stored, "{before:?} changes nothing");
            }
            match answer {
                Ok(()) => format!("{:?}", state(&world, &id)),
                Err(refusal) => refusal.to_string(),
            }
        })
    };
    let settle =
        |amount| move |world: &mut World, id: &str| world.settle("ada", id, amount).map(|_| ());
    let released_cannot = |what| format!("A hold that was released cannot be {what}");
    assert_eq!(
        after(&settle(Some(1))),
        ["Settled".into(), "Settled".into(), "Settled".into(), released_cannot("settled")]
    );
    let otherwise = "The hold was settled before, with the amount 1".to_owned();
    assert_eq!(
        after(&settle(None)),
        ["Settled".into(), "Settled".into(), otherwise, released_cannot("settled")]
    );
    assert_eq!(
        after(&|world, id| world.release("ada", id).map(|_| ())),
        ["Released", "Released", "A hold that was settled cannot be released", "Released"]
    );
    assert_eq!(
        after(&|world, id| world.extend("ada", id, 60).map(|_| ())),
        [
            "Held",
            "A hold that has expired cannot be extended",
            "A hold that was settled cannot be extended",
            "A hold that was released cannot be extended",
        ]
    );
}

#[test]
fn one_that_is_extended_expires_so_long_after_now() {
    let mut world = world();
    hold(&mut world, "job", 4);
    world.wait_ms(MINUTE_MS);
    for seconds in [3600, 1] {
        let extended = world.extend("ada", "job", seconds).unwrap();
        assert_eq!(extended.expires_at, world.now().saturating_add_ms(seconds * 1000));
    }
    world.wait_ms(1000);
    assert_eq!(numbers(&world), [0, 0, 10, 10]);
}

#[test]
fn a_repeated_request_answers_the_hold_as_it_stands() {
    let mut world = world();
    hold(&mut world, "job", 8);
    let stored = world.stored();
    let again = world.hold(holding("ada", "calls", 8).id("job").seconds(5)).unwrap();
    assert_eq!(again.reason, Reason::Held);
    assert_eq!(again.consumption.map(|known| known.held()), Some(8));
    assert_eq!(again.hold.as_ref(), world.holds("ada").first());
    for other in [holding("ada", "calls", 7), holding("ada", "seats", 8)] {
        assert_eq!(world.hold(other.id("job")).unwrap_err(), Refusal::IdConflict);
    }
    assert!(world.stored() == stored);
    world.settle("ada", "job", None).unwrap();
    let again = world.hold(holding("ada", "calls", 8).id("job")).unwrap();
    assert_eq!(again.hold.unwrap().settled(), Some(8));
    // Where nothing counts any more, there is still the hold.
    world.cancel_package("ada", "basic");
    let again = world.hold(holding("ada", "calls", 8).id("job")).unwrap();
    assert_eq!((again.reason, again.consumption, again.hold.is_some()), (Reason::Held, None, true));
    // Two without an id are two.
    world.set_override(setting("ada", "seats").limit(10)).unwrap();
    for _ in 0..2 {
        assert!(world.hold(holding("ada", "seats", 3)).unwrap().hold.is_some());
    }
    assert_eq!(world.can_use("ada", "seats", 1).unwrap().consumption.unwrap().held(), 6);
}

#[test]
fn values_that_do_not_suit_are_refused() {
    let mut world = world();
    let stored = world.stored();
    for (bad, message) in [
        (holding("ada", "calls", 0), "amount must be from 1 to 2147483647"),
        (holding("ada", "calls", AMOUNT_MAX + 1), "amount must be from 1 to 2147483647"),
        (holding("nobody", "calls", -1), "amount must be from 1 to 2147483647"),
        (holding("ada", "calls", 1).seconds(0), "ttlSeconds must be from 1 to 604800"),
        (holding("ada", "calls", 1).seconds(604_801), "ttlSeconds must be from 1 to 604800"),
        (holding("nobody", "gone", 1), "User not found: nobody"),
        (holding("ada", "gone", 1), "Feature not found: gone"),
        (holding("ada", "sso", 1), "featureId does not suit sso, which is BINARY"),
    ] {
        assert_eq!(refused(world.hold(bad)), message);
    }
    assert_eq!(refused(world.settle("ada", "gone", Some(-1))), "amount must not be negative here");
    assert_eq!(refused(world.settle("ada", "gone", None)), "Hold not found: gone");
    assert_eq!(refused(world.settle("nobody", "gone", None)), "User not found: nobody");
    assert_eq!(refused(world.release("ada", "gone")), "Hold not found: gone");
    assert_eq!(refused(world.extend("ada", "gone", 1)), "Hold not found: gone");
    assert_eq!(refused(world.extend("ada", "gone", 0)), "ttlSeconds must be from 1 to 604800");
    assert!(world.stored() == stored);
}

#[test]
fn no_more_than_a_hundred_live_on_a_balance() {
    let mut world = world().drawing("images", "calls", 2);
    world.change_terms(
        "basic",
        &[("calls", unlimited()), ("sso", switched_on()), ("images", switched_on())],
    );
    world.hold(holding("ada", "calls", 1).id("short").seconds(1)).unwrap();
    for n in 1..HOLDS_MAX {
        let feature = if n % 2 == 0 { "calls" } else { "images" };
        world.hold(holding("ada", feature, 1).id(&n.to_string())).unwrap();
    }
    let message = "userId has 100 holds on calls already that live: settle or release one first";
    for feature in ["calls", "images"] {
        assert_eq!(refused(world.hold(holding("ada", feature, 1).id("one more"))), message);
    }
    // One that was made before is not one more.
    assert_eq!(hold(&mut world, "2", 1).1, Reason::Held);
    world.wait_ms(1000);
    assert!(hold(&mut world, "one more", 1).0);
}

#[test]
fn a_hold_can_be_created_and_ended_within_a_batch() {
    let mut world = world();
    let commands = [
        holding("ada", "calls", 4).id("a").command(),
        holding("ada", "calls", 7).id("b").command(),
        settling("ada", "a", Some(1)),
        holding("ada", "calls", 7).id("b").command(),
        releasing("ada", "b"),
        using("ada", "calls").delta(9).command(),
    ];
    let answers = world.run_batch("ada", &commands);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!((numbers(&world), world.holds("ada").len()), ([10, 0, 10, 0], 2));
}

#[test]
fn a_hold_of_a_deleted_user_is_found_by_nobody_who_knows_the_id() {
    let mut world = world();
    hold(&mut world, "job", 4);
    world.delete("ada");
    assert_eq!(refused(world.settle("ada", "job", None)), "User not found: ada");
    let mut world = world.user("ada");
    assert_eq!(refused(world.settle("ada", "job", None)), "Hold not found: job");
}

// Periods, terms and subscriptions that are over.

#[test]
fn it_is_settled_in_the_period_in_which_it_was_made() {
    let mut world = world();
    world.set_clock("2024-01-31T23:59:00.000Z");
    hold(&mut world, "job", 6);
    world.set_clock("2024-02-01T00:00:10.000Z");
    assert_eq!(numbers(&world), [0, 0, 10, 10]);
    let january = world.usage("ada", "calls").past[0].consumption;
    assert_eq!((january.used, january.held()), (0, 6));
    world.settle("ada", "job", Some(7)).unwrap();
    assert_eq!(numbers(&world), [0, 0, 10, 10]);
    let january = world.usage("ada", "calls").past[0].consumption;
    assert_eq!((january.used, january.held()), (7, 0));
    let event = &world.events()[0];
    assert_eq!(event.occurred_at.to_string(), "2024-01-31T23:59:59.999Z");
    assert_eq!(event.recorded_at, world.now());
}

#[test]
fn it_is_settled_on_a_subscription_that_has_ended() {
    let mut world = world();
    hold(&mut world, "job", 6);
    world.wait_ms(MINUTE_MS);
    world.cancel_package("ada", "basic");
    assert_eq!(world.can_use("ada", "calls", 1).unwrap().reason, Reason::NotGranted);
    assert_eq!(hold(&mut world, "another", 1), (false, Reason::NotGranted));
    world.wait_ms(MINUTE_MS);
    world.subscribe("ada", ["basic"]).unwrap();
    assert_eq!(numbers(&world), [0, 0, 10, 10]);
    world.settle("ada", "job", None).unwrap();
    assert_eq!(numbers(&world), [0, 0, 10, 10]);
    assert_eq!(world.usage("ada", "calls").past[0].consumption.used, 6);
}

#[test]
fn what_is_held_in_a_period_counts_in_the_one_that_takes_it_over() {
    let mut world = world();
    world.change_terms("basic", &[("calls", limit(10).daily()), ("sso", switched_on())]);
    world.wait_ms(MINUTE_MS);
    hold(&mut world, "job", 6);
    world.wait_ms(MINUTE_MS);
    world.change_terms("basic", &[("calls", limit(8).monthly()), ("sso", switched_on())]);
    assert_eq!(numbers(&world), [0, 6, 8, 2]);
    world.record(recording("ada", "calls")).unwrap();
    assert_eq!(numbers(&world), [1, 6, 8, 1]);
    world.settle("ada", "job", Some(5)).unwrap();
    assert_eq!(numbers(&world), [6, 0, 8, 2]);
}

#[test]
fn a_counter_that_was_folded_gets_what_is_settled_late() {
    let mut world = World::new()
        .consumable("calls")
        .package("basic", [("calls", limit(10).every(ResetPeriod::Minute))])
        .user("ada")
        .subscribed("ada", "basic");
    hold(&mut world, "job", 6);
    world.wait_ms(2000 * MINUTE_MS);
    world.settle("ada", "job", None).unwrap();
    let sum = world.counters("ada").into_iter().next().unwrap();
    assert_eq!((sum.0.is_folded(), sum.1), (true, 6));
}

#[test]
fn a_live_hold_of_a_closed_period_is_not_left_over() {
    let mut world = World::new()
        .consumable("calls")
        .package("basic", [("calls", limit(10).monthly().carrying(None, 1))])
        .user("ada")
        .subscribed("ada", "basic");
    world.set_clock("2024-01-31T23:59:00.000Z");
    world.record(recording("ada", "calls").add(2)).unwrap();
    hold(&mut world, "job", 5);
    world.set_clock("2024-02-01T00:00:10.000Z");
    assert_eq!((consumption(&world).carried(), numbers(&world)), (3, [0, 0, 13, 13]));
    // A hold is asked for with what is carried.
    assert!(hold(&mut world, "another", 12).0);
    assert_eq!(numbers(&world), [0, 12, 13, 1]);
    world.settle("ada", "job", Some(6)).unwrap();
    assert_eq!(numbers(&world), [0, 12, 12, 0]);
    world.release("ada", "another").unwrap();
    // What a hold kept is left over once it has expired.
    world.set_clock("2024-02-29T23:59:00.000Z");
    hold(&mut world, "expires", 7);
    world.set_clock("2024-03-01T00:00:00.000Z");
    assert_eq!(consumption(&world).carried(), 3);
    world.set_clock("2024-03-01T00:14:00.000Z");
    assert_eq!(consumption(&world).carried(), 10);
}

// Grants.

#[test]
fn a_hold_draws_at_once_and_keeps_it_when_the_grant_ends() {
    let mut world = world();
    world.give(giving("ada", "calls", 5).id("g").until("2024-01-01T00:05:00.000Z")).unwrap();
    assert_eq!(hold(&mut world, "job", 13), (true, Reason::WithinLimit));
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (3, [0, 13, 15, 2]));
    world.wait_ms(6 * MINUTE_MS);
    // What was drawn stays, and what was left is lost.
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (3, [0, 13, 13, 0]));
    world.settle("ada", "job", Some(12)).unwrap();
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (2, [12, 0, 12, 0]));
}

#[test]
fn what_a_hold_drew_is_returned_once_it_is_over() {
    let mut world = world();
    world.give(giving("ada", "calls", 5).id("first").priority(-1)).unwrap();
    world.give(giving("ada", "calls", 5).id("last")).unwrap();
    let drawn = |world: &World| [world.drawn("ada", "first"), world.drawn("ada", "last")];
    hold(&mut world, "job", 18);
    assert_eq!((drawn(&world), numbers(&world)), ([5, 3], [0, 18, 20, 2]));
    world.release("ada", "job").unwrap();
    assert_eq!((drawn(&world), numbers(&world)), ([0, 0], [0, 0, 20, 20]));
    hold(&mut world, "again", 18);
    world.settle("ada", "again", Some(4)).unwrap();
    assert_eq!((drawn(&world), numbers(&world)), ([4, 0], [4, 0, 20, 16]));
    // One that expires gives back with the next write.
    hold(&mut world, "expires", 16);
    world.wait_ms(15 * MINUTE_MS);
    assert_eq!((drawn(&world), numbers(&world)), ([5, 5], [4, 0, 20, 16]));
    world.record(recording("ada", "calls")).unwrap();
    assert_eq!((drawn(&world), numbers(&world)), ([5, 0], [5, 0, 20, 15]));
    // Also with the one that releases it.
    hold(&mut world, "expires too", 15);
    world.wait_ms(15 * MINUTE_MS);
    world.release("ada", "expires too").unwrap();
    assert_eq!(drawn(&world), [5, 0]);
}

#[test]
fn a_correction_that_changes_no_usage_settles_what_an_expired_hold_drew() {
    let mut world = world();
    world.give(giving("ada", "calls", 2).id("g").priority(-1)).unwrap();
    hold(&mut world, "expires", 2);
    world.record(recording("ada", "calls").key("k")).unwrap();
    world.record(recording("ada", "calls").add(-1)).unwrap();
    world.wait_ms(15 * MINUTE_MS);
    assert_eq!(world.drawn("ada", "g"), 2);
    world.void("k").unwrap();
    assert_eq!(world.drawn("ada", "g"), 0);
}

#[test]
fn a_grant_alone_can_be_held() {
    let mut world = world();
    world.give(giving("ada", "seats", 5).id("g").until("2024-02-01T00:00:00.000Z")).unwrap();
    assert!(world.hold(holding("ada", "seats", 4).id("job")).unwrap().hold.is_some());
    assert_eq!(world.drawn("ada", "g"), 4);
    world.set_clock("2024-02-01T00:00:01.000Z");
    assert_eq!(world.can_use("ada", "seats", 1).unwrap().reason, Reason::NotGranted);
    world.settle("ada", "job", Some(3)).unwrap();
    assert_eq!(world.drawn("ada", "g"), 3);
}

// Overrides.

#[test]
fn overrides_see_what_is_held() {
    let mut world = world();
    hold(&mut world, "job", 6);
    world.set_override(setting("ada", "calls").limit(8)).unwrap();
    assert_eq!(numbers(&world), [0, 6, 8, 2]);
    world.set_override(setting("ada", "calls").unlimited()).unwrap();
    assert_eq!(hold(&mut world, "much", 1000), (true, Reason::Unlimited));
    assert_eq!(numbers(&world), [0, 1006, -1, -1]);
    world.set_override(setting("ada", "calls").deny()).unwrap();
    assert_eq!(hold(&mut world, "denied", 1), (false, Reason::Denied));
    world.settle("ada", "job", Some(5)).unwrap();
    world.extend("ada", "much", 60).unwrap();
    world.release("ada", "much").unwrap();
    world.remove_override("ada", "calls").unwrap();
    assert_eq!(numbers(&world), [5, 0, 10, 5]);
}

#[test]
fn the_counter_of_an_override_that_was_removed_keeps_its_number() {
    let mut world = world();
    world.give(giving("ada", "calls", 5).id("g")).unwrap();
    world.set_override(setting("ada", "calls").limit(3).every(ResetPeriod::Day)).unwrap();
    hold(&mut world, "job", 7);
    assert_eq!((numbers(&world), world.drawn("ada", "g")), ([0, 7, 8, 1], 4));
    world.wait_ms(MINUTE_MS);
    world.remove_override("ada", "calls").unwrap();
    assert_eq!(numbers(&world), [0, 0, 11, 11]);
    world.settle("ada", "job", Some(6)).unwrap();
    assert_eq!((numbers(&world), world.drawn("ada", "g")), ([0, 0, 15, 15], 0));
    assert_eq!(world.counters("ada").into_values().collect::<Vec<_>>(), [6]);
}

// Credits, quantity, thresholds.

#[test]
fn a_feature_that_draws_is_held_and_settled_at_the_cost_of_then() {
    let mut world = world().drawing("images", "calls", 3);
    world.change_terms(
        "basic",
        &[("calls", limit(10).monthly()), ("sso", switched_on()), ("images", switched_on())],
    );
    let held = world.hold(holding("ada", "images", 2).id("job")).unwrap();
    assert_eq!(held.consumption.map(|known| known.held()), Some(6));
    assert_eq!(numbers(&world), [0, 6, 10, 4]);
    let edit = FeatureEdit { cost: Some(Cost::new(5).unwrap()), ..FeatureEdit::default() };
    world.plan(CatalogCommand::UpdateFeature { id: feature_id("images"), edit }).unwrap();
    world.settle("ada", "job", Some(3)).unwrap();
    assert_eq!(numbers(&world), [9, 0, 10, 1]);
    let event = &world.events()[0];
    let drawn = event.drawn.as_ref().unwrap();
    assert_eq!((event.feature.as_str(), event.delta, event.amount), ("images", 3, 3));
    assert_eq!((drawn.balance.as_str(), drawn.amount), ("calls", 9));
}

#[test]
fn a_settlement_reaches_thresholds_and_a_hold_does_not() {
    let mut world = World::new()
        .watched("calls", &[Threshold::Percent(80)])
        .package("basic", [("calls", limit(10).monthly())])
        .user("ada")
        .subscribed("ada", "basic");
    hold(&mut world, "job", 9);
    hold(&mut world, "over", 1);
    assert!(world.threshold_events().is_empty());
    world.settle("ada", "job", None).unwrap();
    let [event] = world.threshold_events() else { panic!("one") };
    assert_eq!((event.consumption.used, event.consumption.held()), (9, 1));
    let told = world.take_feed();
    assert!(told.iter().any(|told| told.starts_with("usage.threshold_reached")), "{told:?}");
    // Not in a period that is over.
    world.set_clock("2024-01-31T23:59:00.000Z");
    world.release("ada", "over").unwrap();
    world.set_clock("2024-02-29T23:59:00.000Z");
    hold(&mut world, "late", 9);
    world.set_clock("2024-03-01T00:00:00.000Z");
    world.settle("ada", "late", None).unwrap();
    assert_eq!(world.threshold_events().len(), 1);
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let mut world = world();
    world.set_override(setting("ada", "calls").unlimited()).unwrap();
    world.record(recording("ada", "calls").add(i64::MAX)).unwrap();
    assert!(hold(&mut world, "job", AMOUNT_MAX).0);
    world.settle("ada", "job", Some(i64::MAX)).unwrap();
    assert_eq!(world.used("ada", "calls"), i64::MAX);
}

// Properties.

#[derive(Debug, Clone)]
enum Step {
    Hold { id: u8, amount: i64, seconds: i64 },
    Settle { id: u8, amount: Option<i64> },
    Release(u8),
    Extend(u8),
    Add(i64),
    Use(i64),
    Give { amount: i64, priority: i64 },
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..9_u8, 1..12_i64, 1..200_i64)
            .prop_map(|(id, amount, seconds)| Step::Hold { id, amount, seconds }),
        3 => (0..9_u8, prop::option::of(0..15_i64))
            .prop_map(|(id, amount)| Step::Settle { id, amount }),
        1 => (0..9_u8).prop_map(Step::Release),
        1 => (0..9_u8).prop_map(Step::Extend),
        2 => (-8..20_i64).prop_map(Step::Add),
        1 => (1..9_i64).prop_map(Step::Use),
        1 => (1..12_i64, -2..3_i64).prop_map(|(amount, priority)| Step::Give { amount, priority }),
        2 => prop_oneof![1..100_i64, Just(20 * 86_400)].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..40)
}

fn take(world: &mut World, step: &Step) {
    let name = |id: u8| format!("h{id}");
    // What does not suit is refused, and changes nothing.
    match *step {
        Step::Hold { id, amount, seconds } => {
            let holding = holding("ada", "calls", amount).id(&name(id)).seconds(seconds);
            let left = consumption(world).remaining();
            if let Ok(held) = world.hold(holding)
                && held.reason != Reason::Held
            {
                assert_eq!(held.hold.is_some(), left.is_none_or(|left| amount <= left));
            }
        }
        Step::Settle { id, amount } => drop(world.settle("ada", &name(id), amount)),
        Step::Release(id) => drop(world.release("ada", &name(id))),
        Step::Extend(id) => drop(world.extend("ada", &name(id), 100)),
        Step::Add(delta) => drop(world.record(recording("ada", "calls").add(delta))),
        Step::Use(delta) => drop(world.use_feature(using("ada", "calls").delta(delta))),
        Step::Give { amount, priority } => {
            drop(world.give(giving("ada", "calls", amount).priority(priority)));
        }
        Step::Wait(seconds) => world.wait_ms(seconds * 1000),
    }
}

proptest! {
    #[test]
    fn what_is_held_used_and_drawn_adds_up(steps in steps()) {
        let mut world = world();
        for step in &steps {
            take(&mut world, step);
            let by_counters: i64 = world.draws("ada").iter().map(|(_, drawn)| drawn).sum();
            let by_grants: i64 = world.grants("ada").iter().map(|grant| grant.drawn).sum();
            prop_assert_eq!(by_counters, by_grants);
            let known = consumption(&world);
            let now = world.now();
            let month = world.usage("ada", "calls").current.unwrap().period.start;
            let living = world.holds("ada").iter().filter(|hold| hold.lives(now));
            let held: i64 = living.filter(|hold| hold.counter.period_start == month).map(|hold| hold.amount).sum();
            prop_assert_eq!(known.held(), held);
        }
    }

    #[test]
    fn the_order_in_which_holds_end_does_not_matter(
        amounts in prop::collection::vec((1..9_i64, prop::option::of(0..9_i64)), 1..8),
        order in Just(()).prop_perturb(|(), mut random| random.random::<u64>()),
    ) {
        let end = |sorted: &[usize]| {
            let mut world = world();
            world.set_override(setting("ada", "calls").limit(100)).unwrap();
            for (n, (amount, _)) in amounts.iter().enumerate() {
                assert!(hold(&mut world, &n.to_string(), *amount).0);
            }
            for n in sorted {
                let id = n.to_string();
                match amounts[*n].1 {
                    Some(used) => drop(world.settle("ada", &id, Some(used)).unwrap()),
                    None => drop(world.release("ada", &id).unwrap()),
                }
            }
            numbers(&world)
        };
        let forwards: Vec<usize> = (0..amounts.len()).collect();
        let mut shuffled = forwards.clone();
        shuffled.sort_by_key(|n| order.wrapping_mul(2 * *n as u64 + 1).rotate_left(17));
        let sum: i64 = amounts.iter().filter_map(|(_, used)| *used).sum();
        prop_assert_eq!(end(&forwards), [sum, 0, 100, (100 - sum).max(0)]);
        prop_assert_eq!(end(&shuffled), end(&forwards));
    }
}
