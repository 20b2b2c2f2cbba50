//! Why a user may or may not use a feature.

use axum::http::StatusCode;
use kana_service::Role;

use crate::users::{create, subscribe};
use crate::world::{World, sell};

#[tokio::test]
async fn each_entitlement_leads_to_the_parts_of_its_budget() {
    let world = World::new().await;
    sell(&world).await;
    let mut editor = world.person(Role::Editor).await;
    create(&mut editor, "u-1", "Ada").await;
    subscribe(&mut editor, "pro").await;
    let form = editor.form("Record usage").fill("Feature", "api-calls").tick("Add");
    editor.submit(form.fill("Amount", "600"), "Record usage").await;

    let mut person = world.person(Role::Viewer).await;
    person.visit("/dashboard/test/user?id=u-1").await;
    person.follow("Explain API calls").await;
    assert_eq!(person.heading(), "API calls");
    let within = "Yes. The usage is within the user's budget. WITHIN_LIMIT";
    assert!(person.main().contains(within), "{}", person.main());
    assert_eq!(
        person.table("Parts of the budget"),
        [["Allowance", "Subscription Pro 2026", "1,000"]]
    );
    assert!(person.has("svg.stacked[role=img][aria-label='600 of 1,000 used']"));
    assert!(person.main().contains("Left 400"), "{}", person.main());
    assert!(person.has_link("Pro 2026"));
}

#[tokio::test]
async fn what_nothing_grants_has_no_budget_and_what_is_unknown_is_not_found() {
    let world = World::new().await;
    sell(&world).await;
    let mut editor = world.person(Role::Editor).await;
    create(&mut editor, "u-1", "").await;
    editor.visit("/dashboard/test/user?id=u-1").await;
    editor.follow("Explain Storage").await;
    assert!(editor.main().contains("NOT_GRANTED"), "{}", editor.main());
    assert!(editor.main().contains("Source Nothing"), "{}", editor.main());
    assert!(!editor.has("svg.stacked"));
    for address in ["user/explain?id=u-1&feature=nope", "user/explain?id=nope&feature=storage"] {
        let status = editor.visit(&format!("/dashboard/test/{address}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{address}");
    }
}
