//! Lists of users: all, those who match a search, and those who subscribe to a package.

use std::fmt;
use std::sync::Arc;

use kana_core::Refusal;
use kana_core::catalog::Catalog;
use kana_core::id::{PackageId, UserKey};
use kana_core::subscription::Subscription;
use kana_core::user::User;
use kana_store::Transaction;
use kana_store::user_search::{Match, Prefix};
use uuid::Uuid;

use super::subscriptions::{as_of, newest_first};
use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;

/// How many matches of a search are checked at once for a subscription.
const CHECKED_AT_ONCE: usize = 500;
/// How often that is done for one page.
const CHECKS_MAX: usize = 8;

/// Which users to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserQuery {
    /// The beginning of the id, billing id, name or e-mail, whatever the case; empty for all users.
    pub search: String,
    /// Only users to whom a subscription to this package grants something now.
    pub package: Option<PackageId>,
}

/// Where a page of users ends. The next page of the same query goes on there, whatever has changed.
///
/// Its text form is for addresses. It can contain any characters, and must be escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCursor {
    key: UserKey,
    /// The text by which a search found the user; `None` in lists without a search.
    text: Option<String>,
}

impl UserCursor {
    /// Parses the text form. Returns `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (key, text) = match text.split_once(' ') {
            Some((key, text)) => (key, Some(text)),
            None => (text, None),
        };
        let key = UserKey(Uuid::try_parse(key).ok()?);
        match text {
            // Whatever a search finds could be searched for.
            Some(text) => Prefix::new(text).map(|_| Self { key, text: Some(text.to_owned()) }),
            None => Some(Self { key, text: None }),
        }
    }
}

impl fmt::Display for UserCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, text } = self;
        match text {
            Some(text) => write!(f, "{} {text}", key.0.simple()),
            None => write!(f, "{}", key.0.simple()),
        }
    }
}

impl From<Match> for UserCursor {
    fn from(Match { text, user }: Match) -> Self {
        Self { key: user, text: Some(text) }
    }
}

impl From<UserKey> for UserCursor {
    fn from(key: UserKey) -> Self {
        Self { key, text: None }
    }
}

/// A page of users.
#[derive(Debug)]
pub struct FoundUsers {
    /// The users with their running subscriptions, newest first. A search lists users by the first of
    /// their folded texts that matches, then in order of creation; other lists are in order of creation.
    pub users: Vec<(User, Vec<Subscription>)>,
    /// Where the next page begins; `None` if there is none. A page of a search within a package can
    /// have less users than asked for, or none, and still have a next one.
    pub next: Option<UserCursor>,
    /// The catalog that has the packages of the subscriptions.
    pub catalog: Arc<Catalog>,
}

/// The users of a page, and where the next one begins.
struct Keys {
    found: Vec<UserKey>,
    next: Option<UserCursor>,
}

impl EnvironmentView {
    /// Lists at most `limit` users after the cursor, from one snapshot. Takes as long however many users
    /// there are, and looks at no more than a few thousand matches of a search within a package.
    ///
    /// Fails if the package does not exist.
    pub async fn find_users(
        &self,
        query: &UserQuery,
        after: Option<&UserCursor>,
        limit: usize,
    ) -> Result<FoundUsers, Error> {
        if query.package.is_none() || query.search.is_empty() {
            return retry(|| self.try_find_users(query, after, limit)).await;
        }
        let (query, after) = (query.clone(), after.cloned());
        self.off_thread(move |view| async move {
            retry(|| view.try_find_users(&query, after.as_ref(), limit)).await
        })
        .await
    }

    async fn try_find_users(
        &self,
        query: &UserQuery,
        after: Option<&UserCursor>,
        limit: usize,
    ) -> Result<FoundUsers, Error> {
        let mut transaction = self.begin().await?;
        let transaction = transaction.as_mut();
        let catalog = self.catalog_in(transaction).await?;
        if let Some(package) = &query.package
            && catalog.package(package).is_none()
        {
            return Err(Refusal::PackageNotFound(package.clone()).into());
        }
        let (users, next) = match (query.search.as_str(), &query.package) {
            ("", None) => self.all_users(transaction, after, limit).await?,
            (search, package) => {
                let Keys { found, next } = match package {
                    Some(package) if search.is_empty() => {
                        self.subscribers(transaction, package, after, limit).await?
                    }
                    package => {
                        self.matches(transaction, search, package.as_ref(), after, limit).await?
                    }
                };
                let users = transaction.users_by_key(self.id(), &found).await?;
                (users.into_iter().flatten().collect(), next)
            }
        };
        let ids: Vec<_> = users.iter().map(|user| user.id.clone()).collect();
        let running = transaction.facts(self.id(), &ids).await?.users.into_iter().map(|facts| {
            let running = facts.map(|facts| as_of(facts.subscriptions(), self.now()));
            let mut running = running.unwrap_or_default();
            newest_first(&mut running);
            running
        });
        Ok(FoundUsers { users: users.into_iter().zip(running).collect(), next, catalog })
    }

    async fn all_users(
        &self,
        transaction: &mut dyn Transaction,
        after: Option<&UserCursor>,
        limit: usize,
    ) -> Result<(Vec<User>, Option<UserCursor>), Error> {
        let after = after.map(|cursor| cursor.key);
        let mut users = transaction.users_after(self.id(), after, limit + 1).await?;
        let has_more = users.len() > limit;
        users.truncate(limit);
        let last = users.last().map(|user| user.key.into());
        Ok((users, last.filter(|_| has_more)))
    }

    async fn subscribers(
        &self,
        transaction: &mut dyn Transaction,
        package: &PackageId,
        after: Option<&UserCursor>,
        limit: usize,
    ) -> Result<Keys, Error> {
        let after = after.map(|cursor| cursor.key);
        let (id, now) = (self.id(), self.now());
        let mut found = transaction.subscribers_after(id, package, now, after, limit + 1).await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().map(|key| (*key).into());
        Ok(Keys { found, next: last.filter(|_| has_more) })
    }

    /// Finds users by their texts. With a package, looks at so many matches at most, and then says
    /// where to go on.
    async fn matches(
        &self,
        transaction: &mut dyn Transaction,
        search: &str,
        package: Option<&PackageId>,
        after: Option<&UserCursor>,
        limit: usize,
    ) -> Result<Keys, Error> {
        let Some(prefix) = Prefix::new(search) else {
            return Ok(Keys { found: Vec::new(), next: None });
        };
        // A cursor of a list without a search is before all matches.
        let mut after = after
            .and_then(|UserCursor { key, text }| Some(Match { text: text.clone()?, user: *key }));
        let mut found: Vec<Match> = Vec::new();
        let (at_once, rounds) = match package {
            Some(_) => (CHECKED_AT_ONCE, CHECKS_MAX),
            None => (limit + 1, 1),
        };
        let mut is_over = false;
        for _ in 0..rounds {
            let matches =
                transaction.users_with_prefix(self.id(), &prefix, after.as_ref(), at_once).await?;
            is_over = matches.len() < at_once;
            after = matches.last().cloned().or(after);
            found.extend(self.subscribed(transaction, matches, package).await?);
            if is_over || found.len() > limit {
                break;
            }
        }
        let next = if found.len() > limit {
            found.truncate(limit);
            found.last().cloned()
        } else {
            after.filter(|_| !is_over)
        };
        let found = found.into_iter().map(|found| found.user).collect();
        Ok(Keys { found, next: next.map(UserCursor::from) })
    }

    /// Returns the matches that subscribe to the package, or all if there is none.
    async fn subscribed(
        &self,
        transaction: &mut dyn Transaction,
        matches: Vec<Match>,
        package: Option<&PackageId>,
    ) -> Result<Vec<Match>, Error> {
        let Some(package) = package else { return Ok(matches) };
        let keys: Vec<UserKey> = matches.iter().map(|found| found.user).collect();
        let (id, now) = (self.id(), self.now());
        let are_subscribed = transaction.are_subscribed(id, package, now, &keys).await?;
        let matches = matches.into_iter().zip(are_subscribed);
        Ok(matches.filter(|(_, is)| *is).map(|(found, _)| found).collect())
    }
}
