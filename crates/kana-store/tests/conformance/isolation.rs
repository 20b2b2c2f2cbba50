//! Environments share nothing: whatever has the same name in both is two things.

use kana_core::catalog::{CatalogVersion, Feature, FeatureKind, Package};
use kana_core::facts::Change;
use kana_core::user::User;
use kana_store::EnvironmentId;

use crate::Engine;
use crate::world::{
    World, cancel, cancelled, count, counter, create_user, event, feature, feature_id,
    idempotency_key, keep, label, package, package_id, put_feature, put_package, replay, subscribe,
    subscription, subscription_id, user, user_id, user_ids, user_key,
};

/// Both environments, each with a name that its things are told apart by.
fn both<E: Engine>(world: &World<E>) -> [(EnvironmentId, &'static str); 2] {
    [(world.test, "test"), (world.live, "live")]
}

pub(crate) async fn the_same_user_in_two_environments_is_two_users<E: Engine>() {
    let world = World::<E>::new().await;
    // Even the key may be the same, though nobody makes it so.
    let in_environment = |name| User { name: Some(label(name)), ..user(user_key(1), "124") };
    for (environment, name) in both(&world) {
        let changes = [Change::CreateUser(in_environment(name))];
        world.change(environment, user_key(1), changes).await;
    }

    for (environment, name) in both(&world) {
        assert_eq!(world.user(environment, "124").await, Some(in_environment(name)));
    }
}

pub(crate) async fn the_same_subscription_id_in_two_environments_is_two_subscriptions<E: Engine>() {
    let world = World::<E>::new().await;
    let id = subscription_id(1);
    for (environment, name) in both(&world) {
        let changes = [create_user(user_key(1), name), subscribe(id, name)];
        world.change(environment, user_key(1), changes).await;
    }

    let changes = [cancel(id, "2024-02-01T00:00:00Z")];
    world.change(world.test, user_key(1), changes).await;

    let of_test = cancelled(subscription(id, "test"), "2024-02-01T00:00:00Z");
    let of_live = subscription(id, "live");
    assert_eq!(world.running(world.test, "test").await, []);
    assert_eq!(world.ended(world.test, user_key(1)).await, std::slice::from_ref(&of_test));
    let found = world.subscriptions(world.test, &[id]).await;
    assert_eq!(found, [Some((user_id("test"), of_test))]);

    assert_eq!(world.running(world.live, "live").await, std::slice::from_ref(&of_live));
    assert_eq!(world.ended(world.live, user_key(1)).await, []);
    let found = world.subscriptions(world.live, &[id]).await;
    assert_eq!(found, [Some((user_id("live"), of_live))]);
}

pub(crate) async fn the_same_counter_in_two_environments_counts_twice<E: Engine>() {
    let world = World::<E>::new().await;
    let api_calls = counter(subscription_id(1), "api-calls");
    for (environment, _) in both(&world) {
        world.change(environment, user_key(1), [create_user(user_key(1), "124")]).await;
    }

    world.change(world.test, user_key(1), [count(api_calls.clone(), 3)]).await;
    assert_eq!(world.counter(world.live, user_key(1), api_calls.clone()).await, 0);

    world.change(world.live, user_key(1), [count(api_calls.clone(), 5)]).await;
    assert_eq!(world.counter(world.test, user_key(1), api_calls.clone()).await, 3);
    assert_eq!(world.counter(world.live, user_key(1), api_calls).await, 5);
}

pub(crate) async fn the_same_idempotency_key_in_two_environments_is_two_keys<E: Engine>() {
    let world = World::<E>::new().await;
    for (environment, name) in both(&world) {
        world.change(environment, user_key(1), [keep("key", replay(user_key(1), name))]).await;
    }

    for (environment, name) in both(&world) {
        assert_eq!(world.replay(environment, "key").await, Some(replay(user_key(1), name)));
    }
}

pub(crate) async fn the_same_ids_in_two_catalogs_are_different_things<E: Engine>() {
    let world = World::<E>::new().await;
    let binary = Feature { kind: FeatureKind::Binary, ..feature("api-calls") };
    let in_test = [
        put_feature(&binary),
        put_feature(&feature("seats")),
        put_package(&Package { name: label("test"), ..package("pro", ["api-calls", "seats"]) }),
    ];
    let in_live = [
        put_feature(&feature("seats")),
        put_feature(&feature("api-calls")),
        put_package(&Package { name: label("live"), ..package("pro", ["seats"]) }),
    ];
    world.change_catalog(world.test, &in_test).await;
    world.change_catalog(world.live, &in_live).await;
    // Replacing a package in one environment does not clear its features in the other.
    world.change_catalog(world.live, &in_live).await;

    let (test, live) = (world.catalog(world.test).await, world.catalog(world.live).await);
    assert_eq!(test, in_test.iter().collect());
    assert_eq!(live, in_live.iter().collect());
    let order = |features: Vec<&str>| features.join(" ");
    assert_eq!(
        order(test.features().map(|feature| feature.id.as_str()).collect()),
        "api-calls seats"
    );
    assert_eq!(
        order(live.features().map(|feature| feature.id.as_str()).collect()),
        "seats api-calls"
    );
}

pub(crate) async fn each_catalog_has_its_own_version<E: Engine>() {
    let world = World::<E>::new().await;
    for _ in 0..3 {
        world.change_catalog(world.test, &[put_feature(&feature("api-calls"))]).await;
    }
    let in_live = world.change_catalog(world.live, &[put_feature(&feature("api-calls"))]).await;

    assert_eq!(in_live, CatalogVersion(1));
    for (environment, version) in [(world.test, 3), (world.live, 1)] {
        assert_eq!(world.catalog_version(environment).await, CatalogVersion(version));
        let facts = world.facts(environment, &user_ids(["nobody"])).await;
        assert_eq!(facts.catalog_version, CatalogVersion(version));
    }
}

pub(crate) async fn what_is_in_one_environment_is_nowhere_in_the_other<E: Engine>() {
    let world = World::<E>::new().await;
    let [running, ended] = [1, 2].map(subscription_id);
    let api_calls = counter(running, "api-calls");
    let changes = [
        create_user(user_key(1), "124"),
        subscribe(running, "pro"),
        subscribe(ended, "free"),
        cancel(ended, "2024-02-01T00:00:00Z"),
        count(api_calls.clone(), 3),
        Change::LogEvent(event(running, "api-calls")),
        keep("key", replay(user_key(1), "api-calls")),
    ];
    world.change(world.test, user_key(1), changes).await;
    let changes = [put_feature(&feature("api-calls")), put_package(&package("pro", ["api-calls"]))];
    world.change_catalog(world.test, &changes).await;

    let mut reader = world.store.read().await.unwrap();
    let live = world.live;
    assert_eq!(reader.users(live, &user_ids(["124"])).await.unwrap(), [None]);
    assert_eq!(reader.facts(live, &user_ids(["124"])).await.unwrap().users, [None]);
    assert_eq!(reader.subscriptions(live, &[running, ended]).await.unwrap(), [None, None]);
    assert_eq!(reader.ended_subscriptions(live, &[user_key(1)]).await.unwrap(), [vec![]]);
    assert_eq!(reader.counters(live, &[(user_key(1), api_calls)]).await.unwrap(), [None]);
    assert_eq!(reader.replays(live, &[idempotency_key("key")]).await.unwrap(), [None]);
    let catalog = reader.catalog(live).await.unwrap();
    assert_eq!(catalog.feature(&feature_id("api-calls")), None);
    assert_eq!(catalog.package(&package_id("pro")), None);
    assert_eq!(reader.catalog_version(live).await.unwrap(), CatalogVersion(0));
}
