use kana_core::Timestamp;
use kana_core::hold::Hold;
use kana_core::id::{HoldId, UserKey};
use kana_core::terms::TermsNumber;
use rusqlite::{Row, params};

use super::connection::Connection;
use super::rows::{limit, text};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::hold_row::HoldRow;

/// Returns a user's holds that live at an instant or later.
pub(super) fn living_of_user(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    since: Timestamp,
) -> Result<Vec<Hold>, StoreError> {
    let mut statement = connection.statement(sql::LIVING_HOLDS_OF)?;
    let mut rows = statement.query(params![environment.0, user.0, since.as_ms()])?;
    let mut holds = Vec::new();
    while let Some(row) = rows.next()? {
        holds.push(read(row)?);
    }
    Ok(holds)
}

pub(super) fn hold(
    connection: &Connection,
    environment: EnvironmentId,
    (user, id): &(UserKey, HoldId),
) -> Result<Option<Hold>, StoreError> {
    let mut statement = connection.statement(sql::HOLD)?;
    let mut rows = statement.query(params![environment.0, user.0, id.as_str()])?;
    rows.next()?.map(read).transpose()
}

fn read(row: &Row<'_>) -> Result<Hold, StoreError> {
    let stored = HoldRow {
        id: text(row, 0)?,
        feature: text(row, 1)?,
        amount: row.get(2)?,
        cost: row.get(3)?,
        balance: text(row, 4)?,
        subscription: row.get(5)?,
        terms: TermsNumber(row.get(6)?),
        period_start: row.get(7)?,
        created_at: row.get(8)?,
        expires_at: row.get(9)?,
        ended_at: row.get(10)?,
        settled: row.get(11)?,
    };
    stored.read()
}

pub(super) fn put(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    new: &Hold,
) -> rusqlite::Result<usize> {
    let row = HoldRow::of(new);
    connection.statement(sql::PUT_HOLD)?.execute(params![
        environment.0,
        user.0,
        row.id,
        row.feature,
        row.amount,
        row.cost,
        row.balance,
        row.subscription,
        row.terms.0,
        row.period_start,
        row.created_at,
        row.expires_at,
        row.ended_at,
        row.settled,
    ])
}

pub(super) fn forget(
    connection: &Connection,
    environment: EnvironmentId,
    before: Timestamp,
    at_most: usize,
) -> Result<usize, StoreError> {
    let key = params![environment.0, before.as_ms(), limit(at_most)];
    Ok(connection.statement(sql::FORGET_HOLDS)?.execute(key)?)
}
