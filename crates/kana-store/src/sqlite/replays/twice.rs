//! Looks for keys that are stored twice, which only an import could bring.

use super::cursor::{Batch, Cursor};
use super::hash::first_hash;
use super::run::State;
use super::stored::StoredReplays;
use crate::error::StoreError;
use crate::sqlite::connection::Connection;

/// About how many records are compared at a time.
const RECORDS: u64 = 1024;

/// Returns the environment and the key of two records in the runs, if there are two of one key.
pub(super) fn twice(
    connection: &Connection,
    stored: &StoredReplays,
) -> Result<Option<(i64, String)>, StoreError> {
    let hasher = &stored.hasher;
    let runs = || stored.runs_in(State::Whole);
    let keys: u64 = runs().map(|run| u64::from(run.keys)).sum();
    let parts = u32::try_from(keys / RECORDS).unwrap_or(u32::MAX).max(1);
    let mut cursors =
        runs().map(|run| Cursor::new(connection, hasher, run, 0)).collect::<Result<Vec<_>, _>>()?;
    let mut batch = Batch::default();
    for part in 1..=parts {
        batch.clear();
        for cursor in &mut cursors {
            cursor.take_below(connection, hasher, first_hash(part, parts), &mut batch)?;
        }
        batch.sort();
        for ((hash, one), (next, other)) in batch.iter().zip(batch.iter().skip(1)) {
            if hash == next && one.has_the_key_of(&other)? {
                return one.named().map(Some);
            }
        }
    }
    Ok(None)
}
