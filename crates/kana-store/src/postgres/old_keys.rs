//! The tables of idempotency keys, which take turns (see `forget_old_keys` in the schema).

use kana_core::Timestamp;

use super::Shared;
use super::partitions::run;
use super::statements as sql;
use super::transaction::{Kind, PostgresTransaction, Question};
use crate::app::EnvironmentId;
use crate::error::StoreError;

const TABLES: usize = 4;

/// Statements, by the table that takes new keys.
const REPLAYS: [&str; TABLES] = [sql::REPLAYS_0, sql::REPLAYS_1, sql::REPLAYS_2, sql::REPLAYS_3];
const KEEP_REPLAYS: [&str; TABLES] =
    [sql::KEEP_REPLAYS_0, sql::KEEP_REPLAYS_1, sql::KEEP_REPLAYS_2, sql::KEEP_REPLAYS_3];
/// Statements, by the table that they delete from.
const FORGET_KEYS: [&str; TABLES] =
    [sql::FORGET_KEYS_0, sql::FORGET_KEYS_1, sql::FORGET_KEYS_2, sql::FORGET_KEYS_3];

/// The table that takes new keys. Valid as long as the transaction shares the lock of a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReplaysTable(usize);

impl ReplaysTable {
    pub(super) fn read(number: i16) -> Result<Self, StoreError> {
        let known = usize::try_from(number).ok().filter(|number| *number < TABLES);
        known.map(Self).ok_or_else(|| StoreError::Unreadable(format!("table {number} of keys")))
    }

    /// The statement that looks up keys in this table and the two before it.
    pub(super) fn look(self) -> &'static str {
        REPLAYS[self.0 % TABLES]
    }

    pub(super) fn keep(self) -> &'static str {
        KEEP_REPLAYS[self.0 % TABLES]
    }

    /// The statements that delete keys from this table and the two before it.
    pub(super) fn forget(self) -> [&'static str; 3] {
        [0, 1, 2].map(|back| FORGET_KEYS[(self.0 + TABLES - back) % TABLES])
    }
}

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
        let row = rows.first().ok_or_else(super::reading::no_environment)?;
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
