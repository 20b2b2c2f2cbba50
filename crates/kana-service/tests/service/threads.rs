//! Threads that the server needs: a panic that ends one is reported, and a panic in a batch ends
//! none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use kana_core::Timestamp;
use kana_service::{Clock, Error, Kana, init};
use kana_store::{Loss, SqliteStore};

use crate::world::{NOW, new_user, record, stock, subscribe, time, usage, use_one, user};

/// A clock that can be broken.
#[derive(Default)]
struct Fragile(AtomicBool);

impl Clock for Fragile {
    fn now(&self) -> Timestamp {
        assert!(!self.0.load(Ordering::SeqCst), "the clock is broken");
        time(NOW)
    }
}

#[tokio::test]
async fn a_bug_that_ends_the_writer_is_told_and_nobody_is_told_that_nothing_was_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(Fragile::default());
    let store = Arc::new(SqliteStore::open_for_server(directory.path()).unwrap());
    let keys = init(store.as_ref(), clock.as_ref(), "story").await.unwrap().unwrap();
    let kana = Kana::start(store, Arc::clone(&clock) as _).unwrap();
    let test = kana.authorise_private(keys.test_private.reveal()).await.unwrap();
    stock(&test).await;
    user(&test, "124").await;
    subscribe(&test, "124", "basic").await.unwrap();

    // A panic in a batch fails only the commands of the batch.
    clock.0.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert!(matches!(test.use_feature(use_one()).await, Err(Error::Bug(_))));
        let batch = test.record_usage_batch(vec![usage()]).await;
        assert!(matches!(batch[0], Err(Error::Bug(_))));
    }
    assert_eq!(kana.lost().now_or_never(), None);
    clock.0.store(false, Ordering::SeqCst);
    assert!(record(&test, usage()).await.recorded());

    // A panic between two batches ends the writer.
    clock.0.store(true, Ordering::SeqCst);
    assert!(matches!(test.create_user(new_user("new")).await, Err(Error::Bug(_))));
    assert_eq!(kana.lost().await, Loss::Panicked("kana-writer-0".to_owned()));
    clock.0.store(false, Ordering::SeqCst);
    assert!(matches!(test.record_usage(usage()).await, Err(Error::ShuttingDown)));
    drop(test);
    kana.finish().await;
}
