//! The overview, and the usage per day of a feature.

use axum::http::StatusCode;
use kana_core::Timestamp;
use kana_core::id::{PackageId, UserId};
use kana_core::usage::{RecordUsage, UsageAction};
use kana_core::user::User;
use kana_service::{Environment, Role};

use crate::world::{World, feature_id, sell};

fn user_id(id: &str) -> UserId {
    UserId::new("id", id).unwrap()
}

/// Creates a user who is subscribed since October.
async fn subscribed(environment: &Environment, user: &str, package: &str) {
    environment.create_user(User::named(user_id(user))).await.unwrap();
    let package = PackageId::new("id", package).unwrap();
    let since = Timestamp::parse("since", "2026-10-01T00:00:00Z").unwrap();
    environment.subscribe(user_id(user), vec![package], Some(since)).await.unwrap();
}

/// Records usage of the morning of a day.
async fn record(environment: &Environment, user: &str, feature: &str, day: &str, delta: i64) {
    let usage = RecordUsage {
        user: user_id(user),
        feature: feature_id(feature),
        action: UsageAction::Add,
        delta,
        occurred_at: Some(Timestamp::parse("day", &format!("{day}T08:00:00Z")).unwrap()),
        idempotency_key: None,
        metadata: None,
    };
    environment.record_usage(usage).await.unwrap();
}

#[tokio::test]
async fn the_first_steps_go_once_something_is_used() {
    let world = World::new().await;
    let environment = sell(&world).await;
    let mut person = world.person(Role::Viewer).await;
    person.visit("/dashboard/test").await;
    assert!(person.main().contains("First steps"), "{}", person.main());
    assert!(!person.has("form[aria-label='Usage shown']"));

    // Of a user who has no package.
    environment.create_user(User::named(user_id("u-1"))).await.unwrap();
    record(&environment, "u-1", "seats", "2026-11-29", 2).await;
    person.visit("/dashboard/test").await;
    assert!(!person.main().contains("First steps"));
    let name = "Events per day, 2026-10-31 to 2026-11-29, 1 in all";
    assert!(person.has(&format!("svg[role=img][aria-label={name:?}]")));
    let note = "Not counted, for want of a package with the feature: 1 of 1 event.";
    assert!(person.main().contains(note), "{}", person.main());
    // The other environment is where it was.
    person.visit("/dashboard/live").await;
    assert!(person.main().contains("First steps"));
}

#[tokio::test]
async fn usage_per_day_is_drawn_and_written_with_the_same_numbers() {
    let world = World::new().await;
    let environment = sell(&world).await;
    subscribed(&environment, "u-1", "pro").await;
    for (day, delta) in [("2026-11-29", 120), ("2026-11-29", -20), ("2026-11-23", 300)] {
        record(&environment, "u-1", "api-calls", day, delta).await;
    }
    record(&environment, "u-1", "sso", "2026-11-24", 1).await;
    let mut person = world.person(Role::Viewer).await;
    person.visit("/dashboard/test").await;
    assert_eq!(person.table("Events per day").len(), 30);
    assert!(person.main().contains("4 events in 30 days, 2026-10-31 to 2026-11-29"));

    // A name is enough.
    let form = person.form("Usage shown").fill("Feature", "API calls").choose("Days", "7");
    assert_eq!(person.submit(form, "Show").await, StatusCode::OK);
    let name = "API calls per day, 2026-11-23 to 2026-11-29, 400 in all";
    assert!(person.has(&format!("svg[role=img][aria-label={name:?}]")));
    let used = [("23", "300"), ("24", "0"), ("25", "0"), ("26", "0"), ("27", "0"), ("28", "0")];
    let mut rows: Vec<_> =
        used.map(|(day, used)| vec![format!("2026-11-{day}"), used.to_owned()]).into();
    rows.push(vec!["2026-11-29".to_owned(), "100".to_owned()]);
    assert_eq!(person.table("API calls per day"), rows);
    let mut form = person.form("Usage shown");
    assert_eq!((form.value("Feature").as_str(), form.value("Days").as_str()), ("API calls", "7"));

    let status = person.submit(form.fill("Feature", "absent"), "Show").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(person.alert().starts_with("There is a problem"), "{}", person.alert());
    assert!(person.has("#f-feature[aria-invalid=true]"));
    assert_eq!(person.table("Events per day").len(), 7);
    // Days that nobody offers are those of the beginning.
    person.visit("/dashboard/test?days=1000000").await;
    assert_eq!(person.table("Events per day").len(), 30);
}

#[tokio::test]
async fn the_page_of_a_feature_shows_its_usage_per_day() {
    let world = World::new().await;
    let environment = sell(&world).await;
    subscribed(&environment, "u-1", "pro").await;
    record(&environment, "u-1", "api-calls", "2026-11-28", 1_200).await;
    record(&environment, "u-1", "sso", "2026-11-28", 7).await;
    let mut person = world.person(Role::Editor).await;
    person.visit("/dashboard/test/feature?id=api-calls").await;
    assert!(person.main().contains("1,200 used in 30 days"), "{}", person.main());
    let form = person.form("Usage shown").choose("Days", "90");
    assert_eq!(person.submit(form, "Show").await, StatusCode::OK);
    assert_eq!(person.heading(), "API calls");
    assert_eq!(person.table("API calls per day").len(), 90);
    // What is on or off has no amount.
    person.visit("/dashboard/test/feature?id=sso&days=7").await;
    assert!(person.main().contains("1 event in 7 days"), "{}", person.main());
    assert_eq!(person.table("Single sign-on per day")[5], ["2026-11-28", "1"]);
    person.visit("/dashboard/test/feature?id=storage").await;
    let nothing = "No usage in 30 days, 2026-10-31 to 2026-11-29";
    assert!(person.main().contains(nothing), "{}", person.main());
}

#[tokio::test]
async fn features_that_are_used_most_come_first_and_lead_to_their_pages() {
    let world = World::new().await;
    let environment = sell(&world).await;
    subscribed(&environment, "u-1", "pro").await;
    for (feature, events) in [("sso", 1), ("api-calls", 3), ("storage", 2)] {
        for _ in 0..events {
            record(&environment, "u-1", feature, "2026-11-28", 1).await;
        }
    }
    // Too long ago.
    for _ in 0..5 {
        record(&environment, "u-1", "seats", "2026-10-30", 1).await;
    }
    let mut person = world.person(Role::Viewer).await;
    person.visit("/dashboard/test").await;
    let region = "section[aria-labelledby=h-top]";
    assert_eq!(
        person.all_text(&format!("{region} li")),
        ["API calls 3", "Storage 2", "Single sign-on 1"]
    );
    person.follow("Storage").await;
    assert_eq!(person.heading(), "Storage");
}

#[tokio::test]
async fn users_near_a_limit_are_shown_as_they_are_now() {
    let world = World::new().await;
    let environment = sell(&world).await;
    for user in ["u-1", "/u?2", "u-3"] {
        subscribed(&environment, user, "pro").await;
    }
    let today = "2026-11-29";
    record(&environment, "u-1", "api-calls", today, 799).await;
    let mut person = world.person(Role::Viewer).await;
    person.visit("/dashboard/test").await;
    assert!(person.main().contains("Nobody has used 80 % of a budget."), "{}", person.main());
    record(&environment, "u-1", "api-calls", today, 1).await;
    record(&environment, "/u?2", "api-calls", today, 1_084).await;
    record(&environment, "u-3", "api-calls", today, 900).await;
    record(&environment, "u-3", "api-calls", today, -200).await;
    record(&environment, "u-1", "api-calls", today, 5).await;
    person.visit("/dashboard/test").await;
    let mut rows = person.table("Near or over the limit");
    rows.sort();
    assert_eq!(
        rows,
        [["/u?2", "API calls", "1,084", "1,000"], ["u-1", "API calls", "805", "1,000"]]
    );
    assert!(person.has("svg.meter.bad[aria-label='1,084 of 1,000 used']"));
    assert!(person.has("svg.meter.warn[aria-label='805 of 1,000 used']"));
    person.follow("/u?2").await;
    assert_eq!(person.heading(), "/u?2");
}

#[tokio::test]
async fn recent_changes_have_those_of_people_and_no_sign_ins() {
    let world = World::new().await;
    let environment = sell(&world).await;
    subscribed(&environment, "124", "pro").await;
    record(&environment, "124", "api-calls", "2026-11-29", 1).await;
    let mut person = world.person(Role::Owner).await;
    person.visit("/dashboard/test").await;
    let main = person.main();
    assert!(main.contains("Created admin") && main.contains("Published package"), "{main}");
    assert!(!main.contains("Signed in"), "{main}");
}
