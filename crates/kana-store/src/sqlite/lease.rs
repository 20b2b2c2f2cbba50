use std::ops::Deref;

use kana_core::catalog::CatalogVersion;
use kana_core::counter::CounterValue;
use kana_core::facts::{CounterKey, UserFacts};
use kana_core::id::{IdempotencyKey, UserId, UserKey};
use kana_core::idempotency::Replay;

use super::connection::Connection;
use super::facts_cache::Rows;
use super::{counter_series, facts};
use crate::app::EnvironmentId;
use crate::error::StoreError;

/// A connection that one transaction has, which also knows the counters that are not in their table.
pub(super) trait Lease: Deref<Target = Connection> {
    /// The environment's catalog version.
    fn catalog_version(&self, environment: EnvironmentId) -> Result<CatalogVersion, StoreError>;

    /// Returns the user with the subscriptions that run.
    fn facts(
        &mut self,
        environment: EnvironmentId,
        id: &UserId,
    ) -> Result<Option<UserFacts>, StoreError> {
        facts::facts(self, environment, id)
    }

    /// Makes sure that what the table of counters lacks is found by [`counter`](Self::counter).
    fn before_counters(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Returns the counter's value; `None` if it was never written. `stored` is what its table has, if that was
    /// read.
    fn counter(
        &mut self,
        environment: EnvironmentId,
        counter: &(UserKey, CounterKey),
        stored: Option<Option<CounterValue>>,
    ) -> Result<Option<CounterValue>, StoreError>;

    /// Notes what was read of counters.
    fn note_counters(
        &mut self,
        _environment: EnvironmentId,
        _counters: &[(UserKey, CounterKey)],
        _values: &[Option<CounterValue>],
    ) {
    }

    /// Returns the counters' values. Those of one series are read together.
    fn counters(
        &mut self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Result<Vec<Option<CounterValue>>, StoreError> {
        let mut values = Vec::with_capacity(counters.len());
        let mut rest = counters;
        while let Some(counter) = rest.first() {
            let series = counter_series::len(rest);
            if series == 0 {
                values.push(self.counter(environment, counter, None)?);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            self.before_counters()?;
            let (counters, others) = rest.split_at(series);
            rest = others;
            let stored = counter_series::read(self, environment, counters)?;
            for (counter, stored) in counters.iter().zip(stored) {
                values.push(self.counter(environment, counter, Some(stored))?);
            }
        }
        self.note_counters(environment, counters, &values);
        Ok(values)
    }

    /// Returns true if [`note_rows`](Self::note_rows) keeps what is noted of the user.
    fn keeps_notes_of(&self, _environment: EnvironmentId, _user: UserKey) -> bool {
        false
    }

    /// Notes that all overrides or grants of a user were read.
    fn note_rows(
        &mut self,
        _environment: EnvironmentId,
        _user: UserKey,
        _rows: impl FnOnce() -> Rows,
    ) {
    }

    /// Writes the usage events of the transaction that are not in the log yet.
    fn write_events(&mut self) -> Result<(), StoreError>;
    /// Returns what is stored under idempotency keys, in the order of the keys.
    fn replays(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<Vec<Option<Replay>>, StoreError>;

    /// Records the result of a step in the store's health. Returns the result, with the file or
    /// directory added to an error.
    fn noted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError>;
}
