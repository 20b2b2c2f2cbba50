//! `showUsage`: the current period and the earlier ones.

use kana_core::subscription::SubscriptionStatus;
use kana_core::usage_history::ConsumptionInPeriod;

use crate::world::{Gives, World, limit, recording, switched_on};

fn world(gives: Gives) -> World {
    World::new()
        .consumable("api-calls")
        .binary("export")
        .package("pro", [("api-calls", gives), ("export", switched_on())])
        .user("124")
        .subscribed("124", "pro")
}

fn record(world: &mut World, delta: i64) {
    world.record(recording("124", "api-calls").add(delta)).unwrap();
}

/// A period as a line: "from..to used/budget", each instant as short as it can be.
fn line(at: &ConsumptionInPeriod) -> String {
    let short = |at: kana_core::Timestamp| at.to_string().replace("T00:00:00.000Z", "");
    let end = at.period.end.map_or_else(String::new, short);
    let budget = at.consumption.budget.map_or("∞".to_owned(), |budget| budget.to_string());
    format!("{}..{end} {}/{budget}", short(at.period.start), at.consumption.used)
}

fn current(world: &World) -> Option<String> {
    world.usage("124", "api-calls").current.as_ref().map(line)
}

fn past(world: &World) -> Vec<String> {
    world.usage("124", "api-calls").past.iter().map(line).collect()
}

#[test]
fn where_nothing_ever_granted_there_is_no_current_period_and_no_past() {
    let world = World::new().consumable("api-calls").user("124");
    assert_eq!(current(&world), None);
    assert!(past(&world).is_empty());
}

#[test]
fn a_binary_feature_has_no_current_period() {
    let mut world = world(limit(3));
    world.record(recording("124", "export")).unwrap();
    world.set_clock("2025-01-01T00:00:00Z");
    let usage = world.usage("124", "export");
    assert_eq!(usage.current, None);
    assert!(usage.past.is_empty());
}

#[test]
fn an_unknown_feature_is_an_error() {
    let refusal = world(limit(3)).try_usage("124", "nope").unwrap_err();
    assert_eq!(refusal.to_string(), "Feature not found: nope");
}

#[test]
fn the_first_period_is_current_and_there_is_no_past() {
    let mut world = world(limit(3).monthly());
    record(&mut world, 2);
    assert_eq!(current(&world).unwrap(), "2024-01-01..2024-02-01 2/3");
    assert!(past(&world).is_empty());
}

#[test]
fn without_a_reset_period_the_current_one_never_ends_and_has_no_past() {
    let mut world = world(limit(3));
    record(&mut world, 2);
    world.set_clock("2034-01-01T00:00:00Z");
    assert_eq!(current(&world).unwrap(), "2024-01-01.. 2/3");
    assert!(past(&world).is_empty());
}

#[test]
fn past_periods_come_newest_first_with_those_in_which_nothing_was_used() {
    let mut world = world(limit(3).monthly());
    record(&mut world, 1);
    world.set_clock("2024-03-10T00:00:00Z");
    record(&mut world, 2);
    world.set_clock("2024-05-10T00:00:00Z");
    assert_eq!(current(&world).unwrap(), "2024-05-01..2024-06-01 0/3");
    assert_eq!(
        past(&world),
        [
            "2024-04-01..2024-05-01 0/3",
            "2024-03-01..2024-04-01 2/3",
            "2024-02-01..2024-03-01 0/3",
            "2024-01-01..2024-02-01 1/3",
        ]
    );
}

#[test]
fn at_the_boundary_the_old_period_is_past() {
    let mut world = world(limit(3).daily());
    record(&mut world, 1);
    world.set_clock("2024-01-01T23:59:59.999Z");
    assert!(past(&world).is_empty());
    world.set_clock("2024-01-02T00:00:00.000Z");
    assert_eq!(past(&world), ["2024-01-01..2024-01-02 1/3"]);
    assert_eq!(current(&world).unwrap(), "2024-01-02..2024-01-03 0/3");
}

#[test]
fn a_period_cut_short_by_the_subscriptions_end_ends_there() {
    let mut world = world(limit(3).monthly());
    world.set_clock("2024-02-10T00:00:00Z");
    record(&mut world, 2);
    world.cancel_package("124", "pro");
    world.set_clock("2024-05-01T00:00:00Z");
    assert_eq!(current(&world), None);
    assert_eq!(past(&world), ["2024-02-01..2024-02-10 2/3", "2024-01-01..2024-02-01 0/3"]);
}

#[test]
fn a_subscription_that_ended_with_a_period_adds_none_after_it() {
    let mut world = world(limit(3).monthly());
    world.set_clock("2024-02-01T00:00:00Z");
    world.cancel_package("124", "pro");
    assert_eq!(past(&world), ["2024-01-01..2024-02-01 0/3"]);
}

#[test]
fn a_subscription_that_ended_as_it_started_has_no_periods() {
    for gives in [limit(3), limit(3).monthly()] {
        let mut world = world(gives);
        world.cancel_package("124", "pro");
        world.set_clock("2024-03-01T00:00:00Z");
        assert!(past(&world).is_empty());
    }
}

#[test]
fn a_subscription_without_a_reset_period_leaves_one_period_behind() {
    let mut world = world(limit(3));
    record(&mut world, 2);
    world.set_clock("2024-02-10T00:00:00Z");
    world.cancel_package("124", "pro");
    assert_eq!(current(&world), None);
    assert_eq!(past(&world), ["2024-01-01..2024-02-10 2/3"]);
}

#[test]
fn a_past_period_reports_the_budget_that_was_in_force_in_it() {
    let mut world = world(limit(3).monthly())
        .package("max", [("api-calls", limit(9).with_overage().monthly())]);
    record(&mut world, 4);
    world.set_clock("2024-01-20T00:00:00Z");
    world.cancel_package("124", "pro");
    world = world.subscribed("124", "max");
    record(&mut world, 5);
    world.set_clock("2024-02-25T00:00:00Z");
    assert_eq!(current(&world).unwrap(), "2024-02-20..2024-03-20 0/9");
    assert_eq!(past(&world), ["2024-01-20..2024-02-20 5/9", "2024-01-01..2024-01-20 4/3"]);
    let overage: Vec<bool> = world
        .usage("124", "api-calls")
        .past
        .iter()
        .map(|past| past.consumption.overage_enabled)
        .collect();
    assert_eq!(overage, [true, false]);
}

#[test]
fn periods_of_subscriptions_that_overlapped_stand_side_by_side() {
    let mut world =
        world(limit(3).monthly()).addon("more", [], [("api-calls", limit(9).monthly())]);
    record(&mut world, 1);
    world.set_clock("2024-01-15T00:00:00Z");
    world = world.subscribed("124", "more");
    record(&mut world, 7);
    world.set_clock("2024-03-05T00:00:00Z");
    assert_eq!(current(&world).unwrap(), "2024-02-15..2024-03-15 0/9");
    assert_eq!(
        past(&world),
        ["2024-02-01..2024-03-01 0/3", "2024-01-15..2024-02-15 7/9", "2024-01-01..2024-02-01 1/3",],
        "and the period of pro that still runs is not listed"
    );
}

#[test]
fn a_period_that_runs_on_a_subscription_that_does_not_count_is_not_listed() {
    let mut world = world(limit(3)).addon("more", [], [("api-calls", limit(9))]);
    record(&mut world, 1);
    world.set_clock("2024-01-15T00:00:00Z");
    world = world.subscribed("124", "more");
    world.set_clock("2024-06-15T00:00:00Z");
    assert_eq!(current(&world).unwrap(), "2024-01-15.. 0/9");
    assert!(past(&world).is_empty());
}

#[test]
fn a_subscription_that_stopped_granting_still_shows_its_closed_periods() {
    let mut world = world(limit(3).monthly());
    record(&mut world, 1);
    world.set_clock("2024-02-10T00:00:00Z");
    record(&mut world, 2);
    world.set_status("124", "pro", SubscriptionStatus::PastDue);
    assert_eq!(current(&world), None);
    assert_eq!(past(&world), ["2024-01-01..2024-02-01 1/3"]);
}

#[test]
fn subscriptions_to_packages_without_the_feature_have_no_part_in_it() {
    let mut world = World::new()
        .consumable("api-calls")
        .binary("export")
        .package("other", [("export", switched_on())])
        .user("124")
        .subscribed("124", "other");
    world.record(recording("124", "api-calls")).unwrap();
    world.set_clock("2025-01-01T00:00:00Z");
    assert_eq!(current(&world), None);
    assert!(past(&world).is_empty());
}

#[test]
fn late_usage_shows_in_the_period_that_it_took_place_in() {
    let mut world = world(limit(3).monthly());
    world.set_clock("2024-02-10T00:00:00Z");
    world.cancel_package("124", "pro");
    world.set_clock("2024-04-10T00:00:00Z");
    for at in ["2024-01-20T00:00:00Z", "2024-02-09T00:00:00Z"] {
        world.record(recording("124", "api-calls").add(5).at(at)).unwrap();
    }
    assert_eq!(past(&world), ["2024-02-01..2024-02-10 5/3", "2024-01-01..2024-02-01 5/3"]);
}

#[test]
fn at_most_the_newest_100_past_periods_are_listed() {
    let mut world = world(limit(3).daily());
    world.set_clock("2024-04-10T12:00:00Z");
    assert_eq!(past(&world).len(), 100);
    world.set_clock("2024-12-01T12:00:00Z");
    let listed = past(&world);
    assert_eq!(listed.len(), 100);
    assert_eq!(listed[0], "2024-11-30..2024-12-01 0/3");
    assert_eq!(listed[99], "2024-08-23..2024-08-24 0/3");
}

#[test]
fn the_newest_100_are_those_of_all_subscriptions_together() {
    let mut world = world(limit(3).daily()).addon("more", [], [("api-calls", limit(9).daily())]);
    world.set_clock("2024-01-01T12:00:00Z");
    world = world.subscribed("124", "more");
    world.set_clock("2024-12-01T12:00:00Z");
    let usage = world.usage("124", "api-calls");
    assert_eq!(usage.past.len(), 100);
    let starts: Vec<_> = usage.past.iter().map(|past| past.period.start).collect();
    assert!(starts.iter().rev().is_sorted());
    // Half of them each: 50 days of both lie behind.
    let of_more = usage.past.iter().filter(|past| past.consumption.budget == Some(9)).count();
    assert_eq!(of_more, 50);
    assert_eq!(usage.current.unwrap().consumption.budget, Some(9));
}

#[test]
fn a_subscription_whose_start_lies_ahead_of_this_clock_is_in_its_first_period() {
    let mut world = World::new()
        .clock("2024-01-02T00:00:00Z")
        .consumable("api-calls")
        .package("pro", [("api-calls", limit(3).daily())])
        .user("124")
        .subscribed("124", "pro");
    world.set_clock("2024-01-01T23:59:59.900Z");
    record(&mut world, 2);
    assert_eq!(current(&world).unwrap(), "2024-01-02..2024-01-03 2/3");
    assert!(past(&world).is_empty());
}

#[test]
fn what_another_user_used_is_not_shown() {
    let mut world = world(limit(3).monthly()).user("125").subscribed("125", "pro");
    record(&mut world, 2);
    world.set_clock("2024-02-10T00:00:00Z");
    let other = world.usage("125", "api-calls");
    let lines: Vec<String> = other.past.iter().map(line).collect();
    assert_eq!(lines, ["2024-01-01..2024-02-01 0/3"]);
}
