//! The log of threshold events (contract: `beyond.md`, "Thresholds").

use kana_core::Timestamp;
use kana_core::entitlement::Extras;
use kana_core::id::{UserId, UserKey};
use kana_core::threshold::ThresholdEvent;
use rusqlite::{Row, params};
use uuid::Uuid;

use super::connection::Connection;
use super::rows::{limit, text};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::threshold_event_row::ThresholdEventRow;

pub(super) fn write(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    event: &ThresholdEvent,
) -> rusqlite::Result<usize> {
    let row = ThresholdEventRow::of(event);
    connection.statement(sql::ADD_THRESHOLD_EVENT)?.execute(params![
        environment.0,
        row.id,
        user.0,
        row.feature,
        row.threshold,
        row.period_start,
        row.period_end,
        row.used,
        row.budget,
        row.overage_enabled,
        row.at,
        row.extras.carried,
        row.extras.granted,
        row.extras.held,
    ])
}

pub(super) fn after(
    connection: &Connection,
    environment: EnvironmentId,
    user: Option<UserKey>,
    after: Option<Uuid>,
    at_most: usize,
) -> Result<Vec<(UserId, ThresholdEvent)>, StoreError> {
    // No event has the nil id, so this is before the first one.
    let (after, at_most) = (after.unwrap_or_default(), limit(at_most));
    let mut statement = connection.statement(match user {
        None => sql::THRESHOLD_EVENTS_AFTER,
        Some(_) => sql::THRESHOLD_EVENTS_OF_USER_AFTER,
    })?;
    let mut rows = match user {
        None => statement.query(params![environment.0, after, at_most])?,
        Some(user) => statement.query(params![environment.0, after, at_most, user.0])?,
    };
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push((UserId::new("stored user id", text(row, 12)?)?, event(row)?));
    }
    Ok(events)
}

fn event(row: &Row<'_>) -> Result<ThresholdEvent, StoreError> {
    let stored = ThresholdEventRow {
        id: row.get(0)?,
        feature: text(row, 1)?,
        threshold: row.get(2)?,
        period_start: row.get(3)?,
        period_end: row.get(4)?,
        used: row.get(5)?,
        budget: row.get(6)?,
        overage_enabled: row.get(7)?,
        at: row.get(8)?,
        extras: Extras { carried: row.get(9)?, granted: row.get(10)?, held: row.get(11)? },
    };
    stored.read()
}

pub(super) fn forget(
    connection: &Connection,
    environment: EnvironmentId,
    before: Timestamp,
    at_most: usize,
) -> Result<usize, StoreError> {
    let key = params![environment.0, before.as_ms(), limit(at_most)];
    Ok(connection.statement(sql::FORGET_THRESHOLD_EVENTS)?.execute(key)?)
}
