use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use kana_core::Timestamp;
use kana_core::hold::Hold;
use kana_core::id::{FeatureId, HoldId, UserKey};
use kana_core::terms::TermsNumber;
use rusqlite::types::Value;
use rusqlite::{Row, params};

use super::connection::Connection;
use super::rows::{limit, text};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::hold_row::HoldRow;

/// Returns the holds on each of the balances that live at an instant or later, with one statement for each user.
pub(super) fn living(
    connection: &Connection,
    environment: EnvironmentId,
    balances: &[(UserKey, FeatureId)],
    since: Timestamp,
) -> Result<Vec<Vec<Hold>>, StoreError> {
    let mut asked: BTreeMap<UserKey, BTreeSet<&str>> = BTreeMap::new();
    for (user, balance) in balances {
        asked.entry(*user).or_default().insert(balance.as_str());
    }
    let mut found: HashMap<(UserKey, FeatureId), Vec<Hold>> = HashMap::new();
    for (user, names) in asked {
        let mut statement = connection.statement(sql::LIVING_HOLDS_OF)?;
        let names = names.into_iter().map(|name| Value::Text(name.to_owned()));
        let names = Rc::new(names.collect::<Vec<_>>());
        let mut rows = statement.query(params![environment.0, user.0, names, since.as_ms()])?;
        while let Some(row) = rows.next()? {
            let hold = read(row)?;
            found.entry((user, hold.balance().clone())).or_default().push(hold);
        }
    }
    let on = |balance| found.get(balance).cloned().unwrap_or_default();
    Ok(balances.iter().map(on).collect())
}

/// Returns the users of whom nothing was found on any of the balances.
pub(super) fn users_without(
    balances: &[(UserKey, FeatureId)],
    found: &[Vec<Hold>],
) -> BTreeSet<UserKey> {
    let with = balances.iter().zip(found).filter(|(_, found)| !found.is_empty());
    let with: BTreeSet<UserKey> = with.map(|((user, _), _)| *user).collect();
    balances.iter().map(|(user, _)| *user).filter(|user| !with.contains(user)).collect()
}

/// Returns true if a hold of the user lives at an instant or later, on whichever balance.
pub(super) fn some_lives(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let mut statement = connection.statement(sql::SOME_HOLD_LIVES)?;
    let mut rows = statement.query(params![environment.0, user.0, since.as_ms()])?;
    Ok(rows.next()?.is_some())
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
