//! Rollover (contract: `beyond.md`, d, and "Everything with everything").

use kana_core::Refusal;
use kana_core::catalog::Allowance;
use kana_core::catalog_command::CatalogCommand;
use kana_core::entitlement::{Consumption, Reason};
use kana_core::explain::BudgetPartKind;
use kana_core::near_limit::Share;
use kana_core::period::ResetPeriod;
use kana_core::threshold::Threshold;
use proptest::prelude::*;

use crate::world::{
    Gives, World, giving, limit, new_package, recording, setting, switched_on, unlimited, using,
};

const DAY_MS: i64 = 86_400_000;

/// A user with 10 calls a day since 2024-01-01, of which what is left is carried.
fn world_with(max: Option<i64>, periods: i64) -> World {
    World::new()
        .consumable("api-calls")
        .binary("sso")
        .package("basic", [("api-calls", daily(10).carrying(max, periods)), ("sso", switched_on())])
        .addon("pack", [], [("api-calls", limit(5).monthly().added())])
        .user("ada")
        .subscribed("ada", "basic")
}

fn daily(amount: i64) -> Gives {
    limit(amount).daily()
}

fn add(world: &mut World, delta: i64) {
    world.record(recording("ada", "api-calls").add(delta)).unwrap();
}

fn next_day(world: &mut World) {
    world.wait_ms(DAY_MS);
}

fn consumption(world: &World) -> Consumption {
    world.can_use("ada", "api-calls", 0).unwrap().consumption.unwrap()
}

/// Used, allowance, carried, granted, remaining.
fn numbers(world: &World) -> [i64; 5] {
    let now = consumption(world);
    let explained = world.explain("ada", "api-calls", 1).unwrap();
    assert_eq!(explained.entitlement.consumption, Some(now));
    if let Some(budget) = now.budget {
        let sum: i64 = explained.parts.iter().map(|part| part.amount.unwrap()).sum();
        assert_eq!(sum, budget, "the parts add up to the budget");
    }
    let [allowance, remaining] = [now.allowance(), now.remaining()].map(|left| left.unwrap_or(-1));
    [now.used, allowance, now.carried(), now.granted(), remaining]
}

fn carried(world: &World) -> i64 {
    numbers(world)[2]
}

/// The past periods: used of budget, of which so much was carried; the newest first.
fn past(world: &World) -> Vec<String> {
    let line = |shown: Consumption| {
        let budget = shown.budget.map_or("∞".to_owned(), |budget| budget.to_string());
        format!("{}/{budget} {}", shown.used, shown.carried())
    };
    world.usage("ada", "api-calls").past.iter().map(|shown| line(shown.consumption)).collect()
}

fn late(world: &mut World, delta: i64, day: &str) {
    world.record(recording("ada", "api-calls").add(delta).at(day)).unwrap();
}

#[test]
fn what_is_left_is_usable_in_the_next_period_after_its_own() {
    let mut world = world_with(None, 1);
    add(&mut world, 4);
    assert_eq!(numbers(&world), [4, 10, 0, 0, 6]);
    next_day(&mut world);
    assert_eq!(numbers(&world), [0, 10, 6, 0, 16]);
    let reason = |world: &World, delta| world.can_use("ada", "api-calls", delta).unwrap().reason;
    assert_eq!(reason(&world, 16), Reason::WithinLimit);
    assert_eq!(reason(&world, 17), Reason::LimitReached);
    let used = world.use_feature(using("ada", "api-calls").delta(13)).unwrap();
    assert_eq!(used.consumption, Some(consumption(&world)));
    assert_eq!(numbers(&world), [13, 10, 6, 0, 3]);
    next_day(&mut world);
    assert_eq!(numbers(&world), [0, 10, 0, 0, 10], "what is carried is not carried again");
    assert_eq!(past(&world), ["13/16 6", "4/10 0"]);
}

#[test]
fn a_period_in_which_nothing_happened_is_left_as_a_whole() {
    let mut world = world_with(Some(25), 12);
    for expected in [0, 10, 20, 25, 25] {
        assert_eq!(carried(&world), expected);
        next_day(&mut world);
    }
    // The first period is as long ago as it can be.
    let mut world = world_with(None, 12);
    world.wait_ms(100 * DAY_MS);
    assert_eq!(carried(&world), 120);
    // What was over was paid by the reserve, the newest part first.
    add(&mut world, 25);
    next_day(&mut world);
    assert_eq!(carried(&world), 95);
}

#[test]
fn carried_stands_between_allowance_and_what_is_added_and_has_the_id_of_what_counts() {
    let mut world = world_with(None, 1);
    next_day(&mut world);
    world = world.subscribed("ada", "pack");
    world.give(giving("ada", "api-calls", 3).id("g")).unwrap();
    let explained = world.explain("ada", "api-calls", 1).unwrap();
    let parts: Vec<_> = explained.parts.iter().map(|part| (part.kind, part.amount)).collect();
    let kinds = [
        (BudgetPartKind::Allowance, Some(10)),
        (BudgetPartKind::Carried, Some(10)),
        (BudgetPartKind::Added, Some(5)),
        (BudgetPartKind::Grant, Some(3)),
    ];
    assert_eq!(parts, kinds);
    assert_eq!(explained.parts[1].id, explained.parts[0].id);
    assert_eq!(numbers(&world), [0, 15, 10, 3, 28]);
}

#[test]
fn late_usage_reverts_and_corrections_change_what_is_carried() {
    let mut world = world_with(None, 2);
    world.record(recording("ada", "api-calls").add(4).key("one")).unwrap();
    next_day(&mut world);
    assert_eq!(carried(&world), 6);
    late(&mut world, 3, "2024-01-01T12:00:00Z");
    assert_eq!(carried(&world), 3);
    late(&mut world, -3, "2024-01-01T12:00:00Z");
    assert_eq!(carried(&world), 6);
    world.void("one").unwrap();
    assert_eq!(carried(&world), 10);
    next_day(&mut world);
    world.record(recording("ada", "api-calls").set(9).at("2024-01-01T12:00:00Z")).unwrap();
    assert_eq!(
        (carried(&world), past(&world)),
        (11, ["0/11 1", "9/10 0"].map(str::to_owned).into())
    );
}

#[test]
fn the_own_part_of_a_past_period_is_the_limit_at_its_end_and_the_quantity_of_then() {
    let mut world = world_with(None, 12);
    world.set_quantity("ada", "basic", 3);
    next_day(&mut world);
    assert_eq!(numbers(&world), [0, 30, 30, 0, 60]);
    // At once, for the day that runs. The day before keeps what it had.
    world.set_quantity("ada", "basic", 2);
    assert_eq!(numbers(&world), [0, 20, 30, 0, 50]);
    next_day(&mut world);
    assert_eq!(carried(&world), 50);
    let lower = daily(1).carrying(None, 12);
    world.change_terms("basic", &[("api-calls", lower), ("sso", switched_on())]);
    world.wait_ms(1);
    assert_eq!(numbers(&world), [0, 2, 50, 0, 52]);
    next_day(&mut world);
    assert_eq!(carried(&world), 52);
    // A cap is not multiplied.
    let capped = daily(1).carrying(Some(7), 12);
    world.change_terms("basic", &[("api-calls", capped), ("sso", switched_on())]);
    world.wait_ms(1);
    assert_eq!(carried(&world), 7);
    // Without rollover nothing is carried, and with it again everything that is left.
    world.change_terms("basic", &[("api-calls", daily(1)), ("sso", switched_on())]);
    world.wait_ms(1);
    assert_eq!(carried(&world), 0);
    world.change_terms("basic", &[("api-calls", lower), ("sso", switched_on())]);
    world.wait_ms(1);
    assert_eq!(carried(&world), 52);
}

#[test]
fn other_reset_periods_carry_nothing_into_each_other() {
    let mut world = world_with(None, 12);
    world.wait_ms(3 * DAY_MS);
    assert_eq!(carried(&world), 30);
    let weekly = limit(50).every(ResetPeriod::Week).carrying(None, 3);
    world.change_terms("basic", &[("api-calls", weekly), ("sso", switched_on())]);
    world.wait_ms(1);
    assert_eq!(numbers(&world), [0, 50, 0, 0, 50]);
    world.wait_ms(4 * DAY_MS);
    assert_eq!(carried(&world), 50);
}

#[test]
fn a_first_week_that_took_days_over_is_left_without_what_they_used() {
    let mut world = world_with(None, 12);
    add(&mut world, 4);
    next_day(&mut world);
    add(&mut world, 5);
    let weekly = limit(50).every(ResetPeriod::Week).carrying(None, 3);
    world.change_terms("basic", &[("api-calls", weekly), ("sso", switched_on())]);
    world.wait_ms(1);
    assert_eq!(numbers(&world), [9, 50, 0, 0, 41]);
    world.wait_ms(7 * DAY_MS);
    assert_eq!(carried(&world), 41);
}

#[test]
fn while_the_package_did_not_have_the_feature_nothing_was_left() {
    let mut world = world_with(None, 12);
    world.change_terms("basic", &[("sso", switched_on())]);
    world.wait_ms(3 * DAY_MS);
    let again = daily(10).carrying(None, 12);
    world.change_terms("basic", &[("api-calls", again), ("sso", switched_on())]);
    world.wait_ms(DAY_MS);
    // The first day, on which it was taken out, and the one on which it came back.
    assert_eq!(carried(&world), 20);
}

#[test]
fn another_subscription_carries_nothing() {
    let mut world = world_with(None, 12);
    next_day(&mut world);
    assert_eq!(carried(&world), 10);
    world.wait_ms(1);
    world.cancel_package("ada", "basic");
    world = world.subscribed("ada", "basic");
    assert_eq!(carried(&world), 0);
    // The earlier one keeps what it had.
    assert_eq!(past(&world), ["0/20 10", "0/10 0"]);
}

#[test]
fn what_grants_covered_was_not_used_of_the_allowance() {
    let mut world = world_with(None, 1);
    world.give(giving("ada", "api-calls", 4).id("first").priority(-1)).unwrap();
    world.give(giving("ada", "api-calls", 100).id("last")).unwrap();
    add(&mut world, 9);
    assert_eq!((world.drawn("ada", "first"), world.drawn("ada", "last")), (4, 0));
    next_day(&mut world);
    // 5 were of the allowance.
    assert_eq!(numbers(&world), [0, 10, 5, 100, 115]);
    add(&mut world, 17);
    assert_eq!((world.drawn("ada", "last"), numbers(&world)), (2, [17, 10, 5, 100, 98]));
    // What was reverted yesterday is carried, and the next write returns what it covers.
    late(&mut world, -9, "2024-01-01T12:00:00Z");
    assert_eq!(numbers(&world), [17, 10, 10, 104, 107]);
    assert_eq!((world.drawn("ada", "first"), world.drawn("ada", "last")), (0, 2));
    add(&mut world, 0);
    assert_eq!(world.drawn("ada", "last"), 0);
}

#[test]
fn a_correction_of_a_past_period_settles_with_what_that_period_carried() {
    let mut world = world_with(None, 2);
    world.give(giving("ada", "api-calls", 100).id("g")).unwrap();
    next_day(&mut world);
    world.record(recording("ada", "api-calls").add(25).key("much")).unwrap();
    world.record(recording("ada", "api-calls").add(3).key("more")).unwrap();
    assert_eq!(world.drawn("ada", "g"), 8);
    next_day(&mut world);
    world.void("more").unwrap();
    assert_eq!(world.drawn("ada", "g"), 5);
    world.void("much").unwrap();
    assert_eq!((world.drawn("ada", "g"), carried(&world)), (0, 20));
}

#[test]
fn an_override_replaces_what_is_carried_while_it_lives() {
    let mut world = world_with(None, 12);
    next_day(&mut world);
    world.set_override(setting("ada", "api-calls").limit(3).until("2024-01-03T12:00:00Z")).unwrap();
    assert_eq!(numbers(&world), [0, 3, 0, 0, 3]);
    add(&mut world, 12);
    world.set_override(setting("ada", "api-calls").unlimited()).unwrap();
    let unlimited = consumption(&world);
    assert_eq!((unlimited.budget, unlimited.carried(), unlimited.allowance()), (None, 0, None));
    assert!(world.explain("ada", "api-calls", 1).unwrap().parts.len() == 1);
    assert!(world.remove_override("ada", "api-calls").unwrap());
    assert_eq!(numbers(&world), [12, 10, 10, 0, 8], "as ever afterwards");
    next_day(&mut world);
    assert_eq!(carried(&world), 8);
    // One that counts by itself carries nothing, and leaves what the subscription carries.
    let own = setting("ada", "api-calls").limit(3).every(ResetPeriod::Day);
    world.set_override(own).unwrap();
    next_day(&mut world);
    assert_eq!(numbers(&world), [0, 3, 0, 0, 3]);
    world.remove_override("ada", "api-calls").unwrap();
    assert_eq!(carried(&world), 18);
    assert_eq!(past(&world), ["0/18 8", "12/20 10", "0/10 0"]);
}

#[test]
fn added_limits_are_not_carried_and_are_used_after_what_is() {
    let mut world = world_with(None, 3).subscribed("ada", "pack");
    add(&mut world, 4);
    next_day(&mut world);
    assert_eq!(numbers(&world), [0, 15, 6, 0, 21]);
    // 10 of the day's own, the 6 that were carried, and 3 of what is added.
    add(&mut world, 19);
    next_day(&mut world);
    assert_eq!(carried(&world), 0);
    add(&mut world, 13);
    next_day(&mut world);
    assert_eq!(carried(&world), 0, "what was over is no debt");
}

#[test]
fn one_unlimited_among_added_limits_carries_nothing() {
    let world = World::new()
        .consumable("api-calls")
        .package("basic", [("api-calls", daily(10).carrying(None, 1))])
        .addon("all", [], [("api-calls", unlimited().daily().added())])
        .user("ada")
        .subscribed("ada", "basic");
    let mut world = world.subscribed("ada", "all");
    next_day(&mut world);
    let now = consumption(&world);
    assert_eq!((now.budget, now.carried(), now.remaining()), (None, 0, None));
}

#[test]
fn a_feature_that_draws_has_what_its_balance_carries() {
    let mut world = World::new()
        .consumable("credits")
        .drawing("images", "credits", 3)
        .package("basic", [("credits", daily(10).carrying(None, 1)), ("images", switched_on())])
        .user("ada")
        .subscribed("ada", "basic");
    world.record(recording("ada", "images").add(2)).unwrap();
    next_day(&mut world);
    let allowed = |delta| world.can_use("ada", "images", delta).unwrap();
    assert_eq!(allowed(4).consumption.unwrap().carried(), 4);
    assert_eq!([4, 5].map(|delta| allowed(delta).access), [true, false]);
}

#[test]
fn thresholds_and_the_list_of_users_near_a_limit_count_what_is_carried() {
    let mut world = World::new()
        .watched("api-calls", &[Threshold::Percent(50), Threshold::Left(2)])
        .package("basic", [("api-calls", daily(10).carrying(None, 1))])
        .user("ada")
        .subscribed("ada", "basic");
    next_day(&mut world);
    add(&mut world, 9);
    assert_eq!((world.threshold_events().len(), world.near("ada", "api-calls")), (0, None));
    add(&mut world, 1);
    let event = world.threshold_events().last().unwrap().clone();
    assert_eq!((event.threshold, event.consumption), (Threshold::Percent(50), consumption(&world)));
    assert_eq!((event.consumption.budget, event.consumption.carried()), (Some(20), 10));
    assert!(world.take_crossings().is_empty());
    add(&mut world, 6);
    assert_eq!(world.near("ada", "api-calls"), Some(Share::Near));
    assert_eq!(world.take_crossings().len(), 1);
    add(&mut world, 2);
    assert_eq!(world.threshold_events().last().unwrap().threshold, Threshold::Left(2));
}

#[test]
fn calendar_periods_begin_with_a_part_that_has_the_whole_allowance() {
    let mut world = World::new()
        .consumable("api-calls")
        .package(
            "basic",
            [("api-calls", limit(10).every(ResetPeriod::Week).by_calendar().carrying(None, 2))],
        )
        .user("ada")
        .clock("2024-01-04T00:00:00Z")
        .subscribed("ada", "basic");
    assert_eq!(carried(&world), 0);
    world.set_clock("2024-01-08T00:00:00Z");
    assert_eq!(carried(&world), 10);
    assert_eq!(past(&world), ["0/10 0"]);
}

#[test]
fn what_is_carried_needs_a_limit_and_a_reset_period() {
    let mut world = World::new().consumable("api-calls").binary("sso");
    let mut create = |gives: Gives, feature| {
        let package = CatalogCommand::CreatePackage(new_package("p", [(feature, gives)]));
        match world.plan(package).unwrap_err() {
            Refusal::Invalid(invalid) => invalid.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        create(unlimited().daily().carrying(None, 1), "api-calls"),
        "rollover needs a limit"
    );
    assert_eq!(create(limit(1).carrying(None, 1), "api-calls"), "rollover needs a reset period");
    let message = create(daily(1).carrying(None, 1), "sso");
    assert_eq!(message, "entitlement must be left out for sso, which is BINARY");
    let allowance: Allowance = daily(0).carrying(None, 1).allowance();
    assert!(allowance.rollover.is_some());
}

#[test]
fn a_batch_over_consecutive_periods_sees_its_own_usage() {
    let mut world = world_with(None, 3);
    world.wait_ms(3 * DAY_MS);
    let on = |delta, day: &str| recording("ada", "api-calls").add(delta).at(day).command();
    let commands = [
        on(7, "2024-01-01T12:00:00Z"),
        on(12, "2024-01-02T12:00:00Z"),
        on(10, "2024-01-03T12:00:00Z"),
        using("ada", "api-calls").delta(13).command(),
        using("ada", "api-calls").delta(11).command(),
    ];
    let answers = world.run_batch("ada", &commands);
    assert!(answers.iter().all(Result::is_ok));
    // 3 of the first day are left, of which the second used 2.
    assert_eq!(numbers(&world), [11, 10, 1, 0, 0]);
    assert_eq!(past(&world), ["10/11 1", "12/13 3", "7/10 0"]);
}

/// What happens on a day.
#[derive(Debug, Clone)]
enum Step {
    Add(i64),
    Use(i64),
    Late(i64, i64),
    Give(i64, i64),
    Quantity(i64),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (-6..15_i64).prop_map(Step::Add),
        3 => (0..25_i64).prop_map(Step::Use),
        3 => (-6..15_i64, 1..6_i64).prop_map(|(delta, days)| Step::Late(delta, days)),
        1 => (1..9_i64, -1..2_i64).prop_map(|(amount, priority)| Step::Give(amount, priority)),
        1 => (1..4_i64).prop_map(Step::Quantity),
        3 => (0..4_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..40)
}

fn take(world: &mut World, step: &Step) {
    match *step {
        Step::Add(delta) => add(world, delta),
        Step::Use(delta) => {
            world.use_feature(using("ada", "api-calls").delta(delta)).unwrap();
        }
        Step::Late(delta, days) => {
            let at = world.now().saturating_add_ms(-days * DAY_MS);
            world.record(recording("ada", "api-calls").add(delta).at_time(at)).unwrap();
        }
        Step::Give(amount, priority) => {
            // The twenty-first is refused.
            let _ = world.give(giving("ada", "api-calls", amount).priority(priority));
        }
        Step::Quantity(quantity) => world.set_quantity("ada", "basic", quantity),
        Step::Wait(days) => world.wait_ms(days * DAY_MS),
    }
}

/// What should be carried into each period, the oldest first, from what `showUsage` says of all: its
/// allowance, usage, and what it drew.
fn expected(periods: &[Consumption], max: Option<i64>, for_periods: usize) -> Vec<i64> {
    let max = max.unwrap_or(i64::MAX);
    let mut all = Vec::new();
    for k in 0..periods.len() {
        let mut reserve = 0;
        for earlier in &periods[k.saturating_sub(for_periods)..k] {
            let own = earlier.allowance().unwrap();
            let charged = (earlier.used - earlier.granted()).max(0);
            reserve = max.min((reserve - (charged - own).max(0)).max(0) + (own - charged).max(0));
        }
        all.push(reserve);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn each_period_carries_what_those_before_it_left(
        steps in steps(),
        max in prop::option::of(1..30_i64),
        periods in 1..=12_i64,
    ) {
        let mut world = world_with(max, periods);
        for step in &steps {
            take(&mut world, step);
            numbers(&world);
            let shown = world.usage("ada", "api-calls");
            let all = shown.past.iter().rev().chain(&shown.current).map(|shown| shown.consumption);
            let all: Vec<Consumption> = all.collect();
            let carried: Vec<i64> = all.iter().map(Consumption::carried).collect();
            // What the current period shows as granted also has what is left; its own does not matter.
            prop_assert_eq!(&carried, &expected(&all, max, periods as usize));
            prop_assert!(max.is_none_or(|max| carried.iter().all(|carried| *carried <= max)));
            let by_counters: i64 = world.draws("ada").iter().map(|(_, drawn)| drawn).sum();
            let by_grants: i64 = world.grants("ada").iter().map(|grant| grant.drawn).sum();
            prop_assert_eq!(by_counters, by_grants);
        }
    }

    #[test]
    fn taking_back_all_usage_of_a_period_returns_what_it_leaves(
        deltas in prop::collection::vec((1..15_i64, 0..4_i64), 1..12),
        periods in 1..=4_i64,
    ) {
        let mut world = world_with(None, periods);
        world.wait_ms(4 * DAY_MS);
        let before = past(&world);
        let carried_before = carried(&world);
        for (n, (delta, day)) in deltas.iter().enumerate() {
            let at = world.now().saturating_add_ms((day - 4) * DAY_MS);
            let event = recording("ada", "api-calls").add(*delta).at_time(at);
            world.record(event.key(&format!("k{n}"))).unwrap();
        }
        for n in 0..deltas.len() {
            world.void(&format!("k{n}")).unwrap();
        }
        prop_assert_eq!((past(&world), carried(&world)), (before, carried_before));
    }

    #[test]
    fn a_batch_is_what_its_events_are_one_by_one(
        events in prop::collection::vec((-5..15_i64, 0..5_i64, any::<bool>()), 1..15),
        grant in prop::option::of(1..20_i64),
        periods in 1..=4_i64,
    ) {
        let start = || {
            let mut world = world_with(Some(15), periods);
            if let Some(amount) = grant {
                world.give(giving("ada", "api-calls", amount)).unwrap();
            }
            world.wait_ms(4 * DAY_MS);
            world
        };
        let (mut together, mut alone) = (start(), start());
        let command = |(delta, days, uses): (i64, i64, bool)| if uses {
            using("ada", "api-calls").delta(delta.abs()).command()
        } else {
            let at = alone.now().saturating_add_ms(-days * DAY_MS);
            recording("ada", "api-calls").add(delta).at_time(at).command()
        };
        let commands: Vec<_> = events.into_iter().map(command).collect();
        let answers = together.run_batch("ada", &commands);
        for (command, answer) in commands.iter().zip(answers) {
            prop_assert_eq!(alone.run(command), answer);
        }
        prop_assert_eq!(past(&together), past(&alone));
        prop_assert_eq!(together.draws("ada"), alone.draws("ada"));
    }
}
