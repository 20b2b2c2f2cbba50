//! The rows of users. The statements have the columns of [`USER`](crate::user_row::USER).

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::LazyLock;

use kana_core::id::{UserId, UserKey};
use kana_core::user::User;
use rusqlite::types::Value;
use rusqlite::{Row, ToSql, params};

use super::connection::Connection;
use super::rows::limit;
use super::user_search;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::user_row::{self, TEXTS, USER, columns_of};
use crate::user_search::entries_of;

static FIND_USER: LazyLock<String> = LazyLock::new(|| {
    let columns = columns_of("users");
    format!("SELECT {columns} FROM users WHERE environment_id = ?1 AND id = ?2")
});

static FIND_USERS_BY_KEY: LazyLock<String> = LazyLock::new(|| {
    let columns = columns_of("u");
    format!(
        "SELECT {columns} FROM rarray(?2) k
         CROSS JOIN users u ON u.environment_id = ?1 AND u.key = k.value"
    )
});

static FIRST_USERS: LazyLock<String> = LazyLock::new(|| {
    let columns = columns_of("users");
    format!("SELECT {columns} FROM users WHERE environment_id = ?1 ORDER BY key LIMIT ?2")
});

static USERS_AFTER: LazyLock<String> = LazyLock::new(|| {
    let columns = columns_of("users");
    format!(
        "SELECT {columns} FROM users WHERE environment_id = ?1 AND key > ?3 ORDER BY key LIMIT ?2"
    )
});

// The environment is the first parameter, and the key the second.
static CREATE_USER: LazyLock<String> = LazyLock::new(|| {
    let names = USER.list(0, |_, column| column.name.to_owned());
    let values = USER.list(0, |place, _| format!("?{}", place + 2));
    format!("INSERT INTO users (environment_id, {names}) VALUES (?1, {values})")
});

static UPDATE_USER: LazyLock<String> = LazyLock::new(|| {
    let set = USER.list(1, |place, column| format!("{} = ?{}", column.name, place + 2));
    format!("UPDATE users SET {set} WHERE environment_id = ?1 AND key = ?2")
});

/// Every statement of this file by its name.
#[cfg(test)]
pub(super) fn statements() -> [(&'static str, &'static str); 6] {
    [
        ("FIND_USER", &FIND_USER),
        ("FIND_USERS_BY_KEY", &FIND_USERS_BY_KEY),
        ("FIRST_USERS", &FIRST_USERS),
        ("USERS_AFTER", &USERS_AFTER),
        ("CREATE_USER", &CREATE_USER),
        ("UPDATE_USER", &UPDATE_USER),
    ]
}

pub(super) fn user(
    connection: &Connection,
    environment: EnvironmentId,
    id: &UserId,
) -> Result<Option<User>, StoreError> {
    let mut statement = connection.statement(&FIND_USER)?;
    let mut rows = statement.query(params![environment.0, id.as_str()])?;
    rows.next()?.map(read).transpose()
}

pub(super) fn users_by_key(
    connection: &Connection,
    environment: EnvironmentId,
    keys: &[UserKey],
) -> Result<Vec<Option<User>>, StoreError> {
    let mut statement = connection.statement(&FIND_USERS_BY_KEY)?;
    let blobs: Vec<Value> = keys.iter().map(|key| Value::Blob(key.0.into())).collect();
    let mut rows = statement.query(params![environment.0, Rc::new(blobs)])?;
    let mut found = HashMap::new();
    while let Some(row) = rows.next()? {
        let user = read(row)?;
        found.insert(user.key, user);
    }
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

pub(super) fn users_after(
    connection: &Connection,
    environment: EnvironmentId,
    after: Option<UserKey>,
    at_most: usize,
) -> Result<Vec<User>, StoreError> {
    let mut statement;
    let mut rows = match after {
        None => {
            statement = connection.statement(&FIRST_USERS)?;
            statement.query(params![environment.0, limit(at_most)])?
        }
        Some(after) => {
            statement = connection.statement(&USERS_AFTER)?;
            statement.query(params![environment.0, limit(at_most), after.0])?
        }
    };
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        users.push(read(row)?);
    }
    Ok(users)
}

fn read(row: &Row<'_>) -> Result<User, StoreError> {
    let mut texts = [None; TEXTS];
    for (place, text) in (1..).zip(&mut texts) {
        *text = row.get_ref(place)?.as_str_or_null()?;
    }
    user_row::read(UserKey(row.get(0)?), texts)
}

pub(super) fn create(
    connection: &Connection,
    environment: EnvironmentId,
    key: UserKey,
    user: &User,
) -> Result<(), StoreError> {
    write(connection, &CREATE_USER, environment, key, user)?;
    Ok(user_search::replace(connection, environment, key, &[], &entries_of(user))?)
}

pub(super) fn update(
    connection: &Connection,
    environment: EnvironmentId,
    key: UserKey,
    user: &User,
) -> Result<(), StoreError> {
    let before = users_by_key(connection, environment, &[key])?.pop().flatten();
    write(connection, &UPDATE_USER, environment, key, user)?;
    if let Some(before) = before {
        let (old, new) = (entries_of(&before), entries_of(user));
        user_search::replace(connection, environment, key, &old, &new)?;
    }
    Ok(())
}

fn write(
    connection: &Connection,
    statement: &'static str,
    environment: EnvironmentId,
    key: UserKey,
    user: &User,
) -> rusqlite::Result<usize> {
    let texts = user_row::texts(user);
    let row: [&dyn ToSql; 2] = [&environment.0, &key.0];
    let texts = texts.iter().map(|text| text as &dyn ToSql);
    let row: Vec<&dyn ToSql> = row.into_iter().chain(texts).collect();
    connection.statement(statement)?.execute(row.as_slice())
}
