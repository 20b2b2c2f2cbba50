//! What is refused has left no trace.

use kana_core::usage::{RecordUsage, UsageAction, UseFeature};
use uuid::Uuid;

use crate::world::{
    World, consumable, feature_id, key, new_user, package, package_id, sentence, time, usage,
    use_one, user_id,
};

/// Begin, the version, the facts, what an idempotency key was used for, roll back; nothing is committed.
/// `resolve` may have looked a subscription up before.
const WITHOUT_COMMIT: u64 = 5;

#[tokio::test]
async fn a_refused_command_writes_nothing() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let keyed = RecordUsage { idempotency_key: key("used"), ..usage() };
    test.record_usage(keyed.clone()).await.unwrap();
    let stored = world.stored();
    let nobody = || user_id("nobody");
    let subscribe = |user: &str, package: &str, started_at: Option<&str>| {
        test.subscribe(user_id(user), vec![package_id(package)], started_at.map(time))
    };
    macro_rules! refused {
        ($($call:expr => $sentence:expr,)*) => {$(
            let (answer, statements) = world.statements($call).await;
            let told = sentence(answer.map(|_| ()));
            assert_eq!(told, $sentence);
            assert!(statements <= WITHOUT_COMMIT, "{told}: {statements} statements");
            assert_eq!(world.stored(), stored, "{told}");
        )*};
    }
    let no_such_subscription = Uuid::now_v7().to_string();
    refused! {
        test.create_user(new_user("124")) => "A user with the id 124 exists already",
        test.create_feature(consumable("api-calls")) =>
            "A feature with the id api-calls exists already",
        test.create_package(package("basic", 1)) => "A package with the id basic exists already",
        test.create_package(package("new", -1)) => "limit must not be negative",
        test.publish_package(package_id("nothing")) => "Package not found: nothing",
        subscribe("nobody", "basic", None) => "User not found: nobody",
        subscribe("124", "nothing", None) => "Package Id not found for app",
        subscribe("124", "pro", None) => "Cannot subscribe to multiple tiers",
        subscribe("124", "basic", Some("2024-01-15T12:00:00.001Z")) =>
            "startedAt must not be in the future",
        test.subscribe(user_id("124"), Vec::new(), None) =>
            "packageIds must name at least one package",
        test.cancel_subscription("garbage") => "Subscription not found: garbage",
        test.cancel_subscription(&no_such_subscription) =>
            format!("Subscription not found: {no_such_subscription}"),
        test.record_usage(RecordUsage { user: nobody(), ..usage() }) => "User not found: nobody",
        test.record_usage(RecordUsage { feature: feature_id("nothing"), ..usage() }) =>
            "Feature not found: nothing",
        test.record_usage(RecordUsage { action: UsageAction::Set, delta: -1, ..usage() }) =>
            "delta must not be negative with action SET",
        test.record_usage(RecordUsage {
            occurred_at: Some(time("2024-01-15T12:05:00.001Z")),
            ..usage()
        }) => "occurredAt must not be more than five minutes in the future",
        test.record_usage(RecordUsage { delta: 2, ..keyed.clone() }) =>
            "idempotencyKey was already used for a request with other content; \
             a new request needs a new key",
        test.use_feature(UseFeature { user: nobody(), ..use_one() }) => "User not found: nobody",
        test.use_feature(UseFeature { feature: feature_id("nothing"), ..use_one() }) =>
            "Feature not found: nothing",
        test.use_feature(UseFeature { delta: -1, ..use_one() }) =>
            "delta must not be negative here",
    }
}

#[tokio::test]
async fn bad_values_are_refused_before_an_unknown_user_and_that_before_an_unknown_feature() {
    let world = World::shop().await;
    let test = world.test().await;
    let mut wrong = RecordUsage {
        user: user_id("nobody"),
        feature: feature_id("nothing"),
        action: UsageAction::Set,
        delta: -1,
        ..usage()
    };
    let first = sentence(test.record_usage(wrong.clone()).await);
    assert_eq!(first, "delta must not be negative with action SET");
    wrong.delta = 1;
    assert_eq!(sentence(test.record_usage(wrong.clone()).await), "User not found: nobody");
    wrong.user = user_id("124");
    assert_eq!(sentence(test.record_usage(wrong).await), "Feature not found: nothing");
}

#[tokio::test]
async fn what_changes_nothing_writes_nothing() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let id = test.subscriptions(&user_id("124")).await.unwrap().1[0].id.to_string();
    let (_, _, first) = test.cancel_subscription(&id).await.unwrap();
    // Time goes by, and the same is asked again.
    world.clock.set(time("2024-01-16T00:00:00.000Z"));
    let stored = world.stored();
    let (_, _, again) = test.cancel_subscription(&id).await.unwrap();
    assert_eq!(again, first);
    test.publish_package(package_id("basic")).await.unwrap();
    assert_eq!(world.stored(), stored);
}

#[tokio::test]
async fn a_subscription_to_several_packages_is_all_or_nothing() {
    let world = World::shop().await;
    let test = world.test().await;
    let stored = world.stored();
    let packages = vec![package_id("basic"), package_id("nothing")];
    let refused = test.subscribe(user_id("124"), packages, None).await;
    assert_eq!(sentence(refused), "Package Id not found for app");
    assert_eq!(world.stored(), stored);
}
