//! Requests that are repeated under their key.

use kana_core::Refusal;
use kana_core::entitlement::{Consumption, Extras};
use kana_core::subscription::SubscriptionStatus;
use kana_core::usage::RecordedUsage;
use proptest::prelude::*;

use crate::world::{Recording, Using, World, limit, recording, switched_on, using};

fn world() -> World {
    World::new()
        .consumable("api-calls")
        .consumable("seats")
        .binary("export")
        .package(
            "pro",
            [("api-calls", limit(3).monthly()), ("seats", limit(3)), ("export", switched_on())],
        )
        .user("124")
        .user("125")
        .subscribed("124", "pro")
}

fn calls() -> Recording {
    recording("124", "api-calls").key("k1")
}

fn call() -> Using {
    using("124", "api-calls").key("k1")
}

#[test]
fn the_same_key_records_once() {
    let mut world = world();
    assert_eq!(world.record(calls().add(2)), Ok(RecordedUsage::Recorded));
    let after_first = world.stored();
    for _ in 0..3 {
        world.wait_ms(1);
        assert_eq!(world.record(calls().add(2)), Ok(RecordedUsage::Recorded));
        assert_eq!(world.stored(), after_first);
    }
    assert_eq!(world.used("124", "api-calls"), 2);
}

#[test]
fn other_keys_and_no_key_record_each_time() {
    let mut world = world();
    for key in ["k1", "k2", "K1"] {
        world.record(recording("124", "api-calls").key(key)).unwrap();
    }
    for _ in 0..2 {
        world.record(recording("124", "api-calls")).unwrap();
    }
    assert_eq!(world.used("124", "api-calls"), 5);
}

#[test]
fn a_repeat_answers_as_the_first_did_although_the_world_has_changed() {
    let mut world = world();
    assert_eq!(world.record(calls()), Ok(RecordedUsage::Recorded));
    world.set_clock("2024-06-01T00:00:00Z");
    world.cancel_package("124", "pro");
    world.archive("pro");
    let before = world.stored();
    assert_eq!(world.record(calls()), Ok(RecordedUsage::Recorded));
    assert_eq!(world.stored(), before);
}

#[test]
fn recorded_false_repeats_although_a_subscription_grants_by_now() {
    let mut world = world();
    let not_counted = recording("125", "api-calls").key("k1");
    assert_eq!(world.record(not_counted.clone()), Ok(RecordedUsage::NotCounted));
    world = world.subscribed("125", "pro");
    let before = world.stored();
    assert_eq!(world.record(not_counted), Ok(RecordedUsage::NotCounted));
    assert_eq!(world.stored(), before);
    assert_eq!(world.used("125", "api-calls"), 0);
}

#[test]
fn a_grant_by_use_feature_repeats_whole_with_the_consumption_of_then() {
    let mut world = world();
    let first = world.use_feature(call().delta(2)).unwrap();
    let then =
        Consumption { used: 2, budget: Some(3), overage_enabled: false, extras: Extras::NONE };
    assert_eq!((first.granted, first.consumption), (true, Some(then)));
    world.record(recording("124", "api-calls").add(7)).unwrap();
    let before = world.stored();
    assert_eq!(world.use_feature(call().delta(2)), Ok(first));
    assert_eq!(world.stored(), before);
}

#[test]
fn a_refusal_by_use_feature_repeats_whole_although_there_is_room_by_now() {
    let mut world = world();
    world.record(recording("124", "api-calls").set(3)).unwrap();
    let first = world.use_feature(call()).unwrap();
    let then =
        Consumption { used: 3, budget: Some(3), overage_enabled: false, extras: Extras::NONE };
    assert_eq!((first.granted, first.consumption), (false, Some(then)));
    world.record(recording("124", "api-calls").set(0)).unwrap();
    let before = world.stored();
    assert_eq!(world.use_feature(call()), Ok(first));
    assert_eq!(world.stored(), before);
}

#[test]
fn use_feature_where_nothing_grants_repeats_although_something_does_by_now() {
    let mut world = world();
    let ask = using("125", "export").key("k1");
    let first = world.use_feature(ask.clone()).unwrap();
    assert!(!first.granted);
    world = world.subscribed("125", "pro");
    assert_eq!(world.use_feature(ask), Ok(first));
}

#[test]
fn a_recording_with_any_other_content_is_a_conflict() {
    let mut world = world();
    let first = calls().add(2).at("2024-01-01T00:00:00Z");
    world.record(first.clone()).unwrap();
    world.set_status("124", "pro", SubscriptionStatus::Trialing);
    let mut other_user = first.clone();
    other_user.0.user = recording("125", "api-calls").0.user;
    let mut other_feature = first.clone();
    other_feature.0.feature = recording("124", "seats").0.feature;
    let before = world.stored();
    for (element, other) in [
        ("the user", other_user),
        ("the feature", other_feature),
        ("the delta", first.clone().add(3)),
        ("the action", first.clone().set(2)),
        ("occurredAt", first.clone().at("2024-01-01T00:00:00.001Z")),
        ("occurredAt left out", calls().add(2)),
    ] {
        assert_eq!(world.record(other), Err(Refusal::IdempotencyConflict), "{element}");
    }
    assert_eq!(world.stored(), before);
    assert_eq!(world.record(first), Ok(RecordedUsage::Recorded), "the key still answers");
}

#[test]
fn use_feature_with_any_other_content_is_a_conflict() {
    let mut world = world();
    world.use_feature(call()).unwrap();
    let before = world.stored();
    for (element, other) in [
        ("the user", using("125", "api-calls").key("k1")),
        ("the feature", using("124", "seats").key("k1")),
        ("the delta", call().delta(2)),
    ] {
        assert_eq!(world.use_feature(other), Err(Refusal::IdempotencyConflict), "{element}");
    }
    assert_eq!(world.stored(), before);
}

#[test]
fn record_usage_and_use_feature_under_one_key_are_a_conflict() {
    let mut recorded_first = world();
    recorded_first.record(calls()).unwrap();
    let before = recorded_first.stored();
    assert_eq!(recorded_first.use_feature(call()), Err(Refusal::IdempotencyConflict));
    assert_eq!(recorded_first.stored(), before);

    let mut used_first = world();
    used_first.use_feature(call()).unwrap();
    let before = used_first.stored();
    assert_eq!(used_first.record(calls()), Err(Refusal::IdempotencyConflict));
    assert_eq!(used_first.stored(), before);
}

#[test]
fn the_conflict_says_what_to_do() {
    assert_eq!(
        Refusal::IdempotencyConflict.to_string(),
        "idempotencyKey was already used for a request with other content; \
         a new request needs a new key"
    );
}

#[test]
fn a_default_that_is_left_out_twice_is_the_same_content_at_any_time() {
    // "Now" is another instant at the repeat; what was sent is the same.
    let mut world = world();
    world.record(calls()).unwrap();
    world.set_clock("2024-02-15T00:00:00Z");
    assert_eq!(world.record(calls()), Ok(RecordedUsage::Recorded));
    assert_eq!(world.used("124", "api-calls"), 0, "nor did it count in the new period");
}

#[test]
fn metadata_is_not_compared() {
    let mut world = world();
    world.record(calls().metadata(serde_json::json!({ "try": 1 }))).unwrap();
    let before = world.stored();
    let again = calls().metadata(serde_json::json!({ "try": 2 }));
    assert_eq!(world.record(again), Ok(RecordedUsage::Recorded));
    assert_eq!(world.record(calls()), Ok(RecordedUsage::Recorded));
    assert_eq!(world.stored(), before);
}

#[test]
fn the_user_is_the_same_after_a_new_id() {
    let mut world = world();
    world.record(calls()).unwrap();
    world.rename("124", "new");
    let before = world.stored();
    let again = recording("new", "api-calls").key("k1");
    assert_eq!(world.record(again), Ok(RecordedUsage::Recorded));
    assert_eq!(world.stored(), before);
    // Whoever has the old id now is someone else.
    world = world.user("124");
    assert_eq!(world.record(calls()), Err(Refusal::IdempotencyConflict));
}

#[test]
fn a_request_that_ended_in_an_error_has_not_used_its_key() {
    let mut world = world();
    for error in [
        calls().set(-1),
        calls().at("2030-01-01T00:00:00Z"),
        recording("nobody", "api-calls").key("k1"),
        recording("124", "nope").key("k1"),
    ] {
        assert!(world.record(error).is_err());
    }
    assert!(world.use_feature(call().delta(-1)).is_err());
    assert_eq!(world.record(calls()), Ok(RecordedUsage::Recorded));
    assert_eq!(world.used("124", "api-calls"), 1);
}

#[test]
fn a_request_that_failed_for_a_missing_feature_succeeds_once_it_is_there() {
    let mut world = world();
    let early = recording("124", "later").key("k1");
    assert!(world.record(early.clone()).is_err());
    world = world.consumable("later");
    assert_eq!(world.record(early), Ok(RecordedUsage::NotCounted));
}

#[test]
fn bad_values_unknown_users_and_unknown_features_come_before_the_conflict() {
    let mut world = world();
    world.record(calls()).unwrap();
    for (other, message) in [
        (calls().set(-1), "delta must not be negative with action SET"),
        (recording("nobody", "api-calls").key("k1"), "User not found: nobody"),
        (recording("124", "nope").key("k1"), "Feature not found: nope"),
    ] {
        assert_eq!(world.record(other).unwrap_err().to_string(), message);
    }
    let unknown = world.use_feature(using("124", "nope").key("k1")).unwrap_err();
    assert_eq!(unknown.to_string(), "Feature not found: nope");
}

#[test]
fn a_switch_that_was_used_repeats_too() {
    let mut world = world();
    let used = recording("124", "export").key("k1");
    world.record(used.clone()).unwrap();
    let before = world.stored();
    assert_eq!(world.record(used), Ok(RecordedUsage::Recorded));
    assert_eq!(world.stored(), before);
}

proptest! {
    #[test]
    fn whatever_is_sent_again_under_its_key_changes_nothing_and_answers_the_same(
        checked in any::<bool>(),
        user in prop_oneof![Just("124"), Just("125"), Just("nobody")],
        feature in prop_oneof![Just("api-calls"), Just("seats"), Just("export"), Just("nope")],
        delta in -2_i64..6,
        set in any::<bool>(),
        occurred_at in proptest::option::of(prop_oneof![
            Just("2023-12-01T00:00:00Z"), Just("2024-01-01T00:00:00Z"), Just("2024-01-20T00:00:00Z"),
        ]),
        between in -3_i64..6,
        later_ms in 0_i64..10_000_000_000,
    ) {
        let mut world = world();
        let mut recorded = recording(user, feature).key("k1");
        recorded = if set { recorded.set(delta) } else { recorded.add(delta) };
        if let Some(at) = occurred_at {
            recorded = recorded.at(at);
        }
        let command = if checked {
            using(user, feature).delta(delta).key("k1").command()
        } else {
            recorded.command()
        };
        world.set_clock("2024-01-20T00:00:00Z");
        let before = world.stored();
        let first = world.run(&command);
        if first.is_err() {
            prop_assert_eq!(world.stored(), before);
        }
        world.record(recording("124", "api-calls").add(between)).unwrap();
        world.wait_ms(later_ms);
        let before = world.stored();
        let again = world.run(&command);
        prop_assert_eq!(again, first);
        prop_assert_eq!(world.stored(), before);
    }
}
