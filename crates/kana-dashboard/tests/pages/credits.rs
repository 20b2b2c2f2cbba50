//! Features that draw on the balance of another one.

use axum::http::StatusCode;
use kana_service::Role;

use crate::users::{create, subscribe};
use crate::world::{World, sell};

#[tokio::test]
async fn a_feature_that_draws_is_created_changed_and_shown_with_its_balance() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    person.visit("/dashboard/test/features/new").await;
    let form = person.form("Create a feature").fill("Name", "Images").fill("Identifier", "images");
    let form = form.tick("Consumable").fill("Draws on", "nothing").fill("Cost", "5");
    let status = person.submit(form.clone(), "Create feature").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(person.alert(), "There is a problem Draws on: Feature not found: nothing.");
    assert!(person.has("form[aria-label='Create a feature'] details[open]"));
    let form = person.form("Create a feature").fill("Draws on", "API calls").fill("Cost", "0");
    person.submit(form, "Create feature").await;
    assert!(person.alert().contains("Cost: Must be from 1 to 1000000."), "{}", person.alert());
    let form = person.form("Create a feature").fill("Cost", "5");
    person.submit(form, "Create feature").await;
    assert_eq!(person.status_text(), "Feature created.");
    assert!(person.has("#f-draws[value='API calls'][readonly]"));
    let mut form = person.form("Feature");
    assert_eq!(form.value("Cost"), "5");
    person.submit(form.fill("Cost", "1,000"), "Save").await;
    assert_eq!(person.status_text(), "Feature saved.");

    person.follow("Features").await;
    let rows = person.table("Features");
    let row = rows.iter().find(|row| row[2] == "images").unwrap();
    assert_eq!(row[1], "Consumable draws on API calls");

    create(&mut person, "u-1", "Ada").await;
    subscribe(&mut person, "pro").await;
    let form = person.form("Set an override").fill("Feature", "Images").choose("Kind", "Unlimited");
    person.submit(form, "Set override").await;
    assert_eq!(person.status_text(), "Override set.");
    assert!(person.main().contains("draws on API calls"));
    person.follow("Explain Images").await;
    assert!(person.main().contains("Asked there"), "{}", person.main());
    assert!(person.main().contains("1,000"), "{}", person.main());
}

#[tokio::test]
async fn what_others_draw_on_is_for_consumable_features() {
    let world = World::new().await;
    let mut person = world.person(Role::Editor).await;
    person.visit("/dashboard/test/features/new").await;
    let form = person.form("Create a feature").fill("Identifier", "images").tick("Binary");
    let form = form.fill("Draws on", "calls");
    person.submit(form, "Create feature").await;
    assert!(person.alert().contains("Only a consumable feature draws on another."));
    let form = person.form("Create a feature").tick("Consumable");
    let form = form.fill("Draws on", "").fill("Cost", "3");
    person.submit(form, "Create feature").await;
    assert!(person.alert().contains("Cost: Needs a feature to draw on."), "{}", person.alert());
}
