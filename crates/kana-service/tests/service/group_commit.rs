//! Whatever waits is committed together, and every part of it counts.

use kana_core::usage::{RecordUsage, UsageAction};

use kana_service::Error;
use kana_store::Store as _;

use crate::world::{World, feature_id, key, subscribe, usage, used, user, user_id};

#[tokio::test]
async fn five_hundred_recordings_that_wait_share_their_commits_and_all_count() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let recording = (0..500).map(|_| test.record_usage(usage()));
    let (answers, statements) = world.statements(world.together(recording)).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().recorded()));
    assert_eq!(used(&test, "124").await, 500);
    assert_eq!(world.count("events"), 500);
    // Each call reads its counter and writes its event. Everything else is once per batch, and
    // there are at most two: what the writer had taken before it had to wait, and the rest. Ours
    // is the transaction that it waited for.
    let per_batch = ["BEGIN", "the facts", "the counter", "COMMIT"].len() as u64;
    let ours = 2;
    assert!(statements <= ours + 2 * 500 + 2 * per_batch, "{statements}");
}

#[tokio::test]
async fn each_of_a_batch_is_decided_on_what_those_before_it_left() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let deltas = [(UsageAction::Add, 5), (UsageAction::Set, 40), (UsageAction::Add, 2)];
    let recording =
        deltas.map(|(action, delta)| test.record_usage(RecordUsage { action, delta, ..usage() }));
    assert!(world.together(recording).await.iter().all(Result::is_ok));
    assert_eq!(used(&test, "124").await, 42);
}

#[tokio::test]
async fn one_refused_command_of_a_batch_leaves_the_others_alone() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let recording = (0..90).map(|number| {
        let (user, feature) = match number % 3 {
            0 => ("124", "api-calls"),
            1 => ("nobody", "api-calls"),
            _ => ("124", "nothing"),
        };
        test.record_usage(RecordUsage {
            user: user_id(user),
            feature: feature_id(feature),
            ..usage()
        })
    });
    let answers = world.together(recording).await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_ok(), number % 3 == 0, "{number}");
    }
    assert_eq!(used(&test, "124").await, 30);
    assert_eq!(world.count("events"), 30);
}

#[tokio::test]
async fn users_of_one_batch_do_not_mix() {
    let world = World::subscribed().await;
    let test = world.test().await;
    user(&test, "125").await;
    subscribe(&test, "125", "pro").await.unwrap();
    let recording = (0..100).map(|number| {
        let user = if number % 4 == 0 { "124" } else { "125" };
        test.record_usage(RecordUsage { user: user_id(user), ..usage() })
    });
    assert!(world.together(recording).await.iter().all(Result::is_ok));
    assert_eq!((used(&test, "124").await, used(&test, "125").await), (25, 75));
}

#[tokio::test]
async fn a_change_of_the_catalog_keeps_its_place_among_the_commands_of_a_batch() {
    let world = World::shop().await;
    let test = world.test().await;
    test.create_package(crate::world::package("late", 7)).await.unwrap();
    // Handed in one after the other: too early, the publication, and in time.
    let subscribing = [false, true, false].map(|publish| {
        let test = test.clone();
        async move {
            if publish {
                test.publish_package(crate::world::package_id("late")).await.map(|_| ())
            } else {
                subscribe(&test, "124", "late").await.map(|_| ())
            }
        }
    });
    let answers = world.together(subscribing).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true]);
}

#[tokio::test]
async fn a_batch_that_only_repeats_commits_nothing() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let keyed = || RecordUsage { idempotency_key: key("once"), ..usage() };
    test.record_usage(keyed()).await.unwrap();
    let stored = world.stored();
    let ((), statements) = world
        .statements(async {
            test.record_usage(keyed()).await.unwrap();
        })
        .await;
    // Begin, roll back. The catalog's version, the facts and the key are in memory.
    assert_eq!(statements, 2);
    assert_eq!(world.stored(), stored);
}

#[tokio::test]
async fn what_is_handed_in_together_shares_a_commit_and_stands_or_falls_alone() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let usages: Vec<_> = (0..900)
        .map(|number| match number % 3 {
            0 => usage(),
            1 => RecordUsage { user: user_id("nobody"), ..usage() },
            _ => RecordUsage { action: UsageAction::Set, delta: -1, ..usage() },
        })
        .collect();
    let (answers, statements) = world.statements(test.record_usage_batch(usages)).await;
    assert_eq!(answers.len(), 900);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_ok(), number % 3 == 0, "{number}");
    }
    assert_eq!((used(&test, "124").await, world.count("events")), (300, 300));
    // One event each, and once for all: the end of a view, begin, the catalog's version, two users'
    // facts, the counter read and written, the first use of the feature, both shares of its limit that
    // are crossed, commit.
    assert!(statements <= 300 + 11, "{statements}");
}

#[tokio::test]
async fn more_than_fits_one_transaction_is_recorded_in_several_in_order() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let usages =
        (0..2_500).map(|number| RecordUsage { action: UsageAction::Set, delta: number, ..usage() });
    let answers = test.record_usage_batch(usages.collect()).await;
    assert_eq!(answers.len(), 2_500);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((used(&test, "124").await, world.count("events")), (2_499, 2_500));
    assert!(test.record_usage_batch(Vec::new()).await.is_empty());
}

#[tokio::test]
async fn too_much_that_waits_together_is_refused_at_once_and_nothing_of_it_is_recorded() {
    let world = World::subscribed().await;
    let test = world.test().await;
    // Nobody writes while we do, so that everything waits.
    let held = world.store.write().await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let test = test.clone();
        waiting
            .push(tokio::spawn(async move { test.record_usage_batch(vec![usage(); 1024]).await }));
        tokio::task::yield_now().await;
    }
    let refused = test.record_usage_batch(vec![usage(); 2]).await;
    assert!(matches!(refused.as_slice(), [Err(Error::Overloaded), Err(Error::Overloaded)]));
    // A command that comes alone has a place of its own; it is only late.
    drop(held);
    let mut answers = vec![test.record_usage(usage()).await];
    for waiting in waiting {
        answers.extend(waiting.await.unwrap());
    }
    // On a busy machine the last of them may have waited for too long.
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    let refused: Vec<_> = refused.filter(|error| !matches!(error, Error::Unavailable(_))).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let recorded = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(recorded > 0);
    assert_eq!(used(&test, "124").await, i64::try_from(recorded).unwrap());
}
