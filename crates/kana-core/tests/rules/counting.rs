//! Which subscription counts: rules 1, 2 and 3.

use kana_core::Timestamp;
use kana_core::counting::counting_subscription;
use kana_core::id::SubscriptionId;
use kana_core::quantity::Quantities;
use kana_core::subscription::{AsOf, Subscription, SubscriptionStatus};
use kana_core::timing::Timing;
use kana_core::usage::RecordedUsage;
use proptest::prelude::*;
use uuid::Uuid;

use crate::world::{
    Gives, World, feature_id, limit, package_id, recording, switched_on, unlimited,
};

const EVERY_STATUS: [SubscriptionStatus; 7] = [
    SubscriptionStatus::Active,
    SubscriptionStatus::Trialing,
    SubscriptionStatus::Cancelled,
    SubscriptionStatus::PastDue,
    SubscriptionStatus::Unpaid,
    SubscriptionStatus::Incomplete,
    SubscriptionStatus::IncompleteExpired,
];

/// A user with a base that does not contain `api-calls`, so that the add-ons on top of it can
/// contend for it, whatever they give.
fn base() -> World {
    World::new()
        .consumable("api-calls")
        .binary("export")
        .package("base", [("export", switched_on())])
        .user("124")
        .subscribed("124", "base")
}

/// Add-ons that give `api-calls`, subscribed to in this order at the same instant.
fn with_addons<const N: usize>(addons: [(&str, Gives); N]) -> World {
    let world = addons
        .iter()
        .fold(base(), |world, (id, gives)| world.addon(id, [], [("api-calls", *gives)]));
    addons.iter().fold(world, |world, (id, _)| world.subscribed("124", id))
}

fn counts(world: &World) -> Option<String> {
    world.counts_now("124", "api-calls")
}

#[test]
fn only_active_and_trialing_subscriptions_grant() {
    for status in EVERY_STATUS {
        let mut world = with_addons([("plus", limit(3))]);
        world.set_status("124", "plus", status);
        let grants = matches!(status, SubscriptionStatus::Active | SubscriptionStatus::Trialing);
        assert_eq!(world.can_use("124", "api-calls", 1).unwrap().access, grants, "{status:?}");
        let recorded = world.record(recording("124", "api-calls")).unwrap();
        assert_eq!(recorded.recorded(), grants, "{status:?}");
    }
}

#[test]
fn the_highest_limit_counts_whatever_the_order_of_subscribing() {
    assert_eq!(counts(&with_addons([("low", limit(3)), ("high", limit(5))])).unwrap(), "high");
    assert_eq!(counts(&with_addons([("high", limit(5)), ("low", limit(3))])).unwrap(), "high");
    assert_eq!(counts(&with_addons([("zero", limit(0)), ("one", limit(1))])).unwrap(), "one");
}

#[test]
fn limits_are_not_added_up() {
    let mut world = with_addons([("low", limit(3)), ("high", limit(5))]);
    assert_eq!(world.budget("124", "api-calls"), Some(5));
    world.record(recording("124", "api-calls").add(5)).unwrap();
    assert!(!world.can_use("124", "api-calls", 1).unwrap().access);
}

#[test]
fn the_one_that_counts_counts_alone() {
    let mut world = with_addons([("low", limit(3)), ("high", limit(5))]);
    world.record(recording("124", "api-calls").add(4)).unwrap();
    world.cancel_package("124", "high");
    assert_eq!(counts(&world).unwrap(), "low");
    assert_eq!(world.used("124", "api-calls"), 0, "usage stays where it was counted");
}

#[test]
fn unlimited_is_the_highest_limit() {
    let world = with_addons([("huge", limit(i64::MAX).with_overage()), ("endless", unlimited())]);
    assert_eq!(counts(&world).unwrap(), "endless");
    assert_eq!(world.budget("124", "api-calls"), None);
}

#[test]
fn overage_does_not_beat_a_higher_limit() {
    let world = with_addons([("overage", limit(3).with_overage()), ("high", limit(4))]);
    assert_eq!(counts(&world).unwrap(), "high");
}

#[test]
fn among_equal_limits_the_one_with_overage_counts_even_if_it_is_younger() {
    let world = base()
        .clock("2024-02-01T00:00:00Z")
        .addon("hard", [], [("api-calls", limit(3))])
        .addon("soft", [], [("api-calls", limit(3).with_overage())])
        .subscribed_since("124", "hard", "2024-01-10T00:00:00Z")
        .subscribed_since("124", "soft", "2024-01-20T00:00:00Z");
    assert_eq!(counts(&world).unwrap(), "soft");
}

#[test]
fn then_the_oldest_start_counts_even_if_it_was_made_later() {
    let world = base()
        .clock("2024-02-01T00:00:00Z")
        .addon("younger", [], [("api-calls", limit(3))])
        .addon("older", [], [("api-calls", limit(3))])
        .subscribed_since("124", "younger", "2024-01-10T00:00:00.001Z")
        .subscribed_since("124", "older", "2024-01-10T00:00:00.000Z");
    assert_eq!(counts(&world).unwrap(), "older");
}

#[test]
fn then_the_smallest_id_counts() {
    let world = with_addons([("b", limit(3)), ("a", limit(3)), ("c", limit(3))]);
    let ids: Vec<_> = ["b", "a", "c"].map(|id| world.subscription("124", id).id).to_vec();
    assert!(ids.is_sorted());
    assert_eq!(counts(&world).unwrap(), "b");
}

#[test]
fn ties_among_unlimited_ones_break_the_same_way() {
    let world = with_addons([("first", unlimited()), ("soft", unlimited().with_overage())]);
    assert_eq!(counts(&world).unwrap(), "soft");
}

#[test]
fn a_package_without_the_feature_does_not_count() {
    let world = base();
    assert_eq!(counts(&world), None);
    assert_eq!(world.counts_now("124", "export").unwrap(), "base");
}

#[test]
fn a_higher_limit_that_does_not_grant_does_not_count() {
    let mut world = with_addons([("low", limit(3)), ("high", limit(5))]);
    world.set_status("124", "high", SubscriptionStatus::PastDue);
    assert_eq!(counts(&world).unwrap(), "low");
}

#[test]
fn subscriptions_of_another_user_do_not_count() {
    let world = with_addons([("plus", limit(3))]).user("125");
    assert!(!world.can_use("125", "api-calls", 1).unwrap().access);
}

#[test]
fn a_past_moment_looks_at_what_had_started_and_not_ended_by_then() {
    let mut world = with_addons([("low", limit(3))]);
    world.set_clock("2024-02-01T00:00:00Z");
    world = world.addon("high", [], [("api-calls", limit(5))]).subscribed("124", "high");
    world.set_clock("2024-03-01T00:00:00Z");
    world.cancel_package("124", "high");
    for (at, package) in [
        ("2023-12-31T23:59:59.999Z", None),
        ("2024-01-01T00:00:00Z", Some("low")),
        ("2024-01-31T23:59:59.999Z", Some("low")),
        ("2024-02-01T00:00:00Z", Some("high")),
        ("2024-02-29T23:59:59.999Z", Some("high")),
        ("2024-03-01T00:00:00Z", Some("low")),
    ] {
        let counted = world.counted_at("124", "api-calls", at);
        assert_eq!(counted.as_deref(), package, "{at}");
        // What the rule says and what recording does is the same.
        world.record(recording("124", "api-calls").at(at)).unwrap();
        let subscription = world.events().last().unwrap().subscription;
        let expected = package.map(|package| world.subscription("124", package).id);
        assert_eq!(subscription, expected, "{at}");
    }
}

#[test]
fn at_a_past_moment_a_cancelled_one_granted_and_any_other_status_counts_as_it_stands_now() {
    for status in EVERY_STATUS {
        let mut world = with_addons([("plus", limit(3))]);
        world.set_clock("2024-02-01T00:00:00Z");
        world.set_status("124", "plus", status);
        world.set_clock("2024-03-01T00:00:00Z");
        let granted = matches!(
            status,
            SubscriptionStatus::Active
                | SubscriptionStatus::Trialing
                | SubscriptionStatus::Cancelled
        );
        let late = recording("124", "api-calls").at("2024-01-15T00:00:00Z");
        assert_eq!(world.record(late).unwrap().recorded(), granted, "{status:?}");
    }
}

#[test]
fn archiving_a_package_changes_nothing_for_those_that_run() {
    let mut world = with_addons([("low", limit(3)), ("high", limit(5))]).user("125");
    world.record(recording("124", "api-calls").add(2)).unwrap();
    let before = world.can_use("124", "api-calls", 1);
    world.archive("high");
    assert_eq!(world.can_use("124", "api-calls", 1), before);
    assert_eq!(counts(&world).unwrap(), "high");
    let recorded = world.record(recording("124", "api-calls"));
    assert_eq!(recorded, Ok(RecordedUsage::Recorded));
    assert_eq!(world.used("124", "api-calls"), 3);
}

#[test]
fn archiving_a_package_stops_new_subscriptions_to_it() {
    let mut world = with_addons([("plus", limit(3))]).user("125").subscribed("125", "base");
    world.archive("plus");
    let refusal = world.subscribe("125", ["plus"]).unwrap_err().to_string();
    assert_eq!(refusal, "Package plus is ARCHIVED: only a PUBLISHED package can be subscribed to");
}

#[test]
fn a_start_ahead_of_this_clock_does_not_hide_a_subscription_from_now() {
    // Another node's clock may run ahead of ours; its subscription grants and counts at once.
    let mut world = World::new()
        .clock("2024-01-01T00:00:00.200Z")
        .consumable("api-calls")
        .package("pro", [("api-calls", limit(3).monthly())])
        .user("124")
        .subscribed("124", "pro");
    world.set_clock("2024-01-01T00:00:00.000Z");
    world.record(recording("124", "api-calls").add(2)).unwrap();
    assert_eq!(world.used("124", "api-calls"), 2);
    world.set_clock("2024-01-01T00:00:00.200Z");
    assert_eq!(world.used("124", "api-calls"), 2, "it counted in the first period");
}

/// A catalog with a package for every allowance of a small set, full of ties.
fn contenders() -> World {
    let mut world = World::new().consumable("api-calls");
    for (name, gives) in [("0", limit(0)), ("1", limit(1)), ("any", unlimited())] {
        world = world
            .package(&format!("{name}-hard"), [("api-calls", gives)])
            .package(&format!("{name}-soft"), [("api-calls", gives.with_overage())]);
    }
    world.binary("export").package("other", [("export", switched_on())])
}

const CONTENDERS: [&str; 7] =
    ["0-hard", "0-soft", "1-hard", "1-soft", "any-hard", "any-soft", "other"];

fn any_subscriptions() -> impl Strategy<Value = Vec<Subscription>> {
    let one = (0..CONTENDERS.len(), 0..EVERY_STATUS.len(), 0_i64..4, 1_i64..4);
    proptest::collection::vec(one, 0..7).prop_map(|all| {
        let numbered = (1_u128..).zip(all);
        numbered
            .map(|(id, (package, status, start, length))| {
                let status = EVERY_STATUS[status];
                let cancelled = status == SubscriptionStatus::Cancelled;
                Subscription {
                    id: SubscriptionId(Uuid::from_u128(id)),
                    package: package_id(CONTENDERS[package]),
                    status,
                    started_at: Timestamp::from_ms(start),
                    ended_at: cancelled.then(|| Timestamp::from_ms(start + length)),
                    quantities: Quantities::ONE,
                    timing: Timing::NONE,
                }
            })
            .collect()
    })
}

fn in_any_order() -> impl Strategy<Value = (Vec<Subscription>, Vec<Subscription>)> {
    any_subscriptions().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
}

proptest! {
    #[test]
    fn the_order_of_subscriptions_does_not_matter(
        (one, other) in in_any_order(), moment in proptest::option::of(0_i64..7),
    ) {
        let world = contenders();
        let as_of = moment.map_or(AsOf::Now(Timestamp::from_ms(9)), |moment| {
            AsOf::Moment(Timestamp::from_ms(moment))
        });
        let pick = |subscriptions: &[Subscription]| {
            counting_subscription(world.catalog(), subscriptions, &feature_id("api-calls"), as_of)
                .map(|counting| counting.subscription.clone())
        };
        let picked = pick(&one);
        prop_assert_eq!(&picked, &pick(&other));

        // Against every other one that grants, the picked one wins the contest of the two.
        let granting = |known: &&Subscription| {
            known.grants_as_of(as_of) && known.package.as_str() != "other"
        };
        prop_assert_eq!(picked.is_some(), one.iter().any(|known| granting(&known)));
        for rival in one.iter().filter(granting) {
            let winner = picked.clone().unwrap();
            if rival.id != winner.id {
                prop_assert!(beats(&winner, rival), "{:?} against {:?}", winner, rival);
            }
        }
    }
}

/// Rule 2 again, read off the names of the packages step by step.
fn beats(one: &Subscription, other: &Subscription) -> bool {
    let read = |subscription: &Subscription| {
        let (limit, overage) = subscription.package.as_str().split_once('-').unwrap();
        (limit.parse().unwrap_or(i64::MAX), overage == "soft")
    };
    let ((limit, overage), (other_limit, other_overage)) = (read(one), read(other));
    if limit != other_limit {
        limit > other_limit
    } else if overage != other_overage {
        overage
    } else if one.started_at != other.started_at {
        one.started_at < other.started_at
    } else {
        one.id < other.id
    }
}
