//! The partitions of the usage events, one for each month. Recording an event creates the partition
//! of its month and of the next month, so that a partition exists a month before it is needed.
//!
//! A long reader of events does not hold up recording. Creating a partition locks the default
//! partition, and forgetting a month locks the partition of that month; both give up soon and are
//! tried again later.

use std::sync::Arc;

use kana_core::Timestamp;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::asking::{ask_alone, only, query};
use super::leased::Leased;
use super::shared::Shared;
use super::statements as sql;
use crate::deadlines::within;
use crate::error::StoreError;

/// How many events of the default partition are deleted in one statement.
const STRAY_EVENTS_AT_ONCE: i64 = 20_000;

/// Starts to create the partitions that an event of this instant needs, and waits a little for that
/// of its own month. If there is none in time, the event goes to the default partition.
///
/// It waits only if the partition was not created a month ahead, as after a jump of the clock, and at
/// most once in [`AGAIN`](super::months::AGAIN). Behind a long reader, the wait ends with the lock
/// timeout of [`make`].
pub(super) async fn provide(shared: &Arc<Shared>, recorded_at: Timestamp) {
    if begin(shared, recorded_at) {
        return;
    }
    let waiting = async {
        shared.months.settled(recorded_at.as_ms()).await;
        // The partition that was being created may be that of another month.
        if !begin(shared, recorded_at) {
            shared.months.settled(recorded_at.as_ms()).await;
        }
    };
    let _ = timeout(shared.connections.deadlines.partition, waiting).await;
}

/// Starts to create missing partitions, unless that is under way. Returns true if the event's own
/// month has a partition.
fn begin(shared: &Arc<Shared>, recorded_at: Timestamp) -> bool {
    let (missing, is_there) = shared.months.claim(recorded_at);
    if let Some(missing) = missing {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            shared.months.made(make(&shared, missing).await);
            provide_all(&shared, recorded_at).await;
        });
    }
    is_there
}

/// Creates the partitions that an event of this instant needs.
pub(super) async fn provide_all(shared: &Shared, recorded_at: Timestamp) {
    while let (Some(missing), _) = shared.months.claim(recorded_at) {
        shared.months.made(make(shared, missing).await);
    }
}

/// Creates the partitions that events of the server's current time need, and fails if one is still
/// missing.
pub(super) async fn keep_ahead(shared: &Shared) -> Result<(), StoreError> {
    let now = provide_now(shared).await?;
    match shared.months.missing_for(now) {
        None => Ok(()),
        Some(_) => {
            let why = "a partition of the events could not be created: is a long query or a dump at \
                       work on them?";
            Err(StoreError::Conflict(why.into()))
        }
    }
}

/// Creates the partitions for events of the server's current time, which it returns.
pub(super) async fn provide_now(shared: &Shared) -> Result<Timestamp, StoreError> {
    let asking = async {
        let mut connection = Leased::take(&shared.connections.readers).await?;
        let rows = ask_alone(connection.get()?, &shared.connections.session, sql::NOW, &[]).await?;
        let now = only(&rows)?.try_get(0)?;
        connection.give_back();
        Ok::<_, StoreError>(Timestamp::from_ms(now))
    };
    let now = within(shared.connections.deadlines.answer, asking).await?;
    provide_all(shared, now).await;
    Ok(now)
}

/// Creates the partition of the month of `ms`, unless it exists. Returns the month's bounds.
async fn make(shared: &Shared, ms: i64) -> Result<(i64, i64), StoreError> {
    // The lock timeout is short, since events of months without a partition wait for this, and so
    // do readers of all events. Whole seconds, since the server rounds towards 1970: an instant
    // before 1970 could end up in the next month.
    let second = ms.div_euclid(1000) * 1000;
    let row = run(shared, "100ms", sql::MAKE_EVENTS_PARTITION, &[&second]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Forgets the months before that of `before`. Returns true if there may be more to forget now. A
/// month that is being read stays until the next call.
pub(super) async fn forget(shared: &Shared, before: Timestamp) -> Result<bool, StoreError> {
    // Only readers of that month wait for this.
    let parameters: &[&(dyn ToSql + Sync)] = &[&before.as_ms(), &STRAY_EVENTS_AT_ONCE];
    Ok(run(shared, "200ms", sql::FORGET_EVENTS, parameters).await?.try_get(0)?)
}

/// Runs one statement that waits no longer than `lock_timeout` for each lock. It uses a reader's
/// connection: the caller may hold a writer's connection, and must not wait for a second one.
pub(super) async fn run(
    shared: &Shared,
    lock_timeout: &str,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Row, StoreError> {
    let running = async {
        let mut connection = Leased::take(&shared.connections.readers).await?;
        let transaction = connection.get()?.transaction().await?;
        let session = &shared.connections.session.set_local;
        let set = format!("{session}SET LOCAL lock_timeout = '{lock_timeout}'");
        transaction.batch_execute(&set).await?;
        let rows = query(transaction.client(), statement, parameters).await?;
        let row = only(&rows)?.clone();
        transaction.commit().await?;
        connection.give_back();
        Ok::<_, StoreError>(row)
    };
    within(shared.connections.deadlines.answer, running).await
}
