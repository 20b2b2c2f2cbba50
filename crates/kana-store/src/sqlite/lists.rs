use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use kana_core::Timestamp;
use kana_core::id::{SubscriptionId, UserId, UserKey};
use kana_core::subscription::Subscription;
use rusqlite::params;
use rusqlite::types::Value;
use uuid::Uuid;

use super::connection::Connection;
use super::rows::{limit, read_owned_subscription, read_subscription};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;

pub(super) fn subscriptions_after(
    connection: &Connection,
    environment: EnvironmentId,
    after: Option<(Timestamp, SubscriptionId)>,
    at_most: usize,
) -> Result<Vec<(UserId, Subscription)>, StoreError> {
    let mut statement;
    let mut rows = match after {
        None => {
            statement = connection.statement(sql::FIRST_SUBSCRIPTIONS)?;
            statement.query(params![environment.0, limit(at_most)])?
        }
        Some((start, id)) => {
            statement = connection.statement(sql::SUBSCRIPTIONS_AFTER)?;
            statement.query(params![environment.0, limit(at_most), start.as_ms(), id.0])?
        }
    };
    let mut subscriptions = Vec::new();
    while let Some(row) = rows.next()? {
        subscriptions.push(read_owned_subscription(row)?);
    }
    Ok(subscriptions)
}

pub(super) fn subscriptions_of(
    connection: &Connection,
    environment: EnvironmentId,
    users: &[UserKey],
) -> Result<Vec<Vec<Subscription>>, StoreError> {
    // Each user once, since a user that is named twice would be joined twice.
    let distinct: HashSet<UserKey> = users.iter().copied().collect();
    let keys: Vec<Value> = distinct.iter().map(|user| Value::Blob(user.0.into())).collect();
    let mut statement = connection.statement(sql::SUBSCRIPTIONS_OF)?;
    let mut rows = statement.query(params![environment.0, Rc::new(keys)])?;
    let mut by_user: HashMap<UserKey, Vec<Subscription>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let user = UserKey(row.get::<_, Uuid>(7)?);
        by_user.entry(user).or_default().push(read_subscription(row, 0)?);
    }
    Ok(users.iter().map(|user| by_user.get(user).cloned().unwrap_or_default()).collect())
}
