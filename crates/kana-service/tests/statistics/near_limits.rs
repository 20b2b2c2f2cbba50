//! Who is near or over a limit.

use kana_core::usage::{RecordUsage, UsageAction, UseFeature};
use kana_service::jobs::housekeeping;

use crate::engine::{Engine, Postgres, Sqlite};
use crate::world::{World, feature_id, usage, user_id};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Users near a limit, "user feature used/budget percent" each.
async fn near<E: Engine>(world: &World<E>, limit: usize) -> Vec<String> {
    let near = world.test().await.near_limits(limit).await.unwrap();
    let near = near.iter().map(|it| {
        let (used, budget) = (it.consumption.used, it.consumption.budget.unwrap());
        format!("{} {} {used}/{budget} {}", it.user, it.feature, it.share.percent())
    });
    near.collect()
}

async fn record<E: Engine>(world: &World<E>, usage: RecordUsage) {
    world.pass(1);
    world.test().await.record_usage(usage).await.unwrap();
}

async fn users_come_and_go_as_their_usage_does<E: Engine>() {
    if !E::is_here() {
        return;
    }
    let world = World::<E>::new().await;
    assert_eq!(near(&world, 9).await, [""; 0]);
    record(&world, usage("ada", "daily", 4)).await;
    record(&world, usage("bob", "total", 79)).await;
    assert_eq!(near(&world, 9).await, ["ada daily 4/5 80"]);
    record(&world, usage("bob", "total", 1)).await;
    record(&world, usage("cyd", "total", 300)).await;
    let all = ["cyd total 300/100 100", "bob total 80/100 80", "ada daily 4/5 80"];
    assert_eq!(near(&world, 9).await, all);
    assert_eq!(near(&world, 2).await, all[..2]);

    // What is shown is as it is now.
    record(&world, usage("bob", "total", 1)).await;
    record(&world, RecordUsage { action: UsageAction::Set, ..usage("cyd", "total", 9) }).await;
    assert_eq!(near(&world, 9).await, ["bob total 81/100 80", "ada daily 4/5 80"]);
    let using = |feature| UseFeature {
        user: user_id("ada"),
        feature: feature_id(feature),
        delta: 1,
        idempotency_key: None,
    };
    world.pass(1);
    let test = world.test().await;
    assert!(test.use_feature(using("daily")).await.unwrap().granted);
    assert!(!test.use_feature(using("daily")).await.unwrap().granted);
    assert_eq!(near(&world, 9).await, ["ada daily 5/5 100", "bob total 81/100 80"]);

    // A new day, in which nothing of `daily` was used.
    world.pass(DAY_MS);
    assert_eq!(near(&world, 9).await, ["bob total 81/100 80"]);
    housekeeping(&world.kana).run_now().await.unwrap();
    assert_eq!(near(&world, 9).await, ["bob total 81/100 80"]);
    record(&world, usage("ada", "daily", 5)).await;
    assert_eq!(near(&world, 9).await, ["ada daily 5/5 100", "bob total 81/100 80"]);
}

#[tokio::test]
async fn users_come_and_go_as_their_usage_does_on_sqlite() {
    users_come_and_go_as_their_usage_does::<Sqlite>().await;
}

#[tokio::test]
async fn users_come_and_go_as_their_usage_does_on_postgres() {
    users_come_and_go_as_their_usage_does::<Postgres>().await;
}

async fn whoever_is_no_longer_subscribed_is_near_nothing<E: Engine>() {
    if !E::is_here() {
        return;
    }
    let world = World::<E>::new().await;
    record(&world, usage("ada", "total", 90)).await;
    let test = world.test().await;
    assert_eq!(near(&world, 9).await.len(), 1);
    let subscriptions = test.subscriptions(&user_id("ada")).await.unwrap().1;
    test.cancel_subscription(&subscriptions[0].id.to_string()).await.unwrap();
    assert_eq!(near(&world, 9).await, [""; 0]);
}

#[tokio::test]
async fn whoever_is_no_longer_subscribed_is_near_nothing_on_either_engine() {
    whoever_is_no_longer_subscribed_is_near_nothing::<Sqlite>().await;
    whoever_is_no_longer_subscribed_is_near_nothing::<Postgres>().await;
}
