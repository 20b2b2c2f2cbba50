//! A check of the database counts usage again, also after the terms of a package have changed.

use kana_core::Timestamp;
use kana_core::catalog::{Allowance, Feature, FeatureKind};
use kana_core::configuration::Configuration;
use kana_core::decide::OverrideInput;
use kana_core::overrides::OverrideKind;
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::usage::{RecordUsage, UsageAction};
use kana_service::Environment;
use kana_store::check::Finding;

use crate::world::{World, change_events, consumable, feature_id, time, usage, user_id};

const HOUR_MS: i64 = 60 * 60 * 1000;

async fn check(world: &World) -> Vec<Finding> {
    let mut found = Vec::new();
    let now = time("2024-01-15T12:00:00.000Z");
    world.store.check(now, &mut |finding| found.push(finding)).await.unwrap();
    found
}

/// Publishes other terms of `api-calls` in all packages.
async fn change_terms(world: &World, reset_period: Option<ResetPeriod>, is_there: bool) {
    let test = world.test().await;
    let configured = test.configuration().await.unwrap();
    let mut configuration: Configuration = configured.configuration;
    for package in &mut configuration.packages {
        let feature = feature_id("api-calls");
        if is_there {
            let allowance = Allowance {
                limit: Some(1_000_000),
                reset_period,
                overage_enabled: true,
                ..Allowance::UNLIMITED
            };
            package.features.insert(feature, allowance);
        } else {
            package.features.shift_remove(&feature);
            package.features.insert(feature_id("other"), Allowance::UNLIMITED);
        }
    }
    test.publish(configuration, None).await.unwrap();
}

/// Uses, and changes terms, at random instants of half a year.
async fn live(world: &World, random: &mut fastrand::Rng) {
    let test = world.test().await;
    let mut now = time("2024-01-15T12:00:00.000Z");
    for _ in 0..60 {
        now = now.saturating_add_ms(random.i64(1..100) * HOUR_MS);
        world.clock.set(now);
        if random.u8(..) < 40 {
            let resets =
                [None, Some(ResetPeriod::Day), Some(ResetPeriod::Month), Some(ResetPeriod::Year)];
            let reset = resets[random.usize(..resets.len())];
            change_terms(world, reset, random.u8(..) > 40).await;
            now = now.saturating_add_ms(HOUR_MS);
            world.clock.set(now);
        }
        use_some(&test, random, now).await;
    }
}

/// Adds or sets an amount, now or up to three months ago.
async fn use_some(test: &Environment, random: &mut fastrand::Rng, now: Timestamp) {
    let ago: Option<i64> = random.bool().then(|| random.i64(0..2_000));
    let occurred_at = ago.map(|hours| now.saturating_add_ms(-hours * HOUR_MS));
    let action = if random.u8(..) < 50 { UsageAction::Set } else { UsageAction::Add };
    let delta = if action == UsageAction::Set { random.i64(0..50) } else { random.i64(-5..50) };
    test.record_usage(RecordUsage { action, delta, occurred_at, ..usage() }).await.unwrap();
}

/// Uses, and sets and removes an override, at random instants of half a year.
async fn live_with_overrides(world: &World, random: &mut fastrand::Rng) {
    let test = world.test().await;
    let mut now = time("2024-01-15T12:00:00.000Z");
    for _ in 0..60 {
        now = now.saturating_add_ms(random.i64(1..100) * HOUR_MS);
        world.clock.set(now);
        match random.u8(..) {
            0..20 => {
                test.remove_override(user_id("124"), feature_id("api-calls")).await.unwrap();
            }
            20..80 => set_override(&test, random, now).await,
            80.. => {}
        }
        now = now.saturating_add_ms(HOUR_MS);
        world.clock.set(now);
        use_some(&test, random, now).await;
    }
}

async fn set_override(test: &Environment, random: &mut fastrand::Rng, now: Timestamp) {
    let kinds =
        [OverrideKind::Limit, OverrideKind::Limit, OverrideKind::Unlimited, OverrideKind::Deny];
    let kind = kinds[random.usize(..kinds.len())];
    let resets = [None, Some(ResetPeriod::Hour), Some(ResetPeriod::Day), Some(ResetPeriod::Month)];
    let reset_period = resets[random.usize(..resets.len())].filter(|_| kind != OverrideKind::Deny);
    let reset_anchor = reset_period.and(random.bool().then_some(ResetAnchor::Calendar));
    let limit = (kind == OverrideKind::Limit).then(|| random.i64(0..1_000));
    let input = OverrideInput { kind, limit, reset_period, reset_anchor, overage_enabled: None };
    let ends_at = random.bool().then(|| now.saturating_add_ms(random.i64(1..500) * HOUR_MS));
    let (user, feature) = (user_id("124"), feature_id("api-calls"));
    test.set_override(user, feature, input, (ends_at, None)).await.unwrap();
}

/// Expects that a check finds nothing, and then that the last counted event was made larger. Returns
/// whether it found that.
async fn finds_a_difference(world: &World, seed: u64) -> bool {
    assert_eq!(check(world).await, [], "seed {seed}");
    let last = "UPDATE events SET delta = delta + 1
        WHERE id = (SELECT max(id) FROM events WHERE subscription_id IS NOT NULL)";
    change_events(world.dir(), last);
    let found = check(world).await;
    assert!(found.iter().all(|finding| finding.check == "counters"), "{found:?}");
    !found.is_empty()
}

#[tokio::test]
async fn counters_under_changing_terms_are_what_their_events_make() {
    let mut differences = 0;
    for seed in 0..20 {
        let world = World::subscribed().await;
        world.test().await.create_feature(consumable("other")).await.unwrap();
        live(&world, &mut fastrand::Rng::with_seed(seed)).await;
        differences += usize::from(finds_a_difference(&world, seed).await);
    }
    // An event that takes below zero, or is replaced in another period, makes no difference.
    assert!(differences >= 15, "{differences}");
}

#[tokio::test]
async fn counters_of_overrides_are_what_their_events_make() {
    let mut differences = 0;
    // Where an override counts beside a subscription, and where it counts alone.
    for (seed, has_subscription) in (0..10).flat_map(|seed| [(seed, true), (seed, false)]) {
        let world = if has_subscription { World::subscribed().await } else { World::shop().await };
        live_with_overrides(&world, &mut fastrand::Rng::with_seed(seed)).await;
        differences += usize::from(finds_a_difference(&world, seed).await);
    }
    // What a removed override has counted is not compared.
    assert!(differences >= 7, "{differences}");
}

#[tokio::test]
async fn usage_of_a_binary_feature_under_an_override_has_no_counter() {
    let world = World::shop().await;
    let test = world.test().await;
    let switch = Feature { kind: FeatureKind::Binary, ..consumable("sso") };
    test.create_feature(switch).await.unwrap();
    let kind = OverrideKind::Unlimited;
    let input = OverrideInput {
        kind,
        limit: None,
        reset_period: None,
        reset_anchor: None,
        overage_enabled: None,
    };
    test.set_override(user_id("124"), feature_id("sso"), input, (None, None)).await.unwrap();
    let recorded = test.record_usage(RecordUsage { feature: feature_id("sso"), ..usage() }).await;
    assert!(recorded.unwrap().recorded());
    assert_eq!(check(&world).await, []);
}

#[tokio::test]
async fn what_comes_with_a_change_of_terms_is_not_compared() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let now: Timestamp = time("2024-01-15T12:00:00.000Z");
    for (ahead, reset) in [(0, Some(ResetPeriod::Day)), (1, None), (9_000, Some(ResetPeriod::Year))]
    {
        world.clock.set(now.saturating_add_ms(HOUR_MS + ahead));
        test.record_usage(usage()).await.unwrap();
        change_terms(&world, reset, true).await;
        test.record_usage(usage()).await.unwrap();
    }
    assert_eq!(check(&world).await, []);
}
