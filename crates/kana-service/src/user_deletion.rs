//! What a deletion does after the user is deleted: the metadata of usage events goes (contract:
//! `operations.md`, "A user's own data"). There may be any number of events, and no index finds those of
//! one user.

use std::time::Duration;

use kana_core::id::UserKey;
use kana_store::usage_events::EventCursor;
use kana_store::{EnvironmentId, Store, StoreError};

/// The kind of job that deletes what is not deleted with a user, whose key is the job's.
pub(crate) const USER_DELETION: &str = "user-deletion";

/// How many events with metadata are changed in one transaction, in which nobody else may write.
const EVENTS_AT_ONCE: usize = 500;
/// How long one step looks for events.
const PATIENCE: Duration = Duration::from_millis(100);

/// Looks for usage events of a user before `after`, or from the newest one back, and deletes the metadata
/// that is found. Returns where to go on; `None` at the end.
pub(crate) async fn forget_metadata_before(
    store: &dyn Store,
    environment: EnvironmentId,
    user: UserKey,
    after: Option<EventCursor>,
) -> Result<Option<EventCursor>, StoreError> {
    let mut reading = store.read().await?;
    let found = reading.events_of(environment, user, after, EVENTS_AT_ONCE, PATIENCE).await?;
    drop(reading);
    if found.events.iter().any(|event| event.metadata.is_some()) {
        let mut transaction = store.write().await?;
        transaction.forget_event_metadata(environment, user, found.next, after).await?;
        transaction.commit().await?;
    }
    Ok(found.next)
}
