//! How an environment lets browsers in.

use futures_util::future::join_all;
use kana_core::Timestamp;
use kana_store::EnvironmentKind::{Live, Test};

use crate::Engine;
use crate::world::{Access as _, World, time};

/// The secrets of the test environment, newest first.
async fn secrets<E: Engine>(world: &World<E>) -> Vec<(Vec<u8>, Option<Timestamp>)> {
    let access = world.store.client_access(Test).await.unwrap().unwrap();
    let all = access.token_secrets.into_iter();
    all.map(|secret| (secret.secret, secret.valid_until)).collect()
}

async fn rotate<E: Engine>(world: &World<E>, secret: u8, now: &str, until: &str) -> bool {
    let rotating = world.store.rotate_token_secret(Test, vec![secret; 32], time(now), time(until));
    rotating.await.unwrap()
}

pub(crate) async fn without_an_app_there_is_no_environment_to_let_anyone_into<E: Engine>() {
    let database = E::empty().await;
    let store = E::open(&database).await;
    let now = time("2024-01-01T00:00:00Z");
    for kind in [Test, Live] {
        assert_eq!(store.client_access(kind).await.unwrap(), None);
        assert!(!store.set_simple_mode(kind, false).await.unwrap());
        assert!(!store.rotate_token_secret(kind, vec![1], now, now).await.unwrap());
    }
}

pub(crate) async fn an_environment_begins_with_simple_mode_and_without_a_secret<E: Engine>() {
    let world = World::<E>::new().await;
    for (kind, environment) in [(Test, world.test), (Live, world.live)] {
        let access = world.store.client_access(kind).await.unwrap().unwrap();
        assert_eq!(access.environment, environment);
        assert!(access.simple_mode);
        assert_eq!(access.token_secrets, []);
    }
}

pub(crate) async fn simple_mode_is_set_for_one_environment<E: Engine>() {
    let world = World::<E>::new().await;
    for on in [false, false, true] {
        assert!(world.store.set_simple_mode(Live, on).await.unwrap());
        assert_eq!(world.store.client_access(Live).await.unwrap().unwrap().simple_mode, on);
        assert!(world.store.client_access(Test).await.unwrap().unwrap().simple_mode);
    }
}

pub(crate) async fn a_secret_is_provided_where_none_signs_and_for_one_environment<E: Engine>() {
    let world = World::<E>::new().await;
    let provide = async |world: &World<E>, secret: u8| {
        let at = time("2024-01-01T00:00:00Z");
        let provided = world.store.provide_token_secret(world.test, vec![secret; 32], at);
        provided.await.unwrap().secret
    };
    assert_eq!(provide(&world, 1).await, [1; 32]);
    assert_eq!(provide(&world, 2).await, [1; 32]);
    assert_eq!(secrets(&world).await, [(vec![1; 32], None)]);
    let live = world.store.client_access(Live).await.unwrap().unwrap();
    assert_eq!(live.token_secrets, []);
    let world = world.opened_again().await;
    assert!(rotate(&world, 3, "2024-01-01T00:00:00Z", "2024-01-31T00:00:00Z").await);
    assert_eq!(provide(&world, 4).await, [3; 32]);
    assert_eq!(secrets(&world).await.len(), 2);
}

pub(crate) async fn of_many_who_provide_a_secret_at_once_one_does<E: Engine>() {
    let world = World::<E>::new().await;
    let at = time("2024-01-01T00:00:00Z");
    let provided: Vec<Vec<u8>> = join_all((0..32_u8).map(async |number| {
        let provided = world.store.provide_token_secret(world.test, vec![number; 32], at);
        provided.await.unwrap().secret
    }))
    .await;
    let stored = secrets(&world).await;
    assert_eq!(stored.len(), 1);
    assert!(provided.iter().all(|secret| *secret == stored[0].0), "{provided:?}");
}

pub(crate) async fn rotating_adds_a_secret_and_ends_the_earlier_ones_in_time<E: Engine>() {
    let world = World::<E>::new().await;
    assert!(rotate(&world, 1, "2024-01-01T00:00:00Z", "2024-01-31T00:00:00Z").await);
    assert!(rotate(&world, 2, "2024-01-02T00:00:00Z", "2024-02-01T00:00:00Z").await);
    let first = Some(time("2024-02-01T00:00:00Z"));
    assert_eq!(secrets(&world).await, [(vec![2; 32], None), (vec![1; 32], first)]);
    // What ends already does not last longer because of another rotation.
    assert!(rotate(&world, 3, "2024-01-20T00:00:00Z", "2024-02-19T00:00:00Z").await);
    let second = Some(time("2024-02-19T00:00:00Z"));
    let expected = [(vec![3; 32], None), (vec![2; 32], second), (vec![1; 32], first)];
    assert_eq!(secrets(&world).await, expected);
    // What has ended is forgotten.
    assert!(rotate(&world, 4, "2024-02-01T00:00:00Z", "2024-03-02T00:00:00Z").await);
    let third = Some(time("2024-03-02T00:00:00Z"));
    let expected = [(vec![4; 32], None), (vec![3; 32], third), (vec![2; 32], second)];
    assert_eq!(secrets(&world).await, expected);
}

pub(crate) async fn rotating_at_once_leaves_nothing_but_the_new_secret<E: Engine>() {
    let world = World::<E>::new().await;
    let at = time("2024-01-01T00:00:00Z");
    world.store.provide_token_secret(world.live, vec![9; 32], at).await.unwrap();
    assert!(rotate(&world, 1, "2024-01-01T00:00:00Z", "2024-01-31T00:00:00Z").await);
    assert!(rotate(&world, 2, "2024-01-02T00:00:00Z", "2024-01-02T00:00:00Z").await);
    assert_eq!(secrets(&world).await, [(vec![2; 32], None)]);
    let live = world.store.client_access(Live).await.unwrap().unwrap();
    assert_eq!(live.token_secrets.len(), 1);
}
