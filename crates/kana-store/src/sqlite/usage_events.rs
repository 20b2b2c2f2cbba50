//! Reads the log of usage events. Its rows have the order in which they were recorded.

use std::time::{Duration, Instant};

use kana_core::Timestamp;
use kana_core::id::{FeatureId, IdempotencyKey, SubscriptionId, UserKey};
use kana_core::usage::{UsageAction, UsageEvent};
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::connection::Connection;
use super::rows::{instant, limit, metadata, optional, text};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::columns::Named;
use crate::error::StoreError;
use crate::usage_events::{EventCursor, EventsOfUser};

/// How many events are looked at between two looks at the clock.
const LOOKED_AT_ONCE: i64 = 10_000;
/// How often the clock is looked at, at most.
const STEPS_MAX: usize = 64;

pub(super) fn events_of(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    after: Option<EventCursor>,
    at_most: usize,
    patience: Duration,
) -> Result<EventsOfUser, StoreError> {
    let begun = Instant::now();
    let mut events = Vec::new();
    let over = |events| EventsOfUser { events, looked_back_to: None, next: None };
    let Some((oldest, _)) = first_from(connection, i64::MIN)? else {
        return Ok(over(events));
    };
    let newest: i64 = connection.statement(sql::NEWEST_EVENT)?.query_row([], |row| row.get(0))?;
    let mut before = newest.saturating_add(1).min(after.map_or(i64::MAX, |after| after.at));
    for _ in 0..STEPS_MAX {
        let from = before.saturating_sub(LOOKED_AT_ONCE).max(oldest);
        let wanted = at_most - events.len();
        let parameters = params![environment.0, user.0, before, from, limit(wanted)];
        let mut statement = connection.statement(sql::EVENTS_OF_USER)?;
        let mut rows = statement.query(parameters)?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            before = row.get(0)?;
            events.push(event(row)?);
            found += 1;
        }
        if found < wanted {
            before = from;
        }
        if before <= oldest {
            return Ok(over(events));
        }
        if events.len() == at_most || begun.elapsed() >= patience {
            break;
        }
    }
    let looked_back_to = first_from(connection, before)?.map(|(_, recorded_at)| recorded_at);
    Ok(EventsOfUser { events, looked_back_to, next: Some(EventCursor { at: before, among: 0 }) })
}

/// Returns the first event with this row number or a higher one.
fn first_from(connection: &Connection, id: i64) -> Result<Option<(i64, Timestamp)>, StoreError> {
    let mut statement = connection.statement(sql::FIRST_EVENT_FROM)?;
    let row = |row: &Row<'_>| Ok((row.get(0)?, Timestamp::from_ms(row.get(1)?)));
    Ok(statement.query_row([id], row).optional()?)
}

/// Reads `id, feature_id, action, delta, occurred_at, recorded_at, subscription_id, idempotency_key,
/// metadata`.
fn event(row: &Row<'_>) -> Result<UsageEvent, StoreError> {
    let key = |text: &str| Ok(IdempotencyKey::new("stored idempotency key", text)?);
    Ok(UsageEvent {
        feature: FeatureId::new("stored feature id", text(row, 1)?)?,
        action: UsageAction::from_name(text(row, 2)?)?,
        delta: row.get(3)?,
        occurred_at: instant(row, 4)?,
        recorded_at: instant(row, 5)?,
        // The log does not have it.
        amount: 0,
        subscription: row.get::<_, Option<Uuid>>(6)?.map(SubscriptionId),
        idempotency_key: optional(row, 7, key)?,
        metadata: optional(row, 8, metadata)?,
    })
}
