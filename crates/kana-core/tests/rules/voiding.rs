//! Taking back what an event has added (contract: `beyond.md`, "Corrections").

use kana_core::counted::CountedAt;
use kana_core::idempotency::Replay;
use kana_core::period::ResetPeriod;
use kana_core::usage::{LoggedAction, RecordedUsage, VoidedUsage};
use proptest::prelude::*;

use crate::world::{World, limit, recording, setting, switched_on, unlimited, using};

fn world() -> World {
    World::new()
        .consumable("calls")
        .binary("export")
        .package("pro", [("calls", limit(10).monthly()), ("export", switched_on())])
        .user("124")
        .subscribed("124", "pro")
}

fn refused(world: &mut World, key: &str) -> String {
    world.void(key).unwrap_err().to_string()
}

#[test]
fn what_an_event_added_is_taken_back_once_and_the_key_stays_used() {
    let mut world = world();
    world.record(recording("124", "calls").add(3)).unwrap();
    world.record(recording("124", "calls").add(4).key("k")).unwrap();
    assert_eq!(world.void("k"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "calls"), 3);
    let before = world.stored();
    assert_eq!(world.void("k"), Ok(VoidedUsage::Voided));
    let again = world.record(recording("124", "calls").add(4).key("k"));
    assert_eq!(again, Ok(RecordedUsage::Recorded));
    assert!(world.stored() == before);
    let other = world.record(recording("124", "calls").add(5).key("k")).unwrap_err();
    assert!(other.to_string().contains("already used"), "{other}");
}

#[test]
fn the_log_gets_an_entry_on_the_day_of_the_event() {
    let mut world = world();
    world.record(recording("124", "calls").add(4).at("2024-01-01T00:00:00Z").key("k")).unwrap();
    world.set_clock("2024-01-03T00:00:00Z");
    world.void("k").unwrap();
    let [event, entry] = world.events() else { panic!("{:?}", world.events()) };
    assert_eq!((entry.action, entry.delta, entry.amount), (LoggedAction::Void, -4, -4));
    assert_eq!((entry.occurred_at, entry.recorded_at), (event.occurred_at, world.now()));
    assert_eq!(entry.subscription, event.subscription);
    assert_eq!(entry.idempotency_key, event.idempotency_key);
}

#[test]
fn what_was_really_added_is_taken_back() {
    let mut world = world();
    world.record(recording("124", "calls").add(3)).unwrap();
    // Only 3 of it could be taken away.
    world.record(recording("124", "calls").add(-5).key("less")).unwrap();
    assert_eq!(world.used("124", "calls"), 0);
    world.record(recording("124", "calls").add(i64::MAX - 1)).unwrap();
    world.record(recording("124", "calls").add(5).key("more")).unwrap();
    assert_eq!(world.used("124", "calls"), i64::MAX);
    world.void("more").unwrap();
    assert_eq!(world.used("124", "calls"), i64::MAX - 1);
    world.record(recording("124", "calls").set(7)).unwrap();
    world.void("less").unwrap();
    assert_eq!(world.used("124", "calls"), 7, "a SET has replaced it");
}

#[test]
fn usage_never_goes_below_nothing() {
    let mut world = world();
    world.record(recording("124", "calls").add(4).key("k")).unwrap();
    world.record(recording("124", "calls").add(-3)).unwrap();
    assert_eq!(world.void("k"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "calls"), 0);
    assert_eq!(world.events().last().unwrap().amount, -1);
}

#[test]
fn a_set_leaves_nothing_to_take_back_of_what_came_before() {
    let mut world = world();
    world.record(recording("124", "calls").add(4).key("before")).unwrap();
    world.record(recording("124", "calls").set(6)).unwrap();
    world.record(recording("124", "calls").add(2).key("after")).unwrap();
    assert_eq!(world.void("before"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "calls"), 8);
    assert_eq!(world.void("after"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "calls"), 6);
    let entries = world.events().iter().filter(|event| event.action == LoggedAction::Void);
    assert_eq!(entries.map(|entry| entry.amount).collect::<Vec<_>>(), [0, -2]);
}

#[test]
fn a_set_in_another_period_replaces_nothing() {
    let mut world = world();
    world.record(recording("124", "calls").add(4).key("january")).unwrap();
    world.set_clock("2024-02-02T00:00:00Z");
    world.record(recording("124", "calls").set(6)).unwrap();
    assert_eq!(world.void("january"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "calls"), 6);
    assert_eq!(world.usage("124", "calls").past[0].consumption.used, 0);
}

#[test]
fn use_feature_is_taken_back_too() {
    let mut world = world();
    world.use_feature(using("124", "calls").delta(9).key("granted")).unwrap();
    world.use_feature(using("124", "calls").delta(2).key("refused")).unwrap();
    assert_eq!(world.void("refused"), Ok(VoidedUsage::NotCounted));
    assert_eq!(world.void("granted"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "calls"), 0);
    let again = world.use_feature(using("124", "calls").delta(9).key("granted")).unwrap();
    assert_eq!(again.consumption.unwrap().used, 9, "the first answer");
}

#[test]
fn what_nothing_counted_is_not_voided() {
    let mut world = world().consumable("seats");
    world.record(recording("124", "seats").add(1).key("not granted")).unwrap();
    world.record(recording("124", "export").add(1).key("binary")).unwrap();
    let before = world.stored();
    for (key, answer, reason) in [
        (
            "not granted",
            VoidedUsage::NotCounted,
            "The usage was not counted, so there is nothing to take back.",
        ),
        ("binary", VoidedUsage::Binary, "The feature is BINARY: nothing was counted."),
    ] {
        assert_eq!(world.void(key), Ok(answer));
        assert_eq!((answer.voided(), answer.reason()), (false, Some(reason)));
    }
    assert!(world.stored() == before);
    assert_eq!((VoidedUsage::Voided.voided(), VoidedUsage::Voided.reason()), (true, None));
}

#[test]
fn a_key_of_an_earlier_release_says_that_nothing_was_kept() {
    let mut world = world();
    world.record(recording("124", "calls").add(4).key("k")).unwrap();
    let replay = Replay { counted: None, ..world.replay("k").clone() };
    world.keep_replay("k", replay);
    let before = world.stored();
    assert_eq!(world.void("k"), Ok(VoidedUsage::NotKept));
    assert!(VoidedUsage::NotKept.reason().unwrap().contains("record a negative delta"));
    assert!(world.stored() == before);
}

#[test]
fn a_set_and_an_unknown_key_are_refused() {
    let mut world = world();
    world.record(recording("124", "calls").set(4).key("set")).unwrap();
    world.record(recording("124", "calls").add(4).key("add")).unwrap();
    world.forget_key("add");
    let message = "idempotencyKey names usage that was SET, which is corrected by another SET";
    assert_eq!(refused(&mut world, "set"), message);
    for unknown in ["add", "nobody's"] {
        let message = format!(
            "Usage not found: nothing that is still known was recorded under the idempotency key \
             {unknown}"
        );
        assert_eq!(refused(&mut world, unknown), message);
    }
}

#[test]
fn the_user_may_have_another_id_and_other_subscriptions_by_now() {
    let mut world = world().package("old", [("calls", unlimited())]);
    world.record(recording("124", "calls").add(4).key("k")).unwrap();
    world.cancel_package("124", "pro");
    world.set_clock("2024-05-01T00:00:00Z");
    world = world.subscribed("124", "old");
    world.record(recording("124", "calls").add(1)).unwrap();
    world.rename("124", "125");
    assert_eq!(world.void("k"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("125", "calls"), 1);
    assert!(world.counters("125").values().eq([&0, &1]));
    world.delete("125");
    assert_eq!(world.void("k"), Ok(VoidedUsage::Voided));
}

#[test]
fn usage_of_a_deleted_user_is_taken_back() {
    let mut world = world();
    world.record(recording("124", "calls").add(4).key("k")).unwrap();
    world.delete("124");
    assert_eq!(world.void("k"), Ok(VoidedUsage::Voided));
    assert_eq!(world.events().last().unwrap().amount, -4);
}

#[test]
fn it_is_taken_back_of_the_period_that_it_was_counted_in_whatever_the_terms_are_now() {
    for daily_first in [true, false] {
        let mut world = World::new().consumable("calls").user("124");
        let (first, then) = if daily_first {
            (ResetPeriod::Day, ResetPeriod::Month)
        } else {
            (ResetPeriod::Month, ResetPeriod::Day)
        };
        world = world.package("pro", [("calls", limit(10).every(first))]).subscribed("124", "pro");
        world.set_clock("2024-01-05T00:00:00Z");
        world.record(recording("124", "calls").add(4).key("k")).unwrap();
        world.record(recording("124", "calls").add(1)).unwrap();
        world.set_clock("2024-01-10T00:00:00Z");
        world.change_terms("pro", &[("calls", limit(10).every(then))]);
        world.record(recording("124", "calls").add(2)).unwrap();
        // A longer period takes the earlier ones over, and so includes what they counted.
        let before = if daily_first { 7 } else { 2 };
        assert_eq!(world.used("124", "calls"), before);
        assert_eq!(world.void("k"), Ok(VoidedUsage::Voided));
        assert_eq!(world.used("124", "calls"), if daily_first { 3 } else { 2 });
    }
}

#[test]
fn a_set_of_the_period_that_has_taken_it_over_replaces_it() {
    let mut world = World::new().consumable("calls").user("124");
    world = world.package("pro", [("calls", limit(10).daily())]).subscribed("124", "pro");
    world.set_clock("2024-01-05T00:00:00Z");
    world.record(recording("124", "calls").add(4).key("k")).unwrap();
    world.change_terms("pro", &[("calls", limit(10).monthly())]);
    world.set_clock("2024-01-06T00:00:00Z");
    world.record(recording("124", "calls").set(9)).unwrap();
    world.record(recording("124", "calls").add(3).at("2024-01-05T00:00:00Z").key("late")).unwrap();
    assert_eq!(world.used("124", "calls"), 12);
    assert_eq!(world.void("k"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "calls"), 12);
}

#[test]
fn usage_that_an_override_counted_is_taken_back_also_when_it_is_removed() {
    let mut world = world();
    let own = || setting("124", "calls").limit(5).every(ResetPeriod::Day);
    let known = world.set_override(own()).unwrap();
    world.record(recording("124", "calls").add(4).key("kept")).unwrap();
    world.record(recording("124", "calls").add(3).key("removed")).unwrap();
    let counter = world.replay("kept").counted.unwrap().counter;
    assert!(matches!(counter, CountedAt::Whole(id, ..) if id.0 == known.id.0), "{counter:?}");
    assert_eq!(world.void("kept"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "calls"), 3);
    world.remove_override("124", "calls").unwrap();
    assert_eq!(world.void("removed"), Ok(VoidedUsage::Voided));
    assert!(world.counters("124").values().all(|used| *used == 0));
}

#[test]
fn a_subscription_names_its_counter_by_four_bytes() {
    let mut world = world();
    world.record(recording("124", "calls").add(4).key("k")).unwrap();
    let counted = world.replay("k").counted.unwrap();
    assert!(matches!(counted.counter, CountedAt::Digest(_)));
    assert_eq!((counted.added, counted.sets, counted.voided), (None, 0, false));
}

#[test]
fn usage_without_a_key_keeps_nothing() {
    let mut world = world();
    world.record(recording("124", "calls").add(4)).unwrap();
    world.record(recording("124", "calls").set(4).key("set")).unwrap();
    assert_eq!(world.replay("set").counted, None);
    assert_eq!(world.events().len(), 2);
}

#[derive(Debug, Clone)]
enum Step {
    Add(i64, usize),
    Set(i64),
    Void(usize),
    Wait,
}

const KEYS: usize = 4;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (-3..6_i64, 0..KEYS).prop_map(|(delta, key)| Step::Add(delta, key)),
        1 => (0..6_i64).prop_map(Step::Set),
        3 => (0..KEYS).prop_map(Step::Void),
        1 => Just(Step::Wait),
    ]
}

/// What a simple model keeps of a key: its period, what it added, the SETs before it, and the request.
type Kept = (usize, i64, usize, i64);

proptest! {
    #[test]
    fn usage_is_what_a_simple_model_says(steps in prop::collection::vec(step(), 0..40)) {
        let mut world = world();
        // By period: usage, and SETs.
        let mut periods = vec![(0_i64, 0_usize)];
        let mut keys: [Option<Kept>; KEYS] = [None; KEYS];
        let mut voided = [false; KEYS];
        for step in steps {
            let now = periods.len() - 1;
            match step {
                Step::Add(delta, key) => {
                    let name = format!("k{key}");
                    let answer = world.record(recording("124", "calls").add(delta).key(&name));
                    match keys[key] {
                        Some((.., first)) => prop_assert_eq!(answer.is_ok(), first == delta),
                        None => {
                            let (used, sets) = periods[now];
                            periods[now].0 = (used + delta).max(0);
                            keys[key] = Some((now, periods[now].0 - used, sets, delta));
                        }
                    }
                }
                Step::Set(used) => {
                    world.record(recording("124", "calls").set(used)).unwrap();
                    periods[now] = (used, periods[now].1 + 1);
                }
                Step::Void(key) => {
                    let answer = world.void(&format!("k{key}"));
                    let Some((period, added, sets, _)) = keys[key] else {
                        prop_assert!(answer.is_err());
                        continue;
                    };
                    prop_assert_eq!(answer, Ok(VoidedUsage::Voided));
                    if !std::mem::replace(&mut voided[key], true) && periods[period].1 == sets {
                        periods[period].0 = (periods[period].0 - added).max(0);
                    }
                }
                Step::Wait => {
                    world.wait_ms(31 * 24 * 60 * 60 * 1000);
                    periods.push((0, 0));
                }
            }
            prop_assert_eq!(world.used("124", "calls"), periods.last().unwrap().0);
        }
        let total: i64 = periods.iter().map(|(used, _)| used).sum();
        prop_assert_eq!(world.counters("124").values().sum::<i64>(), total);
        let sum: i64 = world.events().iter().map(|event| event.amount).sum();
        prop_assert_eq!(sum, total, "the amounts of the log add up to the counters");
    }
}
