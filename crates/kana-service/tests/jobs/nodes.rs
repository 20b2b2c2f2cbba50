//! Many nodes on one PostgreSQL database.

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::FutureExt as _;
use kana_service::SystemClock;
use kana_service::jobs::{JobKinds, JobRunner, NewJob, Policy, Progress};
use kana_store::jobs::{Ended, JobStore as _, LEASE, Room};
use kana_store::postgres::Settings;
use kana_store::{PostgresStore, Store, StoreError};
use kana_test_postgres::{Database, is_here, run};
use tokio::time::timeout;

use crate::work::{GO_ON, Log, SECOND, Work};
use crate::world::{schedule, work};

const ROOM: [Room; 1] = [Room { kind: "work", jobs: 100 }];

async fn open(database: &Database) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::open(database.url(), Settings::default()).await.unwrap())
}

fn start(store: &Arc<PostgresStore>, kinds: JobKinds) -> JobRunner {
    crate::world::start(Arc::clone(store) as Arc<dyn Store>, Arc::new(SystemClock), kinds)
}

/// Jobs of two slices, each of which leaves time for another node to interfere.
fn two_slices(log: &Log) -> JobKinds {
    let policy = Policy { at_once: 4, ..Policy::ONE_OFF };
    let work = Work::new(log, policy, |_, state| {
        *state += 1;
        let progress = if *state < 2 { GO_ON } else { Progress::Done };
        async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok(progress)
        }
        .boxed()
    });
    JobKinds::new().with(work)
}

fn jobs(count: usize) -> Vec<NewJob> {
    (0..count).map(|number| work(&format!("{number:04}"))).collect()
}

async fn until_all_are_gone(store: &PostgresStore) {
    until_left(store, 0).await;
}

async fn until_left(store: &PostgresStore, jobs: usize) {
    let gone = async {
        while store.jobs(jobs + 1).await.unwrap().len() > jobs {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(60 * SECOND, gone).await.unwrap();
}

/// To the jobs of a database, so much time has passed.
fn pass(database: &Database, time: Duration) {
    let ms = time.as_millis();
    let earlier =
        format!("UPDATE kana.jobs SET due_at = due_at - {ms}, waits_since = waits_since - {ms}");
    run(database.url(), &earlier);
}

#[tokio::test]
async fn two_nodes_run_many_jobs_and_none_of_them_twice() {
    if !is_here() {
        return;
    }
    let (database, log) = (Database::new(), Log::default());
    let stores = [open(&database).await, open(&database).await];
    let runners = stores.each_ref().map(|store| start(store, two_slices(&log)));
    for some in jobs(120).chunks(30) {
        schedule(stores[0].as_ref(), some, kana_core::Timestamp::from_ms(0)).await;
    }
    until_all_are_gone(&stores[1]).await;
    for runner in runners {
        runner.stopped().await;
    }
    let all = log.all();
    assert_eq!(all.len(), 120);
    assert!(all.values().all(|done| done.ended == [true, true]));
}

#[tokio::test]
async fn jobs_of_a_node_that_was_killed_go_on_elsewhere_and_it_can_do_no_more_harm() {
    if !is_here() {
        return;
    }
    let (database, log) = (Database::new(), Log::default());
    let now = kana_core::Timestamp::from_ms(0);
    let [store, killed] = [open(&database).await, open(&database).await];
    schedule(store.as_ref(), &jobs(20), now).await;
    let claimed = killed.claim_jobs(&ROOM, 8, now).await.unwrap();
    assert_eq!(claimed.len(), 8);
    let held: BTreeSet<&str> = claimed.iter().map(|job| job.key.as_str()).collect();

    let runners = [start(&store, two_slices(&log)), start(&store, two_slices(&log))];
    until_left(&store, held.len()).await;
    pass(&database, LEASE - SECOND);
    assert!(held.iter().all(|key| log.of(key).begun.is_empty()), "not while it is held");
    pass(&database, SECOND);
    until_all_are_gone(&store).await;
    for runner in runners {
        runner.stopped().await;
    }
    assert!(log.all().values().all(|done| done.ended == [true, true]));
    for job in &claimed {
        let late = killed.end_attempt(job.lease, Ended::Finished, now).await;
        assert!(matches!(late, Err(StoreError::LostLease)));
    }
}

#[tokio::test]
async fn a_node_that_dies_in_the_middle_of_a_slice_leaves_the_job_to_another() {
    if !is_here() {
        return;
    }
    let (database, log) = (Database::new(), Log::default());
    let store = open(&database).await;
    let now = kana_core::Timestamp::from_ms(0);
    let (url, its_log) = (database.url().to_owned(), log.clone());
    let (begun, has_begun) = mpsc::channel();
    // A node with a runtime of its own, which ends from one moment to the next.
    let node = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let store = PostgresStore::open(&url, Settings::default()).await.unwrap();
            let dies = Work::new(&its_log, Policy::ONE_OFF, |_, state| {
                *state += 1;
                let is_first = *state == 1;
                async move {
                    if is_first {
                        return Ok(GO_ON);
                    }
                    std::future::pending().await
                }
                .boxed()
            });
            let runner = start(&Arc::new(store), JobKinds::new().with(dies));
            timeout(30 * SECOND, its_log.begun("ada", 2)).await.unwrap();
            begun.send(()).unwrap();
            std::mem::forget(runner);
        });
        runtime.shutdown_background();
    });
    schedule(store.as_ref(), &[work("ada")], now).await;
    has_begun.recv_timeout(30 * SECOND).unwrap();
    node.join().unwrap();

    timeout(30 * SECOND, log.dropped("ada", 1)).await.unwrap();
    let next = Work::new(&log, Policy::ONE_OFF, |slice, state| {
        assert_eq!((slice.attempts(), *state), (2, 1), "it goes on where it was saved");
        async { Ok(Progress::Done) }.boxed()
    });
    let runner = start(&store, JobKinds::new().with(next));
    pass(&database, LEASE);
    until_all_are_gone(&store).await;
    runner.stopped().await;
    assert_eq!(log.of("ada").begun.len(), 3);
}
