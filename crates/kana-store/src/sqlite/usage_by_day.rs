//! The usage by day. What the latest commits add to it is in their rows of the
//! [counter log](super::counter_log): a list of feature, day, events, amount, and uncounted events.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use kana_core::day::Day;
use kana_core::id::FeatureId;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, params};

use super::connection::Connection;
use super::rows::text;
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::usage_statistics::{DailyUsage, FeatureUsage, Totals, UsageDeltas};

/// What usage events add, in each environment.
pub(super) type Deltas = BTreeMap<EnvironmentId, UsageDeltas>;

/// Feature, day, events, amount, uncounted events.
type Logged<Feature> = (Feature, i64, i64, i64, i64);

/// Writes deltas as they are in the counter log.
pub(super) fn to_json(deltas: &UsageDeltas) -> Result<String, StoreError> {
    let rows = deltas.rows().map(|(day, feature, all)| -> Logged<&str> {
        (feature.as_str(), day.number(), all.events, all.amount(), all.uncounted)
    });
    Ok(serde_json::to_string(&rows.collect::<Vec<_>>())?)
}

/// Reads the deltas of the counter log that are not folded. They are those of few commits.
pub(super) fn unfolded(connection: &Connection) -> Result<Deltas, StoreError> {
    let mut deltas = Deltas::new();
    let mut statement = connection.statement(sql::UNFOLDED_USAGE)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let of_environment = deltas.entry(EnvironmentId(row.get(0)?)).or_default();
        let logged: Vec<Logged<String>> = serde_json::from_str(text(row, 1)?)?;
        for (feature, day, events, amount, uncounted) in logged {
            let feature = FeatureId::new("logged feature id", &feature)?;
            let totals = Totals::stored(events, amount, uncounted);
            of_environment.add(&feature, Day::from_number(day), totals);
        }
    }
    Ok(deltas)
}

/// Folds deltas, which are those of the counter log's rows that are not folded, up to the row
/// `through`. Runs within the open transaction.
pub(super) fn fold(
    connection: &Connection,
    deltas: &Deltas,
    through: i64,
) -> Result<(), StoreError> {
    add(connection, deltas)?;
    connection.statement(sql::NOTE_USAGE_FOLDED)?.execute([through])?;
    Ok(())
}

/// Adds deltas to the tables.
pub(super) fn add(connection: &Connection, deltas: &Deltas) -> Result<(), StoreError> {
    for (environment, deltas) in deltas {
        let mut by_day = BTreeMap::<Day, Totals>::new();
        for (day, feature, totals) in deltas.sorted() {
            by_day.entry(day).or_default().add(totals);
            let mut all = on(connection, *environment, day, feature)?;
            all.add(totals);
            connection.statement(sql::SET_USAGE_OF_DAY)?.execute(params![
                environment.0,
                day.number(),
                feature.as_str(),
                all.events,
                all.amount(),
                all.uncounted,
            ])?;
        }
        for (day, all) in by_day {
            let row = params![environment.0, day.number(), all.events, all.uncounted];
            connection.statement(sql::ADD_TO_USAGE_TOTALS)?.execute(row)?;
        }
    }
    Ok(())
}

/// Returns what the table has of a feature on a day.
pub(super) fn on(
    connection: &Connection,
    environment: EnvironmentId,
    day: Day,
    feature: &FeatureId,
) -> Result<Totals, StoreError> {
    let mut statement = connection.statement(sql::USAGE_OF_DAY)?;
    let key = params![environment.0, day.number(), feature.as_str()];
    let stored = statement
        .query_row(key, |row| Ok(Totals::stored(row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(stored.unwrap_or_default())
}

/// The usage of a feature, which is looked up on each day.
pub(super) fn of_feature(
    connection: &Connection,
    environment: EnvironmentId,
    feature: &FeatureId,
    (from, to): (Day, Day),
) -> Result<Vec<DailyUsage>, StoreError> {
    let mut by_day = BTreeMap::<Day, Totals>::new();
    let days: Vec<Value> = (from.number()..=to.number()).map(Value::Integer).collect();
    let mut statement = connection.statement(sql::USAGE_BY_DAY_OF_FEATURE)?;
    let mut rows = statement.query(params![environment.0, Rc::new(days), feature.as_str()])?;
    while let Some(row) = rows.next()? {
        let totals = Totals::stored(row.get(1)?, row.get(2)?, row.get(3)?);
        by_day.insert(Day::from_number(row.get(0)?), totals);
    }
    for (day, other, totals) in unfolded(connection)?.entry(environment).or_default().rows() {
        if other == feature && (from..=to).contains(&day) {
            by_day.entry(day).or_default().add(totals);
        }
    }
    Ok(by_day.into_iter().map(|(day, all)| all.of_day(day)).collect())
}

pub(super) fn of_all_features(
    connection: &Connection,
    environment: EnvironmentId,
    (from, to): (Day, Day),
) -> Result<Vec<DailyUsage>, StoreError> {
    let mut by_day = BTreeMap::<Day, Totals>::new();
    let mut statement = connection.statement(sql::USAGE_BY_DAY)?;
    let mut rows = statement.query(params![environment.0, from.number(), to.number()])?;
    while let Some(row) = rows.next()? {
        let totals = Totals::stored(row.get(1)?, 0, row.get(2)?);
        by_day.insert(Day::from_number(row.get(0)?), totals);
    }
    for (day, _, totals) in unfolded(connection)?.entry(environment).or_default().rows() {
        if (from..=to).contains(&day) {
            by_day.entry(day).or_default().add(totals);
        }
    }
    let of_day = |(day, all): (Day, Totals)| DailyUsage { amount: None, ..all.of_day(day) };
    Ok(by_day.into_iter().map(of_day).collect())
}

pub(super) fn by_feature(
    connection: &Connection,
    environment: EnvironmentId,
    (from, to): (Day, Day),
) -> Result<Vec<FeatureUsage>, StoreError> {
    let mut by_feature = HashMap::<FeatureId, Totals>::new();
    let mut statement = connection.statement(sql::USAGE_BY_FEATURE)?;
    let mut rows = statement.query(params![environment.0, from.number(), to.number()])?;
    while let Some(row) = rows.next()? {
        let feature = FeatureId::new("stored feature id", text(row, 0)?)?;
        let (high, low): (i64, i64) = (row.get(2)?, row.get(3)?);
        let amount = (i128::from(high) << 32) + i128::from(low);
        by_feature.insert(feature, Totals::wide(row.get(1)?, amount, row.get(4)?));
    }
    for (day, feature, totals) in unfolded(connection)?.entry(environment).or_default().rows() {
        if (from..=to).contains(&day) {
            by_feature.entry(feature.clone()).or_default().add(totals);
        }
    }
    Ok(by_feature.into_iter().map(|(feature, all)| all.of_feature(feature)).collect())
}
