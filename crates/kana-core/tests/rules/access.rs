//! The access table, row by row.

use std::collections::HashSet;

use kana_core::entitlement::{Consumption, Entitlement, Extras, Reason};
use proptest::prelude::*;

use crate::world::{Gives, World, limit, recording, switched_on, unlimited};

fn world(gives: Gives) -> World {
    World::new()
        .consumable("api-calls")
        .binary("export")
        .consumable("seats")
        .package("pro", [("api-calls", gives), ("export", switched_on())])
        .user("124")
        .subscribed("124", "pro")
}

impl World {
    /// The user has an add-on that gives five seats, and a smaller amount of `api-calls`.
    fn addon_with_seats(self) -> Self {
        self.addon("boost", [], [("seats", limit(5)), ("api-calls", limit(1))])
            .subscribed("124", "boost")
    }
}

fn after_use(gives: Gives, used: i64) -> World {
    let mut world = world(gives);
    world.record(recording("124", "api-calls").add(used)).unwrap();
    world
}

fn answer(access: bool, reason: Reason, consumption: Option<Consumption>) -> Entitlement {
    Entitlement { access, reason, consumption }
}

fn of(used: i64, budget: Option<i64>, overage_enabled: bool) -> Option<Consumption> {
    Some(Consumption { used, budget, overage_enabled, extras: Extras::NONE })
}

#[test]
fn nothing_grants_the_feature() {
    let world = world(limit(3)).user("125");
    let no = answer(false, Reason::NotGranted, None);
    assert_eq!(world.can_use("124", "seats", 1).unwrap(), no);
    assert_eq!(world.can_use("125", "api-calls", 1).unwrap(), no);
    assert_eq!(world.can_use("125", "export", 1).unwrap(), no);
}

#[test]
fn a_binary_feature_that_is_granted_has_access_and_no_consumption() {
    let yes = answer(true, Reason::Granted, None);
    assert_eq!(world(limit(3)).can_use("124", "export", 1).unwrap(), yes);
}

#[test]
fn the_delta_is_ignored_for_a_binary_feature() {
    let world = world(limit(3));
    for delta in [0, 2, i64::MAX] {
        assert!(world.can_use("124", "export", delta).unwrap().access, "{delta}");
    }
}

#[test]
fn an_unlimited_feature_has_access_and_a_budget_of_null() {
    let world = after_use(unlimited(), 7);
    let yes = answer(true, Reason::Unlimited, of(7, None, false));
    assert_eq!(world.can_use("124", "api-calls", 1).unwrap(), yes);
    assert_eq!(world.can_use("124", "api-calls", i64::MAX).unwrap(), yes);
}

#[test]
fn up_to_the_limit_there_is_access() {
    let world = after_use(limit(3), 1);
    let yes = answer(true, Reason::WithinLimit, of(1, Some(3), false));
    for delta in [0, 1, 2] {
        assert_eq!(world.can_use("124", "api-calls", delta).unwrap(), yes, "{delta}");
    }
}

#[test]
fn over_the_limit_with_overage_there_is_access() {
    let world = after_use(limit(3).with_overage(), 1);
    let within = answer(true, Reason::WithinLimit, of(1, Some(3), true));
    assert_eq!(world.can_use("124", "api-calls", 2).unwrap(), within);
    let over = answer(true, Reason::Overage, of(1, Some(3), true));
    for delta in [3, i64::MAX] {
        assert_eq!(world.can_use("124", "api-calls", delta).unwrap(), over, "{delta}");
    }
}

#[test]
fn over_the_limit_without_overage_there_is_none() {
    let world = after_use(limit(3), 1);
    let no = answer(false, Reason::LimitReached, of(1, Some(3), false));
    // A sum past what a counter can hold is over the limit too, and no overflow.
    for delta in [3, i64::MAX] {
        assert_eq!(world.can_use("124", "api-calls", delta).unwrap(), no, "{delta}");
    }
}

#[test]
fn a_delta_of_0_asks_whether_what_is_used_is_within_the_limit() {
    assert!(after_use(limit(3), 3).can_use("124", "api-calls", 0).unwrap().access);
    assert!(!after_use(limit(3), 4).can_use("124", "api-calls", 0).unwrap().access);
    assert!(world(limit(0)).can_use("124", "api-calls", 0).unwrap().access);
}

#[test]
fn a_limit_of_0_grants_nothing_to_use_but_has_a_consumption() {
    let no = answer(false, Reason::LimitReached, of(0, Some(0), false));
    assert_eq!(world(limit(0)).can_use("124", "api-calls", 1).unwrap(), no);
}

#[test]
fn a_negative_delta_is_an_error() {
    let refusal = world(limit(3)).can_use("124", "api-calls", -1).unwrap_err();
    assert_eq!(refusal.to_string(), "delta must not be negative here");
}

#[test]
fn an_unknown_feature_is_an_error_and_a_bad_delta_comes_before_it() {
    let world = world(limit(3));
    let unknown = world.can_use("124", "nope", 1).unwrap_err();
    assert_eq!(unknown.to_string(), "Feature not found: nope");
    let bad = world.can_use("124", "nope", -1).unwrap_err();
    assert_eq!(bad.to_string(), "delta must not be negative here");
}

#[test]
fn each_row_has_a_reason_of_its_own_in_one_plain_sentence() {
    let rows = [
        world(limit(3)).can_use("124", "seats", 1),
        world(limit(3)).can_use("124", "export", 1),
        world(unlimited()).can_use("124", "api-calls", 1),
        world(limit(3)).can_use("124", "api-calls", 1),
        world(limit(0).with_overage()).can_use("124", "api-calls", 1),
        world(limit(0)).can_use("124", "api-calls", 1),
    ];
    let sentences: HashSet<_> = rows.map(|row| row.unwrap().reason.sentence()).into();
    assert_eq!(sentences.len(), 6);
    for sentence in sentences {
        assert!(sentence.ends_with('.') && sentence.matches(". ").count() == 0, "{sentence}");
    }
}

#[test]
fn asking_changes_nothing() {
    let world = after_use(limit(3), 1);
    let before = world.stored();
    world.can_use("124", "api-calls", 2).unwrap();
    assert_eq!(world.stored(), before);
}

#[test]
fn many_features_are_asked_for_in_one_go() {
    let world = after_use(limit(3), 1).addon_with_seats();
    let (answers, goes) = world.can_use_each("124", &["seats", "api-calls", "export", "seats"]);
    assert_eq!(answers.unwrap().len(), 4);
    assert_eq!(goes, 1);
    let (answers, goes) = world.can_use_each("124", &[]);
    assert_eq!((answers.unwrap(), goes), (vec![], 0));
}

#[test]
fn an_unknown_feature_among_many_is_an_error() {
    let (answers, _) = world(limit(3)).can_use_each("124", &["api-calls", "nope"]);
    assert_eq!(answers.unwrap_err().to_string(), "Feature not found: nope");
}

proptest! {
    #[test]
    fn many_features_are_answered_as_each_by_itself(
        used in 0_i64..6,
        seats in 0_i64..6,
        allowance in prop_oneof![
            Just(unlimited()), (0_i64..5).prop_map(limit),
            (0_i64..5).prop_map(|most| limit(most).with_overage().daily()),
        ],
        with_addon in any::<bool>(),
        user in prop_oneof![4 => Just("124"), 1 => Just("125")],
        asked in proptest::collection::vec(
            prop_oneof![Just("api-calls"), Just("export"), Just("seats")], 0..8,
        ),
    ) {
        let mut world = after_use(allowance, used).user("125");
        if with_addon {
            world = world.addon_with_seats();
            world.record(recording("124", "seats").add(seats)).unwrap();
        }
        let one_by_one: Vec<_> =
            asked.iter().map(|feature| world.can_use(user, feature, 1).unwrap()).collect();
        let (together, goes) = world.can_use_each(user, &asked);
        prop_assert_eq!(together.unwrap(), one_by_one);
        prop_assert!(goes <= 1);
    }
}
