//! The counter log: the values of counters that are not yet in their table, and what commits add to the
//! [usage by day](super::usage_by_day).
//!
//! In its table, a counter of eight bytes costs a page of four KiB, since counters of different users
//! are far apart. In the log, the counters of a commit are one row.

use std::collections::{BTreeMap, HashMap};

use kana_core::Timestamp;
use kana_core::counter::CounterValue;
use kana_core::facts::{Change, CounterKey};
use kana_core::id::{FeatureId, SubscriptionId, UserKey};
use kana_core::terms::TermsNumber;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::connection::Connection;
use super::rows::text;
use super::usage_by_day::{self, Deltas};
use super::{facts, statements as sql};
use crate::app::EnvironmentId;
use crate::columns::counter_value;
use crate::error::StoreError;
use crate::usage_statistics::UsageDeltas;

/// The new value of a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CounterSet {
    pub(super) environment: EnvironmentId,
    pub(super) counter: (UserKey, CounterKey),
    /// The new value; `None` if the counter was deleted.
    pub(super) value: Option<CounterValue>,
}

impl CounterSet {
    /// Converts it to the change of the table.
    pub(super) fn into_change(self) -> Change {
        let (_, counter) = self.counter;
        match self.value {
            Some(value) => Change::SetCounter { counter, value },
            None => Change::DeleteCounter { counter },
        }
    }
}

/// User key, subscription, feature, terms number, start of the period, used and, if there are any, marks.
#[derive(Serialize, Deserialize)]
struct Logged<Text>(
    Uuid,
    Uuid,
    Text,
    u32,
    i64,
    Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<String>,
);

/// Appends the counters and the usage of a commit, a row for each environment. Returns the last row's
/// id.
pub(super) fn append(
    connection: &Connection,
    number: u64,
    sets: &[CounterSet],
    usage: &Deltas,
) -> Result<Option<i64>, StoreError> {
    let mut last = None;
    let mut usage: BTreeMap<EnvironmentId, &UsageDeltas> =
        usage.iter().map(|(environment, deltas)| (*environment, deltas)).collect();
    for of_environment in sets.chunk_by(|a, b| a.environment == b.environment) {
        if let Some(first) = of_environment.first() {
            let usage = usage.remove(&first.environment);
            let row = append_row(connection, number, first.environment, of_environment, usage)?;
            last = Some(row);
        }
    }
    // Usage that changed no counter.
    for (environment, usage) in usage {
        last = Some(append_row(connection, number, environment, &[], Some(usage))?);
    }
    Ok(last)
}

fn append_row(
    connection: &Connection,
    number: u64,
    environment: EnvironmentId,
    sets: &[CounterSet],
    usage: Option<&UsageDeltas>,
) -> Result<i64, StoreError> {
    let logged: Vec<Logged<&str>> = sets
        .iter()
        .map(|CounterSet { counter: (user, counter), value, .. }| {
            let CounterKey { subscription, feature, terms, period_start } = counter;
            let (start, value) = (period_start.as_ms(), value.as_ref());
            let marks = value.and_then(|value| value.marks.to_text());
            let used = value.map(|value| value.used);
            Logged(user.0, subscription.0, feature.as_str(), terms.0, start, used, marks)
        })
        .collect();
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    Ok(connection.statement(sql::LOG_COUNTERS)?.insert(params![
        number,
        environment.0,
        serde_json::to_string(&logged)?,
        usage.map(usage_by_day::to_json).transpose()?,
    ])?)
}

/// Returns the number of the last commit that changed counters, in the connection's snapshot; 0 if
/// there is none.
pub(super) fn last_number(connection: &Connection) -> Result<u64, StoreError> {
    let number = connection
        .statement(sql::LAST_NUMBER_LOGGED)?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(number.map_or(0, i64::unsigned_abs))
}

/// The newest value of each counter in the log; `None` if it was deleted.
pub(super) type LoggedCounters =
    HashMap<EnvironmentId, HashMap<(UserKey, CounterKey), Option<CounterValue>>>;

/// Reads the whole log.
pub(super) fn read(connection: &Connection) -> Result<LoggedCounters, StoreError> {
    let mut counters = LoggedCounters::new();
    let mut statement = connection.statement(sql::COUNTERS_LOGGED)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let environment = EnvironmentId(row.get(0)?);
        let of_environment = counters.entry(environment).or_default();
        let logged: Vec<Logged<String>> = serde_json::from_str(text(row, 1)?)?;
        for Logged(user, subscription, feature, terms, period_start, used, marks) in logged {
            let counter = CounterKey {
                subscription: SubscriptionId(subscription),
                feature: FeatureId::new("logged feature id", &feature)?,
                terms: TermsNumber(terms),
                period_start: Timestamp::from_ms(period_start),
            };
            let value = used.map(|used| counter_value(used, marks.as_deref())).transpose()?;
            of_environment.insert((UserKey(user), counter), value);
        }
    }
    Ok(counters)
}

/// Writes everything in the log to its tables and empties the log, within the open transaction. The
/// caller must be the only one that changes counters.
pub(super) fn write_through(connection: &Connection) -> Result<(), StoreError> {
    let logged = read(connection)?;
    if logged.is_empty() {
        return Ok(());
    }
    for (environment, counters) in logged {
        let mut counters: Vec<_> = counters.into_iter().collect();
        // In the table's order, so that each page is changed once.
        counters.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (counter, value) in counters {
            let user = counter.0;
            let set = CounterSet { environment, counter, value };
            facts::write(connection, environment, user, &set.into_change())?;
        }
    }
    usage_by_day::fold(connection, &usage_by_day::unfolded(connection)?, i64::MAX)?;
    forget(connection, i64::MAX)
}

/// Deletes the rows with ids up to `through`. Their usage must have been folded.
pub(super) fn forget(connection: &Connection, through: i64) -> Result<(), StoreError> {
    connection.statement(sql::FORGET_COUNTERS_LOGGED)?.execute([through])?;
    connection.run(sql::RESET_USAGE_FOLDED)?;
    Ok(())
}
