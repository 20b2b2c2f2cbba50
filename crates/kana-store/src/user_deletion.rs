//! Deleting what is known of a user: what engines share (contract: `operations.md`, "A user's own data").
//!
//! Who has been deleted has another id, and the earlier one stands nowhere in what is kept of changes and
//! of the audit log. An id can have been another user's before, whose entries stay. So the changes are
//! followed back to the one in which the user took the id, and where that was a renaming, on from there
//! under the id before it.

use async_trait::async_trait;
use kana_core::id::{UserId, UserKey};
use serde::Deserialize;

use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::usage_events::EventCursor;

/// The change in which a user took an id: the number, the instant in milliseconds since 1970, and the data.
pub(crate) type IdTaken = (i64, i64, String);

/// The part of the data of `user.updated` that says that the user had another id.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Renaming {
    previous_id: Option<String>,
}

/// Returns the id that a user had before a change. Returns `None` if the user was new.
pub(crate) fn previous_id(data: &str) -> Result<Option<UserId>, StoreError> {
    let Renaming { previous_id } = serde_json::from_str(data)?;
    Ok(previous_id.map(|id| UserId::new("stored user id", &id)).transpose()?)
}

/// Puts another id in the place of the earlier one in the data of a change. Everything else stays as it
/// stands in the text.
pub(crate) fn with_previous_id(
    data: &str,
    earlier: &UserId,
    new: &UserId,
) -> Result<String, StoreError> {
    let field = |id: &UserId| Ok::<_, StoreError>(format!("\"previousId\":{}", json(id)?));
    Ok(data.replace(&field(earlier)?, &field(new)?))
}

fn json(id: &UserId) -> Result<String, StoreError> {
    Ok(serde_json::to_string(id.as_str())?)
}

/// What a transaction deletes of users who are deleted.
#[async_trait]
pub trait UserDeletionTransaction: Send {
    /// Deletes the metadata of a user's usage events between two places of the log: from `from` on,
    /// and before `to`; `None` stands for the log's beginning and its end. May delete that of events just
    /// beside them, too.
    async fn forget_event_metadata(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        from: Option<EventCursor>,
        to: Option<EventCursor>,
    ) -> Result<(), StoreError>;
}
