//! Holds cost a call the same however many there are: counted in SQL statements.

use kana_core::catalog::{Allowance, Feature, FeatureKind};
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::decide::{CreateHold, ReleaseHold};
use kana_core::entitlement::Requirement;
use kana_core::id::HoldId;
use kana_core::usage::{RecordUsage, UseFeature};
use kana_service::Environment;
use kana_store::sqlite::FactsCacheLimits;
use uuid::Uuid;

use crate::world::{World, feature_id, package_id, subscribe, usage, user_id};

/// Features that are given to the user, each with a balance of its own.
const FEATURES: [&str; 12] =
    ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11"];

async fn subscribed(world: &World) -> Environment {
    let test = world.test().await;
    for id in FEATURES.map(feature_id) {
        let kind = FeatureKind::CONSUMABLE;
        let feature = Feature { name: (&id).into(), id, kind, metadata: None };
        test.create_feature(feature).await.unwrap();
    }
    let inside = FEATURES.map(|feature| NewPackageFeature {
        feature: feature_id(feature),
        name: None,
        allowance: Some(Allowance { limit: Some(1000), ..Allowance::UNLIMITED }),
    });
    let package = NewPackage {
        id: package_id("many"),
        name: None,
        is_addon: false,
        features: inside.to_vec(),
        base_packages: Vec::new(),
        metadata: None,
    };
    test.create_package(package).await.unwrap();
    test.publish_package(package_id("many")).await.unwrap();
    subscribe(&test, "124", "many").await.unwrap();
    test
}

async fn hold(test: &Environment, feature: &str, id: &str) {
    let command = CreateHold {
        user: user_id("124"),
        feature: feature_id(feature),
        id: Some(HoldId::new("id", id).unwrap()),
        amount: 1,
        ttl_seconds: 900,
        new_id: Uuid::nil(),
    };
    assert!(test.create_hold(command).await.unwrap().0.hold.is_some());
}

async fn release(test: &Environment, id: &str) {
    let id = HoldId::new("id", id).unwrap();
    test.release_hold(ReleaseHold { user: user_id("124"), id }).await.unwrap();
}

/// How many statements a question, a recording and a use of the last feature cost.
async fn costs(world: &World, test: &Environment) -> [u64; 3] {
    let (user, feature) = (user_id("124"), feature_id("f11"));
    let recording = || RecordUsage { feature: feature.clone(), ..usage() };
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

#[tokio::test]
async fn a_hundred_holds_on_another_balance_cost_as_one() {
    for limits in [FactsCacheLimits::mib(0), FactsCacheLimits::default()] {
        let world = World::with_facts_cache(limits).await.stocked().await;
        let test = subscribed(&world).await;
        let without = costs(&world, &test).await;
        hold(&test, "f0", "0").await;
        let with_one = costs(&world, &test).await;
        // Those of the balance are read and, as there are none, it is asked whether there are any. A question of
        // a user in memory begins a view for it.
        for (one, none) in with_one.iter().zip(without) {
            assert!((1..=3).contains(&(one - none)), "{with_one:?} {without:?}");
        }
        for n in 1..100 {
            hold(&test, "f0", &n.to_string()).await;
        }
        assert_eq!(costs(&world, &test).await, with_one);
        for n in 0..100 {
            release(&test, &n.to_string()).await;
        }
        assert_eq!(costs(&world, &test).await, without);
    }
}

#[tokio::test]
async fn a_question_about_many_balances_reads_their_holds_at_once() {
    let world = World::with_facts_cache(FactsCacheLimits::default()).await.stocked().await;
    let test = subscribed(&world).await;
    for feature in FEATURES {
        hold(&test, feature, feature).await;
    }
    let user = user_id("124");
    let mut costs = Vec::new();
    for features in [&FEATURES[..2], &FEATURES] {
        let feature = |id: &&str| Requirement { feature: feature_id(id), delta: 999 };
        let asked: Vec<Requirement> = features.iter().map(feature).collect();
        // What is read first is noted.
        test.can_use_features(&user, asked.clone()).await.unwrap();
        let asking = test.can_use_features(&user, asked.clone());
        let ((fits, alone), statements) = {
            let (answered, statements) = world.statements(asking).await;
            (answered.unwrap(), statements)
        };
        assert!(fits && alone.iter().all(|one| one.consumption.unwrap().held() == 1));
        costs.push(statements);
        let one_more = Requirement { feature: feature_id("f0"), delta: 1 };
        let asked = asked.into_iter().chain([one_more]).collect();
        assert!(!test.can_use_features(&user, asked).await.unwrap().0);
    }
    assert_eq!(costs[0], costs[1]);
    let overview = test.user_overview(&user, None).await.unwrap();
    let held: Vec<String> = overview.holds.iter().map(|hold| hold.id.to_string()).collect();
    let mut expected = FEATURES;
    expected.sort_unstable();
    assert_eq!(held, expected);
    let on_one = test.holds(&user, &feature_id("f3")).await.unwrap().0;
    assert_eq!(on_one.iter().map(|hold| hold.id.as_str()).collect::<Vec<_>>(), ["f3"]);
}
