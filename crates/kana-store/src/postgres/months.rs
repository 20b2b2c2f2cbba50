//! Which months have a partition for their usage events, as far as this node knows.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kana_core::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::StoreError;

/// How long to wait before a partition that could not be made is tried again. Until then events go
/// to the default partition, from where they are moved later.
pub(super) const AGAIN: Duration = Duration::from_secs(60);

/// The months that have a partition, and whether one is being created.
#[derive(Default)]
pub(super) struct Months {
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

impl Months {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims the creation of a partition that an event of `recorded_at` needs. Returns an instant
    /// of its month, if one is missing and not claimed, and whether the event's own month has a
    /// partition. The caller creates the partition and reports the result to [`made`](Self::made).
    pub(super) fn claim(&self, recorded_at: Timestamp) -> (Option<i64>, bool) {
        let mut known = self.known();
        let ms = recorded_at.as_ms();
        let Some(missing) = known.missing_for(ms) else {
            return (None, true);
        };
        let claims = !known.is_making && known.may_try();
        known.is_making |= claims;
        (claims.then_some(missing), missing != ms)
    }

    /// Returns an instant of a month that needs a partition for an event of `recorded_at`.
    pub(super) fn missing_for(&self, recorded_at: Timestamp) -> Option<i64> {
        self.known().missing_for(recorded_at.as_ms())
    }

    /// Waits until the month of `ms` has a partition, or none is being created.
    pub(super) async fn settled(&self, ms: i64) {
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

    pub(super) fn made(&self, made: Result<(i64, i64), StoreError>) {
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
