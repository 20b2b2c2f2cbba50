//! An answer is never older than a write that was acknowledged.

use kana_core::usage::RecordUsage;

use crate::world::{
    World, consumable, feature_id, package, package_id, record, subscribe, usage, used, user,
    user_id,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn usage_that_was_recorded_is_seen_by_the_next_question() {
    let world = World::subscribed().await;
    let test = world.test().await;
    for number in 1..=100 {
        record(&test, usage()).await;
        assert_eq!(used(&test, "124").await, number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_write_and_then_ask_each_see_their_own() {
    let world = World::shop().await;
    let test = world.test().await;
    let users = (0..20).map(|number| {
        let test = test.clone();
        tokio::spawn(async move {
            let id = format!("user-{number}");
            user(&test, &id).await;
            subscribe(&test, &id, "basic").await.unwrap();
            for round in 1..=10 {
                record(&test, RecordUsage { user: user_id(&id), ..usage() }).await;
                assert_eq!(used(&test, &id).await, round);
            }
        })
    });
    for story in futures_util::future::join_all(users).await {
        story.unwrap();
    }
}

#[tokio::test]
async fn a_package_can_be_subscribed_to_once_its_publication_was_answered() {
    let world = World::shop().await;
    let test = world.test().await;
    for number in 0..10 {
        let (id, who) = (format!("package-{number}"), format!("user-{number}"));
        user(&test, &who).await;
        test.create_package(package(&id, 5)).await.unwrap();
        assert!(subscribe(&test, &who, &id).await.is_err(), "it is a draft");
        test.publish_package(package_id(&id)).await.unwrap();
        let made = subscribe(&test, &who, &id).await.unwrap();
        assert_eq!(made.package, package_id(&id));
    }
}

#[tokio::test]
async fn a_feature_and_a_user_can_be_asked_for_once_they_were_answered() {
    let world = World::new().await;
    let test = world.test().await;
    for number in 0..10 {
        let id = format!("thing-{number}");
        test.create_feature(consumable(&id)).await.unwrap();
        assert!(test.catalog().await.unwrap().feature(&feature_id(&id)).is_some());
        user(&test, &id).await;
        let answer = test.can_use_feature(&user_id(&id), &feature_id(&id), 1).await.unwrap();
        assert!(!answer.access);
    }
}

#[tokio::test]
async fn a_subscription_grants_until_its_cancellation_was_answered() {
    let world = World::shop().await;
    let test = world.test().await;
    let (who, feature) = (user_id("124"), feature_id("api-calls"));
    for _ in 0..10 {
        let made = subscribe(&test, "124", "basic").await.unwrap();
        assert!(test.can_use_feature(&who, &feature, 1).await.unwrap().access);
        test.cancel_subscription(&made.id.to_string()).await.unwrap();
        assert!(!test.can_use_feature(&who, &feature, 1).await.unwrap().access);
    }
}

#[tokio::test]
async fn time_is_read_anew_for_each_question() {
    let world = World::subscribed().await;
    let test = world.test().await;
    record(&test, usage()).await;
    world.clock.set(time_after_one_month());
    assert_eq!(used(&test, "124").await, 0, "a new period starts at 0");
    record(&test, RecordUsage { delta: 3, ..usage() }).await;
    assert_eq!(used(&test, "124").await, 3);
    let history = test.show_usage(&user_id("124"), &feature_id("api-calls")).await.unwrap();
    assert_eq!(history.past[0].consumption.used, 1);
}

fn time_after_one_month() -> kana_core::Timestamp {
    crate::world::time("2024-02-15T12:00:00.000Z")
}
