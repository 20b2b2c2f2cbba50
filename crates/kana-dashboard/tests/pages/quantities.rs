//! Quantities of subscriptions, and limits that are added.

use axum::http::StatusCode;
use kana_core::catalog::{Allowance, Stacking};
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::id::PackageId;
use kana_service::{Environment, Role};

use crate::users::{create, subscribe};
use crate::world::{World, feature_id, label, sell};

/// An add-on of 50 API calls that are added.
async fn sell_packs(environment: &Environment) {
    let id = PackageId::new("id", "pack").unwrap();
    let allowance = Allowance { limit: Some(50), stacking: Stacking::Add, ..Allowance::UNLIMITED };
    let feature = NewPackageFeature {
        feature: feature_id("api-calls"),
        name: None,
        allowance: Some(allowance),
    };
    let pack = NewPackage {
        id: id.clone(),
        name: Some(label("Pack")),
        is_addon: true,
        features: vec![feature],
        base_packages: Vec::new(),
        metadata: None,
    };
    environment.create_package(pack).await.unwrap();
    environment.publish_package(id).await.unwrap();
}

#[tokio::test]
async fn a_quantity_is_chosen_shown_and_changed() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "Ada").await;
    let form = person.form("Subscribe").fill("Package", "pro");
    for (wrong, problem) in [
        ("0", "Must be from 1 to 1000000."),
        ("1,000,001", "Must be from 1 to 1000000."),
        ("many", "Must be a whole number"),
    ] {
        let status = person.submit(form.clone().fill("Quantity", wrong), "Subscribe").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(person.alert().contains(problem), "{}", person.alert());
        assert_eq!(person.form("Subscribe").value("Quantity"), wrong);
    }
    person.submit(form.fill("Quantity", "1,200"), "Subscribe").await;
    assert_eq!(person.status_text(), "Subscribed.");
    assert_eq!(person.table("Subscriptions")[0][..3], ["Pro 2026", "1,200", "Active"]);
    assert_eq!(person.table("Entitlements")[0][3], "1,200,000");

    person.follow("Change Pro 2026").await;
    assert_eq!(person.heading(), "Change Pro 2026");
    let mut form = person.form("Change Pro 2026");
    assert_eq!(form.value("Quantity"), "1200");
    for (wrong, problem) in [("", "Must be a whole number"), ("0", "Must be from 1 to 1000000.")] {
        let status = person.submit(form.clone().fill("Quantity", wrong), "Save").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(person.alert().contains(problem), "{}", person.alert());
    }
    person.submit(form.fill("Quantity", "2"), "Save").await;
    assert_eq!(person.status_text(), "Subscription changed.");
    assert_eq!(person.table("Entitlements")[0][3], "2,000");
    person.follow("Explain API calls").await;
    assert_eq!(
        person.table("Parts of the budget"),
        [["Allowance", "Subscription Pro 2026 × 2", "2,000"]]
    );
}

#[tokio::test]
async fn a_user_with_one_of_each_has_no_column_of_quantities() {
    let world = World::new().await;
    sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "Ada").await;
    subscribe(&mut person, "pro").await;
    assert_eq!(person.table("Subscriptions")[0][..2], ["Pro 2026", "Active"]);
    // Where there is nothing to change, there is no form.
    let change = person.link("Change Pro 2026");
    person.follow("Cancel Pro 2026").await;
    let form = person.form("Cancel the subscription?");
    person.submit(form, "Cancel subscription").await;
    person.visit(&change).await;
    assert_eq!(person.heading(), "Ada");
}

#[tokio::test]
async fn what_is_added_is_shown_with_the_package_and_explained() {
    let world = World::new().await;
    let environment = sell(&world).await;
    sell_packs(&environment).await;
    let mut person = world.person(Role::Editor).await;
    person.visit("/dashboard/test/package?id=pack").await;
    assert_eq!(person.table("Features in this package")[0][1], "50, added");
    create(&mut person, "u-1", "Ada").await;
    subscribe(&mut person, "pro").await;
    let form = person.form("Subscribe").fill("Package", "pack").fill("Quantity", "3");
    person.submit(form, "Subscribe").await;
    assert_eq!(person.table("Entitlements")[0][3], "1,150");
    person.follow("Explain API calls").await;
    assert_eq!(
        person.table("Parts of the budget"),
        [
            ["Allowance", "Subscription Pro 2026", "1,000"],
            ["Added", "Subscription Pack × 3", "150"],
        ]
    );
}
