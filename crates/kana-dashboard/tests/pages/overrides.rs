//! Other terms of one feature for one user.

use axum::http::StatusCode;
use kana_service::Role;

use crate::users::{create, subscribe};
use crate::world::{World, sell};

#[tokio::test]
async fn an_override_is_set_shown_explained_and_removed() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "Ada").await;
    subscribe(&mut person, "pro").await;
    let form = person.form("Set an override").fill("Feature", "API calls");
    assert_eq!(person.submit(form.clone(), "Set override").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(person.alert().contains("Is needed with the kind LIMIT"), "{}", person.alert());
    let form = form.fill("Limit", "2,500").fill("Reason", "<b>a favour</b>");
    let form = form.choose("Counts by itself", "Every week").tick("Resets by the calendar");
    let form = form.choose("Overage", "Allowed").fill("Until", "2030-01-01");
    person.submit(form, "Set override").await;
    assert_eq!(person.status_text(), "Override set.");
    assert_eq!(
        person.table("Overrides"),
        [[
            "API calls",
            "2,500, overage allowed, counts by itself: every week, by the calendar",
            "2030-01-01 00:00:00 UTC",
            "<b>a favour</b>",
            "Remove the override of API calls",
        ]]
    );
    person.follow("Explain API calls").await;
    assert_eq!(
        person.table("Parts of the budget"),
        [["Allowance", "Override of this user", "2,500"]]
    );

    let mut viewer = world.person(Role::Viewer).await;
    viewer.visit("/dashboard/test/user?id=u-1").await;
    assert_eq!(viewer.table("Overrides")[0][4], "");

    person.visit("/dashboard/test/user?id=u-1").await;
    person.follow("Remove the override of API calls").await;
    assert_eq!(person.heading(), "Remove the override?");
    let form = person.form("Remove the override?");
    person.submit(form, "Remove override").await;
    assert_eq!(person.status_text(), "Override removed.");
    assert!(!person.main().contains("2,500"));
}
