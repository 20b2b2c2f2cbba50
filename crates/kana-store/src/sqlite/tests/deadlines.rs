//! Nothing waits without a bound behind a write that does not end.

use std::time::Duration;

use super::*;
use crate::deadlines::Deadlines;
use crate::every_call::{JOB, ends_within, of_store, of_transaction};
use crate::jobs::NewJob;

const LIMITS: Deadlines = Deadlines {
    writer: Duration::from_millis(20),
    held: Duration::from_millis(20),
    ..Deadlines::DEFAULT
};
/// Far more than the limits, also on a busy machine, and less than those of a server.
const SOON: Duration = Duration::from_secs(4);

/// The calls that write.
const WRITING: [&str; 24] = [
    "begin_app",
    "create_app",
    "provide_token_secret",
    "forget_events",
    "import",
    "write",
    "forget_changes",
    "forget_audit_log",
    "claim_jobs",
    "renew_lease",
    "end_attempt",
    "retry_job",
    "note_key_uses",
    "note_seen",
    "claim_form",
    "settle_form",
    "forget_ended",
    "forget_audit_log_of_app",
    "forget_old_keys",
    "gather_user_facts",
    "forget_usage_by_day",
    "forget_limit_crossings",
    "forget_threshold_events",
    "forget_holds",
];

#[tokio::test]
async fn every_call_behind_a_write_that_does_not_end_fails_soon_and_reading_goes_on() {
    let (tool, environment, directory) = store_with_app().await;
    // So that there is a job to claim.
    let mut transaction = tool.write().await.unwrap();
    transaction.schedule_jobs(&[NewJob::only(JOB)], NOW).await.unwrap();
    transaction.commit().await.unwrap();
    drop(tool);
    let store = SqliteStore::open_for_server_within(directory.path(), LIMITS).unwrap();

    let held = store.write().await.unwrap();
    for (name, call) in of_store(&store, environment) {
        let ended = ends_within(name, SOON, call).await;
        match WRITING.contains(&name) {
            true => assert!(
                matches!(ended, Err(StoreError::Unavailable(_) | StoreError::Busy(_))),
                "{name}: {ended:?}"
            ),
            false => assert!(ended.is_ok(), "{name}: {ended:?}"),
        }
    }
    let mut readers = Vec::new();
    for _ in 0..36 {
        readers.push(store.read().await.unwrap());
    }
    for (name, call) in of_transaction(|| readers.pop().unwrap(), environment) {
        ends_within(name, SOON, call).await.unwrap();
    }

    // Once it has ended, writing goes on.
    drop(held);
    store.write().await.unwrap().commit().await.unwrap();
}
