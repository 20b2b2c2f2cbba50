//! What another program needs to read the views of the database.

use super::replays::sql_function;

/// Registers the functions that the view `replays` calls, on a connection that the caller has opened.
pub fn register_functions(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    sql_function::register(connection)
}
