//! Counters of one series, those of one source, feature and terms number: the table has them side by side, in the
//! order of their periods, so that one statement reads many.

use std::collections::BTreeMap;

use kana_core::counter::CounterValue;
use kana_core::facts::CounterKey;
use kana_core::id::UserKey;
use rusqlite::params;

use super::connection::Connection;
use super::rows::instant;
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::columns::counter_value;
use crate::error::StoreError;

/// From so many counters on, one statement is faster than one for each. Fewer can also be far apart, with many
/// between them; more are those of consecutive periods.
const TOGETHER_FROM: usize = 4;

/// Returns how many counters at the front are worth reading [together](read): 0 if one by one is better.
pub(super) fn len(counters: &[(UserKey, CounterKey)]) -> usize {
    let is_next = |(one, next): (&(UserKey, CounterKey), &(UserKey, CounterKey))| {
        let ((user, one), (next_user, next)) = (one, next);
        let is_same = (user, one.subscription, &one.feature, one.terms)
            == (next_user, next.subscription, &next.feature, next.terms);
        is_same && !one.is_folded() && one.period_start < next.period_start
    };
    let pairs = counters.iter().zip(counters.iter().skip(1));
    let length = pairs.take_while(|pair| is_next(*pair)).count() + 1;
    if length >= TOGETHER_FROM { length } else { 0 }
}

/// Returns what the table has of counters of one series, which are in the order of their periods.
pub(super) fn read(
    connection: &Connection,
    environment: EnvironmentId,
    counters: &[(UserKey, CounterKey)],
) -> Result<Vec<Option<CounterValue>>, StoreError> {
    let (Some((user, first)), Some((_, last))) = (counters.first(), counters.last()) else {
        return Ok(Vec::new());
    };
    let mut statement = connection.statement(sql::COUNTER_SERIES)?;
    let mut rows = statement.query(params![
        environment.0,
        user.0,
        first.subscription.0,
        first.feature.as_str(),
        first.terms.0,
        first.period_start.as_ms(),
        last.period_start.as_ms(),
    ])?;
    let mut stored = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let value = counter_value(row.get(1)?, row.get_ref(2)?.as_str_or_null()?)?;
        stored.insert(instant(row, 0)?, value);
    }
    Ok(counters.iter().map(|(_, counter)| stored.remove(&counter.period_start)).collect())
}
