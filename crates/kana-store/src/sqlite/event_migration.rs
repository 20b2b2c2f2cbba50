//! Writes usage events that are a row each into blocks.

use kana_core::usage::LoggedAction;
use rusqlite::{Connection, Row, params};

use super::event_block::{Block, BlockWriter, Event, EventKey};
use crate::columns::Named as _;
use crate::error::StoreError;

/// Copies all events of `table`, which has the columns of the view `events`, into the log. They keep their
/// ids. Memory does not grow with their number.
pub fn copy_events_into_blocks(connection: &Connection, table: &str) -> Result<(), StoreError> {
    let mut all = connection.prepare(&format!(
        "SELECT id, environment_id, user_key, feature_id, action, delta, occurred_at, recorded_at,
             subscription_id, idempotency_key, metadata
         FROM {table} ORDER BY id"
    ))?;
    let mut rows = all.query([])?;
    // The id and the environment of the block, and its events so far.
    let mut begun: Option<(i64, i64, BlockWriter)> = None;
    let mut next = i64::MIN;
    while let Some(row) = rows.next()? {
        let (id, environment): (i64, i64) = (row.get(0)?, row.get(1)?);
        let goes_on = |(_, of, writer): &(i64, i64, BlockWriter)| {
            id == next && *of == environment && !writer.is_full()
        };
        if !begun.as_ref().is_some_and(goes_on)
            && let Some((id, environment, writer)) =
                begun.replace((id, environment, BlockWriter::default()))
        {
            insert(connection, id, environment, writer)?;
        }
        if let Some((_, _, writer)) = &mut begun {
            writer.add(&event(row)?);
        }
        next = id.saturating_add(1);
    }
    if let Some((id, environment, writer)) = begun {
        insert(connection, id, environment, writer)?;
    }
    Ok(())
}

fn event<'a>(row: &'a Row<'_>) -> Result<Event<'a>, StoreError> {
    Ok(Event {
        user: row.get(2)?,
        feature: row.get_ref(3)?.as_str()?,
        action: LoggedAction::from_name(row.get_ref(4)?.as_str()?)?,
        delta: row.get(5)?,
        occurred_at: row.get(6)?,
        recorded_at: row.get(7)?,
        subscription: row.get(8)?,
        key: row.get_ref(9)?.as_str_or_null()?.map(EventKey::new),
        metadata: row.get_ref(10)?.as_str_or_null()?,
    })
}

fn insert(
    connection: &Connection,
    id: i64,
    environment: i64,
    writer: BlockWriter,
) -> Result<(), StoreError> {
    let Block { events, recorded_from, recorded_to, users, data } = writer.finish();
    let events = i64::try_from(events).unwrap_or(i64::MAX);
    connection
        .prepare_cached("INSERT INTO event_blocks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![id, environment, events, recorded_from, recorded_to, users, data])?;
    Ok(())
}
