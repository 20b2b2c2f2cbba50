//! Rollover: what it costs, and that what is carried is the same from memory and from the database.

use kana_core::catalog::Allowance;
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::period::ResetPeriod;
use kana_core::rollover::Rollover;
use kana_core::usage::{RecordUsage, UseFeature};
use kana_service::Environment;
use kana_store::sqlite::FactsCacheLimits;

use crate::world::{World, consumable, feature_id, package_id, time, usage, user_id};

const PERIODS: i64 = 12;

/// Two features with 100 a day, of which what is left of `carried` is carried, for a user who has been subscribed
/// for a month and has used both on some days.
async fn carry(world: &World) -> Environment {
    let test = world.test().await;
    let inside = |feature, rollover| NewPackageFeature {
        feature: feature_id(feature),
        name: None,
        allowance: Some(Allowance {
            limit: Some(100),
            reset_period: Some(ResetPeriod::Day),
            rollover,
            ..Allowance::UNLIMITED
        }),
    };
    let rollover = Rollover::new(None, Some(PERIODS)).unwrap();
    for id in ["carried", "lost"] {
        test.create_feature(consumable(id)).await.unwrap();
    }
    let package = NewPackage {
        id: package_id("daily"),
        name: None,
        is_addon: false,
        features: vec![inside("carried", Some(rollover)), inside("lost", None)],
        base_packages: Vec::new(),
        metadata: None,
    };
    test.create_package(package).await.unwrap();
    test.publish_package(package_id("daily")).await.unwrap();
    let start = Some(time("2023-12-15T12:00:00.000Z"));
    test.subscribe(user_id("124"), vec![package_id("daily")], start).await.unwrap();
    for day in [4, 5, 9, 14] {
        let occurred_at = Some(time(&format!("2024-01-{day:02}T18:00:00.000Z")));
        for feature in ["carried", "lost"] {
            let feature = feature_id(feature);
            let late = RecordUsage { feature, delta: 10, occurred_at, ..usage() };
            test.record_usage(late).await.unwrap();
        }
    }
    test
}

/// How many statements a question, a recording and a use of the feature cost.
async fn costs(world: &World, test: &Environment, feature: &str) -> [u64; 3] {
    let (user, feature) = (user_id("124"), feature_id(feature));
    let recording = || RecordUsage { feature: feature.clone(), delta: 1, ..usage() };
    // What is done first is noted.
    test.record_usage(recording()).await.unwrap();
    test.can_use_feature(&user, &feature, 1).await.unwrap();
    let (asked, asking) = world.statements(test.can_use_feature(&user, &feature, 1)).await;
    assert!(asked.unwrap().access);
    let (recorded, recording) = world.statements(test.record_usage(recording())).await;
    assert!(recorded.unwrap().recorded());
    let using = UseFeature { user, feature, delta: 1, idempotency_key: None };
    let (used, using) = world.statements(test.use_feature(using)).await;
    assert!(used.unwrap().granted);
    [asking, recording, using]
}

async fn carried(test: &Environment) -> i64 {
    let answer = test.can_use_feature(&user_id("124"), &feature_id("carried"), 0).await.unwrap();
    answer.consumption.unwrap().carried()
}

#[tokio::test]
async fn what_is_carried_costs_a_statement_more_and_none_from_memory() {
    for (limits, more) in [(FactsCacheLimits::mib(0), 1), (FactsCacheLimits::default(), 0)] {
        let world = World::with_facts_cache(limits).await.stocked().await;
        let test = carry(&world).await;
        let plain = costs(&world, &test, "lost").await;
        assert_eq!(costs(&world, &test, "carried").await, plain.map(|plain| plain + more));
    }
}

#[tokio::test]
async fn what_is_carried_is_the_same_from_memory_and_after_a_restart() {
    let world = World::with_facts_cache(FactsCacheLimits::default()).await.stocked().await;
    let test = carry(&world).await;
    // The day begins at noon. The days before it are those from January 3rd to 14th; 4 of them used 10.
    assert_eq!(carried(&test).await, 12 * 100 - 40);
    let late = RecordUsage {
        feature: feature_id("carried"),
        delta: 30,
        occurred_at: Some(time("2024-01-12T18:00:00.000Z")),
        ..usage()
    };
    test.record_usage(late.clone()).await.unwrap();
    assert_eq!(carried(&test).await, 12 * 100 - 70);
    // Two days later, two others are carried from: those on which nothing was used are as they were.
    world.clock.set(time("2024-01-17T12:00:00.000Z"));
    let used = UseFeature {
        user: user_id("124"),
        feature: feature_id("carried"),
        delta: 1230,
        idempotency_key: None,
    };
    assert!(!test.use_feature(UseFeature { delta: 1241, ..used.clone() }).await.unwrap().granted);
    let used = test.use_feature(used).await.unwrap();
    assert_eq!(used.consumption.unwrap().carried(), 12 * 100 - 60);
    assert_eq!(carried(&test).await, 12 * 100 - 60);
    test.record_usage(RecordUsage { delta: -30, ..late }).await.unwrap();
    assert_eq!(carried(&test).await, 12 * 100 - 30);
    drop(test);
    let world = world.restart().await;
    let test = world.test().await;
    assert_eq!(carried(&test).await, 12 * 100 - 30);
    world.clock.set(time("2024-01-18T12:00:00.000Z"));
    // Yesterday 1130 of what was carried were used, the newest first. The 40 that were left were of the oldest day.
    assert_eq!(carried(&test).await, 0);
}
