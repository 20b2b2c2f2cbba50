use kana_core::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::connection::Connection;
use super::facts::text;
use super::statements as sql;
use crate::app::{App, EnvironmentId, EnvironmentKind, Key, KeyHash, KeyKind, NewKey};
use crate::columns::Named;
use crate::error::StoreError;

pub(super) fn app(connection: &Connection) -> Result<Option<App>, StoreError> {
    let mut statement = connection.statement(sql::APP)?;
    Ok(statement.query_row([], |row| Ok(App { name: row.get(0)? })).optional()?)
}

/// Says whether there was none yet.
pub(super) fn create_app(
    connection: &Connection,
    app: &App,
    keys: &[NewKey],
    created_at: Timestamp,
) -> Result<bool, StoreError> {
    let created =
        connection.statement(sql::CREATE_APP)?.execute(params![app.name, created_at.as_ms()])?;
    if created == 0 {
        return Ok(false);
    }
    for kind in [EnvironmentKind::Test, EnvironmentKind::Live] {
        connection.statement(sql::CREATE_ENVIRONMENT)?.execute([kind.to_name()])?;
    }
    for key in keys {
        add_key(connection, key)?;
    }
    Ok(true)
}

pub(super) fn add_key(connection: &Connection, key: &NewKey) -> Result<(), StoreError> {
    let added = connection.statement(sql::ADD_KEY)?.execute(params![
        key.environment.to_name(),
        key.kind.to_name(),
        key.hash.0,
        key.last_four,
        key.created_at.as_ms(),
    ])?;
    if added == 0 {
        return Err(StoreError::Unreadable("no environments: the app was never made".into()));
    }
    Ok(())
}

pub(super) fn keys(connection: &Connection) -> Result<Vec<Key>, StoreError> {
    let mut statement = connection.statement(sql::KEYS)?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(key(row)?);
    }
    Ok(keys)
}

pub(super) fn find_key(connection: &Connection, hash: KeyHash) -> Result<Option<Key>, StoreError> {
    let mut statement = connection.statement(sql::KEY_BY_HASH)?;
    let mut rows = statement.query([hash.0])?;
    rows.next()?.map(key).transpose()
}

pub(super) fn revoke_key(
    connection: &Connection,
    id: i64,
    at: Timestamp,
) -> Result<Option<Key>, StoreError> {
    connection.statement(sql::REVOKE_KEY)?.execute(params![id, at.as_ms()])?;
    let mut statement = connection.statement(sql::KEY_BY_ID)?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(key).transpose()
}

fn key(row: &Row<'_>) -> Result<Key, StoreError> {
    Ok(Key {
        id: row.get(0)?,
        environment: EnvironmentId(row.get(1)?),
        environment_kind: EnvironmentKind::from_name(text(row, 2)?)?,
        kind: KeyKind::from_name(text(row, 3)?)?,
        last_four: row.get(4)?,
        created_at: Timestamp::from_ms(row.get(5)?),
        revoked_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_ms),
    })
}
