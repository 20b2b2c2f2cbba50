//! Attempts that fail in every way there is.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_util::FutureExt as _;
use kana_service::Clock as _;
use kana_service::jobs::{Backoff, JobKinds, NewJob, Policy, Progress};
use kana_store::jobs::{Job, JobStatus, JobStore as _, LEASE, Retried};

use crate::work::{GO_ON, Log, Other, SECOND, Work, done};
use crate::world::{World, pass, passing, work};

const THREE_TIMES: Policy = Policy { attempts_max: Some(3), ..Policy::ONE_OFF };

/// One that does what it should, beside the others.
fn healthy(log: &Log) -> Other {
    Other(Work::new(log, Policy::ONE_OFF, |_, _| done()))
}

async fn others_go_on(world: &World, log: &Log) {
    let before = log.of("healthy").ended.len();
    world.schedule_jobs(&[NewJob { kind: "other", ..work("healthy") }]).await;
    log.ended("healthy", before + 1).await;
    world.until_gone("healthy").await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_panics_is_tried_again_given_up_and_harms_no_other() {
    let (world, log) = (World::new(), Log::default());
    let panics = Work::new(&log, THREE_TIMES, |slice, _| panic!("ouch {}", slice.attempts()));
    let runner = world.start(JobKinds::new().with(panics).with(healthy(&log)));
    world.schedule(["ada"]).await;
    let dead = world.until_status("ada", JobStatus::Dead).await;
    assert_eq!(dead.last_error.as_deref(), Some("it panicked: ouch 3"));
    assert_eq!((dead.attempts, log.of("ada").dropped), (3, 3));
    others_go_on(&world, &log).await;
    runner.stopped().await;
}

#[derive(Debug, thiserror::Error)]
#[error("Stripe answered nothing")]
struct NoAnswer(#[source] std::io::Error);

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_for_ever_is_given_up_after_growing_pauses_and_can_be_retried() {
    let (world, log) = (World::new(), Log::default());
    let backoff = Backoff { first: 10 * SECOND, max: 40 * SECOND };
    let policy = Policy { attempts_max: Some(5), backoff, ..Policy::ONE_OFF };
    let fails = Work::new(&log, policy, |_, state| {
        // What a slice that fails makes of the state is forgotten.
        assert_eq!(*state, 0);
        *state += 1;
        async { Err(NoAnswer(std::io::Error::other("timed out")).into()) }.boxed()
    });
    let runner = world.start(JobKinds::new().with(fails).with(healthy(&log)));
    world.schedule(["ada"]).await;
    let failing = world.until_status("ada", JobStatus::Failing).await;
    assert_eq!(failing.last_error.as_deref(), Some("Stripe answered nothing: timed out"));
    others_go_on(&world, &log).await;
    let dead = world.until_status("ada", JobStatus::Dead).await;
    assert_eq!(dead.attempts, 5);
    let begun = log.of("ada").begun;
    for (pair, longest) in begun.windows(2).zip([10, 20, 40, 40]) {
        let (pause, longest) = (pair[1] - pair[0], longest * SECOND);
        assert!(pause >= longest / 2 && pause < longest + 2 * SECOND, "{pause:?} of {longest:?}");
    }
    tokio::time::sleep(5_000 * SECOND).await;
    assert_eq!(log.of("ada").begun.len(), 5);

    let retried = world.store.retry_job(dead.id, world.clock.now()).await.unwrap();
    assert_eq!(retried, Retried::DueNow);
    log.ended("ada", 10).await;
    assert_eq!(world.until_status("ada", JobStatus::Dead).await.attempts, 5);
    runner.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_hangs_is_dropped_and_tried_again() {
    let (world, log) = (World::new(), Log::default());
    let policy = Policy { slice_max: 5 * SECOND, ..THREE_TIMES };
    let hangs = Work::new(&log, policy, |_, _| std::future::pending().boxed());
    let runner = world.start(JobKinds::new().with(hangs).with(healthy(&log)));
    world.schedule(["ada"]).await;
    for attempt in 1..=3 {
        log.begun("ada", attempt).await;
        passing(others_go_on(&world, &log)).await;
        pass(5 * SECOND).await;
        log.dropped("ada", u32::try_from(attempt).unwrap()).await;
    }
    let dead = world.until_status("ada", JobStatus::Dead).await;
    assert_eq!(dead.last_error.as_deref(), Some("it did not end within 5s"));
    runner.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_blocks_its_thread_stops_no_others_and_gets_no_second_thread() {
    let (world, log) = (World::new(), Log::default());
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let policy = Policy { slice_max: 5 * SECOND, ..Policy::ONE_OFF };
    let blocks = Work::new(&log, policy, move |_, _| {
        blocked.lock().unwrap().recv().unwrap();
        done()
    });
    let runner = world.start(JobKinds::new().with(blocks).with(healthy(&log)));
    world.schedule(["ada"]).await;
    log.begun("ada", 1).await;
    pass(6 * SECOND + SECOND / 2).await;
    let fails = |job: Option<&Job>| job.is_some_and(|job| job.status == JobStatus::Failing);
    let failing = world.settled("ada", fails).await.unwrap();
    assert_eq!(failing.last_error.as_deref(), Some("it did not end within 5s"));
    // It is due again, but its place is taken.
    pass(100 * SECOND).await;
    passing(others_go_on(&world, &log)).await;
    assert_eq!(log.of("ada").begun.len(), 1);
    release.send(()).unwrap();
    log.ended("ada", 1).await;
    release.send(()).unwrap();
    log.ended("ada", 2).await;
    world.until_gone("ada").await;
    runner.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_recurs_is_never_given_up_and_shows_that_it_fails() {
    let (world, log) = (World::new(), Log::default());
    let works = Arc::new(Mutex::new(false));
    let is_well = Arc::clone(&works);
    let recurs = Work::new(&log, Policy::every(60 * SECOND), move |_, _| {
        let well = *is_well.lock().unwrap();
        async move { if well { Ok(Progress::Done) } else { Err("locked".into()) } }.boxed()
    });
    let runner = world.start(JobKinds::new().with(recurs));
    let done = log.ended("", 50).await;
    assert!(!done.ended.contains(&true));
    let pauses = done.begun.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(pauses.max().unwrap() < 62 * SECOND, "at least as often as it recurs");
    let failing = world.until_status("", JobStatus::Failing).await;
    assert_eq!(failing.last_error.as_deref(), Some("locked"));
    assert!(failing.attempts >= 50);
    assert_eq!(failing.succeeded_at, None);
    *works.lock().unwrap() = true;
    let well = world.until_status("", JobStatus::Waiting).await;
    assert_eq!((well.attempts, well.last_error), (0, None));
    runner.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ends_its_server_each_time_is_given_up() {
    let (world, log) = (World::new(), Log::default());
    world.schedule(["ada"]).await;
    for attempt in 1..=3 {
        let claimed = world.claim(world.clock.now()).await;
        assert_eq!(claimed[0].attempts, attempt);
        tokio::time::sleep(LEASE + SECOND).await;
    }
    let never = Work::new(&log, THREE_TIMES, |_, _| unreachable!());
    let runner = world.start(JobKinds::new().with(never));
    let dead = world.until_status("ada", JobStatus::Dead).await;
    let error = dead.last_error.unwrap();
    assert!(error.contains("after 3 attempts"), "{error}");
    runner.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_goes_well_forgives_those_before_it() {
    let (world, log) = (World::new(), Log::default());
    let work = Work::new(&log, THREE_TIMES, |slice, state| {
        let (attempts, slices) = (slice.attempts(), *state + 1);
        *state = slices;
        async move {
            match attempts {
                1 | 2 => Err("not yet".into()),
                _ if slices == 3 => Ok(Progress::Done),
                _ => Ok(GO_ON),
            }
        }
        .boxed()
    });
    let runner = world.start(JobKinds::new().with(work));
    world.schedule(["ada"]).await;
    let done = log.ended("ada", 9).await;
    assert_eq!(done.ended, [false, false, true].repeat(3));
    world.until_gone("ada").await;
    runner.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_too_long_fails_the_attempt() {
    struct Long;
    impl kana_service::jobs::JobKind for Long {
        const NAME: &'static str = "work";
        type State = String;
        fn policy(&self) -> Policy {
            Policy { attempts_max: Some(1), ..Policy::ONE_OFF }
        }
        async fn run(
            &self,
            _slice: &kana_service::jobs::Slice,
            state: &mut String,
        ) -> Result<Progress, kana_service::jobs::Failure> {
            *state = "x".repeat(kana_store::jobs::STATE_BYTES_MAX);
            Ok(GO_ON)
        }
    }
    let world = World::new();
    let runner = world.start(JobKinds::new().with(Long));
    world.schedule(["ada"]).await;
    let error = world.until_status("ada", JobStatus::Dead).await.last_error.unwrap();
    assert!(error.contains("state is longer"), "{error}");
    runner.stopped().await;
}

#[tokio::test]
async fn a_job_works_on_a_thread_that_answers_no_requests() {
    let (world, log) = (World::new(), Log::default());
    let here = std::thread::current().id();
    let work = Work::new(&log, Policy::ONE_OFF, move |_, _| {
        assert_ne!(std::thread::current().id(), here);
        done()
    });
    let runner = world.start(JobKinds::new().with(work));
    world.schedule(["ada"]).await;
    tokio::time::timeout(Duration::from_secs(20), log.ended("ada", 1)).await.unwrap();
    runner.stopped().await;
}
