//! Usage events out of this engine, and into it, as the rows of an export.

use kana_core::usage::LoggedAction;
use uuid::Uuid;

use super::connection::Connection;
use super::event_block::{Event, EventKey};
use super::event_log::{UnwrittenEvents, with_events};
use crate::app::EnvironmentId;
use crate::columns::Named as _;
use crate::error::StoreError;
use crate::transfer::batch::Row;
use crate::transfer::sql::Environments;
use crate::transfer::value::Value;

/// Selects the blocks of environments and, if there is a `user`, those with events of that user.
fn blocks(columns: &str, environments: &Environments, user: Option<Uuid>) -> String {
    let ids: Vec<String> = environments.iter().map(|(id, _)| id.to_string()).collect();
    // An empty list is SQL here, since this is SQLite.
    let of_user = match user {
        Some(user) => format!(" AND instr(users, x'{}') > 0", user.simple()),
        None => String::new(),
    };
    let ids = ids.join(", ");
    format!("SELECT {columns} FROM event_blocks WHERE environment_id IN ({ids}){of_user}")
}

/// Counts events: of all users, or about as many as one has.
pub(super) fn count(
    connection: &mut Connection,
    environments: &Environments,
    user: Option<Uuid>,
) -> Result<u64, StoreError> {
    let events = if user.is_some() { "count(*)" } else { "coalesce(sum(events), 0)" };
    let sql = blocks(events, environments, user);
    let events: i64 = connection.sqlite().query_row(&sql, [], |row| row.get(0))?;
    Ok(events.unsigned_abs())
}

/// Hands on the events of environments, as they arrived; only those of one user if there is a `user`.
pub(super) fn each(
    connection: &mut Connection,
    environments: &Environments,
    user: Option<Uuid>,
    send: &mut dyn FnMut(Row) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let columns = "id, events, recorded_from, users, data, environment_id";
    let sql = blocks(columns, environments, user);
    let mut statement = connection.sqlite().prepare(&format!("{sql} ORDER BY id"))?;
    let mut rows = statement.query([])?;
    while let Some(stored) = rows.next()? {
        let id: i64 = stored.get(5)?;
        let kind = environments.iter().find_map(|(of, kind)| (*of == id).then_some(*kind));
        with_events(stored, |_, events| {
            let wanted = events.iter().filter(|event| user.is_none_or(|user| event.user == user));
            for event in wanted {
                send(Row { environment: kind, values: values(event) })?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The values of an event in the order of [`Kind::Event`](crate::transfer::kinds::Kind::Event)'s columns.
fn values(event: &Event<'_>) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    vec![
        Value::Uuid(event.user),
        text(event.feature),
        text(event.action.to_name()),
        Value::Integer(event.delta),
        Value::Integer(event.occurred_at),
        Value::Integer(event.recorded_at),
        event.subscription.map_or(Value::Null, Value::Uuid),
        event.key.map_or(Value::Null, |key| Value::Text(key.text().into_owned())),
        event.metadata.map_or(Value::Null, text),
    ]
}

/// Appends events, each with the id of its environment, in their order.
pub(super) fn insert<'r>(
    connection: &Connection,
    rows: impl IntoIterator<Item = Result<(EnvironmentId, &'r Row), StoreError>>,
) -> Result<(), StoreError> {
    let mut unwritten = UnwrittenEvents::default();
    let mut before = None;
    for row in rows {
        let (environment, row) = row?;
        // So that they stay in their order.
        if before.is_some_and(|before| before != environment) {
            unwritten.write(connection)?;
        }
        before = Some(environment);
        unwritten.add(connection, environment, &event(&row.values)?)?;
    }
    unwritten.write(connection)?;
    Ok(())
}

fn event(values: &[Value]) -> Result<Event<'_>, StoreError> {
    let [
        Value::Uuid(user),
        Value::Text(feature),
        Value::Text(action),
        Value::Integer(delta),
        Value::Integer(occurred_at),
        Value::Integer(recorded_at),
        subscription,
        key,
        metadata,
    ] = values
    else {
        return Err(StoreError::Unreadable("a usage event with other columns".to_owned()));
    };
    Ok(Event {
        user: *user,
        feature,
        action: LoggedAction::from_name(action)?,
        delta: *delta,
        occurred_at: *occurred_at,
        recorded_at: *recorded_at,
        subscription: match subscription {
            Value::Uuid(subscription) => Some(*subscription),
            _ => None,
        },
        key: text(key).map(EventKey::new),
        metadata: text(metadata),
    })
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
