//! Test and live share nothing, not even where everything has the same ids.

use kana_core::usage::RecordUsage;

use crate::world::{
    World, consumable, feature_id, give, package, package_id, record, sentence, stock, subscribe,
    usage, used, user, user_id,
};

#[tokio::test]
async fn the_same_ids_are_other_things_in_the_other_environment() {
    let world = World::new().await;
    for environment in [world.test().await, world.live().await] {
        stock(&environment).await;
        user(&environment, "124").await;
    }
    let (test, live) = (world.test().await, world.live().await);
    subscribe(&test, "124", "basic").await.unwrap();
    assert!(live.subscriptions(&user_id("124")).await.unwrap().1.is_empty());
    subscribe(&live, "124", "pro").await.unwrap();

    record(&test, RecordUsage { delta: 5, ..usage() }).await;
    record(&live, RecordUsage { delta: 7, ..usage() }).await;
    assert_eq!((used(&test, "124").await, used(&live, "124").await), (5, 7));
}

#[tokio::test]
async fn what_one_environment_has_does_not_exist_in_the_other() {
    let world = World::subscribed().await;
    let (test, live) = (world.test().await, world.live().await);
    let id = test.subscriptions(&user_id("124")).await.unwrap().1[0].id.to_string();
    let (user, feature) = (user_id("124"), feature_id("api-calls"));

    assert!(live.catalog().await.unwrap().features().next().is_none());
    assert!(live.catalog().await.unwrap().packages().next().is_none());
    assert_eq!(sentence(live.user(&user).await), "User not found: 124");
    assert_eq!(sentence(live.subscriptions(&user).await), "User not found: 124");
    assert_eq!(sentence(live.can_use_feature(&user, &feature, 1).await), "User not found: 124");
    let stored = world.stored();
    let not_found = format!("Subscription not found: {id}");
    assert_eq!(sentence(live.subscription(&id).await), not_found);
    assert_eq!(sentence(live.cancel_subscription(&id).await), not_found);
    assert_eq!(world.stored(), stored);
}

#[tokio::test]
async fn one_batch_for_both_environments_keeps_them_apart() {
    let world = World::new().await;
    let (test, live) = (world.test().await, world.live().await);
    for environment in [&test, &live] {
        stock(environment).await;
        user(environment, "124").await;
        subscribe(environment, "124", "pro").await.unwrap();
    }
    let recording = (0..200).map(|number| {
        let environment = if number % 4 == 0 { &test } else { &live };
        environment.record_usage(usage())
    });
    assert!(world.together(recording).await.into_iter().all(|answer| answer.unwrap().recorded()));
    assert_eq!((used(&test, "124").await, used(&live, "124").await), (50, 150));
}

#[tokio::test]
async fn catalogs_of_two_environments_grow_apart() {
    let world = World::new().await;
    let (test, live) = (world.test().await, world.live().await);
    test.create_feature(consumable("api-calls")).await.unwrap();
    live.create_feature(consumable("api-calls")).await.unwrap();
    test.create_package(package("basic", 1)).await.unwrap();
    assert_eq!(
        sentence(live.publish_package(package_id("basic")).await),
        "Package not found: basic"
    );
    live.create_package(package("basic", 2)).await.unwrap();
    let limit = |catalog: &kana_core::catalog::Catalog| {
        let package = catalog.package(&package_id("basic")).unwrap();
        package.features[&feature_id("api-calls")].allowance.limit
    };
    assert_eq!(limit(&test.catalog().await.unwrap()), Some(1));
    assert_eq!(limit(&live.catalog().await.unwrap()), Some(2));
}

#[tokio::test]
async fn what_a_user_is_given_is_no_first_usage_and_keeps_its_feature() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let feature = feature_id("api-calls");
    assert!(!test.feature_is_kept(&feature).await.unwrap());
    give(&test).await;
    assert!(test.feature_is_kept(&feature).await.unwrap());
    assert!(!test.first_steps().await.unwrap().has_usage);
    record(&test, usage()).await;
    assert!(test.first_steps().await.unwrap().has_usage);
}
