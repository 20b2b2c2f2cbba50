//! Every job that was scheduled runs, and no more often than it must.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::FutureExt as _;
use kana_service::jobs::{Backoff, Failure, JobKinds, Policy, Progress};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use crate::work::{GO_ON, Log, Work};
use crate::world::{World, work_after};

/// A job that somebody wants.
#[derive(Debug, Clone)]
struct Wanted {
    key: u8,
    /// When it is scheduled after the one before it, and when it is due after that.
    pause_ms: u64,
    wait_ms: u64,
}

/// What the jobs of a key do.
#[derive(Debug, Clone, Copy)]
struct Behaviour {
    slices: u32,
    failures: u32,
    panics: bool,
}

fn wanted(keys: std::ops::Range<u8>) -> impl Strategy<Value = Wanted> {
    (keys, 0..3000_u64, 0..20_000_u64).prop_map(|(key, pause_ms, wait_ms)| Wanted {
        key,
        pause_ms,
        wait_ms,
    })
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    (1..4_u32, 0..3_u32, any::<bool>()).prop_map(|(slices, failures, panics)| Behaviour {
        slices,
        failures,
        panics,
    })
}

fn kinds(log: &Log, behaviours: &[Behaviour]) -> JobKinds {
    let policy = Policy {
        attempts_max: Some(4),
        backoff: Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) },
        at_once: 3,
        ..Policy::ONE_OFF
    };
    let behaviours = behaviours.to_vec();
    let work = Work::new(log, policy, move |slice, state| {
        let key: usize = slice.key().parse().unwrap();
        let Behaviour { slices, failures, panics } = behaviours[key % behaviours.len()];
        let fails = slice.attempts() <= failures;
        assert!(!(fails && panics), "as it should");
        *state += 1;
        let is_done = *state == slices;
        async move {
            match (fails, is_done) {
                (true, _) => Err(Failure::from("not yet")),
                (false, true) => Ok(Progress::Done),
                (false, false) => Ok(GO_ON),
            }
        }
        .boxed()
    });
    JobKinds::new().with(work)
}

/// Schedules what is wanted on two nodes, and waits until nothing is left. Returns when each key was
/// wanted last, and how often.
async fn run(world: &World, kinds: [JobKinds; 2], all: &[Wanted]) -> HashMap<u8, (Instant, usize)> {
    let runners = kinds.map(|kinds| world.start(kinds));
    let mut scheduled = HashMap::new();
    for Wanted { key, pause_ms, wait_ms } in all {
        sleep(Duration::from_millis(*pause_ms)).await;
        let job = work_after(&key.to_string(), Duration::from_millis(*wait_ms));
        let (at, times) = scheduled.entry(*key).or_insert_with(|| (Instant::now(), 0));
        (*at, *times) = (Instant::now(), *times + 1);
        world.schedule_jobs(&[job]).await;
    }
    while !kana_store::jobs::JobStore::jobs(world.store.as_ref(), 1).await.unwrap().is_empty() {
        sleep(Duration::from_secs(1)).await;
    }
    for runner in runners {
        runner.stopped().await;
    }
    scheduled
}

fn on_paused_time<T>(story: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().unwrap().block_on(story)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn each_job_is_done_exactly_once(
        keys in proptest::collection::hash_set(any::<u8>(), 1..20),
        waits in proptest::collection::vec((0..2000_u64, 0..20_000_u64), 20),
        behaviours in proptest::collection::vec(behaviour(), 1..4),
    ) {
        let all: Vec<Wanted> = keys
            .into_iter()
            .zip(waits)
            .map(|(key, (pause_ms, wait_ms))| Wanted { key, pause_ms, wait_ms })
            .collect();
        on_paused_time(async {
            let (world, log) = (World::new(), Log::default());
            run(&world, [kinds(&log, &behaviours), kinds(&log, &behaviours)], &all).await;
            let done: BTreeMap<_, _> = log.all().clone();
            assert_eq!(done.len(), all.len());
            for (key, done) in done {
                let key: usize = key.parse().unwrap();
                let Behaviour { slices, failures, panics } = behaviours[key % behaviours.len()];
                // Each slice fails that often before it succeeds.
                let failed = slices * failures;
                let ended = |well| done.ended.iter().filter(|ended| **ended == well).count();
                assert_eq!(ended(true), slices as usize);
                assert_eq!(ended(false), if panics { 0 } else { failed as usize });
                assert_eq!(done.dropped, if panics { failed } else { 0 });
            }
        });
    }

    #[test]
    fn a_job_that_is_wanted_again_and_again_runs_after_the_last_time(
        all in proptest::collection::vec(wanted(0..4), 1..40),
        behaviours in proptest::collection::vec(behaviour(), 1..4),
    ) {
        on_paused_time(async {
            let (world, log) = (World::new(), Log::default());
            let kinds = [kinds(&log, &behaviours), kinds(&log, &behaviours)];
            for (key, (last_wanted, times)) in run(&world, kinds, &all).await {
                let done = log.of(&key.to_string());
                let Behaviour { slices, .. } = behaviours[usize::from(key) % behaviours.len()];
                assert!(*done.begun.last().unwrap() >= last_wanted, "it may have looked before");
                let well = done.ended.iter().filter(|well| **well).count();
                assert!(well >= slices as usize && well <= times * slices as usize);
            }
        });
    }
}
