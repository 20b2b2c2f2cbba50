//! Reads the usage events of one user. The log has the order in which they were recorded.

use std::ops::Range;
use std::time::{Duration, Instant};

use kana_core::Timestamp;
use kana_core::id::{FeatureId, IdempotencyKey, SubscriptionId, UserKey};
use kana_core::usage::UsageEvent;
use rusqlite::params;

use super::connection::Connection;
use super::event_block::Event;
use super::event_log::{first_block_from, with_events};
use super::rows::{limit, metadata};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::usage_events::{EventCursor, EventsOfUser};

/// About how many events are looked at between two looks at the clock.
const LOOKED_AT_ONCE: i64 = 10_000;
/// How often the clock is looked at, at most.
const STEPS_MAX: usize = 1_000;

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
    let Some((oldest, _)) = first_block_from(connection, i64::MIN)? else {
        return Ok(over(events));
    };
    let end: i64 = connection.statement(sql::END_OF_EVENTS)?.query_row([], |row| row.get(0))?;
    let mut before = end.min(after.map_or(i64::MAX, |after| after.at));
    let mut looked_back_to = None;
    for _ in 0..STEPS_MAX {
        let from = block_at(connection, before.saturating_sub(LOOKED_AT_ONCE))?.unwrap_or(oldest);
        let among = (environment, user, from..before);
        if let Some((at, recorded_at)) = read_back(connection, among, at_most, &mut events)? {
            (before, looked_back_to) = (at, Some(recorded_at));
        } else {
            (before, looked_back_to) = (from, None);
        }
        if before <= oldest {
            return Ok(over(events));
        }
        if events.len() == at_most || begun.elapsed() >= patience {
            break;
        }
    }
    if looked_back_to.is_none() {
        looked_back_to = first_block_from(connection, before)?.map(|(_, recorded_at)| recorded_at);
    }
    Ok(EventsOfUser { events, looked_back_to, next: Some(EventCursor { at: before, among: 0 }) })
}

/// Returns the id of the last block that begins at this id or before.
fn block_at(connection: &Connection, id: i64) -> Result<Option<i64>, StoreError> {
    Ok(connection.statement(sql::EVENT_BLOCK_AT)?.query_row([id], |row| row.get(0))?)
}

/// Adds a user's events among those with these ids, newest first, until there are `at_most`. The first id
/// is that of a block. Returns where the last event is and when it was recorded, if it has come to so many.
fn read_back(
    connection: &Connection,
    (environment, user, ids): (EnvironmentId, UserKey, Range<i64>),
    at_most: usize,
    events: &mut Vec<UsageEvent>,
) -> Result<Option<(i64, Timestamp)>, StoreError> {
    let mut last = None;
    let mut statement = connection.statement(sql::EVENT_BLOCKS_OF_USER)?;
    let mut rows = statement.query(params![environment.0, user.0, ids.end, ids.start])?;
    while events.len() < at_most
        && let Some(row) = rows.next()?
    {
        with_events(row, |id, found| {
            for (place, event) in found.iter().enumerate().rev() {
                let at = id.saturating_add(limit(place));
                if event.user == user.0 && at < ids.end && events.len() < at_most {
                    events.push(usage_event(event)?);
                    last = Some((at, Timestamp::from_ms(event.recorded_at)));
                }
            }
            Ok(())
        })?;
    }
    Ok(last.filter(|_| events.len() == at_most))
}

fn usage_event(event: &Event<'_>) -> Result<UsageEvent, StoreError> {
    let key = |text: &str| IdempotencyKey::new("stored idempotency key", text);
    Ok(UsageEvent {
        feature: FeatureId::new("stored feature id", event.feature)?,
        action: event.action,
        delta: event.delta,
        occurred_at: Timestamp::from_ms(event.occurred_at),
        recorded_at: Timestamp::from_ms(event.recorded_at),
        // The log does not have it.
        amount: 0,
        drawn: None,
        subscription: event.subscription.map(SubscriptionId),
        idempotency_key: event.key.map(|stored| key(&stored.text())).transpose()?,
        metadata: event.metadata.map(metadata).transpose()?,
    })
}
