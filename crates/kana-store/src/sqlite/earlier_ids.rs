//! The ids of a deleted user in what is kept of changes and of the audit log.

use kana_core::id::UserId;
use rusqlite::{OptionalExtension, params};

use super::connection::Connection;
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::user_deletion::{IdTaken, previous_id, with_previous_id};

/// Puts `new` in the place of the ids that a user had, in all kept changes and entries of the audit log.
pub(super) fn forget(
    connection: &Connection,
    environment: EnvironmentId,
    earlier: &UserId,
    new: &UserId,
) -> Result<(), StoreError> {
    let (mut earlier, mut before, mut until) = (earlier.clone(), i64::MAX, i64::MAX);
    loop {
        let taken = id_taken(connection, environment, &earlier, before)?;
        let (from, since) = taken.as_ref().map_or((0, i64::MIN), |(number, at, _)| (*number, *at));
        let ids = (environment.0, earlier.as_str(), new.as_str());
        connection
            .statement(sql::FORGET_ID_IN_CHANGES)?
            .execute(params![ids.0, ids.1, ids.2, from, before])?;
        connection
            .statement(sql::FORGET_ID_IN_AUDIT_LOG)?
            .execute(params![ids.0, ids.1, ids.2, since, until])?;
        let Some((number, at, data)) = taken else { return Ok(()) };
        let Some(previous) = previous_id(&data)? else { return Ok(()) };
        let data = with_previous_id(&data, &previous, new)?;
        connection.statement(sql::FORGET_PREVIOUS_ID)?.execute(params![
            environment.0,
            number,
            data
        ])?;
        (earlier, before, until) = (previous, number, at);
    }
}

/// Returns the last change before the number `before` in which somebody took the id.
fn id_taken(
    connection: &Connection,
    environment: EnvironmentId,
    id: &UserId,
    before: i64,
) -> Result<Option<IdTaken>, StoreError> {
    let mut statement = connection.statement(sql::ID_TAKEN)?;
    let parameters = params![environment.0, id.as_str(), before];
    let taken = statement
        .query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(taken)
}
