//! What was accepted is written before the end, and is there after it.

use std::sync::Arc;

use futures_util::FutureExt;
use kana_store::Store;

use crate::world::{World, record, subscribe, usage, used, user_id};

#[tokio::test]
async fn finish_waits_for_what_was_accepted_though_nobody_waits_for_the_answers() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let held = world.store.write().await.unwrap();
    for _ in 0..300 {
        // Handed in, and whoever asked goes away.
        assert!(test.record_usage(usage()).now_or_never().is_none());
    }
    drop((held, test));
    let world = world.restart().await;
    assert_eq!(used(&world.test().await, "124").await, 300);
    assert_eq!(world.count("events"), 300);
}

#[tokio::test]
async fn finish_lets_those_who_still_wait_have_their_answers() {
    let world = World::subscribed().await;
    let test = world.test().await;
    let held = world.store.write().await.unwrap();
    let recording: Vec<_> = (0..50)
        .map(|_| {
            let test = test.clone();
            tokio::spawn(async move { test.record_usage(usage()).await })
        })
        .collect();
    // On this one thread, every spawned call runs until it waits before we go on.
    tokio::task::yield_now().await;
    drop((held, test));
    for answer in futures_util::future::join_all(recording).await {
        assert!(answer.unwrap().unwrap().recorded());
    }
    let world = world.restart().await;
    assert_eq!(used(&world.test().await, "124").await, 50);
}

#[tokio::test]
async fn everything_reads_back_as_it_was_answered() {
    let world = World::shop().await;
    let test = world.test().await;
    let made = subscribe(&test, "124", "pro").await.unwrap();
    record(&test, usage()).await;
    let (catalog, user) =
        (test.catalog().await.unwrap(), test.user(&user_id("124")).await.unwrap());
    let stored = world.stored();
    drop(test);

    let world = world.restart().await;
    assert_eq!(world.stored(), stored);
    let test = world.test().await;
    assert_eq!(test.catalog().await.unwrap(), catalog);
    assert_eq!(test.user(&user_id("124")).await.unwrap(), user);
    assert_eq!(test.subscriptions(&user_id("124")).await.unwrap().1, [made]);
    assert_eq!(used(&test, "124").await, 1);
}

#[tokio::test]
async fn a_kana_that_was_never_asked_anything_finishes() {
    World::new().await.restart().await.restart().await;
}

#[tokio::test]
async fn once_finished_nothing_holds_the_store() {
    for _ in 0..20 {
        let World { kana, store, .. } = World::new().await;
        kana.finish().await;
        // Whoever holds the store last closes the database and cuts its log back.
        assert_eq!(Arc::strong_count(&store), 1);
    }
}

#[tokio::test]
async fn a_server_that_is_ready_says_so() {
    let world = World::new().await;
    world.kana.check_ready().await.unwrap();
}
