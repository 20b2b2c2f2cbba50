//! The partitions of the usage events, one for each month. Recording an event creates the partition
//! of its month and of the next month, so that a partition exists a month before it is needed.
//!
//! A long reader of events does not hold up recording. Creating a partition locks the default
//! partition, and forgetting a month locks the partition of that month; both give up soon and are
//! tried again later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kana_core::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Shared;
use super::leased::Leased;
use super::patience::within;
use super::statements as sql;
use crate::error::StoreError;

/// How long to wait before a partition that could not be made is tried again. Until then events go
/// to the default partition, from where they are moved later.
const AGAIN: Duration = Duration::from_secs(60);

/// How many events of the default partition are deleted in one statement.
const STRAY_EVENTS_AT_ONCE: i64 = 20_000;

/// How long recording waits for the partition of its own month, at most once in [`AGAIN`]. It waits
/// only if the partition was not created a month ahead, as after a jump of the clock. Behind a long
/// reader, the wait ends with the lock timeout of [`make`].
const RECORDING_WAITS: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Partitions {
    known: Mutex<Known>,
    /// Notifies when a partition was created, or could not be.
    made: Notify,
}

#[derive(Default)]
struct Known {
    /// Months that have a partition: from their first instant to the next month's.
    months: BTreeMap<i64, i64>,
    failed_at: Option<Instant>,
    is_making: bool,
}

impl Known {
    /// The end of the month of `ms`, if that has a partition.
    fn end_of(&self, ms: i64) -> Option<i64> {
        let (_, end) = self.months.range(..=ms).next_back()?;
        (ms < *end).then_some(*end)
    }

    /// An instant of a month that needs a partition for an event of `ms`.
    fn missing_for(&self, ms: i64) -> Option<i64> {
        match self.end_of(ms) {
            None => Some(ms),
            Some(end) if self.end_of(end).is_none() => Some(end),
            Some(_) => None,
        }
    }

    fn may_try(&self) -> bool {
        self.failed_at.is_none_or(|at| at.elapsed() >= AGAIN)
    }
}

impl Partitions {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims the creation of a partition that an event of `recorded_at` needs. Returns an instant
    /// of its month, if one is missing and not claimed, and whether the event's own month has a
    /// partition. The caller creates the partition and reports the result to [`made`](Self::made).
    fn claim(&self, recorded_at: Timestamp) -> (Option<i64>, bool) {
        let mut known = self.known();
        let ms = recorded_at.as_ms();
        let Some(missing) = known.missing_for(ms) else {
            return (None, true);
        };
        let claims = !known.is_making && known.may_try();
        known.is_making |= claims;
        (claims.then_some(missing), missing != ms)
    }

    /// Waits until the month of `ms` has a partition, or none is being created.
    async fn settled(&self, ms: i64) {
        loop {
            let made = self.made.notified();
            {
                let known = self.known();
                if !known.is_making || known.end_of(ms).is_some() {
                    return;
                }
            }
            made.await;
        }
    }

    fn made(&self, made: Result<(i64, i64), StoreError>) {
        let mut known = self.known();
        known.is_making = false;
        match made {
            Ok((from, to)) => {
                known.months.insert(from, to);
            }
            Err(error) => {
                known.failed_at = Some(Instant::now());
                tracing::warn!(%error, "cannot create a partition of the events; retrying in a minute");
            }
        }
        drop(known);
        self.made.notify_waiters();
    }
}

/// Starts to create the partitions that an event of this instant needs, and waits a little for that
/// of its own month. If there is none in time, the event goes to the default partition.
pub(super) async fn provide(shared: &Arc<Shared>, recorded_at: Timestamp) {
    if begin(shared, recorded_at) {
        return;
    }
    let waiting = async {
        shared.partitions.settled(recorded_at.as_ms()).await;
        // The partition that was being created may be that of another month.
        if !begin(shared, recorded_at) {
            shared.partitions.settled(recorded_at.as_ms()).await;
        }
    };
    let _ = timeout(RECORDING_WAITS, waiting).await;
}

/// Starts to create missing partitions, unless that is under way. Returns true if the event's own
/// month has a partition.
fn begin(shared: &Arc<Shared>, recorded_at: Timestamp) -> bool {
    let (missing, is_there) = shared.partitions.claim(recorded_at);
    if let Some(missing) = missing {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            shared.partitions.made(make(&shared, missing).await);
            provide_all(&shared, recorded_at).await;
        });
    }
    is_there
}

/// Creates the partitions that an event of this instant needs.
pub(super) async fn provide_all(shared: &Shared, recorded_at: Timestamp) {
    while let (Some(missing), _) = shared.partitions.claim(recorded_at) {
        shared.partitions.made(make(shared, missing).await);
    }
}

/// Creates the partitions that events of the server's current time need, and fails if one is still
/// missing.
pub(super) async fn keep_ahead(shared: &Shared) -> Result<(), StoreError> {
    let now = provide_now(shared).await?;
    match shared.partitions.known().missing_for(now.as_ms()) {
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
    let mut connection = Leased::take(&shared.connections.readers).await?;
    let limit = shared.connections.patience.answer;
    let now = within(limit, connection.get()?.query_one(sql::NOW, &[])).await?.try_get(0)?;
    connection.give_back();
    let now = Timestamp::from_ms(now);
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
    let mut connection = Leased::take(&shared.connections.readers).await?;
    let running = async {
        let transaction = connection.get()?.transaction().await?;
        let set = format!("SET LOCAL lock_timeout = '{lock_timeout}'");
        transaction.batch_execute(&set).await?;
        let row = transaction.query_one(statement, parameters).await?;
        transaction.commit().await?;
        Ok::<_, StoreError>(row)
    };
    let row = within(shared.connections.patience.answer, running).await?;
    connection.give_back();
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_of_an_event_and_the_next_one_need_a_partition() {
        let mut known = Known::default();
        assert_eq!(known.missing_for(15), Some(15));
        known.months.insert(10, 20);
        assert_eq!((known.missing_for(9), known.missing_for(20)), (Some(9), Some(20)));
        assert_eq!(known.missing_for(15), Some(20));
        known.months.insert(20, 30);
        assert_eq!((known.missing_for(10), known.missing_for(19)), (None, None));
        assert_eq!(known.missing_for(20), Some(30));
    }
}
