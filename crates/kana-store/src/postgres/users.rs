//! The rows of users. The statements have the columns of [`USER`](crate::user_row::USER).

use std::sync::LazyLock;

use kana_core::id::UserKey;
use kana_core::user::User;
use tokio_postgres::Row;

use crate::error::StoreError;
use crate::user_row::{self, TEXTS, USER, columns_of};

pub(super) static USERS: LazyLock<String> = LazyLock::new(|| {
    let columns = columns_of("u");
    format!(
        "SELECT {columns} FROM unnest($2::text[]) k (id)
        CROSS JOIN LATERAL (
            SELECT * FROM users WHERE environment_id = $1 AND id = k.id OFFSET 0) u"
    )
});

pub(super) static USERS_BY_KEY: LazyLock<String> = LazyLock::new(|| {
    let columns = columns_of("u");
    format!(
        "SELECT {columns} FROM unnest($2::uuid[]) k (key)
        CROSS JOIN LATERAL (
            SELECT * FROM users WHERE environment_id = $1 AND key = k.key OFFSET 0) u"
    )
});

pub(super) static FIRST_USERS: LazyLock<String> = LazyLock::new(|| {
    let columns = columns_of("users");
    format!("SELECT {columns} FROM users WHERE environment_id = $1 ORDER BY key LIMIT $2")
});

pub(super) static USERS_AFTER: LazyLock<String> = LazyLock::new(|| {
    let columns = columns_of("users");
    format!(
        "SELECT {columns} FROM users WHERE environment_id = $1 AND key > $3 ORDER BY key LIMIT $2"
    )
});

// New users and changed ones in one statement, so that ids are taken in the order of the arrays.
pub(super) static PUT_USERS: LazyLock<String> = LazyLock::new(|| {
    let arrays = USER.list(0, |place, _| {
        format!("${}::{}[]", place + 2, if place == 0 { "uuid" } else { "text" })
    });
    let names = USER.list(0, |_, column| column.name.to_owned());
    let set = USER.list(1, |_, column| format!("{0} = excluded.{0}", column.name));
    format!(
        "INSERT INTO users (environment_id, {names}, has_older_counters)
        SELECT $1, n.*, false FROM unnest({arrays}) n
        ON CONFLICT (environment_id, key) DO UPDATE SET {set}"
    )
});

/// Every statement of this file by its name.
#[cfg(test)]
pub(super) fn statements() -> [(&'static str, &'static str); 5] {
    [
        ("USERS", &USERS),
        ("USERS_BY_KEY", &USERS_BY_KEY),
        ("FIRST_USERS", &FIRST_USERS),
        ("USERS_AFTER", &USERS_AFTER),
        ("PUT_USERS", &PUT_USERS),
    ]
}

/// Reads all columns of a user.
pub(super) fn read(row: &Row) -> Result<User, StoreError> {
    let mut texts = [None; TEXTS];
    for (place, text) in (1..).zip(&mut texts) {
        *text = row.try_get(place)?;
    }
    user_row::read(UserKey(row.try_get(0)?), texts)
}

/// Returns the columns after the key, an array each.
pub(super) fn texts(rows: &[(UserKey, &User)]) -> [Vec<Option<String>>; TEXTS] {
    let mut columns = [const { Vec::new() }; TEXTS];
    for (_, user) in rows {
        for (column, text) in columns.iter_mut().zip(user_row::texts(user)) {
            column.push(text.map(String::from));
        }
    }
    columns
}
