//! Counters that are too old to be listed are folded into one sum, once a day.

use kana_core::catalog::Allowance;
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::period::ResetPeriod;
use kana_core::usage::RecordUsage;

use crate::world::{
    World, change_events, feature_id, package_id, subscribe, time, usage, used, user_id,
};

const DAYS: i64 = 1600;

#[tokio::test]
async fn old_counters_are_folded_and_what_they_held_is_still_known() {
    let world = World::shop().await;
    let test = world.test().await;
    let daily = NewPackageFeature {
        feature: feature_id("api-calls"),
        name: None,
        allowance: Some(Allowance { reset_period: Some(ResetPeriod::Day), ..Allowance::UNLIMITED }),
    };
    test.create_package(NewPackage {
        id: package_id("daily"),
        name: None,
        is_addon: false,
        features: vec![daily],
        base_packages: Vec::new(),
        metadata: None,
    })
    .await
    .unwrap();
    test.publish_package(package_id("daily")).await.unwrap();
    subscribe(&test, "124", "daily").await.unwrap();
    let start = time("2024-01-15T12:00:00.000Z");
    let day = |n: i64| start.saturating_add_ms(n * 24 * 60 * 60 * 1000);
    // Recorded before the days are old; later, usage of them would go straight to the sum.
    for days in [0..DAYS / 2, DAYS / 2..DAYS] {
        world.clock.set(day(days.end - 1));
        let told = days.map(|n| RecordUsage { occurred_at: Some(day(n)), ..usage() });
        let recorded = test.record_usage_batch(told.collect()).await;
        assert!(recorded.into_iter().all(|answer| answer.unwrap().recorded()));
    }
    drop(test);
    // A restart writes all counters to their table, where folding looks for old ones.
    let world = world.restart().await;
    assert_eq!(world.count("counters"), 1600);
    kana_service::jobs::housekeeping(&world.kana).run_now().await.unwrap();
    let world = world.restart().await;
    assert_eq!(world.count("counters"), 1501);
    let (feature, user) = (feature_id("api-calls"), user_id("124"));
    let test = world.test().await;
    let shown = test.show_usage(&user, &feature).await.unwrap();
    assert_eq!(shown.past.len(), 100);
    assert!(shown.past.iter().all(|period| period.consumption.used == 1));
    assert_eq!(used(&test, "124").await, 1);
    // As of the first day: later, nobody knows whether old events were deleted.
    let mut found = Vec::new();
    world.store.check(start, &mut |finding| found.push(finding)).await.unwrap();
    assert_eq!(found, [], "what is in the sum counts");
    change_events(world.dir(), "UPDATE events SET delta = 9 WHERE id = 1");
    world.store.check(start, &mut |finding| found.push(finding)).await.unwrap();
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert!(finding.found.contains("the sum of old counters is 100, and"), "{finding:?}");
}
