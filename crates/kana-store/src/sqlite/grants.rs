use kana_core::grant::{Grant, GrantKey};
use kana_core::id::UserKey;
use rusqlite::params;

use super::connection::Connection;
use super::rows::text;
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::grant_row::GrantRow;

pub(super) fn of_user(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
) -> Result<Vec<Grant>, StoreError> {
    let mut statement = connection.statement(sql::GRANTS_OF)?;
    let mut rows = statement.query(params![environment.0, user.0])?;
    let mut grants = Vec::new();
    while let Some(row) = rows.next()? {
        let stored = GrantRow {
            key: row.get(0)?,
            id: text(row, 1)?,
            feature: text(row, 2)?,
            amount: row.get(3)?,
            drawn: row.get(4)?,
            priority: row.get(5)?,
            starts_at: row.get(6)?,
            expires_at: row.get(7)?,
            voided_at: row.get(8)?,
            reason: row.get_ref(9)?.as_str_or_null()?,
            created_at: row.get(10)?,
        };
        grants.push(stored.read()?);
    }
    Ok(grants)
}

pub(super) fn put(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    new: &Grant,
) -> rusqlite::Result<usize> {
    let row = GrantRow::of(new);
    connection.statement(sql::PUT_GRANT)?.execute(params![
        environment.0,
        user.0,
        row.key,
        row.id,
        row.feature,
        row.amount,
        row.drawn,
        row.priority,
        row.starts_at,
        row.expires_at,
        row.voided_at,
        row.reason,
        row.created_at,
    ])
}

pub(super) fn set_drawn(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    (grant, drawn): (GrantKey, i64),
) -> rusqlite::Result<usize> {
    let row = params![environment.0, user.0, grant.0, drawn];
    connection.statement(sql::SET_DRAWN)?.execute(row)
}

pub(super) fn delete(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    grant: GrantKey,
) -> Result<(), StoreError> {
    connection.statement(sql::DELETE_GRANT)?.execute(params![environment.0, user.0, grant.0])?;
    Ok(())
}

/// Deletes all grants of a user, and with them what they say of the user.
pub(super) fn delete_all(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
) -> Result<(), StoreError> {
    connection.statement(sql::DELETE_GRANTS_OF)?.execute(params![environment.0, user.0])?;
    Ok(())
}
