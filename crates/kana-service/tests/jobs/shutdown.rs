//! A server that stops lets a slice end, and gives the job away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt as _;
use kana_service::jobs::{JobKinds, Policy, Progress};
use kana_store::Store as _;
use kana_store::jobs::JobStatus;
use tokio::time::Instant;

use crate::work::{GO_ON, Log, SECOND, Work, done};
use crate::world::{World, pass, passing};

/// Counts to 10, as far as a slice allows, and also with `counter`.
fn counts(log: &Log, counter: &Arc<AtomicU32>) -> JobKinds {
    let counter = Arc::clone(counter);
    let work = Work::new(log, Policy::ONE_OFF, move |slice, state| {
        let counter = Arc::clone(&counter);
        async move {
            while *state < 10 {
                if slice.is_over() {
                    return Ok(GO_ON);
                }
                *state += 1;
                counter.fetch_add(1, Ordering::SeqCst);
                slice.pause(SECOND).await;
            }
            Ok(Progress::Done)
        }
        .boxed()
    });
    JobKinds::new().with(work)
}

#[tokio::test(start_paused = true)]
async fn a_slice_ends_when_the_server_stops_and_another_node_goes_on_at_once() {
    let (world, log) = (World::new(), Log::default());
    let counter = Arc::default();
    let runner = world.start(counts(&log, &counter));
    world.schedule(["ada"]).await;
    log.begun("ada", 1).await;
    pass(SECOND / 2).await;
    let stopping_at = Instant::now();
    runner.stopped().await;
    assert!(stopping_at.elapsed() < SECOND, "a pause ends, too");
    assert_eq!(log.of("ada").ended, [true]);
    let job = world.job("ada").await.unwrap();
    assert_eq!((job.status, job.attempts, job.last_error), (JobStatus::Waiting, 0, None));

    let next = world.start(counts(&log, &counter));
    let begun = log.begun("ada", 2).await.begun[1];
    assert!(begun - stopping_at < SECOND);
    passing(world.until_gone("ada")).await;
    next.stopped().await;
    assert_eq!(counter.load(Ordering::SeqCst), 10, "it went on from where it was");
    assert!(log.of("ada").begun.len() > 3, "a slice ends after a few seconds");
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_does_not_end_is_broken_off_and_its_job_given_back() {
    let (world, log) = (World::new(), Log::default());
    let hangs = Work::new(&log, Policy::ONE_OFF, |_, _| std::future::pending().boxed());
    let runner = world.start(JobKinds::new().with(hangs));
    world.schedule(["ada"]).await;
    log.begun("ada", 1).await;
    let stopping_at = Instant::now();
    let (_, ()) = tokio::join!(runner.stopped(), pass(6 * SECOND));
    assert!(stopping_at.elapsed() < 8 * SECOND);
    assert_eq!(log.of("ada").dropped, 1);
    let job = world.job("ada").await.unwrap();
    assert_eq!((job.status, job.attempts, job.last_error), (JobStatus::Waiting, 0, None));

    let next = world.start(JobKinds::new().with(Work::new(&log, Policy::ONE_OFF, |_, _| done())));
    log.ended("ada", 1).await;
    next.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_stops_though_its_database_does_not_answer() {
    let (world, log) = (World::new(), Log::default());
    world.schedule(["ada"]).await;
    let held = world.store.write().await.unwrap();
    let runner = world.start(counts(&log, &Arc::default()));
    pass(SECOND).await;
    let stopping_at = Instant::now();
    passing(runner.stopped()).await;
    assert!(stopping_at.elapsed() < 3 * SECOND, "{:?}", stopping_at.elapsed());
    drop(held);
    assert_eq!(log.of("ada").begun.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_slice_begins_once_the_server_stops() {
    let (world, log) = (World::new(), Log::default());
    let kinds = || JobKinds::new().with(Work::new(&log, Policy::ONE_OFF, |_, _| done()));
    let runner = world.start(kinds());
    tokio::time::sleep(SECOND / 2).await;
    runner.stop();
    world.schedule(["ada"]).await;
    tokio::time::sleep(10 * SECOND).await;
    runner.stopped().await;
    assert_eq!(log.of("ada").begun.len(), 0);
    assert_eq!(world.job("ada").await.unwrap().attempts, 0);
    // A runner that is forgotten stops, too.
    drop(world.start(kinds()));
    // What it has asked the database for is answered in its own time.
    while Arc::strong_count(&world.store) > 1 {
        tokio::time::sleep(SECOND / 100).await;
    }
    assert!(log.of("ada").begun.len() <= 1);
}
