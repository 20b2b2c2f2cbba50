//! What a slice is run with, and what becomes of what it returns.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt as _;
use kana_service::jobs::{Due, JobKinds, NewJob, Policy, Progress};
use kana_store::jobs::{Ended, JobStatus, JobStore as _};
use tokio::time::Instant;

use crate::work::{GO_ON, Log, SECOND, Work, done};
use crate::world::{World, work, work_after};

#[tokio::test(start_paused = true)]
async fn a_job_that_is_scheduled_here_runs_at_once_and_is_gone() {
    let (world, log) = (World::new(), Log::default());
    let kinds = JobKinds::new().with(Work::new(&log, Policy::ONE_OFF, |_, _| done()));
    let runner = world.start(kinds);
    // The runner is idle by now.
    tokio::time::sleep(SECOND / 2).await;
    let scheduled_at = Instant::now();
    world.schedule(["ada"]).await;
    let done = log.ended("ada", 1).await;
    assert!(done.begun[0] - scheduled_at < SECOND / 10);
    world.until_gone("ada").await;
    runner.stopped().await;
    assert_eq!(log.of("ada").ended, [true]);
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_when_it_is_due() {
    let (world, log) = (World::new(), Log::default());
    let kinds = JobKinds::new().with(Work::new(&log, Policy::ONE_OFF, |_, _| done()));
    let runner = world.start(kinds);
    let scheduled_at = Instant::now();
    world.schedule_jobs(&[work_after("ada", 30 * SECOND)]).await;
    let begun = log.ended("ada", 1).await.begun[0];
    assert!((30 * SECOND..32 * SECOND).contains(&(begun - scheduled_at)));
    runner.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_on_slice_by_slice_from_where_it_was() {
    let (world, log) = (World::new(), Log::default());
    let work = Work::new(&log, Policy::ONE_OFF, |slice, state| {
        assert_eq!(slice.attempts(), 1);
        *state += 1;
        let is_done = *state == 3;
        async move { Ok(if is_done { Progress::Done } else { GO_ON }) }.boxed()
    });
    let runner = world.start(JobKinds::new().with(work));
    let begun_at = Instant::now();
    world.schedule(["ada"]).await;
    let done = log.ended("ada", 3).await;
    assert!(done.begun[2] - begun_at < SECOND, "slices follow each other at once");
    world.until_gone("ada").await;
    runner.stopped().await;
    assert_eq!(log.of("ada").ended, [true; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_on_when_it_says() {
    let (world, log) = (World::new(), Log::default());
    let work = Work::new(&log, Policy::ONE_OFF, |_, state| {
        *state += 1;
        let due = Due::After(10 * SECOND);
        let progress = if *state == 1 { Progress::GoOn { due } } else { Progress::Done };
        async move { Ok(progress) }.boxed()
    });
    let runner = world.start(JobKinds::new().with(work));
    world.schedule(["ada"]).await;
    let done = log.ended("ada", 2).await;
    assert!((10 * SECOND..12 * SECOND).contains(&(done.begun[1] - done.begun[0])));
    runner.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_recurs_is_made_once_and_runs_again_and_again() {
    let (world, log) = (World::new(), Log::default());
    let kinds = || {
        let work = Work::new(&log, Policy::every(60 * SECOND), |slice, state| {
            assert_eq!(slice.environment(), None);
            *state += 1;
            done()
        });
        JobKinds::new().with(work)
    };
    let runners = [world.start(kinds()), world.start(kinds())];
    // The second node may want it anew while the first one runs it.
    let done = log.ended("", 5).await;
    for runner in runners {
        runner.stopped().await;
    }
    for pair in done.begun[1..].windows(2) {
        assert!((60 * SECOND..62 * SECOND).contains(&(pair[1] - pair[0])));
    }
    let job = world.until_status("", JobStatus::Waiting).await;
    assert_eq!((job.kind.as_str(), job.attempts, job.last_error), ("work", 0, None));
    assert!(job.succeeded_at.is_some());
    assert_eq!(world.store.jobs(10).await.unwrap().len(), 1);
    // A server that starts runs it at once.
    let (started_at, before) = (Instant::now(), log.of("").begun.len());
    let runner = world.start(kinds());
    let begun = log.begun("", before + 1).await.begun;
    assert!(begun[before] - started_at < SECOND);
    runner.stopped().await;
    assert_eq!(world.store.jobs(10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn jobs_of_a_kind_that_a_node_does_not_know_are_left_alone() {
    let (world, log) = (World::new(), Log::default());
    let kinds = JobKinds::new().with(Work::new(&log, Policy::ONE_OFF, |_, _| done()));
    let runner = world.start(kinds);
    let unknown = NewJob { kind: "newer", ..work("unknown") };
    world.schedule_jobs(&[unknown, work_after("later", 100 * SECOND)]).await;
    log.ended("later", 1).await;
    runner.stopped().await;
    let left = world.job("unknown").await.unwrap();
    assert_eq!((left.status, left.attempts), (JobStatus::Waiting, 0));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_fails_the_job_and_one_that_recurs_begins_anew() {
    for (policy, begins_anew) in [(Policy::ONE_OFF, false), (Policy::every(60 * SECOND), true)] {
        let (world, log) = (World::new(), Log::default());
        world.schedule([""]).await;
        let lease = world.claim(kana_service::Clock::now(world.clock.as_ref())).await[0].lease;
        let state = Some("\"of another release\"".to_owned());
        let ended = Ended::GoesOn { due: Due::NOW, state };
        let now = kana_service::Clock::now(world.clock.as_ref());
        world.store.end_attempt(lease, ended, now).await.unwrap();
        let work = Work::new(&log, policy, |_, state| {
            assert_eq!(*state, 0);
            done()
        });
        let runner = world.start(JobKinds::new().with(work));
        if begins_anew {
            log.ended("", 1).await;
        } else {
            let failing = world.until_status("", JobStatus::Failing).await;
            let error = failing.last_error.unwrap();
            assert!(error.contains("state cannot be read"), "{error}");
            assert_eq!(log.of("").begun.len(), 0);
        }
        runner.stopped().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_looks_for_jobs_once_a_second() {
    let (world, log) = (World::new(), Log::default());
    let kinds = JobKinds::new().with(Work::new(&log, Policy::ONE_OFF, |_, _| done()));
    let runner = world.start(kinds);
    tokio::time::sleep(SECOND).await;
    let before = world.store.statements_run();
    tokio::time::sleep(100 * SECOND).await;
    // A look asks whether the clock went back, and whether there are jobs of the kind.
    let looks = (world.store.statements_run() - before) / 2;
    assert!((90..=101).contains(&looks), "{looks}");
    runner.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn what_recurs_can_be_run_without_a_table() {
    let (log, slices) = (Log::default(), AtomicU32::new(0));
    let work = Work::new(&log, Policy::every(SECOND), move |_, state| {
        *state += 1;
        assert_eq!(slices.fetch_add(1, Ordering::SeqCst) + 1, *state);
        let is_done = *state == 3;
        async move { Ok(if is_done { Progress::Done } else { GO_ON }) }.boxed()
    });
    JobKinds::new().with(work).run_now().await.unwrap();
    assert_eq!(log.of("").ended, [true; 3]);
    let fails = Work::new(&log, Policy::every(SECOND), |_, _| async { Err("no".into()) }.boxed());
    assert_eq!(JobKinds::new().with(fails).run_now().await.unwrap_err().to_string(), "no");
}
