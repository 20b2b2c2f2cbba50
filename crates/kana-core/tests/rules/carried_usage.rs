//! Changes of the package that usage comes along with (contract: `beyond.md`, e, and "Everything with
//! everything").

use kana_core::Timestamp;
use kana_core::decide::ChangePackage;
use kana_core::entitlement::{Consumption, Reason};
use kana_core::hold::HoldState;
use kana_core::near_limit::Share;
use kana_core::period::ResetPeriod;
use kana_core::subscription::Subscription;
use kana_core::threshold::Threshold;
use kana_core::usage::VoidedUsage;
use proptest::prelude::*;

use crate::world::{
    World, giving, holding, limit, package_id, recording, setting, switched_on, time,
};

const DAY_MS: i64 = 86_400_000;

/// Ada is on `basic`, with 10 calls a month from 2024-01-01. `pro` gives 100, `twin` as much as `basic`.
fn world() -> World {
    World::new()
        .watched("calls", &[Threshold::Percent(50)])
        .consumable("seats")
        .consumable("exports")
        .binary("sso")
        .package(
            "basic",
            [
                ("calls", limit(10).monthly()),
                ("seats", limit(5)),
                ("exports", limit(9)),
                ("sso", switched_on()),
            ],
        )
        .package("twin", [("calls", limit(10).monthly())])
        .package(
            "pro",
            [("calls", limit(100).monthly()), ("seats", limit(50)), ("sso", switched_on())],
        )
        .package("daily", [("calls", limit(4).daily())])
        .package("reserve", [("calls", limit(10).monthly().carrying(None, 2))])
        .user("ada")
        .subscribed("ada", "basic")
}

/// As many days after 2024-01-01.
fn day(day: i64) -> Timestamp {
    time("2024-01-01T00:00:00Z").saturating_add_ms(day * DAY_MS)
}

fn go_to(world: &mut World, at: Timestamp) {
    world.wait_ms(at.as_ms() - world.now().as_ms());
}

fn to(world: &mut World, from: &str, package: &str) -> ChangePackage {
    ChangePackage {
        subscription: world.subscription("ada", from).id,
        package: package_id(package),
        id: world.next_subscription_id(),
        at: None,
        at_end_of: None,
        carry_usage: true,
        quantity: None,
    }
}

fn change(world: &mut World, from: &str, package: &str) -> Subscription {
    let command = to(world, from, package);
    world.change_package(command).unwrap()
}

fn add(world: &mut World, feature: &str, delta: i64) {
    world.record(recording("ada", feature).add(delta)).unwrap();
}

fn hold(world: &mut World, id: &str, amount: i64) {
    assert!(world.hold(holding("ada", "calls", amount).id(id)).unwrap().hold.is_some());
}

fn consumption(world: &World) -> Consumption {
    world.can_use("ada", "calls", 0).unwrap().consumption.unwrap()
}

/// Used, held, granted, budget.
fn numbers(world: &World) -> [i64; 4] {
    let known = consumption(world);
    [known.used, known.held(), known.granted(), known.budget.unwrap_or(-1)]
}

/// How much is drawn from each grant.
fn drawn(world: &World) -> Vec<i64> {
    world.grants("ada").iter().map(|grant| grant.drawn).collect()
}

#[test]
fn usage_comes_along_and_the_periods_go_on() {
    let mut world = world();
    add(&mut world, "calls", 7);
    add(&mut world, "seats", 2);
    add(&mut world, "exports", 3);
    go_to(&mut world, day(10));
    let new = change(&mut world, "basic", "pro");
    assert_eq!((new.started_at, new.origin().anchored_at), (day(10), day(0)));
    assert_eq!(numbers(&world), [7, 0, 0, 100]);
    assert_eq!((world.used("ada", "seats"), world.budget("ada", "seats")), (2, Some(50)));
    assert_eq!(world.can_use("ada", "exports", 1).unwrap().reason, Reason::NotGranted);
    // The first period is a part of one, and the next begins when that of the old one would have.
    let shown = world.usage("ada", "calls");
    let current = shown.current.unwrap();
    assert_eq!((current.period.start, current.period.end), (day(10), Some(day(31))));
    let past: Vec<i64> = shown.past.iter().map(|past| past.consumption.used).collect();
    assert_eq!(past, [7], "the old period keeps what was used in it");
    go_to(&mut world, day(31));
    assert_eq!((numbers(&world), world.used("ada", "seats")), ([0, 0, 0, 100], 2));
}

#[test]
fn what_is_over_the_new_limit_is_over_it() {
    let mut world = world();
    change(&mut world, "basic", "pro");
    add(&mut world, "calls", 60);
    change(&mut world, "pro", "twin");
    assert_eq!(numbers(&world), [60, 0, 0, 10]);
    assert_eq!(consumption(&world).remaining(), Some(0));
    assert_eq!(world.can_use("ada", "calls", 1).unwrap().reason, Reason::LimitReached);
    // No write settles what a change brings along, but the next one does.
    world.give(giving("ada", "calls", 70)).unwrap();
    assert_eq!((numbers(&world), drawn(&world)), ([60, 0, 70, 80], vec![0]));
    add(&mut world, "calls", 1);
    assert_eq!((numbers(&world), drawn(&world)), ([61, 0, 70, 80], vec![51]));
}

#[test]
fn a_change_to_a_shorter_or_longer_period_brings_the_running_one_along() {
    let mut world = world();
    add(&mut world, "calls", 3);
    go_to(&mut world, day(9).saturating_add_ms(1));
    change(&mut world, "basic", "daily");
    let current = world.usage("ada", "calls").current.unwrap();
    assert_eq!((current.consumption.used, current.period.end), (3, Some(day(10))));
    go_to(&mut world, day(10));
    add(&mut world, "calls", 1);
    change(&mut world, "daily", "twin");
    let current = world.usage("ada", "calls").current.unwrap();
    assert_eq!((current.consumption.used, current.period.end), (1, Some(day(31))));
}

#[test]
fn draws_and_thresholds_come_along() {
    let mut world = world();
    world.give(giving("ada", "calls", 8)).unwrap();
    add(&mut world, "calls", 14);
    assert_eq!((drawn(&world), world.threshold_events().len()), (vec![4], 1));
    change(&mut world, "basic", "twin");
    assert_eq!((numbers(&world), drawn(&world)), ([14, 0, 8, 18], vec![4]));
    add(&mut world, "calls", 1);
    assert_eq!((drawn(&world), world.threshold_events().len()), (vec![5], 1), "fired once");
    // What is taken back returns to the grant, as if there had been no change.
    add(&mut world, "calls", -15);
    assert_eq!((numbers(&world), drawn(&world)), ([0, 0, 8, 18], vec![0]));
}

#[test]
fn the_old_counter_draws_nothing_any_more() {
    let mut world = world();
    world.give(giving("ada", "calls", 8)).unwrap();
    world.record(recording("ada", "calls").add(14).key("early")).unwrap();
    go_to(&mut world, day(10));
    change(&mut world, "basic", "twin");
    // Late usage of before, and what is taken back of it, belong to the old counter alone.
    world.record(recording("ada", "calls").add(3).at_time(day(5))).unwrap();
    let past = |world: &World| world.usage("ada", "calls").past[0].consumption;
    assert_eq!((past(&world).used, past(&world).granted()), (17, 0));
    assert_eq!((numbers(&world), drawn(&world)), ([14, 0, 8, 18], vec![4]));
    assert_eq!(world.void("early").unwrap(), VoidedUsage::Voided);
    assert_eq!((past(&world).used, numbers(&world)), (3, [14, 0, 8, 18]));
    assert_eq!(drawn(&world), [4]);
}

#[test]
fn a_counter_that_was_empty_draws_nothing_any_more_either() {
    let mut world = world();
    world.give(giving("ada", "calls", 8)).unwrap();
    go_to(&mut world, day(10));
    change(&mut world, "basic", "twin");
    world.record(recording("ada", "calls").add(14).at_time(day(5))).unwrap();
    assert_eq!((numbers(&world), drawn(&world)), ([0, 0, 8, 18], vec![0]));
    assert_eq!(world.usage("ada", "calls").past[0].consumption.used, 14);
}

#[test]
fn holds_that_live_move_and_others_stay() {
    let mut world = world();
    hold(&mut world, "expires", 1);
    world.wait_ms(900_000);
    world.give(giving("ada", "calls", 8)).unwrap();
    add(&mut world, "calls", 6);
    hold(&mut world, "job", 5);
    hold(&mut world, "other", 2);
    assert_eq!((numbers(&world), drawn(&world)), ([6, 7, 8, 18], vec![3]));
    change(&mut world, "basic", "twin");
    assert_eq!((numbers(&world), drawn(&world)), ([6, 7, 8, 18], vec![3]));
    world.settle("ada", "job", Some(4)).unwrap();
    world.release("ada", "other").unwrap();
    assert_eq!((numbers(&world), drawn(&world)), ([10, 0, 8, 18], vec![0]));
    // Usage of a job that took longer than its hold counts where it was held.
    world.settle("ada", "expires", None).unwrap();
    assert_eq!((numbers(&world), drawn(&world)), ([10, 0, 8, 18], vec![0]));
    assert_eq!(world.usage("ada", "calls").past[0].consumption.used, 7);
    let ended = |hold: &kana_core::hold::Hold| hold.state(world.now()) != HoldState::Held;
    assert!(world.holds("ada").iter().all(ended));
}

#[test]
fn a_reserve_stays_behind() {
    let mut world = world();
    change(&mut world, "basic", "reserve");
    go_to(&mut world, day(31));
    add(&mut world, "calls", 1);
    assert_eq!(consumption(&world).carried(), 10);
    go_to(&mut world, day(32));
    // The same rollover, but nothing of it is carried by the next one until a period of its own is over.
    change(&mut world, "reserve", "twin");
    change(&mut world, "twin", "reserve");
    assert_eq!((consumption(&world).used, consumption(&world).carried()), (1, 0));
    go_to(&mut world, day(60));
    assert_eq!((consumption(&world).used, consumption(&world).carried()), (0, 9));
}

#[test]
fn an_override_goes_on_and_only_what_counts_moves() {
    let mut world = world();
    add(&mut world, "calls", 2);
    world.set_override(setting("ada", "calls").limit(3)).unwrap();
    add(&mut world, "calls", 1);
    change(&mut world, "basic", "pro");
    assert_eq!(
        numbers(&world),
        [3, 0, 0, 3],
        "an override of the limit has the counter of its subscription"
    );
    // One that counts by itself keeps what it has counted; what was counted before it comes along too.
    let daily = setting("ada", "calls").limit(20).every(ResetPeriod::Day);
    world.set_override(daily).unwrap();
    add(&mut world, "calls", 5);
    change(&mut world, "pro", "twin");
    assert_eq!(numbers(&world), [5, 0, 0, 20]);
    world.remove_override("ada", "calls").unwrap();
    assert_eq!(numbers(&world), [3, 0, 0, 10]);
}

#[test]
fn several_changes_keep_the_first_anchor_and_the_end_of_a_period_is_counted_from_it() {
    let mut world = world();
    for (at, from, package) in [(3, "basic", "twin"), (8, "twin", "pro"), (12, "pro", "basic")] {
        add(&mut world, "calls", 1);
        go_to(&mut world, day(at));
        let new = change(&mut world, from, package);
        assert_eq!(new.origin().anchored_at, day(0));
    }
    assert_eq!(numbers(&world), [3, 0, 0, 10]);
    let ahead = to(&mut world, "basic", "pro");
    let month = Some(ResetPeriod::Month);
    let ahead = ChangePackage { at_end_of: month, carry_usage: false, ..ahead };
    assert_eq!(world.change_package(ahead).unwrap().started_at, day(31));
}

#[test]
fn a_subscription_that_begins_with_its_anchor_needs_none() {
    let mut world = world();
    let new = change(&mut world, "basic", "pro");
    assert_eq!((new.started_at, new.timing.anchored_at), (day(0), None));
}

#[test]
fn usage_that_comes_along_can_be_near_the_new_limit() {
    let mut world = world();
    add(&mut world, "calls", 2);
    go_to(&mut world, day(1));
    assert!(world.take_crossings().is_empty());
    change(&mut world, "basic", "daily");
    assert!(world.take_crossings().is_empty());
    add(&mut world, "calls", 3);
    world.take_crossings();
    change(&mut world, "daily", "twin");
    assert_eq!(world.take_crossings(), []);
    change(&mut world, "twin", "daily");
    let crossed = world.take_crossings();
    assert_eq!(
        (crossed.len(), crossed[0].share, crossed[0].period_end),
        (1, Share::Full, Some(day(2)))
    );
    assert_eq!(world.near("ada", "calls"), Some(Share::Full));
}

#[test]
fn usage_moves_only_now() {
    let mut world = world();
    let refused = |world: &mut World, command: ChangePackage| {
        world.change_package(command).unwrap_err().to_string()
    };
    let expected =
        "carryUsage moves the usage of now and cannot be given together with at or atEndOf";
    let later = ChangePackage { at: Some(day(9)), ..to(&mut world, "basic", "pro") };
    assert_eq!(refused(&mut world, later), expected);
    let month = Some(ResetPeriod::Month);
    let later = ChangePackage { at_end_of: month, ..to(&mut world, "basic", "pro") };
    assert_eq!(refused(&mut world, later), expected);
    let same = to(&mut world, "basic", "basic");
    assert_eq!(refused(&mut world, same), "The user is already subscribed to package basic");
}

/// What happens to a user before and after a change.
#[derive(Debug, Clone, Copy)]
enum Step {
    Use(i64),
    Late(i64),
    Hold(i64),
    Grant(i64, i64),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (-6_i64..12).prop_map(Step::Use),
        1 => (-6_i64..12).prop_map(Step::Late),
        2 => (1_i64..5).prop_map(Step::Hold),
        2 => (1_i64..9, -1_i64..2).prop_map(|(amount, priority)| Step::Grant(amount, priority)),
        2 => (1_i64..20).prop_map(|hours| Step::Wait(hours * 3_600_000 / 7)),
    ]
}

fn take(world: &mut World, step: Step, at: Timestamp) {
    match step {
        Step::Use(delta) => add(world, "calls", delta),
        Step::Late(delta) => {
            world.record(recording("ada", "calls").add(delta).at_time(at)).unwrap();
        }
        Step::Hold(amount) => {
            world.hold(holding("ada", "calls", amount)).unwrap();
        }
        Step::Grant(amount, priority) => {
            world.give(giving("ada", "calls", amount).priority(priority)).unwrap();
        }
        Step::Wait(ms) => world.wait_ms(ms),
    }
}

proptest! {
    /// A change to a package that gives as much changes nothing that can be seen, then or later.
    #[test]
    fn to_the_same_terms_nothing_changes(
        before in prop::collection::vec(step(), 0..12),
        after in prop::collection::vec(step(), 0..12),
    ) {
        let mut stays = world();
        before.iter().for_each(|step| take(&mut stays, *step, day(0)));
        let mut moves = stays.clone();
        change(&mut moves, "basic", "twin");
        let changed_at = moves.now();
        prop_assert_eq!(consumption(&stays), consumption(&moves));
        for step in after {
            take(&mut stays, step, changed_at);
            take(&mut moves, step, changed_at);
            prop_assert_eq!(consumption(&stays), consumption(&moves));
            prop_assert_eq!(drawn(&stays), drawn(&moves));
        }
    }
}

#[test]
fn usage_and_holds_of_many_features_come_along_at_once() {
    let names = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11"];
    let gives = |amount| names.map(|name| (name, limit(amount).monthly()));
    let world = names.into_iter().fold(World::new(), World::consumable);
    let world = world.package("small", gives(50)).package("large", gives(100));
    let mut world = world.user("ada").subscribed("ada", "small");
    for (name, used) in names.into_iter().zip(1..) {
        add(&mut world, name, used);
        assert!(world.hold(holding("ada", name, 1).id(name)).unwrap().hold.is_some());
    }
    world.wait_ms(DAY_MS / 1000);
    change(&mut world, "small", "large");
    for (name, used) in names.into_iter().zip(1..) {
        let known = world.can_use("ada", name, 0).unwrap().consumption.unwrap();
        assert_eq!((known.used, known.held(), known.budget), (used, 1, Some(100)), "{name}");
    }
}
