//! An extra amount of one feature for one user.

use axum::http::StatusCode;
use kana_service::Role;

use crate::users::{create, subscribe};
use crate::world::{World, sell};

#[tokio::test]
async fn a_grant_is_given_shown_explained_and_voided() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "Ada").await;
    subscribe(&mut person, "pro").await;
    let form = person.form("Give a grant").fill("Feature", "API calls").fill("Amount", "0");
    assert_eq!(person.submit(form.clone(), "Give grant").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(person.alert().contains("Must be from 1 to 2147483647"), "{}", person.alert());
    let form = form.fill("Amount", "2,500").fill("Reason", "<b>a favour</b>");
    let form = form.fill("From", "2026-01-01").fill("Until", "2030-01-01").fill("Priority", "-5");
    person.submit(form.clone(), "Give grant").await;
    assert_eq!(person.status_text(), "Grant created.");
    // A second click gives nothing more.
    person.submit(form, "Give grant").await;
    assert_eq!(
        person.table("Grants"),
        [[
            "API calls",
            "0",
            "2,500 before the limit, priority -5",
            "Until 2030-01-01 00:00:00 UTC",
            "<b>a favour</b>",
            "Void the grant of API calls",
        ]]
    );
    person.follow("Explain API calls").await;
    assert_eq!(
        person.table("Parts of the budget").last().unwrap(),
        &["Grant", "<b>a favour</b>", "2,500"]
    );

    let mut viewer = world.person(Role::Viewer).await;
    viewer.visit("/dashboard/test/user?id=u-1").await;
    assert_eq!(viewer.table("Grants")[0][5], "");

    person.visit("/dashboard/test/user?id=u-1").await;
    person.follow("Void the grant of API calls").await;
    assert_eq!(person.heading(), "Void the grant?");
    assert!(person.main().contains("Of 2,500 for"), "{}", person.main());
    let form = person.form("Void the grant?");
    person.submit(form, "Void grant").await;
    assert_eq!(person.status_text(), "Grant voided.");
    assert!(!person.main().contains("2,500"));
}
