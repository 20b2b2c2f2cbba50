//! What was committed is there after the process has ended, for whoever opens the database next.

use kana_core::catalog::CatalogVersion;
use kana_core::facts::Change;
use kana_store::EnvironmentKind;
use serde_json::json;

use crate::Engine;
use crate::world::{
    Access as _, BEGINNING, World, app, cancel, count, counter, event, feature, hash,
    idempotency_key, keep, label, metadata, package, private_key, put_feature, put_package, replay,
    subscribe, subscription_id, time, user, user_ids, user_key, written_out,
};

/// Everything that can be asked of a database, written out.
async fn picture<E: Engine>(world: &World<E>) -> String {
    let mut picture = format!(
        "{:#?}\n{:#?}\n",
        world.store.app().await.unwrap(),
        world.store.keys().await.unwrap()
    );
    for environment in [world.test, world.live] {
        let mut reader = world.store.read().await.unwrap();
        let ids = user_ids(["124", "nobody"]);
        let subscriptions = [1, 2, 3].map(subscription_id);
        let counters = [(user_key(1), counter(subscription_id(1), "api-calls"))];
        let keys = ["key", "other"].map(idempotency_key);
        picture += &format!(
            "{}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n",
            written_out(&reader.catalog(environment).await.unwrap()),
            reader.users(environment, &ids).await.unwrap(),
            reader.facts(environment, &ids).await.unwrap(),
            reader.subscriptions(environment, &subscriptions).await.unwrap(),
            reader.ended_subscriptions(environment, &[user_key(1)]).await.unwrap(),
            reader.counters(environment, &counters).await.unwrap(),
            reader.replays(environment, &keys).await.unwrap(),
        );
    }
    picture
}

/// An app in use, in both environments.
async fn world_in_use<E: Engine>() -> World<E> {
    let world = World::<E>::new().await;
    let revoked = world.store.find_key(hash("live")).await.unwrap().unwrap();
    world.store.revoke_key(revoked.id, time("2024-03-01T00:00:00Z")).await.unwrap();
    for (environment, used) in [(world.test, 3), (world.live, i64::MAX)] {
        let [running, ended] = [1, 2].map(subscription_id);
        let mut ada = user(user_key(1), "124");
        ada.name = Some(label("Ada 👩‍💻"));
        ada.metadata = Some(metadata(json!({ "z": 1, "a": "é" })));
        let changes = [
            Change::CreateUser(ada),
            subscribe(running, "pro"),
            subscribe(ended, "free"),
            cancel(ended, "2024-02-01T00:00:00Z"),
            count(counter(running, "api-calls"), used),
            Change::LogEvent(event(running, "api-calls")),
            keep("key", replay(user_key(1), "api-calls")),
        ];
        world.change(environment, user_key(1), changes).await;
        let changes = [
            put_feature(&feature("seats")),
            put_feature(&feature("api-calls")),
            put_package(&package("pro", ["seats", "api-calls"])),
            put_package(&package("free", [])),
        ];
        world.change_catalog(environment, &changes).await;
    }
    world
}

pub(crate) async fn everything_that_was_committed_is_there_after_opening_again<E: Engine>() {
    let world = world_in_use::<E>().await;
    let before = picture(&world).await;

    let world = world.opened_again().await;
    assert_eq!(picture(&world).await, before);
    let world = world.opened_again().await;
    assert_eq!(picture(&world).await, before);
}

pub(crate) async fn what_was_not_committed_is_not_there_after_opening_again<E: Engine>() {
    let world = world_in_use::<E>().await;
    let before = picture(&world).await;

    let mut writer = world.store.write().await.unwrap();
    let changes = [
        (user_key(1), count(counter(subscription_id(1), "api-calls"), 4)),
        (user_key(1), subscribe(subscription_id(3), "pro")),
        (user_key(1), keep("other", replay(user_key(1), "api-calls"))),
    ];
    writer.change_facts(world.test, &changes).await.unwrap();
    drop(writer);

    let world = world.opened_again().await;
    assert_eq!(picture(&world).await, before);
}

pub(crate) async fn an_empty_database_can_be_opened_again<E: Engine>() {
    let database = E::empty().await;
    drop(E::open(&database).await);

    let store = E::open(&database).await;
    assert_eq!(store.app().await.unwrap(), None);
    assert!(store.create_app(app("Kana"), Vec::new(), time(BEGINNING)).await.unwrap());
}

pub(crate) async fn work_goes_on_where_it_stopped<E: Engine>() {
    let world = world_in_use::<E>().await.opened_again().await;
    let keys_before = world.store.keys().await.unwrap();

    assert!(!world.store.create_app(app("Again"), Vec::new(), time(BEGINNING)).await.unwrap());
    world.store.add_key(private_key(EnvironmentKind::Test, "next")).await.unwrap();
    let version = world.change_catalog(world.test, &[put_feature(&feature("aa"))]).await;
    let changes = [cancel(subscription_id(1), "2024-04-01T00:00:00Z")];
    world.change(world.test, user_key(1), changes).await;

    let keys = world.store.keys().await.unwrap();
    assert_eq!(keys[..keys_before.len()], keys_before);
    assert_eq!(keys.last().unwrap().environment, world.test);
    assert_eq!(version, CatalogVersion(2));
    let catalog = world.catalog(world.test).await;
    let order: Vec<_> = catalog.features().map(|feature| feature.id.as_str()).collect();
    assert_eq!(order, ["seats", "api-calls", "aa"]);
    assert_eq!(world.ended(world.test, user_key(1)).await.len(), 2);
}
