//! Applies migrations in order at start, each once. The database's `user_version` is how many it has.

use std::cmp::Ordering;
use std::path::Path;

use super::connection::Connection;
use super::{data_dir, event_migration, replays, user_search};
use crate::error::StoreError;
use crate::migration_files::{
    SQLITE, SQLITE_EVENT_BLOCKS, SQLITE_REPLAYS_IN_RUNS, SQLITE_USER_SEARCH,
};

/// Returns how many migrations the database has; 0 if it has no tables.
pub(super) fn version(connection: &mut Connection) -> Result<usize, StoreError> {
    Ok(version_in(connection.sqlite())?)
}

fn version_in(connection: &rusqlite::Connection) -> rusqlite::Result<usize> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(found).unwrap_or(usize::MAX))
}

/// Returns true if this release has migrations that a database of this version lacks.
pub(super) fn are_missing(version: usize) -> bool {
    version < SQLITE.len()
}

/// Checks that the database has this release's schema.
pub(super) fn check(connection: &mut Connection, data_dir: &Path) -> Result<(), StoreError> {
    let (found, known) = (version(connection)?, SQLITE.len());
    match found.cmp(&known) {
        Ordering::Equal => Ok(()),
        Ordering::Less if found == 0 => Err(data_dir::no_database(data_dir)),
        Ordering::Less => Err(StoreError::OlderSchema { found, needed: known }),
        Ordering::Greater => Err(StoreError::NewerSchema { found, known }),
    }
}

/// Brings the database to this release's schema. Two processes that start together take turns.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    connection.run("BEGIN IMMEDIATE")?;
    let migrated = run_missing(connection).and_then(|()| Ok(connection.run("COMMIT")?));
    if migrated.is_err() && connection.in_transaction() {
        connection.run("ROLLBACK")?;
    }
    migrated
}

fn run_missing(connection: &mut Connection) -> Result<(), StoreError> {
    let found = version_in(connection.sqlite())?;
    let Some(missing) = SQLITE.get(found..) else {
        return Err(StoreError::NewerSchema { found, known: SQLITE.len() });
    };
    for migration in missing {
        connection.sqlite().execute_batch(migration)?;
        if *migration == SQLITE_USER_SEARCH {
            user_search::fill(connection.sqlite())?;
        }
        if *migration == SQLITE_REPLAYS_IN_RUNS {
            replays::take_over(connection)?;
        }
        if *migration == SQLITE_EVENT_BLOCKS {
            event_migration::copy_events_into_blocks(connection.sqlite(), "events")?;
        }
    }
    if !missing.is_empty() {
        let version = i64::try_from(SQLITE.len()).unwrap_or(i64::MAX);
        connection.sqlite().pragma_update(None, "user_version", version)?;
    }
    Ok(())
}
