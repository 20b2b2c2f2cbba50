use kana_core::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::connection::Connection;
use super::rows::text;
use super::statements as sql;
use crate::app::{
    App, ClientAccess, EnvironmentId, EnvironmentKind, Key, KeyHash, KeyKind, NewKey, TokenSecret,
};
use crate::columns::Named;
use crate::error::StoreError;

pub(super) fn app(connection: &Connection) -> Result<Option<App>, StoreError> {
    let mut statement = connection.statement(sql::APP)?;
    Ok(statement.query_row([], |row| Ok(App { name: row.get(0)? })).optional()?)
}

/// Returns true if this call created the app.
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
    for kind in EnvironmentKind::ALL {
        connection.statement(sql::CREATE_ENVIRONMENT)?.execute([kind.to_name()])?;
    }
    for key in keys {
        add_key(connection, key)?;
    }
    Ok(true)
}

pub(super) fn add_key(connection: &Connection, key: &NewKey) -> Result<Key, StoreError> {
    let mut statement = connection.statement(sql::ADD_KEY)?;
    let added = statement.query_row(
        params![
            key.environment.to_name(),
            key.kind.to_name(),
            key.hash.0,
            key.last_four,
            key.created_at.as_ms(),
            key.name,
            key.created_by,
            key.expires_at.map(Timestamp::as_ms),
        ],
        |row| Ok((row.get(0)?, row.get(1)?)),
    );
    let Some((id, environment)) = added.optional()? else {
        return Err(StoreError::Unreadable("no environments: the app was never made".into()));
    };
    Ok(key.stored(id, EnvironmentId(environment)))
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

/// Returns the key as it is now, and whether this call revoked it.
pub(super) fn revoke_key(
    connection: &Connection,
    id: i64,
    at: Timestamp,
) -> Result<Option<(Key, bool)>, StoreError> {
    let revoked = connection.statement(sql::REVOKE_KEY)?.execute(params![id, at.as_ms()])?;
    let mut statement = connection.statement(sql::KEY_BY_ID)?;
    let mut rows = statement.query([id])?;
    let key = rows.next()?.map(key).transpose()?;
    Ok(key.map(|key| (key, revoked > 0)))
}

pub(super) fn note_key_uses(
    connection: &Connection,
    uses: &[(i64, Timestamp)],
) -> Result<(), StoreError> {
    for (id, at) in uses {
        connection.statement(sql::NOTE_KEY_USE)?.execute(params![id, at.as_ms()])?;
    }
    Ok(())
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
        name: row.get(7)?,
        created_by: row.get(8)?,
        last_used_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_ms),
        expires_at: row.get::<_, Option<i64>>(10)?.map(Timestamp::from_ms),
    })
}

pub(super) fn client_access(
    connection: &Connection,
    environment: EnvironmentKind,
) -> Result<Option<ClientAccess>, StoreError> {
    let mut statement = connection.statement(sql::SIMPLE_MODE)?;
    let mut rows = statement.query([environment.to_name()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let environment = EnvironmentId(row.get(0)?);
    let simple_mode = row.get(1)?;
    let mut statement = connection.statement(sql::TOKEN_SECRETS)?;
    let mut rows = statement.query([environment.0])?;
    let mut token_secrets = Vec::new();
    while let Some(row) = rows.next()? {
        token_secrets.push(TokenSecret {
            secret: row.get(0)?,
            valid_until: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_ms),
        });
    }
    Ok(Some(ClientAccess { environment, simple_mode, token_secrets }))
}

/// Stores a secret unless there is a signing secret already. Returns the signing secret.
pub(super) fn provide_token_secret(
    connection: &Connection,
    environment: EnvironmentId,
    secret: &[u8],
    created_at: Timestamp,
) -> Result<TokenSecret, StoreError> {
    connection.statement(sql::PROVIDE_TOKEN_SECRET)?.execute(params![
        environment.0,
        secret,
        created_at.as_ms()
    ])?;
    let mut statement = connection.statement(sql::SIGNING_TOKEN_SECRET)?;
    let secret = statement.query_row([environment.0], |row| row.get(0))?;
    Ok(TokenSecret { secret, valid_until: None })
}

/// Returns the environment; `None` on an empty database.
pub(super) fn rotate_token_secret(
    connection: &Connection,
    environment: EnvironmentKind,
    secret: &[u8],
    now: Timestamp,
    earlier_valid_until: Timestamp,
) -> Result<Option<EnvironmentId>, StoreError> {
    let name = environment.to_name();
    connection
        .statement(sql::RETIRE_TOKEN_SECRETS)?
        .execute(params![name, earlier_valid_until.as_ms()])?;
    connection.statement(sql::FORGET_TOKEN_SECRETS)?.execute(params![name, now.as_ms()])?;
    let mut add = connection.statement(sql::ADD_TOKEN_SECRET_BY_KIND)?;
    let added = add.query_row(params![name, secret, now.as_ms()], |row| row.get(0)).optional()?;
    Ok(added.map(EnvironmentId))
}

/// Returns the environment and whether simple mode was on; `None` on an empty database.
pub(super) fn set_simple_mode(
    connection: &Connection,
    environment: EnvironmentKind,
    on: bool,
) -> Result<Option<(EnvironmentId, bool)>, StoreError> {
    let name = environment.to_name();
    let mut find = connection.statement(sql::SIMPLE_MODE)?;
    let known =
        find.query_row([name], |row| Ok((EnvironmentId(row.get(0)?), row.get(1)?))).optional()?;
    connection.statement(sql::SET_SIMPLE_MODE)?.execute(params![name, on])?;
    Ok(known)
}
