//! The search index of users.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::id::{PackageId, UserKey};
use kana_core::user::User;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::asking::query;
use super::changes::Users;
use super::parameters::{Parameter, column, count};
use super::reading::distinct;
use super::transaction::PostgresTransaction;
use super::{rows, statements as sql, users};
use crate::app::EnvironmentId;
use crate::deadlines::within;
use crate::error::StoreError;
use crate::user_search::{Entry, Match, Prefix, UserSearch, entries, entries_of};

/// How many users [`fill`] reads at once.
const FILLED_AT_ONCE: i64 = 1000;

/// Fills the empty index for all users, in the open transaction. No step takes longer than `limit`.
/// Reads the columns that users have in every release since the index exists.
pub(super) async fn fill(connection: &Client, limit: Duration) -> Result<(), StoreError> {
    let (mut environment, mut key) = (i64::MIN, Uuid::nil());
    loop {
        let parameters: [&(dyn ToSql + Sync); 3] = [&environment, &key, &FILLED_AT_ONCE];
        let page = within(limit, query(connection, sql::USERS_TO_FILL_AFTER, &parameters)).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        (environment, key) = (last.try_get(0)?, last.try_get(1)?);
        let mut found: Vec<(i64, Uuid, Entry)> = Vec::new();
        for row in &page {
            let (environment, key) = (row.try_get(0)?, row.try_get(1)?);
            let texts: Vec<Option<&str>> =
                (2..6).map(|place| row.try_get(place)).collect::<Result<_, _>>()?;
            let entries = entries(texts.into_iter().flatten());
            found.extend(entries.into_iter().map(|entry| (environment, key, entry)));
        }
        let of: Vec<i64> = found.iter().map(|(environment, ..)| *environment).collect();
        let shared: Vec<i64> = found.iter().map(|(.., entry)| entry.shared).collect();
        let texts: Vec<&str> = found.iter().map(|(.., entry)| entry.text.as_str()).collect();
        let keys: Vec<Uuid> = found.iter().map(|(_, key, _)| *key).collect();
        let parameters: [&(dyn ToSql + Sync); 4] = [&of, &shared, &texts, &keys];
        within(limit, query(connection, sql::FILL_SEARCH, &parameters)).await?;
    }
}

/// Rows of the index with the users whose they are.
pub(super) type Entries = Vec<(UserKey, Entry)>;

/// Returns the arrays of a statement that adds or deletes rows.
pub(super) fn columns(entries: &Entries) -> Vec<Parameter> {
    vec![
        column(entries, |(_, entry)| entry.shared),
        column(entries, |(_, entry)| entry.text.clone()),
        column(entries, |(user, _)| user.0),
    ]
}

impl PostgresTransaction {
    /// Returns the rows to delete and the rows to add once these users are written. Looks up how those
    /// users are now who are not new.
    pub(super) async fn search_entries(
        &mut self,
        environment: EnvironmentId,
        written: &Users<'_>,
    ) -> Result<(Entries, Entries), StoreError> {
        let created: HashSet<&UserKey> = written.created().iter().collect();
        let users: Vec<(UserKey, &User)> = written.last().collect();
        let known = users.iter().map(|(key, _)| *key).filter(|key| !created.contains(key));
        let known: Vec<UserKey> = known.collect();
        let before = match known.is_empty() {
            true => Vec::new(),
            false => self.users_by_key(environment, &known).await?,
        };
        let before: HashMap<UserKey, User> =
            before.into_iter().flatten().map(|user| (user.key, user)).collect();
        let (mut deleted, mut added) = (Entries::new(), Entries::new());
        for (key, user) in users {
            let old = before.get(&key).map(entries_of).unwrap_or_default();
            let new = entries_of(user);
            deleted.extend(only_in(&old, &new).map(|entry| (key, entry)));
            added.extend(only_in(&new, &old).map(|entry| (key, entry)));
        }
        Ok((deleted, added))
    }
}

fn only_in(one: &[Entry], other: &[Entry]) -> impl Iterator<Item = Entry> {
    one.iter().filter(|entry| !other.contains(entry)).cloned()
}

#[async_trait]
impl UserSearch for PostgresTransaction {
    async fn users_with_prefix(
        &mut self,
        environment: EnvironmentId,
        prefix: &Prefix,
        after: Option<&Match>,
        limit: usize,
    ) -> Result<Vec<Match>, StoreError> {
        let (start, limit) = (prefix.start(), count(limit));
        let Match { text, user } = after.map_or(&start, |after| after.max(&start));
        let rows = self
            .ask_one(
                sql::USERS_WITH_PREFIX,
                &[&environment.0, &prefix.as_str(), &prefix.chars(), text, &user.0, &limit],
            )
            .await?;
        let found = rows.iter().map(|row| {
            Ok(Match { text: rows::text(row, 0)?.to_owned(), user: UserKey(row.try_get(1)?) })
        });
        found.collect()
    }

    async fn subscribers_after(
        &mut self,
        environment: EnvironmentId,
        package: &PackageId,
        now: Timestamp,
        after: Option<UserKey>,
        limit: usize,
    ) -> Result<Vec<UserKey>, StoreError> {
        // No user has the nil key, so this is before the first one.
        let after = after.map_or_else(Uuid::nil, |after| after.0);
        let rows = self
            .ask_one(
                sql::SUBSCRIBERS_AFTER,
                &[&environment.0, &package.as_str(), &after, &count(limit), &now.as_ms()],
            )
            .await?;
        rows.iter().map(|row| Ok(UserKey(row.try_get(0)?))).collect()
    }

    async fn are_subscribed(
        &mut self,
        environment: EnvironmentId,
        package: &PackageId,
        now: Timestamp,
        users: &[UserKey],
    ) -> Result<Vec<bool>, StoreError> {
        let keys = distinct(users.iter().map(|user| user.0));
        let rows = self
            .ask_one(
                sql::SUBSCRIBERS_AMONG,
                &[&environment.0, &package.as_str(), &keys, &now.as_ms()],
            )
            .await?;
        let subscribers: HashSet<Uuid> =
            rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        Ok(users.iter().map(|user| subscribers.contains(&user.0)).collect())
    }

    async fn users_by_key(
        &mut self,
        environment: EnvironmentId,
        keys: &[UserKey],
    ) -> Result<Vec<Option<User>>, StoreError> {
        let asked = distinct(keys.iter().map(|key| key.0));
        let rows = self.ask_one(&users::USERS_BY_KEY, &[&environment.0, &asked]).await?;
        let found: Vec<User> = rows.iter().map(users::read).collect::<Result<_, _>>()?;
        let found: HashMap<UserKey, User> =
            found.into_iter().map(|user| (user.key, user)).collect();
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }
}
