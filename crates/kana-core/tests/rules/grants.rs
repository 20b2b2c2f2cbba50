//! Grants (contract: `beyond.md`, c, and "Everything with everything").

use kana_core::Refusal;
use kana_core::entitlement::{Consumption, Reason};
use kana_core::explain::{BudgetPartKind, Source};
use kana_core::grant::{AMOUNT_MAX, GRANTS_MAX};
use kana_core::period::ResetPeriod;
use kana_core::threshold::Threshold;
use proptest::prelude::*;

use crate::world::{World, giving, limit, recording, setting, switched_on, time, unlimited, using};

/// A user with 10 calls a month, on `basic`, since 2024-01-01.
fn world() -> World {
    World::new()
        .consumable("api-calls")
        .consumable("seats")
        .binary("sso")
        .package("basic", [("api-calls", limit(10).monthly()), ("sso", switched_on())])
        .user("ada")
        .subscribed("ada", "basic")
}

fn add(world: &mut World, delta: i64) {
    world.record(recording("ada", "api-calls").add(delta)).unwrap();
}

fn consumption(world: &World) -> Consumption {
    world.can_use("ada", "api-calls", 0).unwrap().consumption.unwrap()
}

/// Used, allowance, granted, remaining.
fn numbers(world: &World) -> [i64; 4] {
    let consumption = consumption(world);
    let [allowance, remaining] = [consumption.allowance(), consumption.remaining()];
    [consumption.used, allowance.unwrap_or(-1), consumption.granted(), remaining.unwrap_or(-1)]
}

fn reason(world: &World, delta: i64) -> Reason {
    world.can_use("ada", "api-calls", delta).unwrap().reason
}

/// The parts of the budget: what, whose, and how much.
fn parts(world: &World) -> Vec<(BudgetPartKind, String, Option<i64>)> {
    let explained = world.explain("ada", "api-calls", 1).unwrap();
    let budget = explained.entitlement.consumption.unwrap().budget;
    if let Some(budget) = budget {
        let sum: i64 = explained.parts.iter().map(|part| part.amount.unwrap()).sum();
        assert_eq!(sum, budget, "the parts add up to the budget");
    }
    let parts = explained.parts.into_iter();
    parts.map(|part| (part.kind, part.id.to_string(), part.amount)).collect()
}

/// The ids and amounts of the parts that are grants.
fn granted(world: &World) -> Vec<(String, i64)> {
    let parts = parts(world).into_iter();
    let grants = parts.filter(|(kind, ..)| *kind == BudgetPartKind::Grant);
    grants.map(|(_, id, amount)| (id, amount.unwrap())).collect()
}

fn invalid(refusal: Refusal) -> String {
    match refusal {
        Refusal::Invalid(invalid) => invalid.to_string(),
        other => panic!("{other:?}"),
    }
}

// What a grant gives, and when.

#[test]
fn a_grant_adds_to_the_budget_at_once() {
    let mut world = world();
    add(&mut world, 9);
    let grant = world.give(giving("ada", "api-calls", 5).id("welcome").reason("a favour")).unwrap();
    assert_eq!((grant.amount, grant.drawn, grant.priority), (5, 0, 0));
    assert_eq!((grant.starts_at, grant.created_at), (world.now(), world.now()));
    assert_eq!(numbers(&world), [9, 10, 5, 6]);
    assert_eq!(reason(&world, 6), Reason::WithinLimit);
    assert_eq!(reason(&world, 7), Reason::LimitReached);
    assert_eq!(granted(&world), [("welcome".to_owned(), 5)]);
}

#[test]
fn the_allowance_is_used_before_a_grant() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    add(&mut world, 10);
    assert_eq!(world.drawn("ada", "g"), 0);
    add(&mut world, 3);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (3, [13, 10, 5, 2]));
    // What is over the budget is drawn from nothing.
    add(&mut world, 4);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (5, [17, 10, 5, 0]));
    // The next month has what is left of it: nothing.
    world.set_clock("2024-02-01T00:00:00.000Z");
    assert_eq!(numbers(&world), [0, 10, 0, 10]);
}

#[test]
fn what_is_left_of_a_grant_goes_to_the_next_period() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    add(&mut world, 12);
    world.set_clock("2024-02-01T00:00:00.000Z");
    assert_eq!(numbers(&world), [0, 10, 3, 13]);
    let past = &world.usage("ada", "api-calls").past[0];
    let shown = past.consumption;
    assert_eq!((shown.used, shown.budget, shown.granted()), (12, Some(12), 2));
}

#[test]
fn a_grant_with_a_negative_priority_is_used_first() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("first").priority(-1)).unwrap();
    world.give(giving("ada", "api-calls", 5).id("last")).unwrap();
    add(&mut world, 3);
    assert_eq!((world.drawn("ada", "first"), world.drawn("ada", "last")), (3, 0));
    add(&mut world, 13);
    assert_eq!((world.drawn("ada", "first"), world.drawn("ada", "last")), (5, 1));
    add(&mut world, -14);
    assert_eq!((world.drawn("ada", "first"), world.drawn("ada", "last")), (2, 0));
    assert_eq!(numbers(&world), [2, 10, 10, 18]);
}

#[test]
fn grants_are_drawn_by_priority_then_by_expiry_then_by_age() {
    let mut world = world();
    let give = |world: &mut World, id: &str, giving: crate::world::Giving| {
        world.give(giving.id(id)).unwrap();
        world.wait_ms(1);
    };
    let grant = || giving("ada", "api-calls", 1);
    give(&mut world, "f none, newer", grant().priority(2));
    give(&mut world, "d late", grant().until("2025-01-02T00:00:00.000Z"));
    give(&mut world, "b soon", grant().until("2024-06-01T00:00:00.000Z"));
    give(&mut world, "c soon, newer", grant().until("2024-06-01T00:00:00.000Z"));
    give(&mut world, "e none", grant());
    give(&mut world, "a first", grant().priority(-100));
    add(&mut world, 1);
    let ids: Vec<String> = granted(&world).into_iter().map(|(id, _)| id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    let mut expected = ids.iter();
    assert_eq!(world.drawn("ada", expected.next().unwrap()), 1);
    add(&mut world, 10);
    for id in expected {
        assert_eq!(world.drawn("ada", id), 0, "{id}");
        add(&mut world, 1);
        assert_eq!(world.drawn("ada", id), 1, "{id}");
    }
}

#[test]
fn a_grant_lives_from_its_start_until_it_expires() {
    let mut world = world();
    let later = giving("ada", "api-calls", 5).from("2024-01-10T00:00:00.000Z");
    world.give(later.until("2024-01-20T00:00:00.000Z").id("g")).unwrap();
    assert_eq!(numbers(&world), [0, 10, 0, 10]);
    world.set_clock("2024-01-10T00:00:00.000Z");
    add(&mut world, 12);
    assert_eq!(numbers(&world), [12, 10, 5, 3]);
    world.set_clock("2024-01-20T00:00:00.000Z");
    // What was drawn stays drawn, what was left is gone.
    assert_eq!(numbers(&world), [12, 10, 2, 0]);
    assert_eq!(granted(&world), [("g".to_owned(), 2)]);
    // A grant that has ended takes back what it gave, and it stays lost.
    add(&mut world, -1);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (1, [11, 10, 1, 0]));
    add(&mut world, 1);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (1, [12, 10, 1, 0]));
}

#[test]
fn a_grant_covers_what_was_over_the_budget_with_the_next_write() {
    let mut world = world();
    add(&mut world, 14);
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (0, [14, 10, 5, 1]));
    add(&mut world, 0);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (4, [14, 10, 5, 1]));
}

#[test]
fn a_voided_grant_gives_no_more_and_takes_nothing_back() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    add(&mut world, 12);
    let voided = world.void_grant("ada", "g").unwrap();
    assert_eq!((voided.voided_at, voided.remaining(world.now())), (Some(world.now()), 0));
    assert_eq!(numbers(&world), [12, 10, 2, 0]);
    world.wait_ms(5);
    let stored = world.stored();
    assert_eq!(world.void_grant("ada", "g").unwrap(), voided);
    assert_eq!(world.stored(), stored, "again changes nothing");
    let unknown = world.void_grant("ada", "h").unwrap_err();
    assert_eq!(unknown.to_string(), "Grant not found: h");
}

#[test]
fn set_and_late_usage_settle_what_they_draw() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("g").until("2024-02-10T00:00:00.000Z")).unwrap();
    world.record(recording("ada", "api-calls").set(14)).unwrap();
    assert_eq!(world.drawn("ada", "g"), 4);
    world.record(recording("ada", "api-calls").set(11)).unwrap();
    assert_eq!(world.drawn("ada", "g"), 1);
    world.set_clock("2024-02-20T00:00:00.000Z");
    // The grant has ended, but it lived when this was used.
    let late = recording("ada", "api-calls").add(2).at("2024-01-15T00:00:00.000Z");
    world.record(late).unwrap();
    assert_eq!((world.drawn("ada", "g"), world.draws("ada")), (3, vec![(13, 3)]));
    let later = recording("ada", "api-calls").add(11).at("2024-02-15T00:00:00.000Z");
    world.record(later).unwrap();
    assert_eq!(world.drawn("ada", "g"), 3);
}

#[test]
fn taking_back_usage_returns_what_it_drew() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    world.record(recording("ada", "api-calls").add(12).key("k")).unwrap();
    world.set_clock("2024-02-20T00:00:00.000Z");
    assert_eq!(world.drawn("ada", "g"), 2);
    assert!(world.void("k").unwrap().voided());
    assert_eq!((world.drawn("ada", "g"), world.draws("ada")), (0, vec![(0, 0)]));
    assert_eq!(numbers(&world), [0, 10, 5, 15]);
}

#[test]
fn use_feature_answers_what_is_left_after_it() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    let used = world.use_feature(using("ada", "api-calls").delta(12)).unwrap();
    let consumption = used.consumption.unwrap();
    assert_eq!((used.granted, consumption.used, consumption.budget), (true, 12, Some(15)));
    assert_eq!((consumption.granted(), consumption.remaining()), (5, Some(3)));
    let refused = world.use_feature(using("ada", "api-calls").delta(4)).unwrap();
    assert!(!refused.granted);
    assert_eq!(world.drawn("ada", "g"), 2);
}

#[test]
fn a_threshold_is_one_of_the_whole_budget() {
    let mut world = world()
        .watched("watched", &[Threshold::Percent(50)])
        .package("other", [("watched", limit(10))]);
    world = world.user("bob").subscribed("bob", "other");
    world.give(giving("bob", "watched", 10)).unwrap();
    world.record(recording("bob", "watched").add(9)).unwrap();
    assert_eq!(world.threshold_events().len(), 0);
    world.record(recording("bob", "watched").add(1)).unwrap();
    let event = &world.threshold_events()[0];
    assert_eq!((event.consumption.budget, event.consumption.granted()), (Some(20), 10));
}

// What counts, row 5.

#[test]
fn a_grant_alone_grants() {
    let mut world = world().user("bob");
    assert_eq!(world.can_use("bob", "seats", 1).unwrap().reason, Reason::NotGranted);
    world.give(giving("bob", "seats", 3).from("2023-12-01T00:00:00.000Z").id("a")).unwrap();
    world.give(giving("bob", "seats", 2).id("b")).unwrap();
    assert!(world.use_feature(using("bob", "seats").delta(4)).unwrap().granted);
    let explained = world.explain("bob", "seats", 1).unwrap();
    let source = explained.source.unwrap();
    assert!(matches!(source, Source::Grants(_)) && source.id().is_none());
    let period = explained.period.unwrap();
    assert_eq!((period.start, period.end), (time("2023-12-01T00:00:00.000Z"), None));
    let kinds: Vec<_> = explained.parts.iter().map(|part| (part.kind, part.amount)).collect();
    let [first, second] = [3, 2].map(|amount| (BudgetPartKind::Grant, Some(amount)));
    assert_eq!(kinds, [first, second]);
    let consumption = explained.entitlement.consumption.unwrap();
    assert_eq!((consumption.allowance(), consumption.granted()), (Some(0), 5));
    assert_eq!((consumption.used, consumption.overage_enabled), (4, false));
    let shown = world.usage("bob", "seats");
    assert_eq!((shown.current.unwrap().period, shown.past.len()), (period, 0));
    // The usage can be taken back, too.
    world.record(recording("bob", "seats").add(1).key("k")).unwrap();
    assert_eq!(world.drawn("bob", "b"), 2);
    assert!(world.void("k").unwrap().voided());
    assert_eq!((world.drawn("bob", "a"), world.drawn("bob", "b")), (3, 1));
}

#[test]
fn without_a_grant_that_lives_nothing_counts() {
    let mut world = world().user("bob");
    world.give(giving("bob", "seats", 3).until("2024-02-01T00:00:00.000Z").id("a")).unwrap();
    world.record(recording("bob", "seats").add(2)).unwrap();
    world.set_clock("2024-02-01T00:00:00.000Z");
    assert_eq!(world.can_use("bob", "seats", 1).unwrap().reason, Reason::NotGranted);
    assert!(!world.record(recording("bob", "seats").add(1)).unwrap().recorded());
    assert_eq!(world.usage("bob", "seats").current, None);
    // A later one goes on with the same counter.
    world.give(giving("bob", "seats", 1).id("b")).unwrap();
    let consumption = world.can_use("bob", "seats", 1).unwrap().consumption.unwrap();
    assert_eq!((consumption.used, consumption.budget), (2, Some(3)));
}

#[test]
fn a_binary_feature_has_no_grants() {
    let mut world = world();
    let refused = world.give(giving("ada", "sso", 1)).unwrap_err();
    assert_eq!(invalid(refused), "featureId does not suit sso, which is BINARY");
    let unknown = world.give(giving("ada", "nothing", 1)).unwrap_err();
    assert_eq!(unknown.to_string(), "Feature not found: nothing");
    let nobody = world.give(giving("eve", "sso", 1)).unwrap_err();
    assert_eq!(nobody.to_string(), "User not found: eve");
}

// Everything with everything: grants and the rest.

#[test]
fn a_grant_is_added_on_top_of_an_override_with_a_limit() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    world.set_override(setting("ada", "api-calls").limit(2)).unwrap();
    add(&mut world, 4);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (2, [4, 2, 5, 3]));
    // Also of one that counts by itself.
    world.set_override(setting("ada", "api-calls").limit(1).every(ResetPeriod::Day)).unwrap();
    add(&mut world, 3);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (4, [3, 1, 3, 1]));
    // Whose counter draws nothing any more once the override is removed.
    world.record(recording("ada", "api-calls").add(1).key("k")).unwrap();
    assert_eq!(world.drawn("ada", "g"), 5);
    world.remove_override("ada", "api-calls").unwrap();
    assert!(world.void("k").unwrap().voided());
    assert_eq!(world.drawn("ada", "g"), 2);
}

#[test]
fn an_unlimited_override_returns_what_was_drawn_with_the_next_write() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    add(&mut world, 12);
    world.set_override(setting("ada", "api-calls").unlimited()).unwrap();
    assert_eq!(world.drawn("ada", "g"), 2);
    add(&mut world, 1);
    assert_eq!(world.drawn("ada", "g"), 0);
    let unlimited = consumption(&world);
    assert_eq!(
        (unlimited.budget, unlimited.allowance(), unlimited.remaining()),
        (None, None, None)
    );
}

#[test]
fn a_denied_feature_stays_denied() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5)).unwrap();
    world.set_override(setting("ada", "api-calls").deny()).unwrap();
    assert_eq!(reason(&world, 1), Reason::Denied);
}

#[test]
fn a_grant_of_a_balance_is_drawn_by_what_draws_on_it() {
    let mut world = World::new()
        .consumable("credits")
        .drawing("image", "credits", 5)
        .package("plus", [("credits", limit(10).monthly()), ("image", switched_on())])
        .user("ada")
        .subscribed("ada", "plus");
    let refused = world.give(giving("ada", "image", 5)).unwrap_err();
    let problem = "featureId does not suit image, which draws on credits: set it on credits";
    assert_eq!(invalid(refused), problem);
    world.give(giving("ada", "credits", 7).id("g")).unwrap();
    assert!(world.use_feature(using("ada", "image").delta(3)).unwrap().granted);
    assert_eq!(world.drawn("ada", "g"), 5);
    let asked = world.can_use("ada", "image", 1).unwrap();
    let consumption = asked.consumption.unwrap();
    assert_eq!((asked.access, consumption.used, consumption.budget), (false, 15, Some(17)));
    let explained = world.explain("ada", "image", 1).unwrap();
    let granted = explained.parts.iter().find(|part| part.kind == BudgetPartKind::Grant).unwrap();
    assert_eq!((granted.amount, granted.id.to_string()), (Some(7), "g".to_owned()));
    world.record(recording("ada", "image").add(1).key("k")).unwrap();
    assert_eq!(world.drawn("ada", "g"), 7);
    assert!(world.void("k").unwrap().voided());
    assert_eq!(world.drawn("ada", "g"), 5);
    // A grant of the balance does not let the feature itself be used.
    world.cancel_package("ada", "plus");
    assert_eq!(world.can_use("ada", "credits", 1).unwrap().reason, Reason::WithinLimit);
    assert_eq!(world.can_use("ada", "image", 1).unwrap().reason, Reason::NotGranted);
}

#[test]
fn a_quantity_does_not_multiply_a_grant_and_added_limits_come_before_it() {
    let mut world = World::new()
        .consumable("api-calls")
        .package("basic", [("api-calls", limit(10).monthly())])
        .addon("more", ["basic"], [("api-calls", limit(5).monthly().added())])
        .user("ada")
        .subscribed_to("ada", 2, "basic")
        .subscribed("ada", "more");
    world.give(giving("ada", "api-calls", 3).id("g")).unwrap();
    assert_eq!(numbers(&world), [0, 25, 3, 28]);
    add(&mut world, 25);
    assert_eq!(world.drawn("ada", "g"), 0);
    add(&mut world, 1);
    assert_eq!(world.drawn("ada", "g"), 1);
    let kinds: Vec<_> = parts(&world).into_iter().map(|(kind, _, amount)| (kind, amount)).collect();
    let [own, added, granted] =
        [BudgetPartKind::Allowance, BudgetPartKind::Added, BudgetPartKind::Grant];
    assert_eq!(kinds, [(own, Some(20)), (added, Some(5)), (granted, Some(3))]);
}

#[test]
fn a_grant_goes_on_from_package_to_package() {
    let mut world = world().package("pro", [("api-calls", limit(100).monthly())]);
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    add(&mut world, 12);
    world.cancel_package("ada", "basic");
    let source = world.explain("ada", "api-calls", 1).unwrap().source;
    assert!(matches!(source, Some(Source::Grants(_))));
    assert_eq!(numbers(&world), [0, 0, 3, 3]);
    world.subscribe("ada", ["pro"]).unwrap();
    assert_eq!(numbers(&world), [0, 100, 3, 103]);
}

#[test]
fn where_usage_is_unlimited_nothing_is_drawn() {
    let mut world = World::new()
        .consumable("api-calls")
        .package("all", [("api-calls", unlimited())])
        .user("ada")
        .subscribed("ada", "all");
    for (id, priority) in [("first", -1), ("last", 1)] {
        world.give(giving("ada", "api-calls", 5).id(id).priority(priority)).unwrap();
    }
    add(&mut world, i64::MAX);
    assert_eq!((world.drawn("ada", "first"), world.drawn("ada", "last")), (0, 0));
    assert_eq!(reason(&world, i64::MAX), Reason::Unlimited);
}

#[test]
fn the_largest_grant_on_the_largest_counter() {
    let mut world = world();
    add(&mut world, i64::MAX);
    world.give(giving("ada", "api-calls", AMOUNT_MAX).id("g")).unwrap();
    add(&mut world, i64::MAX);
    assert_eq!(world.drawn("ada", "g"), AMOUNT_MAX);
    assert_eq!(numbers(&world), [i64::MAX, 10, AMOUNT_MAX, 0]);
    add(&mut world, -i64::MAX);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)[0]), (0, 0));
}

#[test]
fn a_period_that_takes_earlier_ones_over_takes_what_they_drew() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    add(&mut world, 12);
    world.set_clock("2024-02-10T00:00:00.000Z");
    add(&mut world, 11);
    assert_eq!(world.drawn("ada", "g"), 3);
    world.change_terms("basic", &[("api-calls", limit(20).every(ResetPeriod::Year))]);
    assert_eq!(numbers(&world), [23, 20, 5, 2]);
    add(&mut world, 1);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (4, [24, 20, 5, 1]));
    // Late usage of a month that was taken over counts there, and draws in the year, as does what takes it back.
    let late = recording("ada", "api-calls").add(1).at("2024-01-15T00:00:00.000Z");
    world.record(late.clone().key("late")).unwrap();
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (5, [25, 20, 5, 0]));
    world.void("late").unwrap();
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (4, [24, 20, 5, 1]));
    world.record(late).unwrap();
    add(&mut world, -5);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (0, [20, 20, 5, 5]));
}

#[test]
fn what_two_periods_have_taken_over_is_settled_in_the_last_one() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 50).id("g")).unwrap();
    world.record(recording("ada", "api-calls").add(12).key("early")).unwrap();
    world.set_clock("2024-01-10T00:00:00.000Z");
    world.change_terms("basic", &[("api-calls", limit(10).every(ResetPeriod::Year))]);
    add(&mut world, 1);
    world.set_clock("2024-01-20T00:00:00.000Z");
    world.change_terms("basic", &[("api-calls", limit(10))]);
    add(&mut world, 1);
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (4, [14, 10, 50, 46]));
    world.void("early").unwrap();
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (0, [2, 10, 50, 58]));
    let late = |amount: i64, at: &str| recording("ada", "api-calls").add(amount).at(at);
    world.record(late(11, "2024-01-05T00:00:00.000Z")).unwrap();
    world.record(late(1, "2024-01-15T00:00:00.000Z")).unwrap();
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (4, [14, 10, 50, 46]));
}

#[test]
fn late_usage_of_a_running_period_is_counted_under_its_terms_of_now() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    world.set_clock("2024-01-10T00:00:00.000Z");
    world.change_terms("basic", &[("api-calls", limit(20).monthly())]);
    let late = recording("ada", "api-calls").add(15).at("2024-01-05T00:00:00.000Z");
    world.record(late).unwrap();
    assert_eq!((world.drawn("ada", "g"), numbers(&world)), (0, [15, 20, 5, 10]));
}

// Creating.

#[test]
fn values_out_of_range_are_refused() {
    let mut world = world();
    let message = |world: &mut World, giving| invalid(world.give(giving).unwrap_err());
    for amount in [0, -1, AMOUNT_MAX + 1] {
        let said = message(&mut world, giving("ada", "api-calls", amount));
        assert_eq!(said, "amount must be from 1 to 2147483647");
    }
    for priority in [-101, 101] {
        let said = message(&mut world, giving("ada", "api-calls", 1).priority(priority));
        assert_eq!(said, "priority must be from -100 to 100");
    }
    let early = "expiresAt must be after now and after startsAt";
    let ended = giving("ada", "api-calls", 1).until("2024-01-01T00:00:00.000Z");
    assert_eq!(message(&mut world, ended), early);
    let never = giving("ada", "api-calls", 1).from("2024-03-01T00:00:00.000Z");
    assert_eq!(message(&mut world, never.until("2024-03-01T00:00:00.000Z")), early);
    assert_eq!(world.grants("ada").len(), 0);
}

#[test]
fn the_same_request_again_answers_the_grant_as_it_stands() {
    let mut world = world();
    let request = || giving("ada", "api-calls", 5).id("g").until("2024-03-01T00:00:00.000Z");
    let created = world.give(request()).unwrap();
    add(&mut world, 12);
    world.wait_ms(1000);
    let again = world.give(request().reason("another")).unwrap();
    assert_eq!((again.key, again.drawn, again.reason), (created.key, 2, None));
    let start = created.starts_at.to_string();
    assert_eq!(world.give(request().from(&start)).unwrap().key, created.key);
    let stored = world.stored();
    for other in [
        request().priority(1),
        request().until("2024-03-02T00:00:00.000Z"),
        request().from("2024-01-02T00:00:00.000Z"),
        giving("ada", "api-calls", 6).id("g").until("2024-03-01T00:00:00.000Z"),
        giving("ada", "seats", 5).id("g").until("2024-03-01T00:00:00.000Z"),
    ] {
        assert_eq!(world.give(other).unwrap_err(), Refusal::IdConflict);
    }
    assert_eq!(world.stored(), stored);
    let mut world = world.user("bob");
    assert_ne!(world.give(giving("bob", "api-calls", 1).id("g")).unwrap().key, created.key);
}

#[test]
fn the_grant_that_ended_first_gives_way() {
    let mut world = world();
    for n in 1..=GRANTS_MAX {
        let ends = format!("2024-02-{n:02}T00:00:00.000Z");
        let grant = giving("ada", "api-calls", 1).id(&format!("g{n}")).until(&ends);
        world.give(grant).unwrap();
    }
    let refused = world.give(giving("ada", "api-calls", 1)).unwrap_err();
    let problem = "userId has 20 grants of this feature already, none of which has ended: \
                   void one first";
    assert_eq!(invalid(refused), problem);
    // Another feature has its own.
    world.give(giving("ada", "seats", 1)).unwrap();
    world.record(recording("ada", "api-calls").add(11)).unwrap();
    world.void_grant("ada", "g7").unwrap();
    world.give(giving("ada", "api-calls", 1).id("new")).unwrap();
    assert!(world.grants("ada").iter().all(|grant| grant.id.as_str() != "g7"));
    world.set_clock("2024-02-01T12:00:00.000Z");
    // What was drawn from a forgotten grant is still part of the budget of its period.
    world.give(giving("ada", "api-calls", 1).id("newer")).unwrap();
    let january = &world.usage("ada", "api-calls").past[0];
    assert_eq!((january.consumption.used, january.consumption.budget), (11, Some(11)));
}

#[test]
fn a_grant_is_told_when_it_changes_what_the_user_may_do() {
    let mut world = world();
    add(&mut world, 10);
    world.take_feed();
    world.give(giving("ada", "api-calls", 5).id("g")).unwrap();
    let told = world.take_feed();
    let expected = concat!(
        r#"entitlement.changed ada {"features":[{"featureId":"api-calls","#,
        r#""before":{"access":false,"budget":"10","overageEnabled":false},"#,
        r#""after":{"access":true,"budget":"15","overageEnabled":false}}]}"#
    );
    assert_eq!(told, [expected]);
    world.give(giving("ada", "api-calls", 5).from("2025-01-01T00:00:00.000Z")).unwrap();
    assert!(world.take_feed().is_empty(), "a start is not told");
    world.void_grant("ada", "g").unwrap();
    assert_eq!(world.take_feed().len(), 1);
    let audit = world.audit_of(&giving("ada", "api-calls", 5).id("x").reason("a secret").command());
    assert_eq!((audit.len(), audit[0].action), (1, "createGrant"));
    assert!(!format!("{audit:?}").contains("secret"));
}

#[test]
fn a_deleted_user_has_no_grants() {
    let mut world = world();
    world.give(giving("ada", "api-calls", 5).reason("a favour")).unwrap();
    world.delete("ada");
    let left = world.stored();
    assert!(!format!("{left:?}").contains("favour"));
}

#[test]
fn a_deletion_tells_what_goes_with_the_grants() {
    let mut world = world().user("bob");
    world.give(giving("bob", "seats", 5)).unwrap();
    world.take_feed();
    world.delete("bob");
    let told = world.take_feed();
    let [changed, deleted] = told.as_slice() else { panic!("{told:?}") };
    let gone = r#"{"featureId":"seats","before":{"access":true,"budget":"5","overageEnabled":false},"after":null}"#;
    assert!(changed.starts_with("entitlement.changed") && changed.contains(gone), "{changed}");
    assert!(deleted.starts_with("user.deleted"));
}

// Properties.

#[derive(Debug, Clone)]
enum Step {
    Add(i64),
    Set(i64),
    Give { amount: i64, priority: i64, days: Option<i64> },
    Void(usize),
    Wait(i64),
    Late(i64, i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (-8..20_i64).prop_map(Step::Add),
        1 => (0..30_i64).prop_map(Step::Set),
        2 => (1..12_i64, -2..3_i64, prop::option::of(1..60_i64))
            .prop_map(|(amount, priority, days)| Step::Give { amount, priority, days }),
        1 => (0..8_usize).prop_map(Step::Void),
        2 => (0..20_i64).prop_map(Step::Wait),
        1 => (-5..9_i64, 1..40_i64).prop_map(|(delta, days)| Step::Late(delta, days)),
    ];
    prop::collection::vec(step, 1..40)
}

fn take(world: &mut World, step: &Step) {
    match *step {
        Step::Add(delta) => add(world, delta),
        Step::Set(to) => {
            world.record(recording("ada", "api-calls").set(to)).unwrap();
        }
        Step::Give { amount, priority, days } => {
            let mut grant = giving("ada", "api-calls", amount).priority(priority);
            if let Some(days) = days {
                grant = grant.until(&world.now().saturating_add_ms(days * DAY_MS).to_string());
            }
            // The twenty-first is refused.
            let _ = world.give(grant);
        }
        Step::Void(which) => {
            if let Some(grant) = world.grants("ada").get(which).cloned() {
                world.void_grant("ada", grant.id.as_str()).unwrap();
            }
        }
        Step::Wait(days) => world.wait_ms(days * DAY_MS),
        Step::Late(delta, days) => {
            let at = world.now().saturating_add_ms(-days * DAY_MS);
            world.record(recording("ada", "api-calls").add(delta).at_time(at)).unwrap();
        }
    }
}

const DAY_MS: i64 = 86_400_000;

proptest! {
    #[test]
    fn what_is_drawn_adds_up(steps in steps()) {
        let mut world = world();
        for step in &steps {
            take(&mut world, step);
            // The store asserts that no grant gives more than it has. What counters say they drew is what
            // the grants say they gave.
            let by_counters: i64 = world.draws("ada").iter().map(|(_, drawn)| drawn).sum();
            let by_grants: i64 = world.grants("ada").iter().map(|grant| grant.drawn).sum();
            prop_assert_eq!(by_counters, by_grants);
            for (used, drawn) in world.draws("ada") {
                prop_assert!(drawn <= used, "{} of {}", drawn, used);
            }
            parts(&world);
        }
    }

    #[test]
    fn what_is_taken_back_leaves_the_grants_as_they_were(
        amounts in prop::collection::vec((1..20_i64, -2..3_i64), 1..6),
        deltas in prop::collection::vec(1..15_i64, 1..10),
        order in prop::collection::vec(any::<prop::sample::Index>(), 10),
    ) {
        let mut world = world();
        for (amount, priority) in amounts {
            world.give(giving("ada", "api-calls", amount).priority(priority)).unwrap();
        }
        let before = world.grants("ada").to_vec();
        let mut keys = Vec::new();
        for (n, delta) in deltas.iter().enumerate() {
            let key = format!("k{n}");
            world.record(recording("ada", "api-calls").add(*delta).key(&key)).unwrap();
            keys.push(key);
        }
        for index in order {
            if !keys.is_empty() {
                let key = keys.remove(index.index(keys.len()));
                prop_assert!(world.void(&key).unwrap().voided());
            }
        }
        let drawn: Vec<i64> = world.grants("ada").iter().map(|grant| grant.drawn).collect();
        prop_assert_eq!(drawn, vec![0; before.len()]);
        prop_assert_eq!(world.draws("ada"), vec![(0, 0)]);
    }
}
