//! Settings: the app's name, and those who administer it.

use axum::http::StatusCode;
use kana_service::Role;

use crate::world::{PASSWORD, World};

#[tokio::test]
async fn an_admin_is_invited_comes_in_gets_another_role_and_goes() {
    let world = World::new().await;
    let mut owner = world.person(Role::Owner).await;
    owner.follow("Settings").await;
    assert_eq!(owner.title(), "Settings · Meridian API");
    let form =
        owner.form("Invite an admin").fill("E-mail", "ada@b.example").choose("Role", "Editor");
    assert_eq!(owner.submit(form.clone(), "Create invitation").await, StatusCode::OK);
    assert_eq!(owner.status_text(), "Invitation created.");
    let link = owner.input("Invitation link");
    let row = ["ada@b.example", "Editor", "Invited, not yet here"];
    assert_eq!(owner.table("Admins")[1][..3], row);

    // The form sent again invites nobody, and shows no link.
    owner.submit(form, "Create invitation").await;
    assert!(owner.status_text().contains("is not shown again"));
    assert!(!owner.has("#f-link") && owner.table("Admins").len() == 2);
    let again = owner.form("Invite an admin").fill("E-mail", "ADA@b.example");
    let status = owner.submit(again, "Create invitation").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(owner.alert(), "There is a problem Another admin has this e-mail.");

    let mut ada = world.stranger();
    ada.visit(link.split_once("4000").unwrap().1).await;
    let form =
        ada.form("Set password").fill("Password", PASSWORD).fill("Repeat password", PASSWORD);
    ada.submit(form, "Set password").await;
    assert_eq!(ada.address(), "/dashboard/test");

    owner.visit("/dashboard/settings/role?id=2").await;
    let form = owner.form("Change the role of ada@b.example?").choose("Role", "Viewer");
    owner.submit(form, "Change role").await;
    assert_eq!(owner.status_text(), "Role changed.");
    assert_eq!(owner.table("Admins")[1][1], "Viewer");

    owner.visit("/dashboard/settings/reset-password?id=2").await;
    let form = owner.form("Reset the password of ada@b.example?");
    owner.submit(form, "Reset password").await;
    assert_eq!(owner.status_text(), "Password reset.");
    assert_ne!(owner.input("Invitation link"), link);

    owner.visit("/dashboard/settings/remove?id=2").await;
    let form = owner.form("Remove ada@b.example?");
    owner.submit(form, "Remove admin").await;
    assert_eq!(owner.status_text(), "Admin removed.");
    assert_eq!(owner.table("Admins").len(), 1);
    assert_eq!(owner.visit("/dashboard/settings/remove?id=2").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_last_owner_stays_one() {
    let world = World::new().await;
    let mut owner = world.person(Role::Owner).await;
    owner.visit("/dashboard/settings").await;
    owner.follow("Change role").await;
    let form = owner.form("Change the role of owner@meridian.example?").choose("Role", "Viewer");
    assert_eq!(owner.submit(form, "Change role").await, StatusCode::UNPROCESSABLE_ENTITY);
    let refusal = "There is a problem This is the last owner: make another admin an owner first.";
    assert_eq!(owner.alert(), refusal);
    owner.visit("/dashboard/settings").await;
    owner.follow("Remove").await;
    let form = owner.form("Remove owner@meridian.example?");
    assert_eq!(owner.submit(form, "Remove admin").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(owner.alert(), refusal);
}

#[tokio::test]
async fn the_app_gets_another_name_in_every_title() {
    let world = World::new().await;
    let mut owner = world.person(Role::Owner).await;
    owner.visit("/dashboard/settings").await;
    let form = owner.form("App").fill("App name", "  ");
    assert_eq!(owner.submit(form, "Save").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(owner.alert(), "There is a problem Must not be empty.");
    let form = owner.form("App").fill("App name", "Meridian & Söhne");
    owner.submit(form, "Save").await;
    assert_eq!(owner.status_text(), "Settings saved.");
    assert_eq!(owner.title(), "Settings · Meridian & Söhne");
}
