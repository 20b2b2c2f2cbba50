//! A clock that goes back.

use futures_util::FutureExt as _;
use kana_service::Clock as _;
use kana_service::jobs::{Backoff, JobKinds, Policy, Progress};
use kana_store::jobs::LEASE;
use tokio::time::Instant;

use crate::work::{Log, Other, SECOND, Work, done};
use crate::world::{World, pass, pass_with_renewal, work_after};

#[tokio::test(start_paused = true)]
async fn jobs_go_on_after_the_clock_went_back_an_hour() {
    let (world, log) = (World::new(), Log::default());
    // One that recurs, one that fails, one that waits, and one whose server was killed.
    let recurs = Other(Work::new(&log, Policy::every(10 * SECOND), |_, _| done()));
    let backoff = Backoff { first: 10 * SECOND, max: 10 * SECOND };
    let policy = Policy { backoff, attempts_max: None, ..Policy::ONE_OFF };
    let others = Work::new(&log, policy, |slice, _| {
        let fails = slice.key() == "fails";
        async move { if fails { Err("no".into()) } else { Ok(Progress::Done) } }.boxed()
    });
    world.schedule(["killed"]).await;
    assert_eq!(world.claim(world.clock.now()).await.len(), 1);
    let runner = world.start(JobKinds::new().with(recurs).with(others));
    world.schedule(["fails"]).await;
    world.schedule_jobs(&[work_after("waits", 10 * SECOND)]).await;
    log.ended("fails", 2).await;
    log.ended("", 2).await;

    world.clock.go_back(3600 * SECOND);
    let went_back_at = Instant::now();
    let before = (log.of("fails").ended.len(), log.of("").ended.len());
    log.ended("waits", 1).await;
    log.ended("killed", 1).await;
    log.ended("fails", before.0 + 2).await;
    log.ended("", before.1 + 2).await;
    assert!(went_back_at.elapsed() < LEASE + 15 * SECOND, "{:?}", went_back_at.elapsed());
    runner.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_runs_while_the_clock_goes_back_is_not_run_twice() {
    let (world, log) = (World::new(), Log::default());
    let policy = Policy { slice_max: 1000 * SECOND, ..Policy::ONE_OFF };
    let work = Work::new(&log, policy, |_, _| {
        async {
            tokio::time::sleep(60 * SECOND).await;
            Ok(Progress::Done)
        }
        .boxed()
    });
    let runner = world.start(JobKinds::new().with(work));
    world.schedule(["ada"]).await;
    log.begun("ada", 1).await;
    world.clock.go_back(3600 * SECOND);
    for _ in 0..9 {
        assert_eq!(world.claim(world.clock.now()).await, []);
        pass_with_renewal(&world, "ada").await;
    }
    pass(11 * SECOND).await;
    log.ended("ada", 1).await;
    world.until_gone("ada").await;
    runner.stopped().await;
    assert_eq!(log.of("ada").begun.len(), 1);
}
