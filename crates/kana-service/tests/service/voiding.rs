//! Taking usage back, and thresholds: durable, once, and the same wherever it is looked at.

use std::sync::Arc;

use kana_core::catalog_command::FeatureEdit;
use kana_core::day::Day;
use kana_core::id::IdempotencyKey;
use kana_core::threshold::{Threshold, Thresholds};
use kana_core::usage::{LoggedAction, RecordUsage, UsageAction, VoidedUsage};
use kana_service::jobs::housekeeping;
use kana_service::{Environment, Kana, Settings};
use kana_store::Store;

use crate::world::{
    NOW, World, feature_id, key, record, sentence, time, try_use, usage, use_one, used, user_id,
};

fn idempotency_key(text: &str) -> IdempotencyKey {
    key(text).unwrap()
}

fn keyed(text: &str, delta: i64) -> RecordUsage {
    RecordUsage { delta, idempotency_key: key(text), ..usage() }
}

async fn void(environment: &Environment, text: &str) -> VoidedUsage {
    environment.void_usage(idempotency_key(text)).await.unwrap()
}

/// Gives the feature thresholds.
async fn watch(environment: &Environment, thresholds: &[Threshold]) {
    let thresholds = Some(Thresholds::new(thresholds.to_vec()).unwrap());
    let edit = FeatureEdit { thresholds, ..FeatureEdit::default() };
    environment.update_feature(feature_id("api-calls"), edit).await.unwrap();
}

async fn fired(environment: &Environment) -> Vec<(String, Threshold)> {
    let page = environment.threshold_events(None, None, 100).await.unwrap();
    page.events.into_iter().map(|(user, event)| (user.to_string(), event.threshold)).collect()
}

/// What `kana check` finds.
async fn findings(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    world.store.check(time(NOW), &mut |finding| found.push(format!("{finding:?}"))).await.unwrap();
    found
}

#[tokio::test]
async fn what_was_taken_back_stays_so_after_the_server_was_started_again() {
    let world = World::subscribed().await;
    let test = world.test().await;
    record(&test, usage()).await;
    record(&test, keyed("a", 5)).await;
    record(&test, keyed("b", 7)).await;
    assert_eq!(void(&test, "a").await, VoidedUsage::Voided);
    assert_eq!(used(&test, "124").await, 8);
    drop(test);

    let world = world.restart().await;
    let test = world.test().await;
    assert_eq!(used(&test, "124").await, 8);
    let before = world.stored();
    assert_eq!(void(&test, "a").await, VoidedUsage::Voided);
    assert!(record(&test, keyed("a", 5)).await.recorded());
    assert_eq!(world.stored(), before, "neither changes anything");
    assert_eq!(void(&test, "b").await, VoidedUsage::Voided);
    assert_eq!(used(&test, "124").await, 1);
    assert_eq!(findings(&world).await, [""; 0]);
}

#[tokio::test]
async fn fifty_who_take_the_same_back_at_once_take_it_back_once() {
    let world = World::subscribed().await;
    let test = world.test().await;
    record(&test, keyed("a", 5)).await;
    record(&test, RecordUsage { delta: 20, ..usage() }).await;
    let voiding = (0..50).map(|_| test.void_usage(idempotency_key("a")));
    let answers = world.together(voiding).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == VoidedUsage::Voided));
    assert_eq!(used(&test, "124").await, 20);
    assert_eq!((world.count("events"), world.count("replays")), (3, 1));
}

#[tokio::test]
async fn each_in_a_batch_sees_what_those_before_it_left() {
    let world = World::subscribed().await;
    let test = world.test().await;
    record(&test, keyed("a", 5)).await;
    let (voided, set, added) = futures_util::join!(
        test.void_usage(idempotency_key("a")),
        test.record_usage(RecordUsage { action: UsageAction::Set, delta: 30, ..usage() }),
        test.record_usage(keyed("b", 2)),
    );
    assert!(set.unwrap().recorded() && added.unwrap().recorded());
    assert_eq!(voided.unwrap(), VoidedUsage::Voided);
    assert_eq!(void(&test, "b").await, VoidedUsage::Voided);
    assert_eq!(used(&test, "124").await, 30);
    assert_eq!(findings(&world).await, [""; 0]);
}

#[tokio::test]
async fn it_is_in_the_users_events_and_in_the_usage_of_the_day() {
    let world = World::subscribed().await;
    let test = world.test().await;
    record(&test, keyed("a", 5)).await;
    world.clock.set(time("2024-01-17T08:00:00Z"));
    record(&test, keyed("b", 7)).await;
    void(&test, "a").await;

    let events = test.user_events(&user_id("124"), None, 10).await.unwrap().events;
    let listed: Vec<_> =
        events.iter().map(|found| (found.event.action, found.event.delta)).collect();
    let expected = [(LoggedAction::Void, -5), (LoggedAction::Add, 7), (LoggedAction::Add, 5)];
    assert_eq!(listed, expected);
    assert_eq!(events[0].event.occurred_at, time(NOW));
    let feature = feature_id("api-calls");
    let day = |text| Day::of(time(text));
    let (from, to) = (day("2024-01-15T00:00:00Z"), day("2024-01-17T00:00:00Z"));
    let days = test.usage_by_day(Some(&feature), from, to).await.unwrap();
    let amounts: Vec<_> = days.iter().map(|day| (day.events, day.amount)).collect();
    assert_eq!(amounts.first(), Some(&(1, Some(0))), "{days:?}");
    assert_eq!(amounts.last(), Some(&(1, Some(7))), "{days:?}");
    assert_eq!(findings(&world).await, [""; 0]);
}

#[tokio::test]
async fn a_key_that_has_expired_is_unknown() {
    let world = World::subscribed().await;
    let test = world.test().await;
    record(&test, keyed("a", 5)).await;
    world.clock.set(time("2024-02-14T12:00:00.001Z"));
    let refused = sentence(test.void_usage(idempotency_key("a")).await);
    assert!(refused.starts_with("Usage not found"), "{refused}");
}

#[tokio::test]
async fn a_key_that_is_used_anew_and_taken_back_in_one_batch_is_kept_once() {
    let world = World::subscribed().await;
    let test = world.test().await;
    record(&test, keyed("a", 5)).await;
    world.clock.set(time("2024-02-14T12:00:00.001Z"));
    let (recorded, voided) = futures_util::join!(
        test.record_usage(keyed("a", 7)),
        test.void_usage(idempotency_key("a")),
    );
    assert!(recorded.unwrap().recorded());
    assert_eq!(voided.unwrap(), VoidedUsage::Voided);
    // What the expired key had counted stays.
    assert_eq!(used(&test, "124").await, 5);
    assert_eq!(findings(&world).await, [""; 0]);
}

#[tokio::test]
async fn usage_of_another_environment_is_unknown() {
    let world = World::subscribed().await;
    record(&world.test().await, keyed("a", 5)).await;
    let live = world.live().await;
    let refused = sentence(live.void_usage(idempotency_key("a")).await);
    assert!(refused.starts_with("Usage not found"), "{refused}");
    assert_eq!(used(&world.test().await, "124").await, 5);
}

#[tokio::test]
async fn what_was_reached_is_there_after_the_server_was_started_again_and_fires_once() {
    let world = World::subscribed().await;
    let test = world.test().await;
    watch(&test, &[Threshold::Percent(50), Threshold::Left(10)]).await;
    record(&test, RecordUsage { delta: 60, ..usage() }).await;
    assert_eq!(fired(&test).await, [("124".to_owned(), Threshold::Percent(50))]);
    drop(test);

    let world = world.restart().await;
    let test = world.test().await;
    let left = ("124".to_owned(), Threshold::Left(10));
    let all = [("124".to_owned(), Threshold::Percent(50)), left];
    for _ in 0..2 {
        // What fired before is known from the database, and then from memory.
        record(&test, RecordUsage { action: UsageAction::Set, delta: 0, ..usage() }).await;
        try_use(&test, kana_core::usage::UseFeature { delta: 95, ..use_one() }).await;
        assert_eq!(fired(&test).await, all);
    }
    assert_eq!(findings(&world).await, [""; 0]);
}

#[tokio::test]
async fn threshold_events_are_kept_as_long_as_usage_events() {
    let world = World::subscribed().await;
    let test = world.test().await;
    watch(&test, &[Threshold::Percent(1)]).await;
    record(&test, usage()).await;
    let settings = Settings { events_days: Some(5), ..Settings::default() };
    let store = Arc::clone(&world.store) as Arc<dyn Store>;
    let kana = Kana::start_with(store, Arc::clone(&world.clock) as _, settings).unwrap();
    for (now, left) in [("2024-01-20T12:00:00.000Z", 1), ("2024-01-20T12:00:00.001Z", 0)] {
        world.clock.set(time(now));
        housekeeping(&world.kana).run_now().await.unwrap();
        housekeeping(&kana).run_now().await.unwrap();
        assert_eq!(fired(&test).await.len(), left, "{now}");
    }
}

#[tokio::test]
async fn a_feature_without_thresholds_costs_no_further_statement() {
    let world = World::subscribed().await;
    let test = world.test().await;
    record(&test, usage()).await;
    let ((), plain) =
        world.statements(async { assert!(record(&test, usage()).await.recorded()) }).await;
    // Neither does one that is not reached.
    watch(&test, &[Threshold::Percent(100)]).await;
    record(&test, usage()).await;
    let ((), watched) =
        world.statements(async { assert!(record(&test, usage()).await.recorded()) }).await;
    assert_eq!(watched, plain);
    // Nor one that was reached before.
    watch(&test, &[Threshold::Percent(1)]).await;
    record(&test, usage()).await;
    let ((), reached) =
        world.statements(async { assert!(record(&test, usage()).await.recorded()) }).await;
    assert_eq!(reached, plain);
}
