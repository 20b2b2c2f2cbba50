//! An environment's users.

use std::sync::Arc;

use kana_core::Refusal;
use kana_core::catalog::Catalog;
use kana_core::decide::{Answer, Command, CreateUser, UpdateUser};
use kana_core::id::{UserId, UserKey};
use kana_core::subscription::Subscription;
use kana_core::user::{User, UserEdit};

use super::subscriptions::{as_of, newest_first};
use super::view::EnvironmentView;
use super::{ANSWERED_AS_ANOTHER, Environment};
use crate::error::Error;
use crate::retry::retry;

/// A page of users, in order of creation.
#[derive(Debug)]
pub struct UserPage {
    /// The users, each with all subscriptions, newest first, if those were asked for.
    pub users: Vec<(User, Option<Vec<Subscription>>)>,
    /// Whether there are more after these.
    pub has_more: bool,
    /// The catalog that has the packages of the subscriptions.
    pub catalog: Arc<Catalog>,
}

impl EnvironmentView {
    /// Returns the user with this id.
    pub async fn user(&self, id: &UserId) -> Result<User, Error> {
        retry(|| async move {
            let mut transaction = self.begin().await?;
            let user =
                transaction.users(self.id(), std::slice::from_ref(id)).await?.pop().flatten();
            user.ok_or_else(|| Refusal::UserNotFound(id.clone()).into())
        })
        .await
    }

    /// Returns the first `limit` users in order of creation, after the one with the key `after`.
    pub async fn users(
        &self,
        after: Option<UserKey>,
        limit: usize,
        with_subscriptions: bool,
    ) -> Result<UserPage, Error> {
        retry(|| self.try_users(after, limit, with_subscriptions)).await
    }

    async fn try_users(
        &self,
        after: Option<UserKey>,
        limit: usize,
        with_subscriptions: bool,
    ) -> Result<UserPage, Error> {
        let mut transaction = self.begin().await?;
        // One more than asked for, to tell whether there are more.
        let mut users = transaction.users_after(self.id(), after, limit + 1).await?;
        let has_more = users.len() > limit;
        users.truncate(limit);
        let subscriptions = if with_subscriptions {
            let keys: Vec<UserKey> = users.iter().map(|user| user.key).collect();
            let all = transaction.subscriptions_of(self.id(), &keys).await?;
            let now = self.now();
            all.into_iter()
                .map(|subscriptions| {
                    let mut subscriptions = as_of(&subscriptions, now);
                    newest_first(&mut subscriptions);
                    Some(subscriptions)
                })
                .collect()
        } else {
            vec![None; users.len()]
        };
        let catalog = self.catalog_in(transaction.as_mut()).await?;
        Ok(UserPage { users: users.into_iter().zip(subscriptions).collect(), has_more, catalog })
    }
}

impl Environment {
    /// Creates a user.
    pub async fn create_user(&self, user: User) -> Result<User, Error> {
        match self.submit(Command::CreateUser(CreateUser(user))).await?.answer {
            Answer::User(user) => Ok(user),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }

    /// Updates a user.
    pub async fn update_user(&self, user: UserId, edit: UserEdit) -> Result<User, Error> {
        match self.submit(Command::UpdateUser(UpdateUser { user, edit })).await?.answer {
            Answer::User(user) => Ok(user),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }

    /// Creates a token with which the user's browser can read what the user may do.
    pub async fn issue_user_token(&self, user: &UserId) -> Result<String, Error> {
        let user = self.user(user).await?;
        self.kana().access.issue_token(self.id(), self.kind, &user).await
    }
}
