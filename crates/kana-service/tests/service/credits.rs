//! Features that draw on the balance of another one.

use kana_core::catalog::{Allowance, Feature, FeatureKind};
use kana_core::catalog_command::{FeatureEdit, NewPackage, NewPackageFeature};
use kana_core::credits::{Cost, Draw};
use kana_core::day::Day;
use kana_core::metadata::Label;
use kana_core::period::ResetPeriod;
use kana_core::usage::{RecordUsage, UseFeature};
use kana_service::Environment;
use kana_store::sqlite::FactsCacheLimits;

use crate::world::{
    World, change_events, consumable, feature_id, key, package_id, subscribe, time, usage, user_id,
};

/// Lets `images` draw on `api-calls` at a cost of 3, and subscribes the user to both.
async fn draw_on_calls(world: &World) -> Environment {
    let test = world.test().await;
    let kind = FeatureKind::Consumable {
        unit_label: Some(Label::new("unitLabel", "image").unwrap()),
        unit_label_plural: None,
        thresholds: kana_core::threshold::Thresholds::NONE,
        draws: Draw::new(Some(feature_id("api-calls")), Some(3)).unwrap(),
    };
    test.create_feature(Feature { kind, ..consumable("images") }).await.unwrap();
    let allowance = Allowance {
        limit: Some(100),
        reset_period: Some(ResetPeriod::Month),
        ..Allowance::UNLIMITED
    };
    let inside = |feature, allowance| NewPackageFeature {
        feature: feature_id(feature),
        name: None,
        allowance,
    };
    let package = NewPackage {
        id: package_id("plus"),
        name: None,
        is_addon: false,
        features: vec![inside("images", None), inside("api-calls", Some(allowance))],
        base_packages: Vec::new(),
        metadata: None,
    };
    test.create_package(package).await.unwrap();
    test.publish_package(package_id("plus")).await.unwrap();
    subscribe(&test, "124", "plus").await.unwrap();
    test
}

fn images() -> RecordUsage {
    RecordUsage { feature: feature_id("images"), ..usage() }
}

/// How many statements a question, a recording and a use of the feature cost.
async fn costs(world: &World, test: &Environment, feature: &str) -> [u64; 3] {
    let (user, feature) = (user_id("124"), feature_id(feature));
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
async fn a_feature_that_draws_costs_as_many_statements_as_its_balance() {
    for limits in [FactsCacheLimits::mib(0), FactsCacheLimits::default()] {
        let world = World::with_facts_cache(limits).await.stocked().await;
        let test = draw_on_calls(&world).await;
        let of_balance = costs(&world, &test, "api-calls").await;
        assert_eq!(costs(&world, &test, "images").await, of_balance);
    }
}

#[tokio::test]
async fn what_is_drawn_is_there_after_a_restart_and_taken_back() {
    let world = World::shop().await;
    let test = draw_on_calls(&world).await;
    let with_key = RecordUsage { delta: 5, idempotency_key: key("k"), ..images() };
    test.record_usage(with_key).await.unwrap();
    let edit = FeatureEdit { cost: Some(Cost::new(7).unwrap()), ..FeatureEdit::default() };
    test.update_feature(feature_id("images"), edit).await.unwrap();
    test.record_usage(images()).await.unwrap();
    drop(test);
    let world = world.restart().await;
    let test = world.test().await;
    let used = async |feature| {
        let answer = test.can_use_feature(&user_id("124"), &feature_id(feature), 0).await.unwrap();
        answer.consumption.unwrap().used
    };
    assert_eq!((used("images").await, used("api-calls").await), (22, 22));
    assert!(test.void_usage(key("k").unwrap()).await.unwrap().voided());
    assert_eq!(used("api-calls").await, 7);
}

#[tokio::test]
async fn the_day_has_what_was_used_and_what_was_drawn() {
    let world = World::shop().await;
    let test = draw_on_calls(&world).await;
    let with_key = RecordUsage { delta: 5, idempotency_key: key("k"), ..images() };
    test.record_usage(with_key).await.unwrap();
    test.record_usage(RecordUsage { delta: 2, ..images() }).await.unwrap();
    test.record_usage(usage()).await.unwrap();
    let today = Day::of(time("2024-01-15T12:00:00.000Z"));
    let of = async |feature| {
        let feature = feature_id(feature);
        let days = test.usage_by_day(Some(&feature), today, today).await.unwrap();
        (days[0].events, days[0].amount.unwrap())
    };
    let calls = usage().delta;
    assert_eq!(of("images").await, (2, 7));
    assert_eq!(of("api-calls").await, (1, 21 + calls));
    test.void_usage(key("k").unwrap()).await.unwrap();
    assert_eq!(of("images").await, (2, 2));
    assert_eq!(of("api-calls").await, (1, 6 + calls));
}

#[tokio::test]
async fn a_check_does_not_count_a_balance_again() {
    let world = World::shop().await;
    let test = draw_on_calls(&world).await;
    test.record_usage(RecordUsage { delta: 5, ..images() }).await.unwrap();
    test.record_usage(usage()).await.unwrap();
    let check = async || {
        let mut found = Vec::new();
        let now = time("2024-01-15T12:00:00.000Z");
        world.store.check(now, &mut |finding| found.push(finding)).await.unwrap();
        found
    };
    assert_eq!(check().await, []);
    change_events(world.dir(), "UPDATE events SET delta = delta + 1");
    assert_eq!(check().await, []);
    assert!(test.delete_feature(feature_id("images")).await.is_err());
}

#[tokio::test]
async fn a_check_counts_a_balance_again_on_which_nothing_drew() {
    let world = World::shop().await;
    let test = draw_on_calls(&world).await;
    test.record_usage(usage()).await.unwrap();
    let check = async || {
        let mut found = Vec::new();
        let now = time("2024-01-15T12:00:00.000Z");
        world.store.check(now, &mut |finding| found.push(finding)).await.unwrap();
        found
    };
    assert_eq!(check().await, []);
    change_events(world.dir(), "UPDATE events SET delta = delta + 1");
    let found = check().await;
    assert!(matches!(found.as_slice(), [finding] if finding.check == "counters"), "{found:?}");
}
