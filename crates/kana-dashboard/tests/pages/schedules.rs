//! Subscriptions that are set to begin and to end, and trials.

use axum::http::StatusCode;
use kana_core::Timestamp;
use kana_service::Role;

use crate::users::create;
use crate::world::{World, sell};

fn time(text: &str) -> Timestamp {
    Timestamp::parse("time", text).unwrap()
}

#[tokio::test]
async fn a_trial_that_begins_later_is_sold_shown_and_cancelled() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "Ada").await;
    let form = person.form("Subscribe").fill("Package", "pro");
    for (label, wrong, problem) in [
        ("Starts at", "tomorrow", "Must be like 2026-11-29 09:03:11 UTC, or 2026-11-29."),
        ("Starts at", "2026-11-29", "Must be in the future"),
        ("Trial days", "many", "Must be a whole number"),
        ("Trial days", "731", "Must be from 1 to 730"),
    ] {
        let status = person.submit(form.clone().fill(label, wrong), "Subscribe").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(person.alert().contains(problem), "{}", person.alert());
        assert_eq!(person.form("Subscribe").value(label), wrong);
        assert!(person.has("form[aria-label=Subscribe] details[open]"));
    }
    let form = form.fill("Starts at", "2026-12-01").fill("Trial days", "14");
    person.submit(form.tick("Ends with the trial"), "Subscribe").await;
    assert_eq!(person.status_text(), "Subscribed.");
    assert!(!person.has("form[aria-label=Subscribe] details[open]"));
    let (start, end) = ("2026-12-01 00:00:00 UTC", "2026-12-15 00:00:00 UTC");
    let ends = format!("Ends {end}");
    assert_eq!(person.table("Subscriptions")[0][1..4], ["Incomplete", start, &ends]);
    assert_eq!(person.table("Entitlements")[0][1], "No");

    let page = "/dashboard/test/user?id=u-1";
    world.clock.set(time("2026-12-02T00:00:00Z"));
    // The session of the first one is over.
    let mut person = world.person(Role::Viewer).await;
    person.visit(page).await;
    let trialing = format!("Trialinguntil {end}");
    let shown: Vec<String> = person.table("Subscriptions")[0][1..4]
        .iter()
        .map(|cell| cell.replace("Trialing until", "Trialinguntil"))
        .collect();
    assert_eq!(shown, [trialing.as_str(), start, &ends]);
    assert_eq!(person.table("Entitlements")[0][1], "Yes");

    world.clock.set(time("2026-12-15T00:00:00Z"));
    let mut person = world.person(Role::Owner).await;
    person.visit(page).await;
    assert_eq!(person.table("Subscriptions")[0][1..5], ["Cancelled", start, end, ""]);
    assert_eq!(person.table("Entitlements")[0][1], "No");

    let form = person.form("Subscribe").fill("Package", "pro").fill("Starts at", "2026-12-20");
    person.submit(form, "Subscribe").await;
    person.follow("Cancel Pro 2026").await;
    assert!(person.main().contains("Pro 2026 grants u-1 nothing yet, and never will."));
    let form = person.form("Cancel the subscription?");
    person.submit(form, "Cancel subscription").await;
    assert_eq!(person.status_text(), "Subscription cancelled.");
    assert!(person.table("Subscriptions").iter().all(|row| row[1] == "Cancelled"));
}
