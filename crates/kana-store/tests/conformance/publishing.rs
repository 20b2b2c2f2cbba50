//! What publishing a configuration asks of a store: whom a change touches, what has usage, and that
//! things go away.

use kana_core::catalog::{Allowance, Catalog, CatalogChange, Package, PackageKind, PackageStatus};
use kana_core::facts::Change;
use kana_core::id::UserKey;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::usage::UsageEvent;
use kana_store::EnvironmentId;

use crate::Engine;
use crate::world::{
    BEGINNING, World, cancel, count, counter, create_user, event, feature, feature_id, gives,
    package, package_id, put_feature, put_package, subscribe, subscription, subscription_id, time,
    user_key, written_out,
};

async fn have_usage<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    features: &[&str],
) -> Vec<bool> {
    let features: Vec<_> = features.iter().map(|id| feature_id(id)).collect();
    world.store.read().await.unwrap().have_usage(environment, &features).await.unwrap()
}

async fn active_subscribers<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    packages: &[&str],
) -> Vec<u64> {
    let packages: Vec<_> = packages.iter().map(|id| package_id(id)).collect();
    let mut reader = world.store.read().await.unwrap();
    reader.active_subscribers(environment, &packages, time(BEGINNING)).await.unwrap()
}

pub(crate) async fn what_is_deleted_is_gone_and_comes_back_as_new<E: Engine>() {
    let world = World::<E>::new().await;
    let draft = |id: &str| Package {
        status: PackageStatus::Draft,
        kind: PackageKind::Addon { base_packages: vec![package_id("pro"), package_id("max")] },
        ..package(id, ["seats", "sso"])
    };
    let mut changes: Vec<CatalogChange> =
        ["sso", "seats", "spare"].map(|id| put_feature(&feature(id))).into();
    changes.extend([put_package(&draft("a")), put_package(&draft("b"))]);
    for environment in [world.test, world.live] {
        world.change_catalog(environment, &changes).await;
    }
    let gone = [
        CatalogChange::DeletePackage(package_id("a")),
        CatalogChange::DeleteFeature(feature_id("sso")),
        // Again, with nothing of what it had.
        put_package(&package("a", [])),
        put_feature(&feature("sso")),
        CatalogChange::DeleteFeature(feature_id("spare")),
    ];
    world.change_catalog(world.test, &gone).await;

    let expected: Catalog = changes.iter().chain(&gone).collect();
    let read = world.catalog(world.test).await;
    assert_eq!(written_out(&read), written_out(&expected));
    let order: Vec<&str> = read.packages().map(|package| package.id.as_str()).collect();
    assert_eq!(order, ["b", "a"]);
    // The other environment has all of it.
    let expected: Catalog = changes.iter().collect();
    assert_eq!(written_out(&world.catalog(world.live).await), written_out(&expected));
}

pub(crate) async fn deleting_what_is_not_there_changes_nothing_else<E: Engine>() {
    let world = World::<E>::new().await;
    let inside = [gives("seats", Allowance::UNLIMITED)].into_iter().collect();
    let pro = Package { features: inside, ..package("pro", []) };
    world.change_catalog(world.test, &[put_feature(&feature("seats")), put_package(&pro)]).await;
    let before = written_out(&world.catalog(world.test).await);
    let gone = [
        CatalogChange::DeletePackage(package_id("Pro")),
        CatalogChange::DeleteFeature(feature_id("Seats")),
    ];
    world.change_catalog(world.test, &gone).await;
    assert_eq!(written_out(&world.catalog(world.test).await), before);
}

pub(crate) async fn users_with_a_granting_subscription_are_counted_once_a_package<E: Engine>() {
    let world = World::<E>::new().await;
    assert_eq!(active_subscribers(&world, world.test, &[]).await, [0; 0]);
    assert_eq!(active_subscribers(&world, world.test, &["pro"]).await, [0]);
    let mut ids = 0;
    let mut next = || {
        ids += 1;
        subscription_id(ids)
    };
    let user =
        |n: u16| -> (UserKey, Change) { (user_key(n), create_user(user_key(n), &n.to_string())) };
    // Subscribed twice, as only a billing provider can do it, and to another package too.
    let (key, create) = user(1);
    let changes =
        [create, subscribe(next(), "pro"), subscribe(next(), "pro"), subscribe(next(), "extra")];
    world.change(world.test, key, changes).await;
    // Cancelled, and subscribed anew.
    let (key, create) = user(2);
    let old = next();
    let end = cancel(old, "2024-01-02T00:00:00.000Z");
    let changes = [create, subscribe(old, "pro"), end, subscribe(next(), "pro")];
    world.change(world.test, key, changes).await;
    // Cancelled for good.
    let (key, create) = user(3);
    let old = next();
    let changes = [create, subscribe(old, "pro"), cancel(old, "2024-01-02T00:00:00.000Z")];
    world.change(world.test, key, changes).await;
    // One in each other status: a trial grants, and nothing else.
    for (n, status) in (4..).zip([
        SubscriptionStatus::Trialing,
        SubscriptionStatus::PastDue,
        SubscriptionStatus::Unpaid,
        SubscriptionStatus::Incomplete,
        SubscriptionStatus::IncompleteExpired,
    ]) {
        let (key, create) = user(n);
        let added = Subscription { status, ..subscription(next(), "pro") };
        world.change(world.test, key, [create, Change::AddSubscription(added)]).await;
    }
    let (key, create) = user(1);
    world.change(world.live, key, [create, subscribe(next(), "pro")]).await;

    let asked = ["extra", "pro", "nope", "Pro", "pro"];
    assert_eq!(active_subscribers(&world, world.test, &asked).await, [1, 3, 0, 0, 3]);
    assert_eq!(active_subscribers(&world, world.live, &["pro", "extra"]).await, [1, 0]);
}

pub(crate) async fn a_feature_has_usage_once_it_was_recorded_counted_or_not<E: Engine>() {
    let world = World::<E>::new().await;
    let all = ["counted", "uncounted", "binary", "other", "Counted"];
    assert_eq!(have_usage(&world, world.test, &all).await, [false; 5]);
    let uncounted = UsageEvent { subscription: None, ..event(subscription_id(1), "uncounted") };
    let counted = || {
        let counter = counter(subscription_id(1), "counted");
        [Change::LogEvent(event(subscription_id(1), "counted")), count(counter, 0)]
    };
    let changes = [
        create_user(user_key(1), "124"),
        Change::LogEvent(uncounted.clone()),
        Change::LogEvent(event(subscription_id(1), "binary")),
    ];
    world.change(world.test, user_key(1), changes.into_iter().chain(counted())).await;
    // Once more changes nothing.
    let again = counted().into_iter().chain([Change::LogEvent(uncounted)]);
    world.change(world.test, user_key(1), again).await;
    assert_eq!(have_usage(&world, world.test, &all).await, [true, true, true, false, false]);
    assert_eq!(have_usage(&world, world.live, &all).await, [false; 5]);
}

pub(crate) async fn usage_that_is_not_committed_is_none<E: Engine>() {
    let world = World::<E>::new().await;
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;
    let counter = counter(subscription_id(1), "counted");
    let mut writer = world.store.write().await.unwrap();
    let changes = [(user_key(1), count(counter, 1))];
    writer.change_facts(world.test, &changes).await.unwrap();
    let seen = writer.have_usage(world.test, &[feature_id("counted")]).await.unwrap();
    assert_eq!(seen, [true], "a writer sees its own changes");
    drop(writer);
    assert_eq!(have_usage(&world, world.test, &["counted"]).await, [false]);
}
