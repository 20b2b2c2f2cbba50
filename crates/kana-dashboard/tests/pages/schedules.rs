//! Subscriptions that are set to begin and to end, and trials.

use axum::http::StatusCode;
use kana_core::Timestamp;
use kana_core::catalog::Allowance;
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::id::PackageId;
use kana_service::{Environment, Role};

use crate::person::Form;
use crate::users::{create, subscribe};
use crate::world::{World, feature_id, label, sell};

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

#[tokio::test]
async fn the_end_and_the_trial_of_a_subscription_are_set_moved_and_taken_back() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "Ada").await;
    subscribe(&mut person, "pro").await;
    person.follow("Change Pro 2026").await;
    let mut form = person.form("Change Pro 2026");
    assert_eq!((form.value("Ends"), form.value("Time of the end")), (String::new(), String::new()));
    let at = |form: &Form, time: &str| {
        form.clone().choose("Ends", "At a time").fill("Time of the end", time)
    };
    for (wrong, problem) in [
        (at(&form, ""), "Must say when."),
        (at(&form, "tomorrow"), "Must be like 2026-11-29 09:03:11 UTC, or 2026-11-29."),
        (at(&form, "2020-01-01"), "Must be in the future"),
        (form.clone().fill("Time of the end", "2027-01-01"), "Is used only with At a time."),
        (form.clone().fill("Trial ends at", "2020-01-01"), "Must be in the future"),
        (form.clone().fill("Quantity", "0"), "Must be from 1 to 1000000."),
    ] {
        let status = person.submit(wrong, "Save").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(person.alert().contains(problem), "{}", person.alert());
    }
    let end = "2027-06-30 12:00:00 UTC";
    let both = at(&form, "2027-06-30 12:00:00").fill("Trial ends at", "2027-01-01");
    person.submit(both, "Save").await;
    assert_eq!(person.status_text(), "Subscription changed.");
    let shown = person.table("Subscriptions")[0].clone();
    assert_eq!(shown[3], format!("Ends {end}"));
    assert!(shown[1].starts_with("Trialing"), "{}", shown[1]);

    // What is not touched stays as it is; what was sent from a form that is out of date is shown first.
    person.follow("Change Pro 2026").await;
    let mut form = person.form("Change Pro 2026");
    assert_eq!(form.value("Time of the end"), end);
    assert_eq!(form.value("Trial ends at"), "2027-01-01 00:00:00 UTC");
    person.submit(form.clone().fill("Trial ends at", ""), "Save").await;
    let shown = person.table("Subscriptions")[0].clone();
    assert_eq!([&shown[1], &shown[3]], ["Active", &format!("Ends {end}")]);
    let stale = form.fill("Trial ends at", "2027-02-01");
    assert_eq!(person.submit(stale, "Save").await, StatusCode::CONFLICT);
    let form = person.form("Change Pro 2026").choose("Ends", "With the current month");
    person.submit(form.fill("Trial ends at", ""), "Save").await;
    let shown = person.table("Subscriptions")[0].clone();
    assert!(shown[3].starts_with("Ends ") && shown[3] != format!("Ends {end}"), "{}", shown[3]);
    person.follow("Change Pro 2026").await;
    let form = person.form("Change Pro 2026").choose("Ends", "Not set");
    person.submit(form, "Save").await;
    assert_eq!(person.table("Subscriptions")[0][1..4][..1], ["Active"]);
    assert_eq!(person.table("Subscriptions")[0][3], "–");
}

#[tokio::test]
async fn a_subscription_changes_to_another_package_now_or_later() {
    let world = World::new().await;
    let environment = sell(&world).await;
    sell_team(&environment).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "Ada").await;
    subscribe(&mut person, "pro").await;
    person.follow("Change Pro 2026").await;
    person.follow("To another package").await;
    let name = "From Pro 2026 to another package";
    assert_eq!(person.heading(), name);
    let form = person.form(name).fill("Package", "team");
    for (wrong, problem) in [
        (form.clone().fill("Package", "nope"), "Package Id not found for app"),
        (form.clone().fill("Package", "pro"), "The user is already subscribed to package pro"),
        (form.clone().choose("When", "At a time"), "Must say when."),
        (form.clone().fill("Time of the change", "2027-01-01"), "Is used only with At a time."),
        (form.clone().fill("Quantity", "0"), "Must be from 1 to 1000000."),
    ] {
        let status = person.submit(wrong, "Change package").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(person.alert().contains(problem), "{}", person.alert());
    }
    let later = form.choose("When", "At a time").fill("Time of the change", "2027-01-01");
    person.submit(later, "Change package").await;
    assert_eq!(person.status_text(), "Subscription changed.");
    let at = "2027-01-01 00:00:00 UTC";
    let rows = person.table("Subscriptions");
    assert_eq!([&rows[0][0], &rows[0][1], &rows[0][2]], ["Team", "Incomplete", at]);
    assert_eq!([&rows[1][0], &rows[1][3]], ["Pro 2026", &format!("Ends {at}")]);
    // One that has not begun has no package to change.
    person.follow("Change Team").await;
    assert!(!person.main().contains("To another package"));

    create(&mut person, "u-2", "Bob").await;
    subscribe(&mut person, "pro").await;
    person.follow("Change Pro 2026").await;
    person.follow("To another package").await;
    let form = person.form(name).fill("Package", "Team").fill("Quantity", "2");
    person.submit(form, "Change package").await;
    let rows = person.table("Subscriptions");
    assert_eq!([&rows[0][0], &rows[0][1], &rows[0][2]], ["Team", "2", "Active"]);
    assert_eq!([&rows[1][0], &rows[1][2]], ["Pro 2026", "Cancelled"]);
}

async fn sell_team(environment: &Environment) {
    let id = PackageId::new("id", "team").unwrap();
    let feature = NewPackageFeature {
        feature: feature_id("api-calls"),
        name: None,
        allowance: Some(Allowance { limit: Some(5_000), ..Allowance::UNLIMITED }),
    };
    let team = NewPackage {
        id: id.clone(),
        name: Some(label("Team")),
        is_addon: false,
        features: vec![feature],
        base_packages: Vec::new(),
        metadata: None,
    };
    environment.create_package(team).await.unwrap();
    environment.publish_package(id).await.unwrap();
}
