use async_trait::async_trait;
use kana_core::id::UserKey;

use super::event_log;
use super::transaction::{SqliteTransaction, WriteLease};
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::usage_events::EventCursor;
use crate::user_deletion::UserDeletionTransaction;

#[async_trait]
impl UserDeletionTransaction for SqliteTransaction<WriteLease> {
    async fn forget_event_metadata(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        from: Option<EventCursor>,
        to: Option<EventCursor>,
    ) -> Result<(), StoreError> {
        let from = from.map_or(i64::MIN, |from| from.at);
        let to = to.map_or(i64::MAX, |to| to.at);
        self.forget(|connection| {
            event_log::forget_metadata(connection, environment, user, (from, to))
        })?;
        Ok(())
    }
}
