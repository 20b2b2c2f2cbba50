//! Several features at once, and why an answer is what it is (contract: `beyond.md`, i and j).

use kana_core::Refusal;
use kana_core::entitlement::{REQUIREMENTS_MAX, Reason, Requirement};
use kana_core::explain::{BudgetPartKind, PartId, Source};
use proptest::prelude::*;

use crate::world::{World, feature_id, limit, recording, switched_on, time, unlimited};

fn world() -> World {
    World::new()
        .clock("2024-01-15T00:00:00Z")
        .consumable("api-calls")
        .consumable("seats")
        .consumable("storage")
        .binary("export")
        .package(
            "pro",
            [
                ("api-calls", limit(10).monthly().by_calendar()),
                ("seats", unlimited()),
                ("export", switched_on()),
            ],
        )
        .user("124")
        .subscribed("124", "pro")
}

fn requirement(feature: &str, delta: i64) -> Requirement {
    Requirement { feature: feature_id(feature), delta }
}

#[test]
fn each_requirement_is_answered_as_if_it_were_alone() {
    let mut world = world();
    world.record(recording("124", "api-calls").add(4)).unwrap();
    let asked = [("api-calls", 6), ("api-calls", 7), ("seats", 100), ("export", 5), ("storage", 0)];
    let requirements = asked.map(|(feature, delta)| requirement(feature, delta));
    let (access, results) = world.can_use_together("124", &requirements).unwrap();
    assert!(!access);
    for ((feature, delta), result) in asked.into_iter().zip(results) {
        assert_eq!(result, world.can_use("124", feature, delta).unwrap(), "{feature}");
    }
}

#[test]
fn amounts_of_one_feature_must_fit_together() {
    let world = world();
    let ask = |one, other| {
        let requirements = [
            requirement("api-calls", one),
            requirement("export", 1),
            requirement("api-calls", other),
        ];
        world.can_use_together("124", &requirements).unwrap()
    };
    let (access, results) = ask(6, 4);
    assert!(access && results.iter().all(|result| result.access));
    let (access, results) = ask(6, 5);
    assert!(!access, "11 of 10");
    assert!(results.iter().all(|result| result.access), "each alone fits");
}

#[test]
fn no_sum_of_amounts_overflows() {
    let world = world();
    let most = [requirement("api-calls", i64::MAX), requirement("api-calls", i64::MAX)];
    assert!(!world.can_use_together("124", &most).unwrap().0);
    let most = [requirement("seats", i64::MAX), requirement("seats", i64::MAX)];
    assert!(world.can_use_together("124", &most).unwrap().0);
}

#[test]
fn requirements_are_checked_before_anything_is_looked_up() {
    let world = world();
    for requirements in [Vec::new(), vec![requirement("api-calls", 1); REQUIREMENTS_MAX + 1]] {
        let refusal = world.can_use_together("124", &requirements).unwrap_err();
        assert_eq!(refusal.to_string(), "requirements must name 1 to 100 features");
    }
    let most = vec![requirement("api-calls", 0); REQUIREMENTS_MAX];
    assert!(world.can_use_together("124", &most).is_ok());
    let negative = [requirement("nope", 1), requirement("api-calls", -1)];
    let refusal = world.can_use_together("124", &negative).unwrap_err();
    assert!(matches!(refusal, Refusal::Invalid(invalid) if invalid.field == "delta"));
    let unknown = [requirement("api-calls", 1), requirement("nope", 1)];
    let refusal = world.can_use_together("124", &unknown).unwrap_err();
    assert_eq!(refusal, Refusal::FeatureNotFound(feature_id("nope")));
}

#[test]
fn an_explanation_names_the_subscription_that_counts_its_period_and_its_budget() {
    let mut world = world();
    world.record(recording("124", "api-calls").add(4)).unwrap();
    let explained = world.explain("124", "api-calls", 7).unwrap();
    let subscription = world.subscription("124", "pro").id;
    assert_eq!(explained.entitlement, world.can_use("124", "api-calls", 7).unwrap());
    assert_eq!(explained.entitlement.reason, Reason::LimitReached);
    assert_eq!((explained.balance.as_str(), explained.amount), ("api-calls", 7));
    assert_eq!(explained.source, Some(Source::Subscription(subscription)));
    let period = explained.period.unwrap();
    // Not before the subscription began, whatever the calendar says.
    assert_eq!(period.start, time("2024-01-15T00:00:00Z"));
    assert_eq!(period.end, Some(time("2024-02-01T00:00:00Z")));
    let [part] = explained.parts.as_slice() else { panic!("{:?}", explained.parts) };
    assert_eq!((part.kind, part.amount), (BudgetPartKind::Allowance, Some(10)));
    assert_eq!(part.id, PartId::Source(subscription.0));
}

#[test]
fn an_explanation_of_a_switch_names_the_oldest_subscription_and_has_no_amount() {
    let world = world().addon("extra", [], [("export", switched_on())]).subscribed_since(
        "124",
        "extra",
        "2024-01-14T00:00:00Z",
    );
    let explained = world.explain("124", "export", 3).unwrap();
    let oldest = world.subscription("124", "extra").id;
    assert_eq!(explained.source, Some(Source::Subscription(oldest)));
    assert_eq!((explained.period, explained.parts.len()), (None, 0));
    assert_eq!((explained.amount, explained.entitlement.reason), (3, Reason::Granted));
}

#[test]
fn where_nothing_grants_an_explanation_has_no_source() {
    let explained = world().explain("124", "storage", 1).unwrap();
    assert_eq!((explained.source, explained.period, explained.parts.len()), (None, None, 0));
    assert_eq!(explained.entitlement.reason, Reason::NotGranted);
}

#[test]
fn what_is_left_is_the_budget_without_what_was_used_and_never_below_0() {
    let mut world = world();
    let left = |world: &World, feature| {
        let answer = world.can_use("124", feature, 1).unwrap().consumption.unwrap();
        (answer.allowance(), answer.carried(), answer.granted(), answer.held(), answer.remaining())
    };
    for (add, remaining) in [(0, 10), (4, 6), (6, 0), (5, 0)] {
        world.record(recording("124", "api-calls").add(add)).unwrap();
        assert_eq!(left(&world, "api-calls"), (Some(10), 0, 0, 0, Some(remaining)));
    }
    assert_eq!(left(&world, "seats"), (None, 0, 0, 0, None));
}

proptest! {
    #[test]
    fn the_parts_of_a_budget_add_up_to_it(
        most in proptest::option::of(0_i64..50), used in 0_i64..100, delta in 0_i64..100,
    ) {
        let gives = most.map_or_else(unlimited, limit);
        let mut world = World::new()
            .consumable("api-calls")
            .package("pro", [("api-calls", gives)])
            .user("124")
            .subscribed("124", "pro");
        world.record(recording("124", "api-calls").add(used)).unwrap();
        let explained = world.explain("124", "api-calls", delta).unwrap();
        let sum = explained.parts.iter().map(|part| part.amount).sum::<Option<i64>>();
        let consumption = explained.entitlement.consumption.unwrap();
        prop_assert_eq!(sum, consumption.budget);
        let reaches = most.is_none_or(|most| used + delta <= most);
        prop_assert_eq!(explained.entitlement.access, reaches);
        prop_assert_eq!(consumption.remaining(), most.map(|most| (most - used).max(0)));
    }
}
