//! The SQL function `replay_rows`, with which the view `replays` shows what is in a block.

use std::fmt::Write as _;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::block::Block;
use super::record::Columns;
use crate::error::StoreError;

/// Registers the function on a connection.
pub(crate) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("replay_rows", 1, flags, |context| {
        let data = context.get_raw(0).as_blob()?;
        rows(data).map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
    })
}

/// Returns a list of rows, each a list of its columns, as JSON.
fn rows(data: &[u8]) -> Result<String, StoreError> {
    let mut block = Block::read(data)?;
    let mut json = String::with_capacity(256 + 4 * data.len());
    while let Some(record) = block.next()? {
        json.push(if json.is_empty() { '[' } else { ',' });
        write_row(&mut json, &record.columns()?)?;
    }
    if json.is_empty() {
        json.push('[');
    }
    json.push(']');
    Ok(json)
}

fn write_row(json: &mut String, row: &Columns<'_>) -> Result<(), StoreError> {
    let Columns { environment, user, delta, kept_at, .. } = row;
    let (key, feature) = (serde_json::to_string(&row.key)?, serde_json::to_string(row.feature)?);
    let (action, answer) =
        (serde_json::to_string(row.action)?, serde_json::to_string(&row.answer)?);
    let occurred_at = row.occurred_at.map_or_else(|| "null".to_owned(), |at| at.to_string());
    let user = user.simple();
    write!(
        json,
        "[{environment},{key},\"{user}\",{feature},{action},{delta},{occurred_at},{answer},{kept_at}]"
    )
    .map_err(|error| StoreError::Unreadable(error.to_string()))
}
