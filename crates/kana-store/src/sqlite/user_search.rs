//! The search index of users.

use std::collections::HashSet;
use std::rc::Rc;

use kana_core::Timestamp;
use kana_core::id::{PackageId, UserKey};
use rusqlite::functions::FunctionFlags;
use rusqlite::params;
use rusqlite::types::Value;

use super::connection::Connection;
use super::rows::{limit, text};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::user_search::{Entry, Match, Prefix, entries};

/// The name of a function that only [`fill`] has.
const SEARCH_ENTRIES: &str = "search_entries";

/// Fills the empty index for all users, in its order, so that each page is written once. Reads the
/// columns that users have in every release since the index exists.
pub(super) fn fill(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(SEARCH_ENTRIES, 4, flags, |texts| {
        let texts: Vec<Option<String>> =
            (0..texts.len()).map(|place| texts.get(place)).collect::<Result<_, _>>()?;
        let entries = entries(texts.iter().flatten().map(String::as_str)).into_iter();
        let entries: Vec<(i64, String)> = entries.map(|entry| (entry.shared, entry.text)).collect();
        serde_json::to_string(&entries)
            .map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
    })?;
    connection.execute_batch(
        "INSERT INTO user_search
            SELECT u.environment_id, e.value ->> 0 AS shared, e.value ->> 1 AS text, u.key
            FROM users u, json_each(search_entries(u.id, u.billing_id, u.name, u.email)) e
            ORDER BY u.environment_id, shared, text, u.key",
    )?;
    connection.remove_function(SEARCH_ENTRIES, 4)
}

/// Replaces rows of a user.
pub(super) fn replace(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    old: &[Entry],
    new: &[Entry],
) -> rusqlite::Result<()> {
    for Entry { shared, text } in old.iter().filter(|entry| !new.contains(entry)) {
        let row = params![environment.0, shared, text, user.0];
        connection.statement(sql::DELETE_SEARCH_ENTRY)?.execute(row)?;
    }
    for Entry { shared, text } in new.iter().filter(|entry| !old.contains(entry)) {
        let row = params![environment.0, shared, text, user.0];
        connection.statement(sql::ADD_SEARCH_ENTRY)?.execute(row)?;
    }
    Ok(())
}

pub(super) fn users_with_prefix(
    connection: &Connection,
    environment: EnvironmentId,
    prefix: &Prefix,
    after: Option<&Match>,
    at_most: usize,
) -> Result<Vec<Match>, StoreError> {
    let start = prefix.start();
    let Match { text: after, user } = after.map_or(&start, |after| after.max(&start));
    let mut found = Vec::new();
    for shared in 0..prefix.chars() {
        let mut statement = connection.statement(sql::SEARCH_ENTRIES_AFTER)?;
        let mut rows =
            statement.query(params![environment.0, shared, after, user.0, limit(at_most)])?;
        while let Some(row) = rows.next()? {
            let text = text(row, 0)?;
            if !text.starts_with(prefix.as_str()) {
                break;
            }
            found.push(Match { text: text.to_owned(), user: UserKey(row.get(1)?) });
        }
    }
    found.sort_unstable();
    found.truncate(at_most);
    Ok(found)
}

pub(super) fn subscribers_after(
    connection: &Connection,
    environment: EnvironmentId,
    (package, now): (&PackageId, Timestamp),
    after: Option<UserKey>,
    at_most: usize,
) -> Result<Vec<UserKey>, StoreError> {
    let mut statement = connection.statement(sql::SUBSCRIBERS_AFTER)?;
    // No user has the nil key, so this is before the first one.
    let after = after.map_or_else(uuid::Uuid::nil, |after| after.0);
    let parameters = params![environment.0, package.as_str(), after, limit(at_most), now.as_ms()];
    let mut rows = statement.query(parameters)?;
    let mut subscribers = Vec::new();
    while let Some(row) = rows.next()? {
        subscribers.push(UserKey(row.get(0)?));
    }
    Ok(subscribers)
}

pub(super) fn are_subscribed(
    connection: &Connection,
    environment: EnvironmentId,
    (package, now): (&PackageId, Timestamp),
    users: &[UserKey],
) -> Result<Vec<bool>, StoreError> {
    let mut statement = connection.statement(sql::SUBSCRIBERS_AMONG)?;
    let keys: Vec<Value> = users.iter().map(|user| Value::Blob(user.0.into())).collect();
    let parameters = params![environment.0, package.as_str(), Rc::new(keys), now.as_ms()];
    let mut rows = statement.query(parameters)?;
    let mut subscribers = HashSet::new();
    while let Some(row) = rows.next()? {
        subscribers.insert(UserKey(row.get(0)?));
    }
    Ok(users.iter().map(|user| subscribers.contains(user)).collect())
}
