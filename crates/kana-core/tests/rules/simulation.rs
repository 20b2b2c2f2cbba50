//! Counting recorded usage again under the packages of a file (contract: `beyond.md`, m).

use std::collections::BTreeMap;

use kana_core::Timestamp;
use kana_core::configuration::Configuration;
use kana_core::id::SubscriptionId;
use kana_core::quantity::{Quantities, Quantity};
use kana_core::simulation::{
    DAYS_MAX, Simulated, SimulatedEvent, SimulatedFeature, SimulatedUsage, Simulation, check_window,
};
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::timing::Timing;
use kana_core::usage::UsageAction;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{feature_id, key, package_id, time};

const START: &str = "2024-01-01T00:00:00Z";
const DAY_MS: i64 = 86_400_000;

fn file(features: &Value, packages: &Value, addons: &Value) -> Configuration {
    let file = json!({
        "version": "1.0.0",
        "app": "story",
        "features": features,
        "packages": { "draft": [], "published": packages },
        "addons": { "draft": addons, "published": [] },
    });
    Configuration::read(&file).unwrap()
}

/// `calls`, of which `basic` gives 10 a month, `pro` 100 with overage, `any` as many as are wanted and the add-on
/// `boost` 5 more; `images`, which cost 3 `calls`, in `basic`; and `sso`, which is not counted.
fn shop() -> Configuration {
    let calls = |limit: Value| json!({ "id": "calls", "limit": limit, "reset_period": "MONTH" });
    let over =
        json!({ "id": "calls", "limit": 100, "reset_period": "MONTH", "overage_enabled": true });
    let added = json!({ "id": "calls", "limit": 5, "reset_period": "MONTH", "stacking": "ADD" });
    file(
        &json!([
            { "id": "calls", "name": "Calls", "type": "CONSUMABLE" },
            { "id": "images", "name": "Images", "type": "CONSUMABLE", "draws_on": "calls", "cost": 3 },
            { "id": "sso", "name": "SSO", "type": "BINARY" },
        ]),
        &json!([
            { "id": "basic", "name": "Basic",
                "features": [calls(json!(10)), { "id": "images" }, { "id": "sso" }] },
            { "id": "pro", "name": "Pro", "features": [over] },
            { "id": "any", "name": "Any", "features": [calls(Value::Null)] },
        ]),
        &json!([{ "id": "boost", "name": "Boost", "base_packages": [], "features": [added] }]),
    )
}

fn day(day: i64) -> Timestamp {
    time(START).saturating_add_ms(day * DAY_MS)
}

/// A subscription from 2024-01-01 on.
fn to(n: u128, package: &str) -> Subscription {
    Subscription {
        id: SubscriptionId(Uuid::from_u128(n)),
        package: package_id(package),
        status: SubscriptionStatus::Active,
        started_at: day(0),
        ended_at: None,
        quantities: Quantities::ONE,
        timing: Timing::NONE,
    }
}

fn used(feature: &str, delta: i64, at: i64) -> SimulatedEvent {
    SimulatedEvent {
        feature: feature_id(feature),
        action: UsageAction::Add,
        delta,
        occurred_at: day(at),
        idempotency_key: None,
    }
}

fn set(feature: &str, delta: i64, at: i64) -> SimulatedEvent {
    SimulatedEvent { action: UsageAction::Set, ..used(feature, delta, at) }
}

/// One user, on these packages, with this usage.
fn simulated(subscriptions: Vec<Subscription>, events: &[SimulatedEvent]) -> Simulated {
    let mut simulation = Simulation::new(&shop());
    simulation.begin_user(subscriptions);
    events.iter().for_each(|event| simulation.count(event));
    simulation.finish()
}

/// Each row: package, feature, users, those over the limit, used, refused, overage.
fn rows(simulated: &Simulated) -> Vec<(&str, &str, [i128; 5])> {
    simulated
        .rows
        .iter()
        .map(|(of, usage)| {
            let SimulatedUsage { users, users_over_limit, used, refused, overage } = *usage;
            let numbers = [users.into(), users_over_limit.into(), used, refused, overage];
            (of.package.as_str(), of.feature.as_str(), numbers)
        })
        .collect()
}

#[test]
fn what_does_not_fit_is_refused_whole_and_what_fits_later_counts() {
    let events =
        [used("calls", 8, 0), used("calls", 3, 1), used("calls", 2, 2), used("calls", 1, 3)];
    let all = simulated(vec![to(1, "basic")], &events);
    assert_eq!(rows(&all), [("basic", "calls", [1, 1, 10, 4, 0])]);
    assert_eq!((all.events, all.not_granted), (4, 0));
}

#[test]
fn with_overage_it_counts_and_only_the_part_over_the_limit_is_overage() {
    let events = [used("calls", 90, 0), used("calls", 30, 1), used("calls", 5, 2)];
    let all = simulated(vec![to(1, "pro")], &events);
    assert_eq!(rows(&all), [("pro", "calls", [1, 1, 125, 0, 25])]);
    // What falls is never over the limit, and what grows again is.
    let events = [used("calls", 120, 0), used("calls", -10, 1), used("calls", 4, 2)];
    let all = simulated(vec![to(1, "pro")], &events);
    assert_eq!(rows(&all), [("pro", "calls", [1, 1, 114, 0, 24])]);
}

#[test]
fn periods_begin_at_zero_and_are_counted_from_the_anchor() {
    let events = [used("calls", 9, 0), used("calls", 9, 30), used("calls", 9, 31)];
    let all = simulated(vec![to(1, "basic")], &events);
    assert_eq!(rows(&all), [("basic", "calls", [1, 1, 18, 9, 0])]);
    // A month that began on the 20th: what was brought along from another package is not known here.
    let timing = Timing { anchored_at: Some(day(-12)), ..Timing::NONE };
    let moved = Subscription { timing, ..to(1, "basic") };
    let events = [used("calls", 9, 0), used("calls", 9, 19)];
    let all = simulated(vec![moved], &events);
    assert_eq!(rows(&all), [("basic", "calls", [1, 0, 18, 0, 0])]);
}

#[test]
fn the_subscription_of_the_instant_counts_with_its_quantity() {
    let ended = Subscription {
        status: SubscriptionStatus::Cancelled,
        ended_at: Some(day(5)),
        ..to(1, "basic")
    };
    let mut quantities = Quantities::of(Quantity::new("quantity", 2).unwrap());
    quantities.change(Quantity::new("quantity", 3).unwrap(), day(7));
    let next = Subscription { started_at: day(5), quantities, ..to(2, "basic") };
    let late = [used("calls", 10, 4), used("calls", 21, 6), used("calls", 29, 7)];
    let all = simulated(vec![ended, next], &late);
    assert_eq!(rows(&all), [("basic", "calls", [1, 1, 39, 21, 0])]);
}

#[test]
fn limits_that_are_added_and_drafts_apply() {
    let all = simulated(vec![to(1, "basic"), to(2, "boost")], &[used("calls", 15, 0)]);
    assert_eq!(rows(&all), [("basic", "calls", [1, 0, 15, 0, 0])]);
    let all = simulated(vec![to(2, "boost")], &[used("calls", 6, 0)]);
    assert_eq!(rows(&all), [("boost", "calls", [1, 1, 0, 6, 0])]);
}

#[test]
fn usage_that_draws_on_a_balance_counts_there_at_its_cost() {
    let events = [used("images", 3, 0), used("images", 1, 1), used("calls", 1, 2)];
    let all = simulated(vec![to(1, "basic")], &events);
    assert_eq!(rows(&all), [("basic", "calls", [1, 1, 10, 3, 0])]);
    // Only basic lets images be used.
    let all = simulated(vec![to(1, "pro")], &events);
    assert_eq!((rows(&all), all.not_granted), (vec![("pro", "calls", [1, 0, 1, 0, 0])], 12));
}

#[test]
fn a_set_replaces_and_is_refused_where_it_grows_over_the_limit() {
    let events =
        [set("calls", 9, 0), set("calls", 4, 1), set("calls", 11, 2), used("calls", -7, 3)];
    let all = simulated(vec![to(1, "basic")], &events);
    assert_eq!(rows(&all), [("basic", "calls", [1, 1, 0, 7, 0])]);
}

#[test]
fn what_no_package_grants_is_added_up_apart_and_what_the_file_lacks_left_out() {
    let events = [
        used("calls", 3, -1),
        used("calls", -2, -1),
        used("sso", 1, 0),
        used("unknown", 1, 0),
        used("calls", 1, 0),
    ];
    let all = simulated(vec![to(1, "gone"), to(2, "any")], &events);
    assert_eq!(rows(&all), [("any", "calls", [1, 0, 1, 0, 0])]);
    assert_eq!((all.not_granted, all.events), (3, 3));
}

#[test]
fn what_was_taken_back_is_left_out_for_its_user_only() {
    let mut simulation = Simulation::new(&shop());
    let event = SimulatedEvent { idempotency_key: Some(key("k")), ..used("calls", 2, 0) };
    simulation.begin_user(vec![to(1, "basic")]);
    simulation.leave_out(key("k"), day(0));
    simulation.count(&event);
    // The key was used again, once it was forgotten.
    simulation.count(&SimulatedEvent { occurred_at: day(1), ..event.clone() });
    simulation.begin_user(vec![to(2, "basic")]);
    simulation.count(&event);
    simulation.count(&used("calls", 0, 0));
    let all = simulation.finish();
    assert_eq!((rows(&all), all.events), (vec![("basic", "calls", [2, 0, 4, 0, 0])], 3));
}

#[test]
fn the_largest_amounts_do_not_overflow() {
    let events =
        [used("calls", i64::MAX, 0), used("calls", i64::MAX, 1), used("calls", i64::MAX, 40)];
    let all = simulated(vec![to(1, "any")], &events);
    assert_eq!(rows(&all), [("any", "calls", [1, 0, 2 * i128::from(i64::MAX), 0, 0])]);
    let all =
        simulated(vec![to(1, "basic")], &[used("images", i64::MAX, 0), used("calls", i64::MIN, 0)]);
    assert_eq!(rows(&all), [("basic", "calls", [1, 1, 0, i64::MAX.into(), 0])]);
}

#[test]
fn a_stretch_of_time_is_neither_empty_nor_too_long() {
    let check = |days| check_window(&(day(0)..day(days))).map_err(|invalid| invalid.to_string());
    assert_eq!(check(DAYS_MAX), Ok(()));
    assert_eq!(check(0), Err("from must be before to".to_owned()));
    assert_eq!(check(-1), Err("from must be before to".to_owned()));
    assert_eq!(check(DAYS_MAX + 1), Err("to must be at most 366 days after from".to_owned()));
}

/// A user's packages, and usage: which feature, how much, on which day, and whether it is SET.
type User = (Vec<&'static str>, Vec<(&'static str, i64, i64, bool)>);

fn any_user() -> impl Strategy<Value = User> {
    let packages = prop::sample::subsequence(vec!["basic", "pro", "any", "boost"], 0..3);
    let feature = prop::sample::select(vec!["calls", "calls", "images", "sso"]);
    let usage = (feature, -20_i64..60, 0_i64..90, prop::bool::weighted(0.1));
    (packages, prop::collection::vec(usage, 0..12))
}

fn run(users: &[User]) -> Simulated {
    let mut simulation = Simulation::new(&shop());
    for (packages, usage) in users {
        let subscriptions = packages.iter().zip(1..).map(|(package, n)| to(n, package)).collect();
        simulation.begin_user(subscriptions);
        for (feature, delta, at, is_set) in usage {
            let event = used(feature, *delta, *at);
            // What draws on a balance cannot be SET, nor can anything be SET below 0.
            let is_set = *is_set && *feature == "calls" && *delta >= 0;
            let action = if is_set { UsageAction::Set } else { UsageAction::Add };
            simulation.count(&SimulatedEvent { action, ..event });
        }
    }
    simulation.finish()
}

fn plus(one: &Simulated, other: &Simulated) -> Simulated {
    let mut rows: BTreeMap<SimulatedFeature, SimulatedUsage> = one.rows.clone();
    for (of, more) in &other.rows {
        let sum = rows.entry(of.clone()).or_default();
        sum.users += more.users;
        sum.users_over_limit += more.users_over_limit;
        sum.used += more.used;
        sum.refused += more.refused;
        sum.overage += more.overage;
    }
    let not_granted = one.not_granted + other.not_granted;
    Simulated { rows, not_granted, events: one.events + other.events }
}

proptest! {
    #[test]
    fn users_do_not_matter_to_each_other(users in prop::collection::vec(any_user(), 0..6)) {
        let alone = users.iter().map(|user| run(std::slice::from_ref(user)));
        let sum = alone.fold(Simulated::default(), |sum, one| plus(&sum, &one));
        prop_assert_eq!(run(&users), sum);
    }

    #[test]
    fn without_a_limit_nothing_is_refused_and_within_one_nothing_is_over(
        users in prop::collection::vec(any_user(), 0..6),
    ) {
        for (of, usage) in run(&users).rows {
            let SimulatedUsage { users, users_over_limit, used, refused, overage } = usage;
            prop_assert!(users >= 1 && users_over_limit <= users && used >= 0);
            match of.package.as_str() {
                "any" => prop_assert_eq!((refused, overage, users_over_limit), (0, 0, 0)),
                "pro" => prop_assert_eq!(refused, 0),
                _ => {
                    prop_assert_eq!(overage, 0);
                    // Three months, and what boost adds.
                    prop_assert!(used <= i128::from(users) * 15 * 4, "{}", used);
                }
            }
        }
    }
}
