use async_trait::async_trait;
use kana_core::id::{UserId, UserKey};
use tokio_postgres::types::ToSql;

use super::statements as sql;
use super::transaction::PostgresTransaction;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::usage_events::EventCursor;
use crate::user_deletion::{IdTaken, UserDeletionTransaction, previous_id, with_previous_id};

impl PostgresTransaction {
    /// Puts `new` in the place of the ids that a user had, in all kept changes and entries of the audit
    /// log. The user is locked, so nobody adds to them meanwhile.
    pub(super) async fn forget_id(
        &mut self,
        environment: EnvironmentId,
        earlier: &UserId,
        new: &UserId,
    ) -> Result<(), StoreError> {
        let (mut earlier, mut before, mut until) = (earlier.clone(), i64::MAX, i64::MAX);
        loop {
            let taken = self.id_taken(environment, &earlier, before).await?;
            let (from, since) =
                taken.as_ref().map_or((0, i64::MIN), |(number, at, _)| (*number, *at));
            let ids: [&(dyn ToSql + Sync); 3] = [&environment.0, &earlier.as_str(), &new.as_str()];
            let in_changes: &[&(dyn ToSql + Sync)] = &[ids[0], ids[1], ids[2], &from, &before];
            let in_audit_log: &[&(dyn ToSql + Sync)] = &[ids[0], ids[1], ids[2], &since, &until];
            self.change(&[
                (sql::FORGET_ID_IN_CHANGES, in_changes),
                (sql::FORGET_ID_IN_AUDIT_LOG, in_audit_log),
            ])
            .await?;
            let Some((number, at, data)) = taken else { return Ok(()) };
            let Some(previous) = previous_id(&data)? else { return Ok(()) };
            let data = with_previous_id(&data, &previous, new)?;
            let renaming: &[&(dyn ToSql + Sync)] = &[&environment.0, &number, &data];
            self.change(&[(sql::FORGET_PREVIOUS_ID, renaming)]).await?;
            (earlier, before, until) = (previous, number, at);
        }
    }

    /// Returns the last change before the number `before` in which somebody took the id.
    async fn id_taken(
        &mut self,
        environment: EnvironmentId,
        id: &UserId,
        before: i64,
    ) -> Result<Option<IdTaken>, StoreError> {
        let parameters: &[&(dyn ToSql + Sync)] = &[&environment.0, &id.as_str(), &before];
        let rows = self.ask_one(sql::ID_TAKEN, parameters).await?;
        let taken = rows
            .first()
            .map(|row| Ok::<_, StoreError>((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)));
        taken.transpose()
    }
}

#[async_trait]
impl UserDeletionTransaction for PostgresTransaction {
    async fn forget_event_metadata(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        from: Option<EventCursor>,
        to: Option<EventCursor>,
    ) -> Result<(), StoreError> {
        let from = from.map_or(i64::MIN, |from| from.at);
        let to = to.map_or(i64::MAX, |to| to.at);
        let parameters: &[&(dyn ToSql + Sync)] = &[&environment.0, &user.0, &from, &to];
        self.change_by_time((sql::FORGET_EVENT_METADATA, parameters)).await
    }
}
