//! The functions of the view `events`, which shows each usage event as a row of its own. They make it
//! possible to ask for events in SQL; what must be fast reads blocks.

use std::rc::Rc;

use kana_core::usage::LoggedAction;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};

use super::event_block::{Event, EventKey, columns, events};
use super::event_bytes::BlockError;
use crate::columns::Named as _;

/// Returns the events of a block, for `rarray`: each as bytes of which [`COLUMN`] knows the form.
/// Arguments: `id, events, recorded_from, users, data`.
const EVENTS: &str = "usage_events_of";
/// Returns a column of an event of [`EVENTS`]. Arguments: the event, and the place of the column in the
/// view, from 0 for the user's key on.
const COLUMN: &str = "usage_event_column";

/// Where things are in the bytes of an event, up to the feature's id, the idempotency key and the
/// metadata, one after the other.
const USER: usize = 0;
const SUBSCRIPTION: usize = 16;
const DELTA: usize = 32;
const OCCURRED_AT: usize = 40;
const RECORDED_AT: usize = 48;
const FLAGS: usize = 56;
const FEATURE_LENGTH: usize = 57;
const KEY_LENGTH: usize = 59;
const TEXTS: usize = 61;

const SET: u8 = 1;
const HAS_SUBSCRIPTION: u8 = 1 << 1;
const HAS_KEY: u8 = 1 << 2;
const HAS_METADATA: u8 = 1 << 3;
const VOID: u8 = 1 << 4;

/// Lets a connection read the view `events`, which needs functions that SQLite does not have.
pub(super) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    rusqlite::vtab::array::load_module(connection)?;
    connection
        .create_scalar_function(EVENTS, 5, flags, |block| packed_events(block).map(Rc::new))?;
    connection.create_scalar_function(COLUMN, 2, flags, |asked| column(asked))
}

fn packed_events(block: &Context<'_>) -> Result<Vec<Value>> {
    let id: i64 = block.get(0)?;
    let unreadable = |error: BlockError| {
        let text = format!("usage events from {id} on: {error}");
        Error::UserFunctionError(text.into())
    };
    let count = usize::try_from(block.get::<i64>(1)?).unwrap_or(usize::MAX);
    let columns = columns(block.get_raw(4).as_blob()?).map_err(unreadable)?;
    let users = block.get_raw(3).as_blob()?;
    let events = events(&columns, users, count, block.get(2)?).map_err(unreadable)?;
    Ok(events.iter().map(|event| Value::Blob(packed(event))).collect())
}

fn packed(event: &Event<'_>) -> Vec<u8> {
    let key = event.key.map(EventKey::text);
    let has = |flag: u8, it_has: bool| if it_has { flag } else { 0 };
    let length = |text: &str| u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
    let (key_text, metadata) = (key.as_deref().unwrap_or(""), event.metadata.unwrap_or(""));
    let mut bytes =
        Vec::with_capacity(TEXTS + event.feature.len() + key_text.len() + metadata.len());
    bytes.extend_from_slice(event.user.as_bytes());
    bytes.extend_from_slice(event.subscription.unwrap_or_default().as_bytes());
    for number in [event.delta, event.occurred_at, event.recorded_at] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.push(
        has(SET, event.action == LoggedAction::Set)
            | has(VOID, event.action == LoggedAction::Void)
            | has(HAS_SUBSCRIPTION, event.subscription.is_some())
            | has(HAS_KEY, key.is_some())
            | has(HAS_METADATA, event.metadata.is_some()),
    );
    bytes.extend_from_slice(&length(event.feature));
    bytes.extend_from_slice(&length(key_text));
    for text in [event.feature, key_text, metadata] {
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

fn column(asked: &Context<'_>) -> Result<Value> {
    // An event is NULL where the planner asks for a column of no row.
    let ValueRef::Blob(event) = asked.get_raw(0) else { return Ok(Value::Null) };
    let value = unpacked(event, asked.get(1)?);
    value.ok_or_else(|| Error::UserFunctionError("this is no usage event".into()))
}

/// Returns a column of a packed event, in the order of the view; `None` if there is no such column.
fn unpacked(event: &[u8], column: i64) -> Option<Value> {
    let number = |at: usize| Some(i64::from_le_bytes(*event.get(at..)?.first_chunk()?));
    let length =
        |at: usize| Some(usize::from(u16::from_le_bytes(*event.get(at..)?.first_chunk()?)));
    let text = |from: usize, to: usize| {
        String::from_utf8(event.get(from..to)?.to_vec()).ok().map(Value::Text)
    };
    let flags = *event.get(FLAGS)?;
    let key_at = TEXTS.checked_add(length(FEATURE_LENGTH)?)?;
    Some(match column {
        0 => Value::Blob(event.get(USER..USER + 16)?.to_vec()),
        1 => text(TEXTS, key_at)?,
        2 => {
            let action = match flags & (SET | VOID) {
                0 => LoggedAction::Add,
                VOID => LoggedAction::Void,
                _ => LoggedAction::Set,
            };
            Value::Text(action.to_name().to_owned())
        }
        3 => Value::Integer(number(DELTA)?),
        4 => Value::Integer(number(OCCURRED_AT)?),
        5 => Value::Integer(number(RECORDED_AT)?),
        6 if flags & HAS_SUBSCRIPTION != 0 => {
            Value::Blob(event.get(SUBSCRIPTION..SUBSCRIPTION + 16)?.to_vec())
        }
        7 if flags & HAS_KEY != 0 => text(key_at, key_at.checked_add(length(KEY_LENGTH)?)?)?,
        8 if flags & HAS_METADATA != 0 => {
            text(key_at.checked_add(length(KEY_LENGTH)?)?, event.len())?
        }
        6..=8 => Value::Null,
        _ => return None,
    })
}
