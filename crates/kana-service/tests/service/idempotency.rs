//! One key records once: at the same time, later, and after the server was started again.

use kana_core::usage::{RecordUsage, RecordedUsage, UseFeature};
use kana_store::Store as _;

use crate::world::{
    NOW, World, feature_id, key, record, sentence, subscribe, time, try_use, usage, use_one, used,
    user, user_id,
};

const CONFLICT: &str = "idempotencyKey was already used for a request with other content; \
                        a new request needs a new key";

fn keyed() -> RecordUsage {
    RecordUsage { idempotency_key: key("once"), ..usage() }
}

fn use_keyed() -> UseFeature {
    UseFeature { idempotency_key: key("once"), ..use_one() }
}

#[tokio::test]
async fn a_key_that_is_sent_fifty_times_at_once_records_once_and_all_answers_are_equal() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let answers = world.together((0..50).map(|_| test.record_usage(keyed()))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == RecordedUsage::Recorded));
    assert_eq!(used(&test, "124").await, 1);
    assert_eq!((world.count("events"), world.count("replays")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_that_is_sent_from_many_threads_grants_once_and_all_answers_are_equal() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let using = (0..50).map(|_| {
        let test = test.clone();
        tokio::spawn(async move { try_use(&test, use_keyed()).await })
    });
    let answers = futures_util::future::join_all(using).await;
    let first = *answers[0].as_ref().unwrap();
    assert!(first.granted);
    assert_eq!(first.consumption.unwrap().used, 1);
    assert!(answers.into_iter().all(|answer| answer.unwrap() == first));
    assert_eq!(used(&test, "124").await, 1);
}

#[tokio::test]
async fn a_key_answers_the_same_after_the_server_was_started_again() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let used_first = try_use(&test, use_keyed()).await;
    let not_counted = RecordUsage {
        idempotency_key: key("too early"),
        occurred_at: Some(crate::world::time("2020-01-01T00:00:00Z")),
        ..usage()
    };
    assert_eq!(record(&test, not_counted.clone()).await, RecordedUsage::NotCounted);
    // The answer has the consumption of then, whatever was used since.
    record(&test, RecordUsage { delta: 50, ..usage() }).await;
    drop(test);

    let world = world.restart().await;
    let test = world.test().await;
    assert_eq!(try_use(&test, use_keyed()).await, used_first);
    assert_eq!(record(&test, not_counted).await, RecordedUsage::NotCounted);
    assert_eq!(used(&test, "124").await, 51);
    assert_eq!(world.count("events"), 3);
}

#[tokio::test]
async fn a_refusal_repeats_too() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let too_much = UseFeature { delta: 101, ..use_keyed() };
    let refused = try_use(&test, too_much.clone()).await;
    assert!(!refused.granted);
    // Room was made since; the key still answers as it did.
    let subscriptions = test.subscriptions(&user_id("124")).await.unwrap().1;
    test.cancel_subscription(&subscriptions[0].id.to_string()).await.unwrap();
    subscribe(&test, "124", "pro").await.unwrap();
    assert_eq!(try_use(&test, too_much).await, refused);
    assert_eq!(used(&test, "124").await, 0);
}

#[tokio::test]
async fn a_key_with_other_content_is_a_conflict_and_writes_nothing() {
    let world = World::subscribed().await;
    let test = world.test().await;
    test.create_feature(crate::world::consumable("seats")).await.unwrap();
    user(&test, "125").await;
    record(&test, keyed()).await;
    let stored = world.stored();
    for other in [
        RecordUsage { delta: 2, ..keyed() },
        RecordUsage { action: kana_core::usage::UsageAction::Set, ..keyed() },
        RecordUsage { feature: feature_id("seats"), ..keyed() },
        RecordUsage { user: user_id("125"), ..keyed() },
        RecordUsage { occurred_at: Some(crate::world::time(crate::world::NOW)), ..keyed() },
    ] {
        assert_eq!(sentence(test.record_usage(other).await), CONFLICT);
    }
    // The other operation is other content as well.
    assert_eq!(sentence(test.use_feature(use_keyed()).await), CONFLICT);
    assert_eq!(world.stored(), stored);
}

#[tokio::test]
async fn of_two_contents_under_one_key_at_once_the_first_is_recorded() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let recording = [1, 2, 1].map(|delta| test.record_usage(RecordUsage { delta, ..keyed() }));
    let mut answers = world.together(recording).await;
    assert_eq!(sentence(answers.remove(1)), CONFLICT);
    assert!(answers.into_iter().all(|answer| answer.unwrap().recorded()));
    assert_eq!(used(&test, "124").await, 1);
}

#[tokio::test]
async fn a_request_that_ended_in_an_error_has_not_used_its_key() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let unknown = RecordUsage { user: user_id("125"), ..keyed() };
    assert_eq!(sentence(test.record_usage(unknown.clone()).await), "User not found: 125");
    let unknown_feature = RecordUsage { feature: feature_id("seats"), ..keyed() };
    assert_eq!(sentence(test.record_usage(unknown_feature).await), "Feature not found: seats");
    let bad = UseFeature { delta: -1, ..use_keyed() };
    assert_eq!(sentence(test.use_feature(bad).await), "delta must not be negative here");
    // Once the user exists, the very same request is recorded.
    user(&test, "125").await;
    subscribe(&test, "125", "basic").await.unwrap();
    assert!(record(&test, unknown).await.recorded());
    assert_eq!(used(&test, "125").await, 1);
}

#[tokio::test]
async fn environments_do_not_share_keys() {
    let world = World::subscribed().await;
    let (test, live) = (world.test().await, world.live().await);
    crate::world::stock(&live).await;
    user(&live, "124").await;
    subscribe(&live, "124", "pro").await.unwrap();
    record(&test, keyed()).await;
    assert!(record(&live, RecordUsage { delta: 9, ..keyed() }).await.recorded());
    assert_eq!((used(&test, "124").await, used(&live, "124").await), (1, 9));
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[tokio::test]
async fn a_key_is_kept_for_thirty_days_and_then_forgotten() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let start = time(NOW);
    record(&test, keyed()).await;
    world.clock.set(start.saturating_add_ms(30 * DAY_MS));
    // To the last millisecond it answers as the first time, and refuses other content.
    record(&test, keyed()).await;
    assert_eq!(world.count("events"), 1);
    let other = RecordUsage { delta: 2, ..keyed() };
    assert_eq!(sentence(test.record_usage(other.clone()).await), CONFLICT);

    world.clock.set(start.saturating_add_ms(30 * DAY_MS + 1));
    record(&test, other.clone()).await;
    assert_eq!((world.count("events"), world.count("replays")), (2, 1));
    // From now on it is this request's key.
    record(&test, other).await;
    assert_eq!(world.count("events"), 2);
    assert_eq!(sentence(test.record_usage(keyed()).await), CONFLICT);
}

#[tokio::test]
async fn keys_whose_time_is_over_go_and_younger_ones_stay() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let numbered =
        |number: usize| RecordUsage { idempotency_key: key(&format!("key-{number}")), ..usage() };
    let recording = (0..100).map(|number| test.record_usage(numbered(number)));
    assert!(world.together(recording).await.iter().all(Result::is_ok));
    assert_eq!(world.count("replays"), 100);

    // As the job does.
    let forget_old = async |day: i64| {
        let now = time(NOW).saturating_add_ms(day * DAY_MS);
        world.clock.set(now);
        world.store.forget_old_keys(now.saturating_add_ms(-30 * DAY_MS), now).await.unwrap();
    };
    forget_old(4).await;
    for number in 100..150 {
        record(&test, numbered(number)).await;
    }
    forget_old(30).await;
    assert_eq!(world.count("replays"), 150);
    forget_old(31).await;
    assert_eq!(world.count("replays"), 50);
    record(&test, numbered(149)).await;
    record(&test, numbered(99)).await;
    assert_eq!((world.count("replays"), world.count("events")), (51, 151));
}

#[tokio::test]
async fn a_batch_may_use_a_key_anew_whose_time_is_over_twice() {
    let world = World::subscribed().await;
    let test = world.test().await;
    record(&test, keyed()).await;
    world.clock.set(time(NOW).saturating_add_ms(31 * DAY_MS));
    let answers = test.record_usage_batch(vec![keyed(), keyed(), usage()]).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == RecordedUsage::Recorded));
    assert_eq!((world.count("events"), world.count("replays")), (3, 1));
}
