//! The usage events of a user.

use axum::http::StatusCode;
use kana_core::Timestamp;
use kana_core::id::{IdempotencyKey, UserId};
use kana_core::usage::{RecordUsage, UsageAction};
use kana_service::{Environment, Role};

use crate::users::{create, subscribe};
use crate::world::{World, feature_id, sell};

async fn record(environment: &Environment, feature: &str, delta: i64, action: UsageAction) {
    let usage = usage(feature, delta, action);
    environment.record_usage(usage).await.unwrap();
}

fn usage(feature: &str, delta: i64, action: UsageAction) -> RecordUsage {
    RecordUsage {
        user: UserId::new("id", "u-1").unwrap(),
        feature: feature_id(feature),
        action,
        delta,
        occurred_at: None,
        idempotency_key: None,
        metadata: None,
    }
}

#[tokio::test]
async fn events_say_what_was_recorded_and_under_which_package_it_was_counted() {
    let world = World::new().await;
    let environment = sell(&world).await;
    let mut editor = world.person(Role::Editor).await;
    create(&mut editor, "u-1", "Ada").await;
    subscribe(&mut editor, "pro").await;
    let mut person = world.person(Role::Viewer).await;
    person.visit("/dashboard/test/user?id=u-1").await;
    person.follow("Events").await;
    assert_eq!(person.heading(), "Events of u-1");
    assert!(person.main().contains("No usage of this user is kept."));

    record(&environment, "storage", 3, UsageAction::Add).await;
    let at = |text| Timestamp::parse("at", text).unwrap();
    world.clock.set(at("2026-11-29T09:04:11.000Z"));
    let keyed = RecordUsage {
        occurred_at: Some(at("2026-11-29T09:03:30.000Z")),
        idempotency_key: Some(IdempotencyKey::new("key", "<b>k-1</b>").unwrap()),
        ..usage("api-calls", 1_000, UsageAction::Set)
    };
    environment.record_usage(keyed).await.unwrap();
    record(&environment, "api-calls", -250, UsageAction::Add).await;
    person.visit("/dashboard/test/user/events?id=u-1").await;
    let (first, later) = ("2026-11-29 09:03:11 UTC", "2026-11-29 09:04:11 UTC");
    assert_eq!(
        person.table("Events"),
        [
            [later, later, "API calls", "Add", "-250", "Pro 2026", "–"],
            [
                "2026-11-29 09:03:30 UTC",
                later,
                "API calls",
                "Set",
                "1,000",
                "Pro 2026",
                "<b>k-1</b>"
            ],
            [first, first, "Storage", "Add", "3", "No", "–"],
        ]
    );
    assert!(person.main().contains("Everything that is kept was looked at."));
    assert!(!person.has_link("Look further back"));
    person.follow("Ada").await;
    assert_eq!(person.heading(), "Ada");
    for address in ["live/user/events?id=u-1", "test/user/events?id=absent", "test/user/events"] {
        let status = person.visit(&format!("/dashboard/{address}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{address}");
    }
}

#[tokio::test]
async fn many_events_are_read_page_by_page_and_each_page_says_how_far_it_looked() {
    let world = World::new().await;
    let environment = sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "").await;
    for delta in 0..120 {
        record(&environment, "storage", delta, UsageAction::Add).await;
    }
    person.visit("/dashboard/test/user/events?id=u-1").await;
    assert!(!person.has_link("First"));
    let mut amounts = Vec::new();
    loop {
        amounts.extend(person.table("Events").into_iter().map(|row| row[4].clone()));
        if !person.has_link("Look further back") {
            break;
        }
        assert!(person.main().contains("Looked back to 2026-11-29 09:03:11 UTC"));
        person.follow("Look further back").await;
        assert!(person.has_link("First"));
    }
    let expected: Vec<String> = (0..120).rev().map(|delta: i64| delta.to_string()).collect();
    assert_eq!(amounts, expected);
}

#[tokio::test]
async fn what_was_taken_back_is_an_event_of_its_own() {
    let world = World::new().await;
    let environment = sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "Ada").await;
    subscribe(&mut person, "pro").await;
    let key = IdempotencyKey::new("key", "k-1").unwrap();
    let idempotency_key = Some(key.clone());
    let keyed = RecordUsage { idempotency_key, ..usage("api-calls", 1_000, UsageAction::Add) };
    environment.record_usage(keyed).await.unwrap();
    environment.void_usage(key).await.unwrap();
    person.visit("/dashboard/test/user/events?id=u-1").await;
    let at = "2026-11-29 09:03:11 UTC";
    assert_eq!(
        person.table("Events"),
        [
            [at, at, "API calls", "Taken back", "-1,000", "Pro 2026", "k-1"],
            [at, at, "API calls", "Add", "1,000", "Pro 2026", "k-1"],
        ]
    );
}
