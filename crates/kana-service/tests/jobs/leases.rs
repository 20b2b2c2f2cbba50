//! A slice runs only as long as its node holds the lease.

use std::time::Duration;

use futures_util::FutureExt as _;
use kana_service::Clock as _;
use kana_service::jobs::{JobKinds, Policy, Progress};
use kana_store::Store as _;
use kana_store::jobs::{JobStatus, LEASE};
use tokio::time::Instant;

use crate::work::{Log, SECOND, Work};
use crate::world::{World, pass, pass_with_renewal};

const LONG: Policy = Policy { slice_max: Duration::from_secs(1000), ..Policy::ONE_OFF };

fn takes(log: &Log, time: Duration) -> JobKinds {
    let begun = log.clone();
    let work = Work::new(log, LONG, move |slice, _| {
        // From when the test saw it begin, after which time may pass before this thread is here.
        let begun_at = begun.of(slice.key()).begun.last().copied().unwrap_or_else(Instant::now);
        async move {
            tokio::time::sleep_until(begun_at + time).await;
            Ok(Progress::Done)
        }
        .boxed()
    });
    JobKinds::new().with(work)
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_for_as_long_as_a_slice_runs() {
    let (world, log) = (World::new(), Log::default());
    let runner = world.start(takes(&log, 60 * SECOND));
    world.schedule(["ada"]).await;
    log.begun("ada", 1).await;
    for _ in 0..9 {
        pass_with_renewal(&world, "ada").await;
        assert_eq!(world.claim(world.clock.now()).await, []);
    }
    pass(11 * SECOND).await;
    log.ended("ada", 1).await;
    world.until_gone("ada").await;
    runner.stopped().await;
    assert_eq!(log.of("ada").begun.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slice_is_dropped_once_another_node_has_its_job() {
    let (world, log) = (World::new(), Log::default());
    let runner = world.start(takes(&log, 500 * SECOND));
    world.schedule(["ada"]).await;
    log.begun("ada", 1).await;
    // To another node, whose clock is fast, the lease has run out.
    let fast = world.clock.now().saturating_add_ms(2 * 20_000);
    let taken = world.claim(fast).await;
    assert_eq!(taken.len(), 1);
    pass(6 * SECOND).await;
    log.dropped("ada", 1).await;
    runner.stopped().await;
    // What the other node has is as it was.
    let job = world.job("ada").await.unwrap();
    assert_eq!((job.status, job.attempts), (JobStatus::Running, 2));
}

#[tokio::test(start_paused = true)]
async fn a_slice_is_dropped_before_a_lease_that_cannot_be_renewed_ends() {
    let (world, log) = (World::new(), Log::default());
    let runner = world.start(takes(&log, 500 * SECOND));
    world.schedule(["ada"]).await;
    let begun = log.begun("ada", 1).await.begun[0];
    // Nobody can write.
    let held = world.store.write().await.unwrap();
    pass(LEASE - SECOND).await;
    log.dropped("ada", 1).await;
    assert!(Instant::now() - begun <= LEASE);
    drop(held);
    runner.stopped().await;
}
