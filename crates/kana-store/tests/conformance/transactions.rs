use kana_core::catalog::{Catalog, CatalogVersion};
use kana_core::facts::Change;
use kana_core::id::UserKey;
use kana_store::{EnvironmentId, StoreError, Transaction, WriteTransaction};

use crate::Engine;
use crate::world::{
    World, by_id, cancel, cancelled, count, counter, create_user, event, feature, idempotency_key,
    keep, one, package, put_feature, put_package, replay, subscribe, subscription, subscription_id,
    user, user_id, user_ids, user_key,
};

/// A user with everything that a user can have, as changes.
fn everything(user: UserKey, id: &str) -> Vec<(UserKey, Change)> {
    [
        create_user(user, id),
        subscribe(subscription_id(1), "pro"),
        subscribe(subscription_id(2), "free"),
        cancel(subscription_id(2), "2024-02-01T00:00:00Z"),
        count(counter(subscription_id(1), "api-calls"), 3),
        Change::LogEvent(event(subscription_id(1), "api-calls")),
        keep("key", replay(user, "api-calls")),
    ]
    .map(|change| (user, change))
    .to_vec()
}

/// Whether all of [`everything`] and one feature is there (`true`) or none of it (`false`).
/// Anything between the two fails.
async fn sees_everything(
    view: &mut (impl Transaction + ?Sized),
    environment: EnvironmentId,
    id: &str,
) -> bool {
    let ids = user_ids([id]);
    let facts = view.facts(environment, &ids).await.unwrap();
    let key = user_key(1);
    let seen = [
        one(view.users(environment, &ids).await.unwrap()).is_some(),
        one(facts.users).is_some_and(|facts| facts.subscriptions().len() == 1),
        !one(view.ended_subscriptions(environment, &[key]).await.unwrap()).is_empty(),
        one(view.subscriptions(environment, &[subscription_id(1)]).await.unwrap()).is_some(),
        one(view.subscriptions(environment, &[subscription_id(2)]).await.unwrap()).is_some(),
        one(view
            .counters(environment, &[(key, counter(subscription_id(1), "api-calls"))])
            .await
            .unwrap())
            == Some(3.into()),
        one(view.replays(environment, &[idempotency_key("key")]).await.unwrap()).is_some(),
        view.catalog(environment).await.unwrap().features().count() == 1,
        view.catalog_version(environment).await.unwrap() == CatalogVersion(1),
        facts.catalog_version == CatalogVersion(1),
    ];
    let everything = seen[0];
    assert!(seen.iter().all(|seen| *seen == everything), "seen in part: {seen:?}");
    everything
}

async fn write_everything(writer: &mut dyn WriteTransaction, environment: EnvironmentId) {
    let changes = [put_feature(&feature("api-calls"))];
    writer.change_catalog(environment, CatalogVersion(0), &changes).await.unwrap();
    writer.change_facts(environment, &everything(user_key(1), "124")).await.unwrap();
}

pub(crate) async fn what_is_not_committed_never_happened<E: Engine>() {
    let world = World::<E>::new().await;

    let mut writer = world.store.write().await.unwrap();
    write_everything(writer.as_mut(), world.test).await;
    drop(writer);

    let mut reader = world.store.read().await.unwrap();
    assert!(!sees_everything(reader.as_mut(), world.test, "124").await);
    drop(reader);
    // Nothing of it is in the way of doing it again.
    let mut writer = world.store.write().await.unwrap();
    write_everything(writer.as_mut(), world.test).await;
    writer.commit().await.unwrap();
    let mut reader = world.store.read().await.unwrap();
    assert!(sees_everything(reader.as_mut(), world.test, "124").await);
}

pub(crate) async fn a_change_that_fails_takes_everything_with_it<E: Engine>() {
    let world = World::<E>::new().await;
    world.change(world.test, user_key(9), [create_user(user_key(9), "taken")]).await;

    let mut writer = world.store.write().await.unwrap();
    let changes = [put_feature(&feature("api-calls"))];
    writer.change_catalog(world.test, CatalogVersion(0), &changes).await.unwrap();
    let mut changes = everything(user_key(1), "124");
    changes.push((user_key(2), create_user(user_key(2), "taken")));
    changes.push((user_key(3), create_user(user_key(3), "after")));
    let failed = writer.change_facts(world.test, &changes).await;
    let known = matches!(failed, Err(StoreError::Engine(_) | StoreError::Conflict(_)));
    assert!(known, "{failed:?}");
    drop(writer);

    let mut reader = world.store.read().await.unwrap();
    assert!(!sees_everything(reader.as_mut(), world.test, "124").await);
    drop(reader);
    assert_eq!(world.user(world.test, "after").await, None);
    assert_eq!(world.user(world.test, "taken").await, Some(user(user_key(9), "taken")));
    // The store goes on working.
    world.change(world.test, user_key(2), [create_user(user_key(2), "next")]).await;
    assert!(world.user(world.test, "next").await.is_some());
}

pub(crate) async fn a_catalog_that_was_stale_leaves_nothing_of_its_transaction<E: Engine>() {
    let world = World::<E>::new().await;

    let mut writer = world.store.write().await.unwrap();
    write_everything(writer.as_mut(), world.test).await;
    let changes = [put_feature(&feature("seats"))];
    let refused = writer.change_catalog(world.test, CatalogVersion(0), &changes).await;
    assert!(matches!(refused, Err(StoreError::StaleCatalog)), "{refused:?}");
    drop(writer);

    let mut reader = world.store.read().await.unwrap();
    assert!(!sees_everything(reader.as_mut(), world.test, "124").await);
}

pub(crate) async fn a_writer_sees_its_own_changes_before_it_commits<E: Engine>() {
    let world = World::<E>::new().await;
    let mut writer = world.store.write().await.unwrap();
    assert!(!sees_everything(writer.as_mut(), world.test, "124").await);

    write_everything(writer.as_mut(), world.test).await;

    assert!(sees_everything(writer.as_mut(), world.test, "124").await);
    // And again what it changes after it has looked.
    let changes = [
        (user_key(1), count(counter(subscription_id(1), "api-calls"), 8)),
        (user_key(1), cancel(subscription_id(1), "2024-03-01T00:00:00Z")),
    ];
    writer.change_facts(world.test, &changes).await.unwrap();
    let counters = [(user_key(1), counter(subscription_id(1), "api-calls"))];
    assert_eq!(writer.counters(world.test, &counters).await.unwrap(), [Some(8.into())]);
    let ended = one(writer.ended_subscriptions(world.test, &[user_key(1)]).await.unwrap());
    assert_eq!(
        by_id(ended),
        [
            cancelled(subscription(subscription_id(1), "pro"), "2024-03-01T00:00:00Z"),
            cancelled(subscription(subscription_id(2), "free"), "2024-02-01T00:00:00Z"),
        ]
    );
    let facts = one(writer.facts(world.test, &user_ids(["124"])).await.unwrap().users).unwrap();
    assert_eq!(facts.subscriptions(), []);
    let changes = [put_package(&package("pro", ["api-calls"]))];
    writer.change_catalog(world.test, CatalogVersion(1), &changes).await.unwrap();
    assert_eq!(writer.catalog(world.test).await.unwrap().packages().count(), 1);
    assert_eq!(writer.catalog_version(world.test).await.unwrap(), CatalogVersion(2));
}

pub(crate) async fn nobody_else_sees_changes_before_they_are_committed<E: Engine>() {
    let world = World::<E>::new().await;
    let mut writer = world.store.write().await.unwrap();
    write_everything(writer.as_mut(), world.test).await;

    let mut reader = world.store.read().await.unwrap();
    assert!(!sees_everything(reader.as_mut(), world.test, "124").await);
    writer.commit().await.unwrap();
}

pub(crate) async fn what_is_committed_is_seen_by_whoever_begins_to_read_after<E: Engine>() {
    let world = World::<E>::new().await;
    let api_calls = counter(subscription_id(1), "api-calls");
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;

    for used in 1..=100 {
        world.change(world.test, user_key(1), [count(api_calls.clone(), used)]).await;
        assert_eq!(world.counter(world.test, user_key(1), api_calls.clone()).await, used);
    }
}

pub(crate) async fn a_reader_sees_one_instant_while_others_write<E: Engine>() {
    let world = World::<E>::new().await;
    let mut reader = world.store.read().await.unwrap();
    // The first question fixes the instant.
    assert_eq!(reader.catalog_version(world.live).await.unwrap(), CatalogVersion(0));

    let mut writer = world.store.write().await.unwrap();
    write_everything(writer.as_mut(), world.test).await;
    writer.commit().await.unwrap();

    assert!(!sees_everything(reader.as_mut(), world.test, "124").await);
    let mut after = world.store.read().await.unwrap();
    assert!(sees_everything(after.as_mut(), world.test, "124").await);
    assert!(!sees_everything(reader.as_mut(), world.test, "124").await);
}

pub(crate) async fn two_readers_see_each_their_own_instant<E: Engine>() {
    let world = World::<E>::new().await;
    let asked = [(user_key(1), counter(subscription_id(1), "api-calls"))];
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;

    let mut readers = Vec::new();
    for used in 1..=5 {
        world.change(world.test, user_key(1), [count(asked[0].1.clone(), used)]).await;
        let mut reader = world.store.read().await.unwrap();
        assert_eq!(reader.counters(world.test, &asked).await.unwrap(), [Some(used.into())]);
        readers.push((used, reader));
    }
    for (used, mut reader) in readers {
        assert_eq!(reader.counters(world.test, &asked).await.unwrap(), [Some(used.into())]);
    }
}

pub(crate) async fn many_can_read_at_once<E: Engine>() {
    let world = World::<E>::new().await;
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;

    // Twice, so that what the first round has left is used by the second.
    for _ in 0..2 {
        let mut readers = Vec::new();
        for _ in 0..50 {
            let mut reader = world.store.read().await.unwrap();
            assert!(one(reader.users(world.test, &user_ids(["124"])).await.unwrap()).is_some());
            readers.push(reader);
        }
        for reader in &mut readers {
            assert!(one(reader.users(world.test, &user_ids(["124"])).await.unwrap()).is_some());
        }
    }
}

pub(crate) async fn a_transaction_that_changes_nothing_can_be_committed<E: Engine>() {
    let world = World::<E>::new().await;
    world.store.write().await.unwrap().commit().await.unwrap();

    let mut writer = world.store.write().await.unwrap();
    writer.change_facts(world.test, &[]).await.unwrap();
    assert_eq!(writer.catalog(world.test).await.unwrap(), Catalog::default());
    writer.commit().await.unwrap();

    assert_eq!(world.catalog_version(world.test).await, CatalogVersion(0));
}

pub(crate) async fn changes_of_both_environments_are_committed_together<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = [(user_key(1), create_user(user_key(1), "ada"))];
    let bob = [(user_key(2), create_user(user_key(2), "bob"))];

    let mut writer = world.store.write().await.unwrap();
    writer.change_facts(world.test, &ada).await.unwrap();
    writer.change_facts(world.live, &bob).await.unwrap();
    drop(writer);
    assert_eq!(world.user(world.test, "ada").await, None);
    assert_eq!(world.user(world.live, "bob").await, None);

    let mut writer = world.store.write().await.unwrap();
    writer.change_facts(world.test, &ada).await.unwrap();
    writer.change_facts(world.live, &bob).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(world.user(world.test, "ada").await, Some(user(user_key(1), "ada")));
    assert_eq!(world.user(world.live, "bob").await, Some(user(user_key(2), "bob")));
}

pub(crate) async fn writers_take_turns<E: Engine>() {
    const WRITERS: i64 = 16;
    let world = World::<E>::new().await;
    let asked = [(user_key(1), counter(subscription_id(1), "api-calls"))];
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;

    // Each adds one to what it has read; were that to change meanwhile, one would be lost.
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (store, environment, asked) = (world.store.clone(), world.test, asked.clone());
        writers.spawn(async move {
            let mut writer = store.write().await.unwrap();
            writer.facts(environment, &user_ids(["124"])).await.unwrap();
            let used = one(writer.counters(environment, &asked).await.unwrap());
            // Whoever is next has its chance here.
            tokio::task::yield_now().await;
            let [(user, counter)] = asked;
            let changes = [(user, count(counter, used.map_or(0, |value| value.used) + 1))];
            writer.change_facts(environment, &changes).await.unwrap();
            writer.commit().await.unwrap();
        });
    }
    writers.join_all().await;

    assert_eq!(world.counters(world.test, &asked).await, [WRITERS]);
}

pub(crate) async fn only_one_of_many_creates_a_user<E: Engine>() {
    let world = World::<E>::new().await;

    let mut writers = tokio::task::JoinSet::new();
    for n in 1..=8 {
        let (store, environment) = (world.store.clone(), world.test);
        writers.spawn(async move {
            let mut writer = store.write().await.unwrap();
            let known = one(writer.users(environment, &[user_id("124")]).await.unwrap());
            tokio::task::yield_now().await;
            if known.is_some() {
                return 0;
            }
            let changes = [(user_key(n), create_user(user_key(n), "124"))];
            match writer.change_facts(environment, &changes).await {
                Ok(()) => writer.commit().await.map_or(0, |()| 1),
                // An engine may find out only when it writes that another was faster.
                Err(_) => 0,
            }
        });
    }
    let created: i32 = writers.join_all().await.into_iter().sum();

    assert_eq!(created, 1);
    assert!(world.user(world.test, "124").await.is_some());
}
