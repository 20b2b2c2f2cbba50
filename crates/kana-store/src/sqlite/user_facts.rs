//! Users' facts by the users' ids: the table `user_facts`. Triggers keep it in step with users, subscriptions,
//! overrides, grants and holds.

use kana_core::facts::UserFacts;
use kana_core::id::{UserId, UserKey};
use rusqlite::{OptionalExtension as _, params};

use super::connection::Connection;
use super::rows::limit;
use super::{running_subscriptions, statements as sql};
use crate::app::EnvironmentId;
use crate::error::StoreError;

/// Returns the facts of a user; `None` if this table does not have them.
pub(super) fn facts(
    connection: &Connection,
    environment: EnvironmentId,
    id: &UserId,
) -> Result<Option<UserFacts>, StoreError> {
    let mut statement = connection.statement(sql::FACTS_BY_ID)?;
    let mut rows = statement.query(params![environment.0, id.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let Some(running) = row.get_ref(4)?.as_blob_or_null()? else { return Ok(None) };
    let running = running_subscriptions::read(running)?;
    let facts = UserFacts::new(UserKey(row.get(0)?), id.clone(), running);
    let facts = facts.with_overrides(row.get(1)?).with_grants(row.get(2)?);
    Ok(Some(facts.with_holds(row.get(3)?)))
}

/// Adds the rows of up to `at_most` users of before the table, in the order of their ids, so that each page
/// is written once. Returns how many rows it changed; 0 once all users have rows.
pub(super) fn gather(connection: &Connection, at_most: usize) -> Result<usize, StoreError> {
    let mut next = connection.statement(sql::USER_FACTS_TO_GATHER)?;
    let next = next.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((environment, after)): Option<(i64, String)> = next else { return Ok(0) };
    let mut last = connection.statement(sql::LAST_USER_TO_GATHER)?;
    let asked = params![environment, after, limit(at_most)];
    let last: Option<String> = last.query_row(asked, |row| row.get(0))?;
    let Some(last) = last else {
        return Ok(connection.statement(sql::END_GATHERING)?.execute([environment])?);
    };
    let range = params![environment, after, last];
    let added = connection.statement(sql::GATHER_USER_FACTS)?.execute(range)?;
    Ok(added + connection.statement(sql::NOTE_GATHERED)?.execute(params![environment, last])?)
}
