//! The effects of changed terms on existing subscriptions (contract: `entitlements.md`, "When a
//! published file changes terms").

use kana_core::Timestamp;
use kana_core::decide::{Answer, Command};
use kana_core::facts::CounterKey;
use kana_core::folding::{COUNTED_ONE_BY_ONE, FoldCounters, oldest_kept, shortest_reset};
use kana_core::period::{Period, ResetPeriod};
use kana_core::terms::{CHANGES_MAX, TermsNumber};
use kana_core::usage_history::ConsumptionInPeriod;
use proptest::prelude::*;

use crate::world::{Gives, World, feature_id, limit, recording, time, unlimited, using};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Creates a user who subscribed at the beginning to a package that gives `gives`.
fn world(gives: Gives) -> World {
    World::new()
        .consumable("api-calls")
        .consumable("seats")
        .package("pro", [("api-calls", gives), ("seats", unlimited())])
        .user("124")
        .subscribed("124", "pro")
}

/// Publishes just before the clock's instant, so that the new terms are in force at that instant.
fn publish(world: &mut World, gives: Gives) {
    change(world, &[("api-calls", gives), ("seats", unlimited())]);
}

fn publish_without(world: &mut World) {
    change(world, &[("seats", unlimited())]);
}

fn change(world: &mut World, features: &[(&str, Gives)]) {
    world.wait_ms(-1);
    world.change_terms("pro", features);
    world.wait_ms(1);
}

fn record(world: &mut World, delta: i64) {
    world.record(recording("124", "api-calls").add(delta)).unwrap();
}

fn record_at(world: &mut World, delta: i64, at: &str) {
    world.record(recording("124", "api-calls").add(delta).at(at)).unwrap();
}

/// Formats a period as "from..to used/budget", with instants as short as possible.
fn line(at: &ConsumptionInPeriod) -> String {
    let short =
        |at: Timestamp| at.to_string().replace("T00:00:00.000Z", "").replace(":00.000Z", "");
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
fn past_periods_keep_the_limit_that_was_in_force_when_a_file_changes_it() {
    let mut world = world(limit(100).monthly());
    record(&mut world, 10);
    world.set_clock("2024-02-10T00:00:00Z");
    record(&mut world, 20);
    world.set_clock("2024-03-10T00:00:00Z");
    record(&mut world, 30);
    publish(&mut world, limit(1000).monthly());
    assert_eq!(past(&world), ["2024-02-01..2024-03-01 20/100", "2024-01-01..2024-02-01 10/100"]);
    assert_eq!(current(&world).unwrap(), "2024-03-01..2024-04-01 30/1000");
    world.set_clock("2024-04-01T00:00:00Z");
    // The new limit was in force at the period's end.
    assert_eq!(past(&world)[0], "2024-03-01..2024-04-01 30/1000");
}

#[test]
fn a_limit_that_changes_with_the_end_of_a_period_is_not_in_force_in_it() {
    let mut world = world(limit(100).monthly());
    world.set_clock("2024-02-01T00:00:00Z");
    publish(&mut world, limit(1000).monthly().with_overage());
    let usage = world.usage("124", "api-calls");
    assert_eq!(usage.past.iter().map(line).collect::<Vec<_>>(), ["2024-01-01..2024-02-01 0/100"]);
    assert!(!usage.past[0].consumption.overage_enabled);
    assert!(usage.current.unwrap().consumption.overage_enabled);
}

#[test]
fn another_anchor_ends_the_running_period_and_starts_with_0() {
    let mut world = world(limit(50).monthly());
    world.set_clock("2024-02-10T00:00:00Z");
    record(&mut world, 30);
    publish(&mut world, limit(50).monthly().by_calendar());
    assert_eq!(current(&world).unwrap(), "2024-02-10..2024-03-01 0/50");
    assert_eq!(past(&world)[0], "2024-02-01..2024-02-10 30/50");
    record(&mut world, 4);
    publish(&mut world, limit(50).monthly());
    world.set_clock("2024-03-01T00:00:00Z");
    assert_eq!(current(&world).unwrap(), "2024-03-01..2024-04-01 0/50");
}

#[test]
fn what_never_resets_has_all_of_calendar_periods_also_the_part_that_was_the_first() {
    let mut world = World::new()
        .clock("2024-01-01T15:00:00Z")
        .consumable("api-calls")
        .consumable("seats")
        .package("pro", [("api-calls", limit(5).daily().by_calendar()), ("seats", unlimited())])
        .user("124")
        .subscribed("124", "pro");
    record(&mut world, 1);
    for day in ["2024-01-02", "2024-01-03"] {
        world.set_clock(&format!("{day}T00:00:00Z"));
        record(&mut world, 2);
    }
    world.set_clock("2024-01-03T06:00:00Z");
    publish(&mut world, limit(100));
    assert_eq!(current(&world).unwrap(), "2024-01-01T15:00.. 5/100");
    assert_eq!(past(&world), [] as [String; 0]);
}

#[test]
fn a_calendar_month_has_the_weeks_that_began_within_it() {
    let mut world = world(limit(50).every(ResetPeriod::Week));
    // Weeks from Monday 2024-01-01: one of them from 29 January to 5 February.
    for at in ["2024-01-31T12:00:00Z", "2024-02-02T12:00:00Z", "2024-02-06T12:00:00Z"] {
        world.set_clock(at);
        record(&mut world, 10);
    }
    publish(&mut world, limit(100).monthly().by_calendar());
    assert_eq!(current(&world).unwrap(), "2024-02-01..2024-03-01 10/100");
    assert_eq!(past(&world)[0], "2024-01-29..2024-02-05 20/50");
}

#[test]
fn a_day_has_its_hours_and_a_year_has_too_many_to_have_them() {
    let mut world = world(limit(5).every(ResetPeriod::Hour));
    record(&mut world, 1);
    world.set_clock("2024-01-01T01:30:00Z");
    record(&mut world, 2);
    publish(&mut world, limit(50).daily());
    assert_eq!(current(&world).unwrap(), "2024-01-01..2024-01-02 3/50");

    publish(&mut world, limit(5).every(ResetPeriod::Hour));
    world.set_clock("2024-01-01T02:30:00Z");
    record(&mut world, 4);
    publish(&mut world, limit(500).every(ResetPeriod::Year));
    assert_eq!(current(&world).unwrap(), "2024-01-01T02:30..2025-01-01 0/500");
}

#[test]
fn a_longer_period_has_the_usage_of_the_shorter_ones_that_began_within_it() {
    let mut world = world(limit(50).daily());
    for day in ["2024-01-31", "2024-02-01", "2024-02-02", "2024-02-03"] {
        world.set_clock(&format!("{day}T12:00:00Z"));
        record(&mut world, 30);
    }
    publish(&mut world, limit(100).monthly());
    assert_eq!(world.used("124", "api-calls"), 90);
    assert!(!world.use_feature(using("124", "api-calls").delta(50)).unwrap().granted);
    let used = world.use_feature(using("124", "api-calls").delta(10)).unwrap();
    assert_eq!((used.granted, used.consumption.unwrap().used), (true, 100));
    assert_eq!(current(&world).unwrap(), "2024-02-01..2024-03-01 100/100");
    // The month includes the days of February; those of January stay.
    let past = past(&world);
    assert_eq!(past.len(), 31);
    assert_eq!(past[0], "2024-01-31..2024-02-01 30/50");
    assert_eq!(past[30], "2024-01-01..2024-01-02 0/50");
}

#[test]
fn a_counter_of_earlier_terms_never_comes_back() {
    let mut world = world(limit(1000).monthly());
    for (month, used) in [("2024-01", 900), ("2024-02", 500), ("2024-03", 7)] {
        world.set_clock(&format!("{month}-10T00:00:00Z"));
        record(&mut world, used);
    }
    publish(&mut world, limit(2000));
    // A period without an end includes everything.
    assert_eq!(current(&world).unwrap(), "2024-01-01.. 1407/2000");
    assert!(past(&world).is_empty());
    record(&mut world, 1);
    assert_eq!(world.used("124", "api-calls"), 1408);
    // Back to months: the counters of the earlier months do not come back.
    world.set_clock("2024-04-10T00:00:00Z");
    publish(&mut world, limit(1000).monthly());
    assert_eq!(current(&world).unwrap(), "2024-04-10..2024-05-01 0/1000");
    assert_eq!(past(&world), ["2024-01-01..2024-04-10 1408/2000"]);
}

#[test]
fn a_shorter_period_begins_afresh_and_ends_the_running_one() {
    let mut world = world(limit(100).monthly());
    world.set_clock("2024-01-10T06:30:00Z");
    record(&mut world, 40);
    publish(&mut world, limit(5).daily());
    assert_eq!(current(&world).unwrap(), "2024-01-10T06:30..2024-01-11 0/5");
    assert_eq!(past(&world), ["2024-01-01..2024-01-10T06:30 40/100"]);
    record(&mut world, 3);
    world.set_clock("2024-01-11T00:00:00Z");
    assert_eq!(current(&world).unwrap(), "2024-01-11..2024-01-12 0/5");
    assert_eq!(
        past(&world),
        ["2024-01-10T06:30..2024-01-11 3/5", "2024-01-01..2024-01-10T06:30 40/100"]
    );
}

#[test]
fn a_feature_taken_out_keeps_its_past_and_goes_on_when_it_is_put_back() {
    let mut world = world(limit(100).monthly());
    record(&mut world, 10);
    world.set_clock("2024-02-10T00:00:00Z");
    record(&mut world, 20);
    publish_without(&mut world);
    assert_eq!(current(&world), None);
    assert_eq!(past(&world), ["2024-02-01..2024-02-10 20/100", "2024-01-01..2024-02-01 10/100"]);
    assert!(!world.record(recording("124", "api-calls")).unwrap().recorded());
    world.set_clock("2024-02-20T00:00:00Z");
    publish(&mut world, limit(200).monthly());
    assert_eq!(current(&world).unwrap(), "2024-02-01..2024-03-01 20/200");
    assert_eq!(past(&world), ["2024-01-01..2024-02-01 10/100"]);
    // Usage from the time without the feature does not count; earlier usage counts in its period.
    let gone = recording("124", "api-calls").at("2024-02-15T00:00:00Z");
    assert!(!world.record(gone).unwrap().recorded());
    record_at(&mut world, 5, "2024-02-09T00:00:00Z");
    assert_eq!(current(&world).unwrap(), "2024-02-01..2024-03-01 25/200");
}

#[test]
fn a_feature_that_is_out_for_months_has_no_periods_meanwhile() {
    let mut world = world(limit(100).monthly());
    world.set_clock("2024-01-20T00:00:00Z");
    publish_without(&mut world);
    world.set_clock("2024-04-20T00:00:00Z");
    publish(&mut world, limit(100).monthly());
    world.set_clock("2024-06-20T00:00:00Z");
    assert_eq!(
        past(&world),
        [
            "2024-05-01..2024-06-01 0/100",
            "2024-04-01..2024-05-01 0/100",
            "2024-01-01..2024-01-20 0/100"
        ]
    );
}

#[test]
fn a_feature_put_back_with_a_longer_period_has_what_was_used_before() {
    let mut world = world(limit(100).daily());
    record(&mut world, 10);
    world.set_clock("2024-01-05T00:00:00Z");
    publish_without(&mut world);
    world.set_clock("2024-01-20T00:00:00Z");
    publish(&mut world, limit(100).monthly());
    assert_eq!(current(&world).unwrap(), "2024-01-01..2024-02-01 10/100");
    assert!(past(&world).is_empty());
}

#[test]
fn a_feature_that_comes_into_a_published_package_was_not_in_it_before() {
    let mut world = world(limit(100).monthly()).consumable("exports");
    world.set_clock("2024-03-10T00:00:00Z");
    change(&mut world, &[("api-calls", limit(100).monthly()), ("exports", limit(5).monthly())]);
    world.set_clock("2024-04-10T00:00:00Z");
    let usage = world.usage("124", "exports");
    assert_eq!(line(&usage.current.unwrap()), "2024-04-01..2024-05-01 0/5");
    let past: Vec<_> = usage.past.iter().map(line).collect();
    assert_eq!(past, ["2024-03-01..2024-04-01 0/5"]);
    let before = recording("124", "exports").at("2024-02-10T00:00:00Z");
    assert!(!world.record(before).unwrap().recorded());
}

#[test]
fn usage_that_is_told_late_counts_in_the_terms_that_held_then() {
    let mut world = world(limit(100).monthly());
    record(&mut world, 1);
    world.set_clock("2024-01-10T06:00:00Z");
    publish(&mut world, limit(5).daily());
    world.set_clock("2024-01-12T00:00:00Z");
    record_at(&mut world, 2, "2024-01-10T05:59:59.999Z");
    record_at(&mut world, 4, "2024-01-10T06:00:00Z");
    assert_eq!(
        past(&world),
        [
            "2024-01-11..2024-01-12 0/5",
            "2024-01-10T06:00..2024-01-11 4/5",
            "2024-01-01..2024-01-10T06:00 3/100"
        ]
    );
}

#[test]
fn usage_of_a_day_that_is_told_after_its_month_has_taken_it_over_is_in_the_month() {
    for touched in [false, true] {
        let mut world = world(limit(100).daily());
        record(&mut world, 5);
        world.set_clock("2024-01-10T00:00:00Z");
        publish(&mut world, limit(100).monthly());
        if touched {
            record(&mut world, 1);
        }
        record_at(&mut world, 7, "2024-01-01T10:00:00Z");
        record_at(&mut world, -20, "2024-01-01T10:00:00Z");
        world.record(recording("124", "api-calls").set(3).at("2024-01-02T00:00:00Z")).unwrap();
        assert_eq!(world.used("124", "api-calls"), 3 + i64::from(touched));
    }
}

#[test]
fn the_subscription_that_counted_at_a_past_moment_is_chosen_by_the_limits_of_then() {
    let mut world = world(limit(100).monthly())
        .addon("boost", [], [("api-calls", limit(500).monthly())])
        .subscribed("124", "boost");
    world.set_clock("2024-01-10T00:00:00Z");
    publish(&mut world, limit(1000).monthly());
    assert_eq!(world.counts_now("124", "api-calls").unwrap(), "pro");
    let then = world.counted_at("124", "api-calls", "2024-01-09T00:00:00Z");
    assert_eq!(then.unwrap(), "boost");
}

#[test]
fn those_who_subscribe_after_a_change_know_nothing_of_it() {
    let mut world = world(limit(100).monthly()).user("125");
    world.set_clock("2024-01-10T00:00:00Z");
    publish(&mut world, limit(5).daily());
    world.set_clock("2024-01-12T00:00:00Z");
    let mut world = world.subscribed("125", "pro");
    world.set_clock("2024-01-14T12:00:00Z");
    let usage = world.usage("125", "api-calls");
    assert_eq!(line(&usage.current.unwrap()), "2024-01-14..2024-01-15 0/5");
    let past: Vec<_> = usage.past.iter().map(line).collect();
    assert_eq!(past, ["2024-01-13..2024-01-14 0/5", "2024-01-12..2024-01-13 0/5"]);
}

#[test]
fn a_subscription_that_ended_before_a_change_keeps_its_periods() {
    let mut world = world(limit(100).daily());
    record(&mut world, 4);
    world.set_clock("2024-01-02T12:00:00Z");
    world.cancel_package("124", "pro");
    world.set_clock("2024-01-10T00:00:00Z");
    publish(&mut world, limit(1000).monthly());
    assert_eq!(
        past(&world),
        ["2024-01-02..2024-01-02T12:00 0/100", "2024-01-01..2024-01-02 4/100"]
    );
}

#[test]
fn a_draft_that_changes_leaves_no_history() {
    let mut world = World::new().consumable("api-calls").draft("pro", [("api-calls", limit(1))]);
    world.change_terms("pro", &[("api-calls", limit(2).monthly())]);
    assert!(world.package_named("pro").terms.is_empty());
}

#[test]
fn a_file_that_gives_the_same_leaves_no_history() {
    let mut world = world(limit(1));
    publish(&mut world, limit(1));
    assert!(world.package_named("pro").terms.is_empty());
}

#[test]
fn a_clock_that_lags_behind_the_publish_does_not_bring_old_terms_back() {
    let mut world = world(limit(100).monthly());
    world.set_clock("2024-01-10T00:00:05Z");
    record(&mut world, 40);
    publish(&mut world, limit(5).daily());
    world.set_clock("2024-01-10T00:00:00Z");
    assert_eq!(world.used("124", "api-calls"), 0);
    record(&mut world, 2);
    assert_eq!(world.used("124", "api-calls"), 2);
    assert_eq!(past(&world), ["2024-01-01..2024-01-10T00:00:05.000Z 40/100"]);
}

#[test]
fn the_newest_changes_are_kept_and_older_periods_report_the_oldest_that_is_known() {
    let mut world = world(limit(0).monthly());
    world.set_clock("2024-03-10T00:00:00Z");
    for n in 1..=i64::try_from(CHANGES_MAX).unwrap() + 5 {
        publish(&mut world, limit(n).monthly());
    }
    let pro = world.package_named("pro");
    let history = pro.terms[&feature_id("api-calls")].terms();
    assert_eq!(history.len(), CHANGES_MAX + 1);
    assert_eq!(history[0].since, Timestamp::MIN);
    assert_eq!(past(&world), ["2024-02-01..2024-03-01 0/5", "2024-01-01..2024-02-01 0/5"]);
}

#[test]
fn a_running_counter_goes_on_however_often_the_limit_changes_after_its_terms_began() {
    let mut world = world(limit(100));
    record(&mut world, 9);
    world.set_clock("2024-01-20T00:00:00Z");
    publish(&mut world, limit(100).monthly());
    record(&mut world, 60);
    for n in 0..3 * i64::try_from(CHANGES_MAX).unwrap() {
        publish(&mut world, limit(100 + n % 2).monthly());
    }
    assert_eq!(current(&world).unwrap(), "2024-01-20..2024-02-01 60/101");
    assert_eq!(past(&world), ["2024-01-01..2024-01-20 9/100"]);
    let pro = world.package_named("pro");
    assert!(pro.terms[&feature_id("api-calls")].terms().len() <= CHANGES_MAX + 1);
}

#[test]
fn a_period_that_was_not_written_takes_over_however_often_the_limit_changes_after() {
    let mut world = world(limit(100).daily());
    for _ in 0..3 {
        record(&mut world, 30);
        world.wait_ms(DAY_MS);
    }
    publish(&mut world, limit(100).monthly());
    for n in 0..i64::try_from(CHANGES_MAX).unwrap() + 5 {
        publish(&mut world, limit(101 + n).monthly());
    }
    assert_eq!(world.used("124", "api-calls"), 90);
    publish(&mut world, unlimited());
    assert_eq!(world.used("124", "api-calls"), 90);
}

#[test]
fn a_feature_that_goes_out_and_comes_back_often_counts_on() {
    let mut world = world(limit(100));
    world.set_clock("2024-01-10T00:00:00Z");
    publish(&mut world, limit(100).monthly());
    publish(&mut world, limit(100));
    record(&mut world, 7);
    for _ in 0..CHANGES_MAX {
        publish_without(&mut world);
        publish(&mut world, limit(100));
    }
    assert_eq!(world.used("124", "api-calls"), 7);
}

#[test]
fn reset_periods_that_change_often_lose_no_usage() {
    let mut world = world(limit(100).daily());
    for n in 0..150 {
        record(&mut world, 1);
        world.wait_ms(60 * 60 * 1000);
        match n % 3 {
            0 => publish(&mut world, limit(100).monthly()),
            1 => publish(&mut world, limit(100)),
            _ => publish(&mut world, limit(100).daily()),
        }
    }
    publish(&mut world, limit(1000));
    assert_eq!(world.used("124", "api-calls"), 150);
}

/// Creates a world with daily periods over six years and one unit used in each.
fn six_years_of_days() -> World {
    let mut world = world(limit(100).daily());
    for day in 0..6 * 365 {
        let at = time("2024-01-01T00:00:00Z").saturating_add_ms(day * DAY_MS);
        world.set_clock(&at.to_string());
        record(&mut world, 1);
    }
    world
}

fn fold(world: &mut World) {
    let counters = world.counters("124");
    let subscription = world.subscription("124", "pro").id;
    let command = Command::FoldCounters(FoldCounters {
        user: None,
        subscription,
        feature: feature_id("api-calls"),
        terms: TermsNumber::default(),
        period_starts: counters.keys().map(|counter| counter.period_start).collect(),
    });
    assert_eq!(world.run(&command).unwrap(), Answer::Folded);
}

#[test]
fn old_counters_are_folded_into_one_sum_and_no_answer_changes() {
    let mut world = six_years_of_days();
    let before = world.usage("124", "api-calls");
    fold(&mut world);
    assert_eq!(world.usage("124", "api-calls"), before);
    let counters = world.counters("124");
    let kept = usize::try_from(COUNTED_ONE_BY_ONE).unwrap();
    assert_eq!(counters.len(), kept + 1);
    assert_eq!(counters.iter().next().unwrap().1, &(6 * 365 - COUNTED_ONE_BY_ONE));
    // A second time, there is nothing to fold.
    fold(&mut world);
    assert_eq!(world.counters("124"), counters);
}

#[test]
fn what_was_folded_is_part_of_a_period_that_never_ends_whenever_it_is_folded() {
    for folded_at in 0..3 {
        let mut world = six_years_of_days();
        world.wait_ms(1);
        for moment in 0..3 {
            match moment {
                0 => {}
                1 => publish(&mut world, unlimited()),
                _ => record(&mut world, 10),
            }
            if folded_at == moment {
                fold(&mut world);
            }
        }
        assert_eq!(world.used("124", "api-calls"), 6 * 365 + 10);
        // Late usage of a day that is folded.
        record_at(&mut world, 5, "2024-01-01T00:00:00Z");
        assert_eq!(world.used("124", "api-calls"), 6 * 365 + 15);
        fold(&mut world);
        assert_eq!(world.used("124", "api-calls"), 6 * 365 + 15);
    }
}

#[test]
fn a_folded_day_that_is_told_of_late_is_in_the_sum() {
    let mut world = six_years_of_days();
    fold(&mut world);
    let counters = world.counters("124").len();
    record_at(&mut world, 5, "2024-01-01T00:00:00Z");
    record_at(&mut world, 5, "2024-01-02T00:00:00Z");
    let after = world.counters("124");
    assert_eq!(after.len(), counters);
    let sum = after.iter().find(|(counter, _)| counter.period_start == CounterKey::FOLDED);
    assert_eq!(*sum.unwrap().1, 6 * 365 - COUNTED_ONE_BY_ONE + 10);
}

#[test]
fn set_for_a_folded_day_is_refused_rather_than_counted_wrongly() {
    let mut world = six_years_of_days();
    fold(&mut world);
    let counters = world.counters("124");
    let set = |occurred_at| recording("124", "api-calls").set(7).at(occurred_at);
    let refusal = world.record(set("2024-01-01T00:00:00Z")).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "occurredAt is more than 1500 reset periods ago: usage that old is kept as one sum, which \
         SET cannot replace"
    );
    assert_eq!(world.counters("124"), counters);
    world.record(set("2029-01-01T00:00:00Z")).unwrap();
    assert_ne!(world.counters("124"), counters);
}

/// A second model of the rules: periods are buckets, and a change to a longer period at once pours
/// the buckets that began within it into the new one.
#[derive(Debug, Default)]
struct Buckets {
    buckets: Vec<Bucket>,
    /// For each change: its instant, terms number and reset period; `None` while the feature is
    /// out.
    terms: Vec<(Timestamp, u32, Option<Option<ResetPeriod>>)>,
}

fn anchor() -> Timestamp {
    time("2024-01-01T00:00:00Z")
}

#[derive(Debug, Clone, PartialEq)]
struct Bucket {
    /// Whether it takes over the earlier periods that began within it.
    takes_over: bool,
    /// Its own period first, then those that were poured into it.
    periods: Vec<(u32, Timestamp)>,
    used: i64,
}

impl Buckets {
    fn change(&mut self, at: Timestamp, reset: Option<Option<ResetPeriod>>) {
        let last = self.terms.last().copied();
        if last.is_some_and(|(_, _, known)| known == reset) {
            return;
        }
        let given = self.terms.iter().rev().find_map(|(_, _, reset)| *reset);
        let mut number = last.map_or(0, |(_, number, _)| number);
        let (Some(before), Some(after)) = (given, reset) else {
            self.terms.push((at, number, reset));
            return;
        };
        if before == after {
            self.terms.push((at, number, reset));
            return;
        }
        number += 1;
        self.terms.push((at, number, reset));
        let opens = Period::containing(anchor(), after, at);
        let longer = match (after, before) {
            (None, Some(_)) => true,
            (Some(after), Some(before)) => after > before,
            (_, None) => false,
        };
        let start = if longer { opens.start } else { at };
        let periods = vec![(number, start)];
        let mut opened = Bucket { takes_over: longer, periods, used: 0 };
        if longer {
            for bucket in std::mem::take(&mut self.buckets) {
                if bucket.periods[0].1 >= start {
                    opened.periods.extend(bucket.periods);
                    opened.used += bucket.used;
                } else {
                    self.buckets.push(bucket);
                }
            }
        }
        self.buckets.push(opened);
    }

    /// Returns the period that contains an instant; `None` while the feature is out.
    fn period(&self, at: Timestamp) -> Option<(u32, Timestamp)> {
        let (_, number, reset) = *self.terms.iter().rev().find(|(since, ..)| *since <= at)?;
        let begins = self.terms.iter().find(|(_, of, reset)| *of == number && reset.is_some())?.0;
        let start = Period::containing(anchor(), reset?, at).start;
        // The change of the terms opened the first period of the number.
        let opened = self.buckets.iter().flat_map(|bucket| &bucket.periods);
        let mut opened = opened.filter(|(of, _)| *of == number);
        let first = opened.next().filter(|(of, _)| *of > 0).map(|(_, start)| *start);
        let in_first = first.is_some() && Period::containing(anchor(), reset?, begins).contains(at);
        Some((number, first.filter(|_| in_first).unwrap_or(start)))
    }

    fn add(&mut self, at: Timestamp, delta: i64) -> bool {
        let Some(period) = self.period(at) else {
            return false;
        };
        let place = self.buckets.iter().position(|bucket| bucket.periods.contains(&period));
        let place = place.unwrap_or_else(|| {
            // An unused period that would have been taken over belongs to the bucket that took
            // over.
            let taken = self.buckets.iter().position(|bucket| {
                let (number, start) = bucket.periods[0];
                number > period.0 && start <= period.1 && bucket.takes_over
            });
            taken.unwrap_or_else(|| {
                let periods = vec![period];
                self.buckets.push(Bucket { takes_over: false, periods, used: 0 });
                self.buckets.len() - 1
            })
        });
        let bucket = &mut self.buckets[place];
        if !bucket.periods.contains(&period) {
            bucket.periods.push(period);
        }
        bucket.used = (bucket.used + delta).max(0);
        true
    }

    fn totals(&self) -> Vec<i64> {
        let mut totals: Vec<i64> = self.buckets.iter().map(|bucket| bucket.used).collect();
        totals.retain(|used| *used > 0);
        totals.sort_unstable();
        totals
    }
}

#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    Record(i64),
    RecordLate(i64, i64),
    Publish(Option<Option<ResetPeriod>>, i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reset = prop_oneof![
        4 => Just(Some(Some(ResetPeriod::Day))),
        4 => Just(Some(Some(ResetPeriod::Month))),
        2 => Just(Some(Some(ResetPeriod::Year))),
        2 => Just(Some(None)),
        2 => Just(None),
    ];
    let hour = 60 * 60 * 1000;
    let step = prop_oneof![
        3 => (1..72_i64).prop_map(move |hours| Step::Wait(hours * hour / 2)),
        4 => (-20..50_i64).prop_map(Step::Record),
        2 => ((0..2000_i64), (0..50_i64))
            .prop_map(move |(ago, delta)| Step::RecordLate(ago * hour, delta)),
        2 => (reset, 0..100_i64).prop_map(|(reset, limit)| Step::Publish(reset, limit)),
    ];
    proptest::collection::vec(step, 0..45)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_recorded_usage_stays_in_exactly_one_listed_period(steps in steps()) {
        let gives = |reset: Option<ResetPeriod>, n| match reset {
            Some(reset) => limit(n).every(reset),
            None => limit(n),
        };
        let mut world = world(limit(7).daily());
        let mut model = Buckets::default();
        model.terms.push((Timestamp::MIN, 0, Some(Some(ResetPeriod::Day))));
        for step in steps {
            match step {
                Step::Wait(ms) => world.wait_ms(ms),
                Step::Record(delta) => {
                    let recorded = world.record(recording("124", "api-calls").add(delta)).unwrap();
                    prop_assert_eq!(recorded.recorded(), model.add(world.now(), delta));
                }
                Step::RecordLate(ago, delta) => {
                    let at = world.now().saturating_add_ms(-ago).max(anchor());
                    let late = recording("124", "api-calls").add(delta).at_time(at);
                    prop_assert_eq!(world.record(late).unwrap().recorded(), model.add(at, delta));
                }
                Step::Publish(reset, n) => {
                    // Keeps usage recorded so far before the change.
                    world.wait_ms(1);
                    match reset {
                        Some(reset) => publish(&mut world, gives(reset, n)),
                        None => publish_without(&mut world),
                    }
                    model.change(world.now(), reset);
                }
            }
            let usage = world.usage("124", "api-calls");
            let mut listed: Vec<i64> = usage
                .past
                .iter()
                .chain(&usage.current)
                .map(|at| at.consumption.used)
                .filter(|used| *used > 0)
                .collect();
            listed.sort_unstable();
            prop_assert_eq!(listed, model.totals());
            // Listed periods do not overlap.
            let mut periods: Vec<Period> =
                usage.past.iter().chain(&usage.current).map(|at| at.period).collect();
            periods.sort_unstable();
            for pair in periods.windows(2) {
                prop_assert!(pair[0].end.unwrap() <= pair[1].start, "{:?}", pair);
            }
            if let Some(current) = usage.current {
                prop_assert_eq!(current.consumption.used, world.used("124", "api-calls"));
            }
        }
    }
}

/// Else each look at all counters would decide on nearly all of them.
#[test]
fn only_the_shortest_reset_that_a_feature_ever_had_makes_counters_old() {
    let mut world = World::new()
        .consumable("calls")
        .consumable("seats")
        .package("basic", [("calls", limit(5).every(ResetPeriod::Week)), ("seats", unlimited())])
        .package("pro", [("calls", limit(5).every(ResetPeriod::Hour))]);
    let shortest = |world: &World, feature| shortest_reset(world.catalog(), &feature_id(feature));
    assert_eq!(shortest(&world, "calls"), Some(ResetPeriod::Hour));
    assert_eq!(shortest(&world, "seats"), None);

    world.wait_ms(1);
    world.change_terms("pro", &[("calls", limit(5).monthly())]);
    assert_eq!(shortest(&world, "calls"), Some(ResetPeriod::Hour), "it counted by the hour");

    let kept_days =
        |shortest| (world.now().as_ms() - oldest_kept(shortest, world.now()).as_ms()) / DAY_MS;
    let kept = [ResetPeriod::Minute, ResetPeriod::Day, ResetPeriod::Month].map(kept_days);
    assert_eq!(kept, [1, COUNTED_ONE_BY_ONE - 1, 28 * (COUNTED_ONE_BY_ONE - 1)]);
}
