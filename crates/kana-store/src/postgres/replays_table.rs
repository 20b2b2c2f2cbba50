//! Which of the tables of idempotency keys takes new ones, and the statements that follow from it.

use super::statements as sql;
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
