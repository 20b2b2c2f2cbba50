//! Keys: who may come in, and for how long.

use std::time::Duration;

use kana_service::{
    Actor, EnvironmentKind, Error, Key, KeyKind, KeyRequest, Unauthenticated, begin_key,
    create_key, init, revoke_key,
};
use kana_store::{SqliteStore, Store};

use crate::world::{NOW, World, sentence, time, user, user_id};

async fn refused(world: &World, key: &str) -> Unauthenticated {
    match world.kana.authorise_private(key).await {
        Err(Error::Unauthenticated(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{key} opens something"),
    }
}

async fn id_of(store: &dyn Store, secret: &kana_service::NewSecret) -> i64 {
    store.find_key(secret.hash()).await.unwrap().unwrap().id
}

#[tokio::test]
async fn the_first_keys_open_their_environments() {
    let world = World::new().await;
    user(&world.test().await, "124").await;
    assert!(world.test().await.user(&user_id("124")).await.is_ok());
    assert!(world.live().await.user(&user_id("124")).await.is_err());
}

#[tokio::test]
async fn a_database_is_initialised_once() {
    let world = World::new().await;
    let stored = world.stored();
    let again = init(world.store.as_ref(), world.clock.as_ref(), "another").await.unwrap();
    assert!(again.is_none());
    assert_eq!(world.stored(), stored);
    // The first keys go on.
    world.test().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_who_initialise_at_once_one_gets_keys() {
    let dir = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(SqliteStore::open(dir.path()).unwrap());
    let initialising = (0..8).map(|_| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move {
            let clock = kana_service::ManualClock::new(time(crate::world::NOW));
            init(store.as_ref(), &clock, "story").await.unwrap().is_some()
        })
    });
    let answers = futures_util::future::join_all(initialising).await;
    assert_eq!(answers.into_iter().filter(|made| *made.as_ref().unwrap()).count(), 1);
    assert_eq!(store.keys().await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_key_opens_its_environment_until_it_expires() {
    let world = World::new().await;
    let request = KeyRequest {
        environment: EnvironmentKind::Test,
        kind: KeyKind::Private,
        name: None,
        lifetime: Some(Duration::from_secs(60)),
    };
    let (store, clock) = (world.store.as_ref(), world.clock.as_ref());
    let begun = begin_key(store, clock, &Actor::CommandLine, request).await.unwrap();
    let key = begun.commit().await.unwrap();
    world.clock.set(time(NOW).saturating_add_ms(59_999));
    assert!(world.kana.authorise_private(key.reveal()).await.is_ok());
    // It is known to this node, and no longer good all the same.
    world.clock.set(time(NOW).saturating_add_ms(60_000));
    assert_eq!(refused(&world, key.reveal()).await, Unauthenticated::ExpiredKey);
    assert_eq!(Unauthenticated::ExpiredKey.to_string(), "Unauthenticated: the key has expired");
    let id = id_of(store, &key).await;
    revoke_key(store, clock, &Actor::CommandLine, id).await.unwrap();
    let world = world.restart().await;
    assert_eq!(refused(&world, key.reveal()).await, Unauthenticated::Unknown);
}

#[tokio::test]
async fn an_unknown_key_opens_nothing() {
    let world = World::new().await;
    assert_eq!(
        refused(&world, &format!("prv_test_{}", "a1".repeat(20))).await,
        Unauthenticated::Unknown
    );
}

#[tokio::test]
async fn what_is_no_key_opens_nothing_and_is_not_even_looked_up() {
    let world = World::new().await;
    let good = world.keys.test_private.reveal().to_owned();
    for malformed in [
        String::new(),
        "secret".to_owned(),
        good.to_uppercase(),
        format!("{good} "),
        good[..good.len() - 1].to_owned(),
        good.replacen("prv_test_", "prv_live", 1),
        "'; DROP TABLE keys; --".to_owned(),
        "é".repeat(49),
    ] {
        let (why, statements) = world.statements(refused(&world, &malformed)).await;
        assert_eq!((why, statements), (Unauthenticated::Unknown, 0), "{malformed}");
    }
}

#[tokio::test]
async fn a_key_opens_only_the_environment_that_it_was_made_for() {
    let world = World::new().await;
    // The same random part under the other prefix is another key, and there is none such.
    let forged = world.keys.test_private.reveal().replacen("test", "live", 1);
    assert_eq!(refused(&world, &forged).await, Unauthenticated::Unknown);
}

#[tokio::test]
async fn a_public_key_is_refused_where_a_private_one_belongs_each_time() {
    let world = World::new().await;
    for secret in [&world.keys.test_public, &world.keys.live_public] {
        for _ in 0..2 {
            assert_eq!(refused(&world, secret.reveal()).await, Unauthenticated::PublicKey);
        }
    }
}

#[test]
fn every_refusal_starts_with_the_word_that_clients_look_for() {
    for why in [Unauthenticated::Missing, Unauthenticated::Unknown, Unauthenticated::PublicKey] {
        assert!(why.to_string().starts_with("Unauthenticated"), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_used_a_moment_ago_opens_nothing_five_seconds_after_its_revocation() {
    let world = World::new().await;
    world.test().await;
    // Another process, as `kana keys revoke` is one.
    let other = SqliteStore::open(world.dir()).unwrap();
    let id = id_of(&other, &world.keys.test_private).await;
    let revoked = revoke_key(&other, world.clock.as_ref(), &Actor::CommandLine, id).await.unwrap();
    assert!(revoked.is_some_and(|key: Key| key.revoked_at.is_some()));

    tokio::time::advance(Duration::from_secs(5)).await;
    let key = world.keys.test_private.reveal();
    assert_eq!(refused(&world, key).await, Unauthenticated::Unknown);
    // And it stays so; the others are not touched.
    assert_eq!(refused(&world, key).await, Unauthenticated::Unknown);
    world.live().await;
}

#[tokio::test(start_paused = true)]
async fn steady_use_does_not_keep_a_revoked_key_alive() {
    let world = World::new().await;
    let key = world.keys.test_private.reveal();
    world.test().await;
    let id = id_of(world.store.as_ref(), &world.keys.test_private).await;
    revoke_key(world.store.as_ref(), world.clock.as_ref(), &Actor::CommandLine, id).await.unwrap();
    // Ten times a second for as long as a revocation may take.
    for _ in 0..50 {
        let _ = world.kana.authorise_private(key).await;
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert_eq!(refused(&world, key).await, Unauthenticated::Unknown);
}

#[tokio::test]
async fn a_revoked_key_that_was_not_used_lately_is_refused_at_once() {
    let world = World::new().await;
    let id = id_of(world.store.as_ref(), &world.keys.live_private).await;
    revoke_key(world.store.as_ref(), world.clock.as_ref(), &Actor::CommandLine, id).await.unwrap();
    assert_eq!(refused(&world, world.keys.live_private.reveal()).await, Unauthenticated::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_stays_valid_stays_trusted_for_as_long_as_it_is_used() {
    let world = World::new().await;
    for _ in 0..100 {
        world.test().await;
        tokio::time::advance(Duration::from_millis(700)).await;
    }
}

#[tokio::test]
async fn a_key_that_is_made_while_the_server_runs_opens_its_environment_at_once() {
    let world = World::new().await;
    user(&world.live().await, "124").await;
    // Another process, as `kana keys create` is one.
    let other = SqliteStore::open(world.dir()).unwrap();
    let clock = world.clock.as_ref();
    let private =
        create_key(&other, clock, &Actor::CommandLine, EnvironmentKind::Live, KeyKind::Private)
            .await
            .unwrap();
    let live = world.kana.authorise_private(private.reveal()).await.unwrap();
    assert!(live.user(&user_id("124")).await.is_ok());
    let public =
        create_key(&other, clock, &Actor::CommandLine, EnvironmentKind::Live, KeyKind::Public)
            .await
            .unwrap();
    assert_eq!(refused(&world, public.reveal()).await, Unauthenticated::PublicKey);
    assert_eq!(other.keys().await.unwrap().len(), 6);
}

#[tokio::test]
async fn there_is_no_key_before_there_is_an_app() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let clock = kana_service::ManualClock::new(time(crate::world::NOW));
    let made =
        create_key(&store, &clock, &Actor::CommandLine, EnvironmentKind::Test, KeyKind::Private)
            .await;
    assert!(sentence(made.map(|_| ())).contains("the app was never made"));
}

#[tokio::test]
async fn no_key_is_stored_as_text() {
    let world = World::new().await;
    let secret = &world.keys.test_private;
    let stored = format!("{:?}", world.stored());
    assert!(!stored.contains(&secret.reveal()["prv_test_".len()..]));
    // Its bytes would be printed as numbers in a blob.
    let as_bytes = format!("{:?}", secret.reveal().as_bytes());
    assert!(!stored.contains(as_bytes.trim_matches(['[', ']'])));
}
