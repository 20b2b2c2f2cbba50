//! Thresholds (contract: `beyond.md`, "Thresholds").

use kana_core::change::Effect;
use kana_core::id::UserId;
use kana_core::threshold::Threshold::{self, Left, Percent};
use proptest::prelude::*;

use crate::world::{World, limit, recording, setting, time, unlimited, using};

fn world(thresholds: &[Threshold]) -> World {
    let mut world = World::new()
        .watched("calls", thresholds)
        .package("pro", [("calls", limit(10).monthly().with_overage())])
        .user("124")
        .subscribed("124", "pro");
    world.take_changes();
    world
}

/// What has fired since the story began, with the usage then.
fn fired(world: &World) -> Vec<(Threshold, i64)> {
    let events = world.threshold_events().iter();
    events.map(|event| (event.threshold, event.consumption.used)).collect()
}

#[test]
fn each_fires_once_in_the_order_in_which_usage_reaches_it() {
    let mut world = world(&[Percent(100), Left(3), Percent(50)]);
    world.record(recording("124", "calls").add(4)).unwrap();
    assert_eq!(fired(&world), []);
    world.record(recording("124", "calls").add(1)).unwrap();
    assert_eq!(fired(&world), [(Percent(50), 5)]);
    world.record(recording("124", "calls").add(7)).unwrap();
    assert_eq!(fired(&world), [(Percent(50), 5), (Left(3), 12), (Percent(100), 12)]);
    world.record(recording("124", "calls").set(0)).unwrap();
    world.record(recording("124", "calls").add(20)).unwrap();
    assert_eq!(fired(&world).len(), 3);
    world.set_clock("2024-02-01T00:00:00Z");
    world.record(recording("124", "calls").add(5)).unwrap();
    assert_eq!(fired(&world)[3..], [(Percent(50), 5)], "another period has another counter");
}

#[test]
fn late_usage_in_a_period_that_runs_is_compared_with_what_is_allowed_now() {
    let mut world = world(&[Percent(80)]);
    world.record(recording("124", "calls").add(7)).unwrap();
    world.set_clock("2024-01-10T12:00:00Z");
    world.set_quantity("124", "pro", 10);
    world.set_clock("2024-01-10T12:01:00Z");
    world.record(recording("124", "calls").add(1).at("2024-01-10T11:59:00Z")).unwrap();
    assert_eq!(fired(&world), [], "8 of 100, which were 10 at that time");
    world.record(recording("124", "calls").add(72).at("2024-01-10T11:59:00Z")).unwrap();
    assert_eq!(fired(&world), [(Percent(80), 80)]);
}

#[test]
fn an_event_says_what_was_reached_where_and_when() {
    let mut world = world(&[Percent(80)]);
    world.set_clock("2024-01-05T00:00:00Z");
    world.use_feature(using("124", "calls").delta(9)).unwrap();
    let [event] = world.threshold_events() else { panic!("one event") };
    assert_eq!(event.feature.as_str(), "calls");
    assert_eq!(event.period.start, time("2024-01-01T00:00:00Z"));
    assert_eq!(event.period.end, Some(time("2024-02-01T00:00:00Z")));
    assert_eq!((event.consumption.used, event.consumption.budget), (9, Some(10)));
    assert!(event.consumption.overage_enabled);
    assert_eq!(event.at, world.now());
    let [change] = &world.take_changes()[..] else { panic!("one change") };
    assert_eq!(change.user.as_ref().map(UserId::as_str), Some("124"));
    assert_eq!(change.effect.type_name(), "usage.threshold_reached");
    let data = concat!(
        r#"{"featureId":"calls","threshold":{"percent":80},"used":"9","budget":"10","#,
        r#""overageEnabled":true,"periodStart":"2024-01-01T00:00:00.000Z","#,
        r#""periodEnd":"2024-02-01T00:00:00.000Z"}"#
    );
    assert_eq!(change.effect.data_json(), data);
}

#[test]
fn one_command_that_reaches_two_tells_both_in_their_order() {
    let mut world = world(&[Left(1), Percent(80)]);
    world.record(recording("124", "calls").add(9)).unwrap();
    let told = world.take_changes().into_iter().map(|change| match change.effect {
        Effect::ThresholdReached(event) => event.threshold,
        other => panic!("{other:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), [Percent(80), Left(1)]);
}

#[test]
fn what_does_not_make_usage_grow_brings_none() {
    let mut world = world(&[Percent(50)]);
    world.record(recording("124", "calls").add(4)).unwrap();
    // A smaller limit.
    world.set_override(setting("124", "calls").limit(4)).unwrap();
    assert_eq!(fired(&world), []);
    world.record(recording("124", "calls").add(0)).unwrap();
    world.record(recording("124", "calls").add(-1).key("less")).unwrap();
    // A correction.
    world.void("less").unwrap();
    assert_eq!((world.used("124", "calls"), fired(&world)), (4, Vec::new()));
    // The next usage does.
    world.record(recording("124", "calls").add(1)).unwrap();
    assert_eq!(fired(&world), [(Percent(50), 5)]);
}

#[test]
fn unlimited_usage_a_period_that_is_over_and_what_was_refused_bring_none() {
    let mut world = World::new()
        .watched("calls", &[Percent(1), Left(0)])
        .package("free", [("calls", unlimited())])
        .package("pro", [("calls", limit(10).monthly())])
        .user("free")
        .user("pro")
        .subscribed("free", "free")
        .subscribed("pro", "pro");
    world.record(recording("free", "calls").add(1_000_000)).unwrap();
    world.use_feature(using("pro", "calls").delta(11)).unwrap();
    world.set_clock("2024-03-01T00:00:00Z");
    world.record(recording("pro", "calls").add(10).at("2024-01-05T00:00:00Z")).unwrap();
    assert_eq!(fired(&world), []);
}

#[test]
fn a_repeated_request_fires_once() {
    let mut world = world(&[Percent(50)]);
    for _ in 0..2 {
        world.record(recording("124", "calls").add(6).key("k")).unwrap();
    }
    assert_eq!(fired(&world), [(Percent(50), 6)]);
}

#[test]
fn a_budget_of_nothing_is_reached_by_the_first_usage() {
    let mut world = world(&[Percent(80), Left(5)]);
    world.set_override(setting("124", "calls").limit(0)).unwrap();
    world.record(recording("124", "calls").add(1)).unwrap();
    assert_eq!(fired(&world), [(Percent(80), 1), (Left(5), 1)]);
}

#[test]
fn each_counter_fires_for_itself() {
    let mut world = world(&[Percent(50)]);
    world.record(recording("124", "calls").add(6)).unwrap();
    world = world.user("125").subscribed("125", "pro");
    world.record(recording("125", "calls").add(6)).unwrap();
    assert_eq!(fired(&world), [(Percent(50), 6), (Percent(50), 6)]);
}

proptest! {
    #[test]
    fn each_fires_with_the_first_growth_that_reaches_it(
        percents in prop::collection::btree_set(1..=150_i64, 0..3),
        lefts in prop::collection::btree_set(0..12_i64, 0..3),
        steps in prop::collection::vec((prop::bool::weighted(0.2), -4..8_i64), 0..20),
    ) {
        let all: Vec<Threshold> =
            percents.into_iter().map(Percent).chain(lefts.into_iter().map(Left)).collect();
        let mut world = world(&all);
        let (mut used, mut expected) = (0_i64, Vec::new());
        for (is_set, delta) in steps {
            let delta = if is_set { delta.max(0) } else { delta };
            let usage = recording("124", "calls");
            let usage = if is_set { usage.set(delta) } else { usage.add(delta) };
            world.record(usage).unwrap();
            let after = if is_set { delta } else { (used + delta).max(0) };
            for threshold in &all {
                let is_reached = match threshold {
                    Percent(percent) => after * 100 >= 10 * percent,
                    Left(left) => 10 - after <= *left,
                };
                if after > used && is_reached && !expected.contains(threshold) {
                    expected.push(*threshold);
                }
            }
            used = after;
            let mut found: Vec<Threshold> =
                fired(&world).into_iter().map(|(threshold, _)| threshold).collect();
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(&found, &expected);
        }
    }
}
