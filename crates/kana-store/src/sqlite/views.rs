//! What a connection needs to read the views of the database.

use super::event_view;
use super::replays::sql_function;

/// Registers the functions that the views `events` and `replays` call, on a connection that the caller has
/// opened.
pub fn register_functions(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    event_view::register(connection)?;
    sql_function::register(connection)
}
