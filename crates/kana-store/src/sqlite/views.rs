//! What a connection needs to read the views of the database, and to run its triggers.

use super::replays::sql_function;
use super::{event_view, running_subscriptions};

/// Registers the functions that the views `events` and `replays` and the triggers of users and
/// subscriptions call, on a connection that the caller has opened.
pub fn register_functions(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    event_view::register(connection)?;
    running_subscriptions::register(connection)?;
    sql_function::register(connection)
}
