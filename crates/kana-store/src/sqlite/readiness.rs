//! Checks whether the database answers questions and accepts changes.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::connection::Connection;
use super::errors::{is_full, write_some};
use super::keys;
use super::readers::ReaderPool;
use super::transaction::{SqliteTransaction, WriteLease, Writer};
use crate::error::StoreError;

/// Reads from the database and, if the last commit failed, tries a commit. Always fails after a
/// damaged page was found, until the store is opened again.
///
/// The check runs on a thread of its own, since a disk may hang. A second call waits for
/// `checking`, so that a disk that hangs blocks one thread at most. The caller sets the deadline and
/// drops the future when it has passed.
pub(super) async fn check(
    pool: &Arc<ReaderPool>,
    writer: &Arc<Mutex<Writer>>,
    checking: &Arc<Mutex<()>>,
) -> Result<(), StoreError> {
    if let Some(damage) = pool.health().damage() {
        return Err(damage);
    }
    let checking = Arc::clone(checking).lock_owned().await;
    let (pool, writer) = (Arc::clone(pool), Arc::clone(writer));
    let checked = tokio::task::spawn_blocking(move || {
        let checked = check_now(&pool, &writer);
        drop(checking);
        checked
    });
    checked.await.map_err(|error| StoreError::Engine(Box::new(error)))?
}

fn check_now(pool: &Arc<ReaderPool>, writer: &Arc<Mutex<Writer>>) -> Result<(), StoreError> {
    let connection = pool.take()?;
    pool.health().noted_read(keys::app(&connection))?;
    drop(connection);
    pool.health().check_room()?;
    let Some(failure) = pool.health().failure() else {
        return Ok(());
    };
    // A writer that is at work will itself find out whether commits work again.
    match Arc::clone(writer).try_lock_owned() {
        Ok(writer) if pool.health().may_try() => try_commit(writer, pool, failure),
        _ => Err(failure),
    }
}

/// Commits an unchanged page, which clears the failure on success.
fn try_commit(
    writer: OwnedMutexGuard<Writer>,
    pool: &Arc<ReaderPool>,
    failure: StoreError,
) -> Result<(), StoreError> {
    // The WAL may have room for one page on a full disk, so this first tries a larger write.
    if matches!(failure, StoreError::Full { .. })
        && write_some(pool.health().directory()).is_err_and(|error| is_full(&error))
    {
        return Err(failure);
    }
    let transaction = SqliteTransaction::begin_write(WriteLease::new(writer, pool))?;
    transaction.step(Connection::write_one_page)?;
    transaction.commit_changes()
}
