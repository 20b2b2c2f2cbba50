//! Recording usage, with and without a check.

use kana_core::decide::Command;
use kana_core::entitlement::{Consumption, Extras, Reason};
use kana_core::subscription::SubscriptionStatus;
use kana_core::usage::{LoggedAction, RecordedUsage, UsageAction, UsedFeature};
use proptest::prelude::*;

use crate::world::{
    Gives, Recording, Using, World, limit, recording, switched_on, unlimited, using,
};

fn world(gives: Gives) -> World {
    World::new()
        .consumable("api-calls")
        .binary("export")
        .consumable("seats")
        .package("pro", [("api-calls", gives), ("export", switched_on())])
        .user("124")
        .subscribed("124", "pro")
}

fn calls() -> Recording {
    recording("124", "api-calls")
}

fn call() -> Using {
    using("124", "api-calls")
}

fn recorded(world: &mut World, recording: Recording) {
    assert_eq!(world.record(recording), Ok(RecordedUsage::Recorded));
}

/// What is listed as used in each past period, newest first.
fn past(world: &World) -> Vec<i64> {
    world.usage("124", "api-calls").past.iter().map(|past| past.consumption.used).collect()
}

#[test]
fn add_adds_to_what_was_used() {
    let mut world = world(limit(10));
    recorded(&mut world, calls());
    recorded(&mut world, calls().add(4));
    recorded(&mut world, calls().add(0));
    assert_eq!(world.used("124", "api-calls"), 5);
}

#[test]
fn a_negative_delta_reverts_usage() {
    let mut world = world(limit(10));
    recorded(&mut world, calls().add(5));
    recorded(&mut world, calls().add(-2));
    assert_eq!(world.used("124", "api-calls"), 3);
}

#[test]
fn used_never_falls_below_0_and_the_excess_is_dropped() {
    let mut world = world(limit(10));
    recorded(&mut world, calls().add(2));
    recorded(&mut world, calls().add(-5));
    assert_eq!(world.used("124", "api-calls"), 0);
    recorded(&mut world, calls().add(1));
    assert_eq!(world.used("124", "api-calls"), 1, "what was dropped is not owed");
    recorded(&mut world, calls().add(i64::MIN));
    assert_eq!(world.used("124", "api-calls"), 0);
}

#[test]
fn set_replaces_what_was_used_up_and_down() {
    let mut world = world(limit(10));
    for used in [7, 2, 0] {
        recorded(&mut world, calls().set(used));
        assert_eq!(world.used("124", "api-calls"), used);
    }
}

#[test]
fn set_replaces_only_the_current_period() {
    let mut world = world(limit(10).monthly());
    recorded(&mut world, calls().add(4));
    world.set_clock("2024-02-10T00:00:00Z");
    recorded(&mut world, calls().set(9));
    assert_eq!(world.used("124", "api-calls"), 9);
    assert_eq!(past(&world), [4]);
}

#[test]
fn set_with_a_negative_delta_is_an_error_that_keeps_nothing() {
    let mut world = world(limit(10));
    let before = world.stored();
    let refusal = world.record(calls().set(-1)).unwrap_err();
    assert_eq!(refusal.to_string(), "delta must not be negative with action SET");
    assert_eq!(world.stored(), before);
}

#[test]
fn usage_is_recorded_even_over_a_hard_limit_and_it_is_can_use_feature_that_says_no() {
    let mut world = world(limit(3));
    recorded(&mut world, calls().add(3));
    recorded(&mut world, calls().add(2));
    let answer = world.can_use("124", "api-calls", 1).unwrap();
    assert!(!answer.access);
    let expected =
        Consumption { used: 5, budget: Some(3), overage_enabled: false, extras: Extras::NONE };
    assert_eq!(answer.consumption, Some(expected));
    recorded(&mut world, calls().set(8));
    assert_eq!(world.used("124", "api-calls"), 8);
}

#[test]
fn an_event_is_logged_as_it_was_sent() {
    let mut world = world(limit(3));
    let metadata = serde_json::json!({ "path": "/v1" });
    let sent = calls().set(2).at("2024-01-01T00:00:00Z").key("k1").metadata(metadata);
    world.set_clock("2024-01-02T00:00:00Z");
    recorded(&mut world, sent.clone());
    let [event] = world.events() else { panic!("one event") };
    assert_eq!(event.feature, sent.0.feature);
    assert_eq!((event.action, event.delta), (LoggedAction::Set, 2));
    assert_eq!(event.occurred_at.to_string(), "2024-01-01T00:00:00.000Z");
    assert_eq!(event.recorded_at, world.now());
    assert_eq!(event.subscription, Some(world.subscription("124", "pro").id));
    assert_eq!(event.idempotency_key, sent.0.idempotency_key);
    assert_eq!(event.metadata, sent.0.metadata);
}

#[test]
fn without_occurred_at_usage_took_place_now() {
    let mut world = world(limit(3));
    world.wait_ms(1234);
    recorded(&mut world, calls());
    assert_eq!(world.events()[0].occurred_at, world.now());
}

#[test]
fn a_new_subscription_starts_at_0_and_old_usage_stays_in_its_history() {
    let mut world = world(limit(5));
    recorded(&mut world, calls().add(4));
    world.set_clock("2024-01-10T00:00:00Z");
    world.cancel_package("124", "pro");
    world = world.subscribed("124", "pro");
    assert_eq!(world.used("124", "api-calls"), 0);
    assert_eq!(past(&world), [4]);
}

#[test]
fn usage_counts_against_the_subscription_that_counts_at_its_time() {
    let mut world = world(limit(5));
    recorded(&mut world, calls().add(4));
    world.set_clock("2024-01-10T00:00:00Z");
    world = world.addon("more", [], [("api-calls", limit(9))]).subscribed("124", "more");
    recorded(&mut world, calls().add(3));
    assert_eq!(world.used("124", "api-calls"), 3, "counted against the add-on");
    recorded(&mut world, calls().add(2).at("2024-01-09T00:00:00Z"));
    assert_eq!(world.used("124", "api-calls"), 3, "at that time the add-on did not run");
    world.cancel_package("124", "more");
    assert_eq!(world.used("124", "api-calls"), 6);
}

#[test]
fn where_nothing_grants_the_event_is_kept_and_not_counted() {
    let mut world = world(limit(3));
    let counters = world.counters("124");
    let answer = world.record(recording("124", "seats").add(2)).unwrap();
    assert_eq!(answer, RecordedUsage::NotCounted);
    assert!(!answer.recorded());
    assert!(answer.reason().unwrap().ends_with('.'));
    assert_eq!(world.counters("124"), counters);
    let [event] = world.events() else { panic!("one event") };
    assert_eq!((event.feature.as_str(), event.delta), ("seats", 2));
    assert_eq!(event.subscription, None);
}

#[test]
fn usage_that_nothing_granted_does_not_count_later_either() {
    let mut world =
        World::new().consumable("api-calls").package("pro", [("api-calls", limit(3))]).user("124");
    assert_eq!(world.record(calls().add(2)), Ok(RecordedUsage::NotCounted));
    world.set_clock("2024-01-02T00:00:00Z");
    world = world.subscribed("124", "pro");
    assert_eq!(world.used("124", "api-calls"), 0);
}

#[test]
fn a_binary_feature_that_is_granted_keeps_the_event_and_has_no_counter() {
    let mut world = world(limit(3));
    let answer = world.record(recording("124", "export").add(2)).unwrap();
    assert_eq!(answer, RecordedUsage::Recorded);
    assert_eq!(answer.reason(), None);
    assert!(world.counters("124").is_empty());
    let [event] = world.events() else { panic!("one event") };
    assert_eq!(event.feature.as_str(), "export");
    assert_eq!(event.subscription, Some(world.subscription("124", "pro").id));
}

#[test]
fn a_bad_value_is_refused_before_an_unknown_user_and_that_before_an_unknown_feature() {
    let mut world = world(limit(3));
    let before = world.stored();
    for (command, message) in [
        (recording("nobody", "nope").set(-1), "delta must not be negative with action SET"),
        (
            recording("nobody", "nope").at("2030-01-01T00:00:00Z"),
            "occurredAt must not be more than five minutes in the future",
        ),
        (recording("124", "nope").set(-1), "delta must not be negative with action SET"),
        (recording("nobody", "nope"), "User not found: nobody"),
        (recording("nobody", "api-calls"), "User not found: nobody"),
        (recording("124", "nope"), "Feature not found: nope"),
    ] {
        // With a key too: an error has kept nothing under it.
        for command in [command.clone(), command.key("k1")] {
            assert_eq!(world.record(command).unwrap_err().to_string(), message);
        }
    }
    for (command, message) in [
        (using("nobody", "nope").delta(-1), "delta must not be negative here"),
        (using("124", "nope").delta(-1), "delta must not be negative here"),
        (using("nobody", "nope"), "User not found: nobody"),
        (using("124", "nope"), "Feature not found: nope"),
    ] {
        for command in [command.clone(), command.key("k1")] {
            assert_eq!(world.use_feature(command).unwrap_err().to_string(), message);
        }
    }
    assert_eq!(world.stored(), before);
}

#[test]
fn late_usage_counts_in_the_closed_period_that_contains_it() {
    let mut world = world(limit(10).monthly());
    recorded(&mut world, calls().add(1));
    world.set_clock("2024-03-10T00:00:00Z");
    recorded(&mut world, calls().add(2).at("2024-01-31T23:59:59.999Z"));
    recorded(&mut world, calls().add(4).at("2024-02-01T00:00:00Z"));
    assert_eq!(world.used("124", "api-calls"), 0);
    assert_eq!(past(&world), [4, 3]);
}

#[test]
fn late_set_replaces_in_the_closed_period_that_contains_it() {
    let mut world = world(limit(10).monthly());
    recorded(&mut world, calls().add(5));
    world.set_clock("2024-02-10T00:00:00Z");
    recorded(&mut world, calls().add(7));
    recorded(&mut world, calls().set(2).at("2024-01-20T00:00:00Z"));
    assert_eq!(world.used("124", "api-calls"), 7);
    assert_eq!(past(&world), [2]);
}

#[test]
fn within_a_period_events_apply_in_the_order_in_which_they_arrive() {
    let mut world = world(limit(10).monthly());
    world.set_clock("2024-01-20T00:00:00Z");
    recorded(&mut world, calls().add(5).at("2024-01-19T00:00:00Z"));
    // It took place before the addition, and arrives after it.
    recorded(&mut world, calls().set(1).at("2024-01-10T00:00:00Z"));
    assert_eq!(world.used("124", "api-calls"), 1);
    recorded(&mut world, calls().add(2).at("2024-01-05T00:00:00Z"));
    assert_eq!(world.used("124", "api-calls"), 3);
}

#[test]
fn late_usage_counts_under_a_subscription_that_has_ended_since() {
    let mut world = world(limit(10));
    world.set_clock("2024-01-10T00:00:00Z");
    world.cancel_package("124", "pro");
    recorded(&mut world, calls().add(2).at("2024-01-09T23:59:59.999Z"));
    assert_eq!(past(&world), [2]);
    let at_the_end = calls().at("2024-01-10T00:00:00Z");
    assert_eq!(world.record(at_the_end), Ok(RecordedUsage::NotCounted));
    assert_eq!(past(&world), [2]);
}

#[test]
fn before_the_first_granting_subscription_usage_is_not_recorded() {
    let mut world = world(limit(10));
    let answer = world.record(calls().add(2).at("2023-12-31T23:59:59.999Z"));
    assert_eq!(answer, Ok(RecordedUsage::NotCounted));
    assert_eq!(world.used("124", "api-calls"), 0);
    assert_eq!(world.events().len(), 1, "the event is kept");
}

#[test]
fn up_to_five_minutes_ahead_is_no_error_and_more_is() {
    let mut world = world(limit(10).monthly());
    recorded(&mut world, calls().at("2024-01-01T00:05:00.000Z"));
    assert_eq!(world.used("124", "api-calls"), 1);
    let before = world.stored();
    let refusal = world.record(calls().at("2024-01-01T00:05:00.001Z")).unwrap_err();
    assert_eq!(refusal.to_string(), "occurredAt must not be more than five minutes in the future");
    assert_eq!(world.stored(), before);
}

#[test]
fn a_little_ahead_may_lie_in_the_next_period() {
    let mut world = world(limit(10).monthly());
    world.set_clock("2024-01-31T23:58:00Z");
    recorded(&mut world, calls().add(4).at("2024-02-01T00:01:00Z"));
    assert_eq!(world.used("124", "api-calls"), 0);
    world.set_clock("2024-02-01T00:01:00Z");
    assert_eq!(world.used("124", "api-calls"), 4);
}

#[test]
fn use_feature_grants_exactly_the_budget() {
    let mut world = world(limit(3));
    let answers: Vec<UsedFeature> = (0..8).map(|_| world.use_feature(call()).unwrap()).collect();
    let granted: Vec<bool> = answers.iter().map(|answer| answer.granted).collect();
    assert_eq!(granted, [true, true, true, false, false, false, false, false]);
    assert_eq!(world.used("124", "api-calls"), 3);
    assert_eq!(world.events().len(), 3, "nothing is recorded unless granted");
}

#[test]
fn use_feature_answers_with_the_consumption_after_the_call() {
    let mut world = world(limit(3));
    let consumption = |used| {
        Some(Consumption { used, budget: Some(3), overage_enabled: false, extras: Extras::NONE })
    };
    let first = world.use_feature(call().delta(2)).unwrap();
    assert_eq!(
        first,
        UsedFeature { granted: true, reason: Reason::WithinLimit, consumption: consumption(2) }
    );
    let too_much = world.use_feature(call().delta(2)).unwrap();
    assert_eq!(
        too_much,
        UsedFeature { granted: false, reason: Reason::LimitReached, consumption: consumption(2) }
    );
    let rest = world.use_feature(call().delta(1)).unwrap();
    assert_eq!(rest.consumption, consumption(3));
}

#[test]
fn use_feature_goes_by_the_rows_of_the_access_table() {
    let mut soft = world(limit(1).with_overage());
    let over = soft.use_feature(call().delta(5)).unwrap();
    assert_eq!((over.granted, over.reason), (true, Reason::Overage));
    assert_eq!(soft.used("124", "api-calls"), 5);

    let mut endless = world(unlimited());
    let any = endless.use_feature(call().delta(5)).unwrap();
    assert_eq!((any.granted, any.reason), (true, Reason::Unlimited));
    assert_eq!(any.consumption.unwrap().used, 5);

    let switch = endless.use_feature(using("124", "export").delta(5)).unwrap();
    let granted = UsedFeature { granted: true, reason: Reason::Granted, consumption: None };
    assert_eq!(switch, granted);
    assert_eq!(endless.events().len(), 2, "a switch that was used is in the log");

    let before = endless.stored();
    let nothing = endless.use_feature(using("124", "seats")).unwrap();
    let refused = UsedFeature { granted: false, reason: Reason::NotGranted, consumption: None };
    assert_eq!(nothing, refused);
    assert_eq!(endless.stored(), before);
}

#[test]
fn use_feature_with_a_delta_of_0_is_granted_up_to_the_limit() {
    let mut world = world(limit(3));
    recorded(&mut world, calls().set(3));
    assert!(world.use_feature(call().delta(0)).unwrap().granted);
    recorded(&mut world, calls().set(4));
    assert!(!world.use_feature(call().delta(0)).unwrap().granted);
}

#[test]
fn use_feature_with_a_negative_delta_is_an_error() {
    let mut world = world(limit(3));
    let before = world.stored();
    let refusal = world.use_feature(call().delta(-1)).unwrap_err();
    assert_eq!(refusal.to_string(), "delta must not be negative here");
    assert_eq!(world.stored(), before);
}

#[test]
fn use_feature_has_the_whole_budget_again_in_a_new_period() {
    let mut world = world(limit(1).daily());
    assert!(world.use_feature(call()).unwrap().granted);
    assert!(!world.use_feature(call()).unwrap().granted);
    world.set_clock("2024-01-02T00:00:00Z");
    assert!(world.use_feature(call()).unwrap().granted);
}

#[test]
fn usage_that_a_revert_gave_back_can_be_used_again() {
    let mut world = world(limit(1));
    assert!(world.use_feature(call()).unwrap().granted);
    recorded(&mut world, calls().add(-1));
    assert!(world.use_feature(call()).unwrap().granted);
    assert!(!world.use_feature(call()).unwrap().granted);
}

#[test]
fn a_subscription_that_pauses_keeps_its_usage() {
    let mut world = world(limit(5));
    recorded(&mut world, calls().add(2));
    world.set_status("124", "pro", SubscriptionStatus::PastDue);
    assert_eq!(world.record(calls()), Ok(RecordedUsage::NotCounted));
    world.set_status("124", "pro", SubscriptionStatus::Active);
    assert_eq!(world.used("124", "api-calls"), 2);
}

/// An amount that is small most of the time, and now and then as large as it gets.
fn any_delta() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -9_i64..10, 1 => any::<i64>()]
}

fn any_event() -> impl Strategy<Value = Recording> {
    (any_delta(), any::<bool>()).prop_map(|(delta, set)| {
        if set { calls().set(delta.checked_abs().unwrap_or(0)) } else { calls().add(delta) }
    })
}

proptest! {
    #[test]
    fn used_is_what_the_events_leave_and_never_below_0(
        events in proptest::collection::vec(any_event(), 0..12),
    ) {
        let mut world = world(limit(3));
        let mut expected = 0_i64;
        for event in events {
            expected = match event.0.action {
                UsageAction::Add => expected.saturating_add(event.0.delta).max(0),
                UsageAction::Set => event.0.delta,
            };
            prop_assert_eq!(world.record(event), Ok(RecordedUsage::Recorded));
            let used = world.used("124", "api-calls");
            prop_assert!(used >= 0);
            prop_assert_eq!(used, expected);
        }
    }

    #[test]
    fn additions_leave_the_same_counters_in_any_order(
        (one, other) in proptest::collection::vec((0_i64..9, 0_i64..100), 0..10)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let counters = |additions: Vec<(i64, i64)>| {
            let mut world = world(limit(3).daily());
            let start = world.now();
            // An add-on takes over half way, so that the events fall on two subscriptions.
            world.set_clock("2024-01-03T00:00:00Z");
            world = world.addon("more", [], [("api-calls", limit(9).daily())]);
            world = world.subscribed("124", "more");
            world.set_clock("2024-02-01T00:00:00Z");
            for (delta, hours) in additions {
                let at = start.saturating_add_ms(hours * 60 * 60 * 1000);
                recorded(&mut world, calls().add(delta).at_time(at));
            }
            world.counters("124")
        };
        prop_assert_eq!(counters(one), counters(other));
    }

    #[test]
    fn use_feature_never_exceeds_the_budget_and_refuses_only_what_does_not_fit(
        budget in 0_i64..30,
        deltas in proptest::collection::vec(prop_oneof![4 => 0_i64..9, 1 => 0..i64::MAX], 0..12),
    ) {
        let mut world = world(limit(budget));
        let mut granted = 0;
        for delta in deltas {
            let answer = world.use_feature(call().delta(delta)).unwrap();
            prop_assert_eq!(answer.granted, delta <= budget - granted);
            if answer.granted {
                granted += delta;
            }
            prop_assert!(granted <= budget);
            prop_assert_eq!(answer.consumption.unwrap().used, granted);
            prop_assert_eq!(world.used("124", "api-calls"), granted);
        }
    }

    #[test]
    fn whatever_is_used_is_in_the_log(
        steps in proptest::collection::vec((any_event(), any::<bool>()), 0..10),
    ) {
        let mut world = world(limit(5));
        let mut logged = 0;
        for (event, checked) in steps {
            let command = if checked {
                call().delta(event.0.delta.max(0)).command()
            } else {
                Command::RecordUsage(event.0)
            };
            let before = world.counters("124");
            world.run(&command).unwrap();
            let grew = world.events().len() - logged;
            prop_assert!(grew <= 1);
            prop_assert!(grew == 1 || world.counters("124") == before);
            logged = world.events().len();
        }
    }
}
