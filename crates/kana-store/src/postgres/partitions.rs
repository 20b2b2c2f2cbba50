//! The partitions of the usage events, a month each. Recording an event has the partition of its
//! month made, and that of the month after it, too: so they are there a month before anybody needs
//! them.
//!
//! Recording does not wait behind whoever reads events for long: making a partition locks the default
//! partition, and forgetting a month the partition of that month. Both give up soon, and try again later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kana_core::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Shared;
use super::patience::{Leased, within};
use super::statements as sql;
use crate::error::StoreError;

/// How long to wait before a partition that could not be made is tried again. Until then events go
/// to the default partition, from where they are moved later.
const AGAIN: Duration = Duration::from_secs(60);

/// How many events of the default partition are deleted in one statement.
const STRAY_EVENTS_AT_ONCE: i64 = 20_000;

/// How long recording waits at most for the partition of its own month, once in [`AGAIN`]. The
/// partition of the next month is made without anyone's waiting, so this is for a clock that has
/// jumped. Behind a long reader it takes what [`make`] waits for locks.
const RECORDING_WAITS: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Partitions {
    known: Mutex<Known>,
    /// Tells when a partition was made, or could not be.
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

    /// Returns an instant whose month is to be made now, for an event of `recorded_at`, and whether
    /// that event's own month has a partition. Whoever gets an instant has it made, and says so with
    /// [`made`](Self::made).
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

    /// Waits until the month of `ms` has a partition, or nobody is about to make one.
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
                tracing::warn!(%error, "a partition of the events could not be made");
            }
        }
        drop(known);
        self.made.notify_waiters();
    }
}

/// Has the partitions made that an event of this instant needs. The event goes to the default
/// partition if its month has none in time.
pub(super) async fn provide(shared: &Arc<Shared>, recorded_at: Timestamp) {
    if begin(shared, recorded_at) {
        return;
    }
    let waiting = async {
        shared.partitions.settled(recorded_at.as_ms()).await;
        // What was being made may have been another month.
        if !begin(shared, recorded_at) {
            shared.partitions.settled(recorded_at.as_ms()).await;
        }
    };
    let _ = timeout(RECORDING_WAITS, waiting).await;
}

/// Begins to make what is missing, unless somebody is at it, and returns whether the event's own
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

/// Makes what an event of this instant needs.
pub(super) async fn provide_all(shared: &Shared, recorded_at: Timestamp) {
    while let (Some(missing), _) = shared.partitions.claim(recorded_at) {
        shared.partitions.made(make(shared, missing).await);
    }
}

/// Makes the partitions for the events of today.
pub(super) async fn provide_now(shared: &Shared) -> Result<(), StoreError> {
    let mut connection = Leased::take(&shared.connections.readers).await?;
    let limit = shared.connections.patience.answer;
    let now = within(limit, connection.get()?.query_one(sql::NOW, &[])).await?.try_get(0)?;
    connection.give_back();
    provide_all(shared, Timestamp::from_ms(now)).await;
    Ok(())
}

/// Makes the partition of the month of `ms`, unless it exists, and returns the month's bounds.
async fn make(shared: &Shared, ms: i64) -> Result<(i64, i64), StoreError> {
    // Events of months without a partition wait for this, and so do those who read all events.
    // Whole seconds, since the server cuts the rest towards 1970: before that, into the next month.
    let second = ms.div_euclid(1000) * 1000;
    let row = run(shared, "100ms", sql::MAKE_EVENTS_PARTITION, &[&second]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Forgets the months before that of `before`, and returns whether there may be more to forget now.
/// A month that somebody reads stays until the next time.
pub(super) async fn forget(shared: &Shared, before: Timestamp) -> Result<bool, StoreError> {
    // Only those wait for this who read the events of that month.
    let parameters: &[&(dyn ToSql + Sync)] = &[&before.as_ms(), &STRAY_EVENTS_AT_ONCE];
    Ok(run(shared, "200ms", sql::FORGET_EVENTS, parameters).await?.try_get(0)?)
}

/// Runs one statement that waits no longer than `lock_timeout` for each lock. It takes a reader's
/// connection: whoever writes has one already and must not wait for a second one of its kind.
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
