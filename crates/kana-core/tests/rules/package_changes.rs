//! Subscriptions that are changed to another package (contract: `beyond.md`, e, and the column "trial /
//! schedule / change" of "Everything with everything").

use kana_core::Timestamp;
use kana_core::decide::{ChangePackage, UpdateSubscription};
use kana_core::id::SubscriptionId;
use kana_core::period::ResetPeriod;
use kana_core::refusal::Refusal;
use kana_core::subscribing::Subscribe;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use proptest::prelude::*;

use crate::world::{World, giving, limit, package_id, recording, switched_on, time};

const START: &str = "2024-03-01T00:00:00Z";

/// Bases, and add-ons for any of them and for one, on 1 March 2024.
fn shop() -> World {
    let calls = |amount| [("api-calls", limit(amount).monthly())];
    World::new()
        .clock(START)
        .consumable("api-calls")
        .binary("sso")
        .package("basic", calls(3))
        .package("pro", [("api-calls", limit(100).monthly()), ("sso", switched_on())])
        .package("team", calls(500))
        .addon("boost", [], calls(7))
        .addon("turbo", [], calls(70))
        .addon("for-basic", ["basic"], calls(3))
        .user("124")
}

fn day(day: i64) -> Timestamp {
    time(START).saturating_add_ms((day - 1) * 86_400_000)
}

fn go_to(world: &mut World, at: i64) {
    let ms = day(at).as_ms() - world.now().as_ms();
    world.wait_ms(ms);
}

fn to(world: &mut World, from: &str, package: &str) -> ChangePackage {
    ChangePackage {
        subscription: world.subscription("124", from).id,
        package: package_id(package),
        id: world.next_subscription_id(),
        at: None,
        at_end_of: None,
        carry_usage: false,
        quantity: None,
    }
}

fn change(world: &mut World, from: &str, package: &str) -> Result<Subscription, String> {
    let command = to(world, from, package);
    world.change_package(command).map_err(|refusal| refusal.to_string())
}

fn change_at(
    world: &mut World,
    from: &str,
    package: &str,
    at: i64,
) -> Result<Subscription, String> {
    let command = ChangePackage { at: Some(day(at)), ..to(world, from, package) };
    world.change_package(command).map_err(|refusal| refusal.to_string())
}

fn set_end(world: &mut World, id: SubscriptionId, at: Option<i64>) -> Result<(), String> {
    let update =
        UpdateSubscription { cancel_at: Some(at.map(day)), ..UpdateSubscription::nothing(id) };
    world.update(update).map(|_| ()).map_err(|refusal| refusal.to_string())
}

/// The newest subscription to the package, as it is shown now.
fn shown(world: &World, package: &str) -> Subscription {
    world.subscription("124", package).as_of(world.now())
}

fn schedule(world: &mut World, package: &str, from: i64) -> Subscription {
    let command = world.subscribe_command("124", [package], None);
    let command = Subscribe { starts_at: Some(day(from)), ..command };
    world.run_subscribe(command).unwrap().remove(0)
}

#[test]
fn a_package_changes_at_once_and_the_new_one_counts_from_zero() {
    let mut world = shop();
    world.subscribe_to("124", [("basic", 4)]).unwrap();
    world.record(recording("124", "api-calls")).unwrap();
    go_to(&mut world, 5);
    world.take_feed();
    let new = change(&mut world, "basic", "pro").unwrap();
    assert_eq!((new.status, new.started_at), (SubscriptionStatus::Active, day(5)));
    assert_eq!(new.quantities.current().get(), 4);
    let old = shown(&world, "basic");
    assert_eq!((old.status, old.ended_at), (SubscriptionStatus::Cancelled, Some(day(5))));
    assert_eq!((world.used("124", "api-calls"), world.budget("124", "api-calls")), (0, Some(400)));
    let past = world.usage("124", "api-calls").past;
    assert_eq!((past[0].period.end, past[0].consumption.used), (Some(day(5)), 1));
    let feed: Vec<String> = world.take_feed();
    for (change, expected) in
        feed.iter().zip(["subscription.started", "subscription.ended", "entitlement.changed"])
    {
        assert!(change.contains(expected), "{change}");
    }
    assert_eq!(feed.len(), 3);
}

#[test]
fn a_change_that_lies_ahead_ends_one_and_begins_the_other_at_that_instant() {
    let mut world = shop();
    world.subscribe("124", ["basic"]).unwrap();
    let new = change_at(&mut world, "basic", "pro", 10).unwrap();
    assert_eq!((new.status, new.started_at), (SubscriptionStatus::Incomplete, day(10)));
    assert_eq!(shown(&world, "basic").cancel_at(), Some(day(10)));
    world.wait_ms(day(10).as_ms() - 1 - world.now().as_ms());
    assert_eq!(world.budget("124", "api-calls"), Some(3));
    world.wait_ms(1);
    assert_eq!(world.budget("124", "api-calls"), Some(100));
    assert_eq!(shown(&world, "basic").status, SubscriptionStatus::Cancelled);
    // Nothing of it is left to take back.
    let id = shown(&world, "basic").id;
    assert_eq!(set_end(&mut world, id, None).unwrap_err(), "Subscription has ended");
}

#[test]
fn a_change_waits_for_the_end_of_a_period_counted_from_the_start() {
    let mut world = shop();
    world.subscribe_since("124", ["basic"], "2024-01-31T06:00:00Z").unwrap();
    let ends = [
        (ResetPeriod::Day, "2024-03-01T06:00:00Z"),
        (ResetPeriod::Month, "2024-03-31T06:00:00Z"),
        (ResetPeriod::Year, "2025-01-31T06:00:00Z"),
    ];
    for (period, expected) in ends {
        let mut world = world.clone();
        let command = to(&mut world, "basic", "pro");
        let command = ChangePackage { at_end_of: Some(period), quantity: Some(2), ..command };
        let new = world.change_package(command).unwrap();
        assert_eq!((new.started_at, new.quantities.current().get()), (time(expected), 2));
        assert_eq!(shown(&world, "basic").cancel_at(), Some(time(expected)));
    }
}

#[test]
fn the_end_of_the_old_one_is_not_that_of_the_new_one() {
    let mut world = shop();
    let id = world.subscribe("124", ["basic"]).unwrap().remove(0).id;
    set_end(&mut world, id, Some(20)).unwrap();
    let new = change_at(&mut world, "basic", "pro", 20).unwrap();
    assert_eq!((new.started_at, new.cancel_at()), (day(20), None));
    // It can be cancelled before it begins; the old one ends as it was said.
    world.cancel(new.id).unwrap();
    assert_eq!(shown(&world, "basic").cancel_at(), Some(day(20)));
    let now = change(&mut world, "basic", "team").unwrap();
    assert_eq!(now.cancel_at(), None);
}

#[test]
fn add_ons_go_on_with_a_base_that_they_fit_and_end_with_the_old_one_otherwise() {
    for at in [None, Some(10)] {
        let mut world = shop();
        world.subscribe("124", ["basic", "boost", "for-basic"]).unwrap();
        let scheduled = [schedule(&mut world, "turbo", 12).id];
        let command = ChangePackage { at: at.map(day), ..to(&mut world, "basic", "pro") };
        world.change_package(command).unwrap();
        go_to(&mut world, 11);
        assert_eq!(shown(&world, "boost").status, SubscriptionStatus::Active);
        assert_eq!(shown(&world, "boost").cancel_at(), None);
        let ended = shown(&world, "for-basic");
        assert_eq!(
            (ended.status, ended.ended_at),
            (SubscriptionStatus::Cancelled, Some(at.map_or(day(1), day)),)
        );
        go_to(&mut world, 13);
        let turbo = shown(&world, "turbo");
        assert_eq!((turbo.id, turbo.status), (scheduled[0], SubscriptionStatus::Active));
    }
}

#[test]
fn an_add_on_that_would_have_no_base_that_fits_is_cancelled_before_it_begins() {
    for at in [None, Some(5)] {
        let mut world = shop();
        world.subscribe("124", ["basic"]).unwrap();
        let id = schedule(&mut world, "for-basic", 8).id;
        let command = ChangePackage { at: at.map(day), ..to(&mut world, "basic", "pro") };
        world.change_package(command).unwrap();
        let orphan = shown(&world, "for-basic");
        assert_eq!((orphan.id, orphan.ended_at), (id, Some(day(1))));
    }
}

#[test]
fn an_add_on_changes_to_an_add_on() {
    let mut world = shop();
    let made = world.subscribe("124", ["basic", "boost"]).unwrap();
    set_end(&mut world, made[0].id, Some(20)).unwrap();
    let new = change(&mut world, "boost", "turbo").unwrap();
    assert_eq!(new.cancel_at(), Some(day(20)));
    assert_eq!(shown(&world, "boost").status, SubscriptionStatus::Cancelled);
    assert_eq!(
        change_at(&mut world, "turbo", "boost", 20).unwrap_err(),
        "Cannot subscribe to addon. Missing live tier subscription."
    );
    change_at(&mut world, "turbo", "boost", 19).unwrap();
}

#[test]
fn refusals_come_in_the_order_of_the_contract() {
    let mut world = shop();
    let made = world.subscribe("124", ["basic", "boost"]).unwrap();
    let (base, now) = (made[0].id, world.now());
    let plain = to(&mut world, "basic", "nope");
    let values = [
        (
            ChangePackage { quantity: Some(0), ..plain.clone() },
            "quantity must be from 1 to 1000000",
        ),
        (ChangePackage { at: Some(now), ..plain.clone() }, "at must be in the future"),
        (
            ChangePackage { at: Some(day(3)), at_end_of: Some(ResetPeriod::Day), ..plain.clone() },
            "atEndOf cannot be given together with at",
        ),
    ];
    for (command, expected) in values {
        let command = ChangePackage { subscription: world.next_subscription_id(), ..command };
        assert_eq!(world.change_package(command).unwrap_err().to_string(), expected);
    }
    assert!(matches!(
        world.change_package(plain).unwrap_err(),
        Refusal::SubscribePackageNotFound(_)
    ));

    set_end(&mut world, base, Some(5)).unwrap();
    assert_eq!(
        change_at(&mut world, "basic", "boost", 6).unwrap_err(),
        "Subscription ends before the change"
    );
    let kind = "A base changes to a base, an add-on to an add-on";
    assert_eq!(change_at(&mut world, "basic", "boost", 5).unwrap_err(), kind);
    assert_eq!(change(&mut world, "boost", "pro").unwrap_err(), kind);
    assert_eq!(
        change(&mut world, "basic", "basic").unwrap_err(),
        "The user is already subscribed to package basic"
    );
    schedule(&mut world, "pro", 5);
    assert_eq!(change(&mut world, "pro", "team").unwrap_err(), "Subscription has not started");
    // The new one has no end, and would run into the one that was scheduled.
    assert_eq!(
        change(&mut world, "basic", "team").unwrap_err(),
        "Cannot subscribe to multiple tiers"
    );
    assert_eq!(
        change(&mut world, "boost", "for-basic").unwrap().status,
        SubscriptionStatus::Active
    );
    world.cancel_package("124", "basic");
    assert_eq!(change(&mut world, "basic", "team").unwrap_err(), "Subscription has ended");
}

#[test]
fn at_most_ten_wait_for_their_beginning_also_by_changes() {
    let mut world = shop();
    world.subscribe("124", ["basic"]).unwrap();
    for n in 0..10 {
        let command = Subscribe {
            starts_at: Some(day(100 + n)),
            trial_days: Some(1),
            cancel_at_trial_end: true,
            ..world.subscribe_command("124", ["boost"], None)
        };
        world.run_subscribe(command).unwrap();
    }
    assert_eq!(
        change_at(&mut world, "basic", "pro", 10).unwrap_err(),
        "at would give the user 11 subscriptions that have not begun: at most 10 are possible. Cancel \
         one, or wait until one begins"
    );
    change(&mut world, "basic", "pro").unwrap();
}

#[test]
fn grants_and_overrides_outlive_a_change() {
    let mut world = shop();
    world.subscribe("124", ["basic"]).unwrap();
    world.give(giving("124", "api-calls", 50)).unwrap();
    assert_eq!(world.budget("124", "api-calls"), Some(53));
    change(&mut world, "basic", "pro").unwrap();
    assert_eq!(world.budget("124", "api-calls"), Some(150));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// From base to base, at any times: at each instant one base counts, and it is the one that was last said.
    #[test]
    fn a_chain_of_changes_leaves_no_gap_and_no_overlap(
        steps in proptest::collection::vec((0_usize..3, 0_i64..6, 0_i64..4), 1..12),
    ) {
        const BASES: [&str; 3] = ["basic", "pro", "team"];
        let mut world = shop();
        world.subscribe("124", ["basic", "boost"]).unwrap();
        for (package, ahead, wait) in steps {
            let today = (world.now().as_ms() - day(1).as_ms()) / 86_400_000 + 1;
            let is_there = |one: &&Subscription| {
                one.status_at(world.now()) == SubscriptionStatus::Active
                    && BASES.contains(&one.package.as_str())
            };
            let current = world.subscriptions("124").iter().find(is_there).unwrap().clone();
            let command = ChangePackage {
                subscription: current.id,
                package: package_id(BASES[package]),
                id: world.next_subscription_id(),
                at: (ahead > 0).then(|| day(today + ahead)),
                at_end_of: None,
                carry_usage: false,
        quantity: None,
            };
            let _ = world.change_package(command);
            for at in (today..today + 12).map(day) {
                let counts = |one: &&Subscription| one.status_at(at) == SubscriptionStatus::Active;
                let all = world.subscriptions("124");
                let bases = all.iter().filter(counts).filter(|one| one.package.as_str() != "boost");
                prop_assert_eq!(bases.count(), 1, "at {}: {:?}", at, all);
                let addons = all.iter().filter(counts).filter(|one| one.package.as_str() == "boost");
                prop_assert_eq!(addons.count(), 1, "at {}: {:?}", at, all);
            }
            world.wait_ms(wait * 86_400_000);
        }
    }
}
