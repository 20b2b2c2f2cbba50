//! The tables of idempotency keys, which take turns (see `forget_old_keys` in the schema).

use kana_core::Timestamp;

use super::partitions::run;
use super::replays_table::ReplaysTable;
use super::rows::no_environment;
use super::shared::Shared;
use super::statements as sql;
use super::transaction::{Kind, PostgresTransaction, Question};
use crate::app::EnvironmentId;
use crate::error::StoreError;

impl PostgresTransaction {
    /// Returns the table that takes new keys until this transaction ends. It is known already if
    /// facts were loaded.
    pub(super) async fn replays_table(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<ReplaysTable, StoreError> {
        if let Some(table) = self.replays_table {
            return Ok(table);
        }
        debug_assert_eq!(self.kind, Kind::Write);
        let shared = self.shares_catalog(environment);
        let [class, object] = shared.unwrap_or_default();
        let lock: Question<'_> = (sql::SHARE_CATALOG, &[&class, &object]);
        let table: Question<'_> = (sql::REPLAYS_TABLE, &[&environment.0]);
        let questions: Vec<Question<'_>> =
            shared.map(|_| lock).into_iter().chain([table]).collect();
        let rows = self.ask(&questions).await?.pop().unwrap_or_default();
        let row = rows.first().ok_or_else(no_environment)?;
        let table = ReplaysTable::read(row.try_get(0)?)?;
        self.replays_table = Some(table);
        Ok(table)
    }
}

/// Forgets keys that were stored before `before`, a table at a time.
pub(super) async fn forget(
    shared: &Shared,
    before: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    // While this waits for the locks, new writers queue behind it. So it gives up soon and is tried
    // again later.
    run(shared, "100ms", sql::FORGET_OLD_KEYS, &[&before.as_ms(), &now.as_ms()]).await?;
    Ok(())
}
