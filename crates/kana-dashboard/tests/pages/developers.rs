//! Developers: keys, the token secret and simple mode.

use std::time::Duration;

use axum::http::StatusCode;
use kana_service::{Actor, Clock as _, EnvironmentKind, KeyKind, KeyRequest, Role, begin_key};

use crate::person::Person;
use crate::world::World;

async fn developers(world: &World, role: Role) -> Person {
    let mut person = world.person(role).await;
    person.follow("Developers").await;
    person
}

#[tokio::test]
async fn a_key_is_created_shown_once_used_and_revoked() {
    let world = World::new().await;
    let mut person = developers(&world, Role::Editor).await;
    assert_eq!(person.title(), "Developers · Test · Meridian API");
    assert_eq!(person.table("Keys").len(), 2);
    let form = person.form("Create a key").tick("Admin API key").fill("Key name", " CI <b> ");
    assert_eq!(person.submit(form.clone(), "Create key").await, StatusCode::OK);
    assert_eq!(person.heading(), "New key");
    assert_eq!(person.header("cache-control"), Some("no-store"));
    assert!(person.main().contains("It is shown only now."));
    let key = person.input("Key");
    let last_four = key[key.len() - 4..].to_owned();
    let environment = world.kana.authorise_private(&key).await.unwrap();
    drop(environment);

    // The form sent again makes no second key, and shows none.
    assert_eq!(person.submit(form, "Create key").await, StatusCode::OK);
    assert_eq!(person.heading(), "Developers");
    assert!(person.status_text().contains("is not shown again"));
    let rows = person.table("Keys");
    assert_eq!(rows.len(), 3);
    let row = [
        "CI <b>",
        "Admin API key",
        &last_four,
        "2026-11-29 09:03:11 UTC",
        "editor@meridian.example",
        "2026-11-29 09:03 UTC",
        "Active",
        &format!("Revoke {last_four}"),
    ];
    assert_eq!(rows[0], row);

    person.follow(&format!("Revoke {last_four}")).await;
    assert_eq!(person.heading(), "Revoke the key?");
    let asked_at = person.address().to_owned();
    assert!(person.main().contains(&format!("“CI <b>” that ends in {last_four}")));
    let form = person.form("Revoke the key?");
    person.submit(form, "Revoke key").await;
    assert_eq!(person.status_text(), "Key revoked.");
    assert_eq!(person.table("Keys")[0][6..], ["Revoked", ""]);
    // A key that is revoked already is not asked about again.
    person.visit(&asked_at).await;
    assert_eq!(person.heading(), "Developers");
    assert!(world.kana.authorise_private(&key).await.is_err());
}

#[tokio::test]
async fn a_key_whose_time_is_over_has_expired() {
    let world = World::new().await;
    let request = KeyRequest {
        environment: EnvironmentKind::Test,
        kind: KeyKind::Private,
        name: None,
        lifetime: Some(Duration::from_secs(60)),
    };
    let (store, clock) = (world.store.as_ref(), world.clock.as_ref());
    let begun = begin_key(store, clock, &Actor::CommandLine, request).await.unwrap();
    begun.commit().await.unwrap();
    let mut person = developers(&world, Role::Owner).await;
    assert_eq!(person.table("Keys")[0][6], "Active");
    world.clock.set(world.clock.now().saturating_add_ms(60_000));
    person.visit("/dashboard/test/developers").await;
    assert_eq!(person.table("Keys")[0][6..], ["Expired", ""]);
    // It is no other key by which a program would get in.
    person.follow(&format!("Revoke {}", world.keys.test_private.last_four())).await;
    assert!(person.main().contains("It is the last one of this environment"));
}

#[tokio::test]
async fn a_key_of_the_other_environment_is_not_found() {
    let world = World::new().await;
    let mut person = developers(&world, Role::Owner).await;
    let address = person.link(&format!("Revoke {}", world.keys.test_private.last_four()));
    let elsewhere = address.replace("/test/", "/live/");
    assert_eq!(person.visit(&elsewhere).await, StatusCode::NOT_FOUND);
    person.visit(&address).await;
    assert!(person.main().contains("It is the last one of this environment"));
    for bad in ["", "x", "999", "1%00"] {
        let address = format!("/dashboard/test/developers/revoke?id={bad}");
        assert_eq!(person.visit(&address).await, StatusCode::NOT_FOUND, "{bad}");
    }
}

#[tokio::test]
async fn a_form_that_cannot_be_taken_is_shown_again() {
    let world = World::new().await;
    let mut person = developers(&world, Role::Editor).await;
    let form = person.form("Create a key").tick("Client API key").fill("Key name", "a\nb");
    assert_eq!(person.submit(form, "Create key").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(person.alert(), "There is a problem Must be one line.");
    assert_eq!(person.table("Keys").len(), 2);
}

#[tokio::test]
async fn the_token_secret_is_rotated_and_simple_mode_turned_off_and_on() {
    let world = World::new().await;
    let mut person = developers(&world, Role::Editor).await;
    for (choice, is_first) in
        [("Keep tokens until they expire", true), ("End all tokens at once", false)]
    {
        assert_eq!(person.main().contains("The first token creates it."), is_first);
        person.follow("Rotate token secret").await;
        let form = person.form("Rotate the token secret?").tick(choice);
        person.submit(form, "Rotate secret").await;
        assert_eq!(person.status_text(), "Token secret rotated.");
    }
    for (button, done) in [
        ("Turn simple mode off", "Simple mode turned off."),
        ("Turn simple mode on", "Simple mode turned on."),
    ] {
        let form = person.form("Simple mode");
        person.submit(form, button).await;
        assert_eq!(person.status_text(), done);
    }
}

#[tokio::test]
async fn who_may_not_change_keys_sees_them_and_is_offered_nothing() {
    let world = World::new().await;
    let mut viewer = developers(&world, Role::Viewer).await;
    let mut editor = world.person(Role::Editor).await;
    editor.visit("/dashboard/live/developers").await;
    for person in [&mut viewer, &mut editor] {
        let rows = person.table("Keys");
        assert_eq!((rows.len(), rows[0].len()), (2, 7));
        assert!(!person.has("main form") && !person.has_link("Rotate token secret"));
        assert!(person.main().contains("/client/graphql") && person.has_link("Console"));
    }
}

/// It made two keys, and showed both.
#[tokio::test]
async fn a_form_that_is_sent_to_two_servers_makes_one_key() {
    let world = World::new().await;
    let mut person = world.person(Role::Owner).await;
    person.visit("/dashboard/test/developers").await;
    let form = person.form("Create a key").tick("Admin API key").fill("Key name", "CI");
    let mut elsewhere = world.elsewhere(&person);
    assert_eq!(person.submit(form.clone(), "Create key").await, StatusCode::OK);
    assert_eq!(person.heading(), "New key");
    elsewhere.submit(form, "Create key").await;
    assert_eq!(elsewhere.heading(), "Developers");
    let keys = elsewhere.table("Keys");
    assert_eq!(keys.iter().filter(|key| key[0] == "CI").count(), 1, "{keys:?}");
}
