//! Plain SQL files, numbered, applied in order at start, each once.

use rusqlite::TransactionBehavior;

use super::connection::Connection;
use crate::error::StoreError;

/// In order; the database's `user_version` says how many it has.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_foundation.sql"),
    include_str!("migrations/0002_client_api_and_lists.sql"),
    include_str!("migrations/0003_hot_paths.sql"),
    include_str!("migrations/0004_recent_counters.sql"),
    include_str!("migrations/0005_pricing_as_code.sql"),
    include_str!("migrations/0006_changed_terms.sql"),
];

/// Brings the database to this release's schema. Two processes that start together take turns.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction =
        connection.sqlite().transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(missing) = MIGRATIONS.get(found..) else {
        return Err(StoreError::NewerSchema { found, known: MIGRATIONS.len() });
    };
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    if !missing.is_empty() {
        let version = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", version)?;
    }
    transaction.commit()?;
    Ok(())
}
