//! The log's partitions, a month each. Whoever writes an event sees to it that its month has one and
//! the month after it, too: so they are there a month before anybody needs them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kana_core::Timestamp;
use tokio::time::Instant;

use super::Shared;
use super::connections::take;
use super::statements as sql;
use crate::error::StoreError;

/// How long to wait before a partition that could not be made is tried again. Until then events go
/// to the default partition, from where they are moved later.
const AGAIN: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Partitions(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Months that have a partition: from their first instant to the next month's.
    months: BTreeMap<i64, i64>,
    failed_at: Option<Instant>,
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to the partitions for an event of this instant. Nothing is lost when that fails.
    pub(super) async fn provide(&self, shared: &Shared, recorded_at: Timestamp) {
        // That of its month, and that of the next.
        for _ in 0..2 {
            let missing = {
                let known = self.known();
                known.missing_for(recorded_at.as_ms()).filter(|_| known.may_try())
            };
            let Some(missing) = missing else {
                return;
            };
            match make(shared, missing).await {
                Ok((from, to)) => {
                    self.known().months.insert(from, to);
                }
                Err(error) => {
                    self.known().failed_at = Some(Instant::now());
                    tracing::warn!(%error, "a partition of the events could not be made");
                }
            }
        }
    }

    /// Sees to the partitions for the events of today.
    pub(super) async fn provide_now(&self, shared: &Shared) -> Result<(), StoreError> {
        let connection = take(&shared.connections.readers).await?;
        let now = connection.query_one(sql::NOW, &[]).await?.try_get(0)?;
        drop(connection);
        self.provide(shared, Timestamp::from_ms(now)).await;
        Ok(())
    }
}

/// Makes the partition of the month of `ms`, unless it exists: the month's bounds. It takes a reader's
/// connection, since whoever writes has one already and must not wait for a second one of its kind.
async fn make(shared: &Shared, ms: i64) -> Result<(i64, i64), StoreError> {
    let mut connection = take(&shared.connections.readers).await?;
    let transaction = connection.transaction().await?;
    // Everybody who logs waits for us, and we for them: not long.
    transaction.batch_execute("SET LOCAL lock_timeout = '2s'").await?;
    // Whole seconds, since the server cuts the rest towards 1970: before that, into the next month.
    let second = ms.div_euclid(1000) * 1000;
    let row = transaction.query_one(sql::MAKE_EVENTS_PARTITION, &[&second]).await?;
    let month = (row.try_get(0)?, row.try_get(1)?);
    transaction.commit().await?;
    Ok(month)
}

/// Forgets the months before that of `before`. Everybody who logs waits for us while we wait for them:
/// not long, since it can be tried again.
pub(super) async fn forget(shared: &Shared, before: Timestamp) -> Result<(), StoreError> {
    let mut connection = take(&shared.connections.readers).await?;
    let transaction = connection.transaction().await?;
    transaction.batch_execute("SET LOCAL lock_timeout = '2s'").await?;
    transaction.execute(sql::FORGET_EVENTS, &[&before.as_ms()]).await?;
    Ok(transaction.commit().await?)
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
