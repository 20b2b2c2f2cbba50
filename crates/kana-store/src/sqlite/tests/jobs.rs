//! Leases of a server that was killed.

use super::*;
use crate::jobs::{ClaimedJob, JobStore as _, NewJob, Room};

async fn claim(store: &SqliteStore, now: i64) -> Vec<ClaimedJob> {
    let room = [Room { kind: "sync", jobs: 10 }];
    store.claim_jobs(&room, 10, Timestamp::from_ms(now)).await.unwrap()
}

#[tokio::test]
async fn jobs_of_a_server_that_was_killed_go_on_with_the_next_server_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    let mut transaction = store.write().await.unwrap();
    let now = 1_705_320_000_000;
    transaction.schedule_jobs(&[NewJob::only("sync")], Timestamp::from_ms(now)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(claim(&store, now).await.len(), 1);
    // What runs beside a server leaves its leases alone.
    let beside = SqliteStore::open_existing(directory.path()).unwrap();
    assert_eq!(claim(&beside, now + 1).await, []);
    drop((store, beside));

    // Also if the clock went back.
    for (attempts, now) in [(2, now + 1), (3, now - 3_600_000)] {
        let next = SqliteStore::open_for_server(directory.path()).unwrap();
        let claimed = claim(&next, now).await;
        assert_eq!(claimed.iter().map(|job| job.attempts).collect::<Vec<_>>(), [attempts]);
        assert!(next.jobs(1).await.unwrap()[0].last_error.is_some(), "it counts as an attempt");
    }
}
