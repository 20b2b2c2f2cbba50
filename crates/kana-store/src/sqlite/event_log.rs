//! The log of usage events: blocks of events, in the order in which they were recorded. A commit writes
//! its events in as few blocks as they fit in.
//!
//! An event's id is the block's id and the event's place in it, so ids grow in the order of recording.

use kana_core::Timestamp;
use kana_core::id::{IdempotencyKey, UserKey};
use kana_core::metadata::Metadata;
use kana_core::usage::UsageEvent;
use rusqlite::{OptionalExtension as _, Row, params};

use super::connection::Connection;
use super::event_block::{Block, BlockWriter, Event, EventKey, columns, events};
use super::rows::limit;
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;

/// Usage events of a transaction that are not in the log yet.
#[derive(Default)]
pub(super) struct UnwrittenEvents(Vec<(EnvironmentId, BlockWriter)>);

impl UnwrittenEvents {
    /// Adds an event to those of a transaction.
    pub(super) fn record(
        &mut self,
        connection: &Connection,
        environment: EnvironmentId,
        user: UserKey,
        event: &UsageEvent,
    ) -> Result<usize, StoreError> {
        let metadata = event.metadata.as_ref().map(Metadata::to_json);
        let stored = Event {
            user: user.0,
            feature: event.feature.as_str(),
            action: event.action,
            delta: event.delta,
            occurred_at: event.occurred_at.as_ms(),
            recorded_at: event.recorded_at.as_ms(),
            subscription: event.subscription.map(|subscription| subscription.0),
            key: event.idempotency_key.as_ref().map(IdempotencyKey::as_str).map(EventKey::new),
            metadata: metadata.as_deref(),
        };
        self.add(connection, environment, &stored)
    }

    /// Adds an event, and writes its block if that is full. Returns how many events that wrote.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        environment: EnvironmentId,
        event: &Event<'_>,
    ) -> Result<usize, StoreError> {
        let place = self.0.iter().position(|(of, _)| *of == environment).unwrap_or_else(|| {
            self.0.push((environment, BlockWriter::default()));
            self.0.len() - 1
        });
        let Some((_, writer)) = self.0.get_mut(place) else { return Ok(0) };
        writer.add(event);
        if !writer.is_full() {
            return Ok(0);
        }
        append(connection, environment, std::mem::take(writer))
    }

    /// Writes everything that is left. Returns how many events that were.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<usize, StoreError> {
        let left = self.0.drain(..).filter(|(_, writer)| !writer.is_empty());
        left.map(|(environment, writer)| append(connection, environment, writer)).sum()
    }
}

/// Appends a block to the log. Returns how many events it has: the pace of checkpoints was found with a
/// change for each, and with fewer of them the log of SQLite grows longer before it is copied.
fn append(
    connection: &Connection,
    environment: EnvironmentId,
    writer: BlockWriter,
) -> Result<usize, StoreError> {
    let Block { events, recorded_from, recorded_to, users, data } = writer.finish();
    let row =
        params![environment.0, limit(events), recorded_from, recorded_to, users.as_slice(), data];
    connection.statement(sql::LOG_EVENTS)?.execute(row)?;
    Ok(events)
}

/// Reads the events of a row of `id, events, recorded_from, users, data`, and hands them to `read` with
/// the id of the first one.
pub(super) fn with_events<T>(
    row: &Row<'_>,
    read: impl FnOnce(i64, &[Event<'_>]) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let id = row.get(0)?;
    let (users, data) = (row.get_ref(3)?.as_blob()?, row.get_ref(4)?.as_blob()?);
    let count = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(usize::MAX);
    let unreadable = |error| StoreError::Unreadable(format!("usage events from {id} on: {error}"));
    let columns = columns(data).map_err(unreadable)?;
    read(id, &events(&columns, users, count, row.get(2)?).map_err(unreadable)?)
}

/// Deletes events among the first `at_most` that were recorded before an instant. Returns how many rows
/// were changed.
pub(super) fn forget_before(
    connection: &Connection,
    before: Timestamp,
    at_most: usize,
) -> Result<usize, StoreError> {
    let before = before.as_ms();
    let (mut left, mut end) = (limit(at_most), i64::MIN);
    let mut cut = Vec::new();
    let mut statement = connection.statement(sql::FIRST_EVENT_BLOCKS)?;
    let mut rows = statement.query([limit(at_most)])?;
    while left > 0
        && let Some(row) = rows.next()?
    {
        let (id, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (from, to): (i64, i64) = (row.get(2)?, row.get(3)?);
        if count <= left {
            end = id.saturating_add(1);
        }
        if from < before && (to >= before || count > left) {
            cut.push((id, left));
        }
        left -= count;
    }
    drop(rows);
    let mut changed =
        connection.statement(sql::FORGET_EVENT_BLOCKS)?.execute(params![end, before])?;
    for (id, at_most) in cut {
        changed += cut_block(connection, id, before, at_most)?;
    }
    Ok(changed)
}

/// Deletes events among the first `at_most` of a block that were recorded before an instant.
fn cut_block(
    connection: &Connection,
    id: i64,
    before: i64,
    at_most: i64,
) -> Result<usize, StoreError> {
    let mut statement = connection.statement(sql::EVENT_BLOCK)?;
    let read = |row: &Row<'_>| -> Result<_, StoreError> {
        let left = with_events(row, |id, events| Ok(left_of(id, events, before, at_most)))?;
        Ok((row.get::<_, i64>(1)?, EnvironmentId(row.get(5)?), left))
    };
    let mut rows = statement.query([id])?;
    let Some((count, environment, left)) = rows.next()?.map(read).transpose()? else {
        return Ok(0);
    };
    drop(rows);
    if left.iter().map(|(_, block)| limit(block.events)).sum::<i64>() == count {
        return Ok(0);
    }
    connection.statement(sql::FORGET_EVENT_BLOCK)?.execute([id])?;
    for (id, block) in &left {
        put(connection, *id, environment, block)?;
    }
    Ok(1 + left.len())
}

/// Returns the events that stay, as blocks with their ids: one for each run of them.
fn left_of(id: i64, events: &[Event<'_>], before: i64, at_most: i64) -> Vec<(i64, Block)> {
    let numbered: Vec<(i64, &Event<'_>)> = (0..).zip(events).collect();
    let stays =
        |(place, event): &(i64, &Event<'_>)| *place >= at_most || event.recorded_at >= before;
    let runs = numbered.chunk_by(|one, next| stays(one) == stays(next));
    let left = runs.filter(|run| run.iter().all(stays));
    left.filter_map(|run| {
        let (place, _) = run.first()?;
        Some((id + place, BlockWriter::block(run.iter().map(|(_, event)| **event))))
    })
    .collect()
}

/// Writes a block whose id is known.
pub(super) fn put(
    connection: &Connection,
    id: i64,
    environment: EnvironmentId,
    block: &Block,
) -> Result<(), StoreError> {
    connection.statement(sql::PUT_EVENT_BLOCK)?.execute(params![
        id,
        environment.0,
        limit(block.events),
        block.recorded_from,
        block.recorded_to,
        block.users,
        block.data,
    ])?;
    Ok(())
}

/// Deletes the metadata of a user's events from the block that has the event `from` on, in blocks that
/// begin before `to`. Returns how many rows were changed.
pub(super) fn forget_metadata(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    (from, to): (i64, i64),
) -> Result<usize, StoreError> {
    let parameters = params![environment.0, user.0, to, from];
    let ids: Vec<i64> = connection
        .statement(sql::EVENT_BLOCK_IDS_OF_USER)?
        .query_map(parameters, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut changed = 0;
    for id in ids {
        let mut statement = connection.statement(sql::EVENT_BLOCK)?;
        let mut rows = statement.query([id])?;
        let read = |row: &Row<'_>| with_events(row, |_, events| Ok(without_metadata(events, user)));
        let without = rows.next()?.map(read).transpose()?.flatten();
        drop(rows);
        if let Some(Block { users, data, .. }) = without {
            connection.statement(sql::SET_EVENT_BLOCK)?.execute(params![id, users, data])?;
            changed += 1;
        }
    }
    Ok(changed)
}

/// Returns the block without the metadata of a user's events; `None` if there is none.
fn without_metadata(events: &[Event<'_>], user: UserKey) -> Option<Block> {
    let has = |event: &Event<'_>| event.user == user.0 && event.metadata.is_some();
    if !events.iter().any(has) {
        return None;
    }
    let without = events.iter().map(|event| match event {
        event if has(event) => Event { metadata: None, ..*event },
        event => *event,
    });
    Some(BlockWriter::block(without))
}

/// Returns the id of the first block and the first instant at which one of its events was recorded, among
/// those with this id or a higher one.
pub(super) fn first_block_from(
    connection: &Connection,
    id: i64,
) -> Result<Option<(i64, Timestamp)>, StoreError> {
    let mut statement = connection.statement(sql::FIRST_EVENT_BLOCK_FROM)?;
    let row = |row: &Row<'_>| Ok((row.get(0)?, Timestamp::from_ms(row.get(1)?)));
    Ok(statement.query_row([id], row).optional()?)
}
