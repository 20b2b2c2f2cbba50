//! The subscriptions of an environment's users.

use std::cmp::Reverse;
use std::sync::Arc;

use kana_core::catalog::Catalog;
use kana_core::decide::{Answer, ChangePackage, Command, UpdateSubscription};
use kana_core::id::{PackageId, SubscriptionId, UserId};
use kana_core::subscribing::{CancelSubscription, Subscribe};
use kana_core::subscription::Subscription;
use kana_core::{Refusal, Timestamp};
use uuid::Uuid;

use super::view::EnvironmentView;
use super::{ANSWERED_AS_ANOTHER, Environment};
use crate::error::Error;
use crate::retry::retry;
use crate::writer::Answered;

/// A page of subscriptions with the ids of their users, newest first by start, then by creation.
#[derive(Debug)]
pub struct SubscriptionPage {
    /// The subscriptions.
    pub subscriptions: Vec<(UserId, Subscription)>,
    /// Whether there are more after these.
    pub has_more: bool,
    /// The catalog that has their packages.
    pub catalog: Arc<Catalog>,
}

impl EnvironmentView {
    /// Returns the user's subscriptions, newest first by start, then by creation, with the catalog that
    /// has their packages.
    pub async fn subscriptions(
        &self,
        user: &UserId,
    ) -> Result<(Arc<Catalog>, Vec<Subscription>), Error> {
        let (catalog, mut subscriptions) = self
            .ask(user, |catalog, facts, now| {
                Ok((Arc::clone(catalog), as_of(facts.all_subscriptions()?, now)))
            })
            .await?;
        newest_first(&mut subscriptions);
        Ok((catalog, subscriptions))
    }

    /// Returns the first `limit` subscriptions of all users after the one with the start and id
    /// `after`.
    pub async fn all_subscriptions(
        &self,
        after: Option<(Timestamp, SubscriptionId)>,
        limit: usize,
    ) -> Result<SubscriptionPage, Error> {
        retry(|| async move {
            let mut transaction = self.begin().await?;
            let mut subscriptions =
                transaction.subscriptions_after(self.id(), after, limit + 1).await?;
            let has_more = subscriptions.len() > limit;
            subscriptions.truncate(limit);
            let catalog = self.catalog_in(transaction.as_mut()).await?;
            let now = self.now();
            let shown = |(user, one): (UserId, Subscription)| (user, one.as_of(now));
            let subscriptions = subscriptions.into_iter().map(shown).collect();
            Ok(SubscriptionPage { subscriptions, has_more, catalog })
        })
        .await
    }

    /// Returns the subscription with this id, its user, and the catalog that has its package.
    pub async fn subscription(
        &self,
        id: &str,
    ) -> Result<(Arc<Catalog>, UserId, Subscription), Error> {
        let id = subscription_id(id)?;
        retry(|| async move {
            let mut transaction = self.begin().await?;
            let found = transaction.subscriptions(self.id(), &[id]).await?.pop().flatten();
            let (user, subscription) =
                found.ok_or_else(|| Refusal::SubscriptionNotFound(id.to_string()))?;
            let catalog = self.catalog_in(transaction.as_mut()).await?;
            Ok((catalog, user, subscription.as_of(self.now())))
        })
        .await
    }
}

impl Environment {
    /// Subscribes the user to one of each package: see [`subscribe_to`](Self::subscribe_to).
    pub async fn subscribe(
        &self,
        user: UserId,
        packages: Vec<PackageId>,
        started_at: Option<Timestamp>,
    ) -> Result<(Arc<Catalog>, Vec<Subscription>), Error> {
        self.subscribe_to(Subscribe { started_at, ..to_subscribe(user, packages) }).await
    }

    /// Subscribes the user to all packages or, if refused, to none; see [`to_subscribe`]. Returns the
    /// subscriptions with the catalog that has their packages.
    pub async fn subscribe_to(
        &self,
        command: Subscribe,
    ) -> Result<(Arc<Catalog>, Vec<Subscription>), Error> {
        match self.submit(Command::Subscribe(command)).await? {
            Answered {
                answer: Answer::Subscribed(subscriptions), catalog: Some(catalog), ..
            } => Ok((catalog, subscriptions)),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }

    /// Cancels a subscription. Cancelling a base also cancels the user's add-ons.
    pub async fn cancel_subscription(
        &self,
        id: &str,
    ) -> Result<(Arc<Catalog>, UserId, Subscription), Error> {
        let subscription = subscription_id(id)?;
        let command = Command::CancelSubscription(CancelSubscription { subscription });
        match self.submit(command).await? {
            Answered {
                answer: Answer::Cancelled { user, subscription },
                catalog: Some(catalog),
                ..
            } => Ok((catalog, user, subscription)),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }

    /// Changes the subscription with this id, unless it is over. `changes` says what is to change; see
    /// [`no_update`]. Returns the subscription with its user and the catalog that has its package.
    pub async fn update_subscription(
        &self,
        id: &str,
        changes: UpdateSubscription,
    ) -> Result<(Arc<Catalog>, UserId, Subscription), Error> {
        // What is wrong with the values is said before whether there is such a subscription.
        changes.check_values(self.now())?;
        let subscription = subscription_id(id)?;
        let command = UpdateSubscription { subscription, ..changes };
        self.submit_for_one(Command::UpdateSubscription(command)).await
    }

    /// Ends the subscription with this id and begins one to another package at that instant. `change` says
    /// which and when; see [`to_change_package`]. Returns the new one with its user and the catalog that has
    /// its package.
    pub async fn change_package(
        &self,
        id: &str,
        change: ChangePackage,
    ) -> Result<(Arc<Catalog>, UserId, Subscription), Error> {
        // What is wrong with the values is said before whether there is such a subscription.
        change.check_values(self.now())?;
        let subscription = subscription_id(id)?;
        self.submit_for_one(Command::ChangePackage(ChangePackage { subscription, ..change })).await
    }

    async fn submit_for_one(
        &self,
        command: Command,
    ) -> Result<(Arc<Catalog>, UserId, Subscription), Error> {
        match self.submit(command).await? {
            Answered {
                answer: Answer::SubscriptionUpdated { user, subscription },
                catalog: Some(catalog),
                ..
            } => Ok((catalog, user, subscription)),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }
}

/// Returns the command that subscribes a user to one of each package, now. The ids are chosen when the command
/// has its turn.
#[must_use]
pub fn to_subscribe(user: UserId, packages: Vec<PackageId>) -> Subscribe {
    let packages = packages.into_iter().map(|package| (package, SubscriptionId(Uuid::nil())));
    Subscribe::now(user, packages.collect())
}

/// Returns the command that changes nothing about a subscription, whose id
/// [`update_subscription`](Environment::update_subscription) sets.
#[must_use]
pub fn no_update() -> UpdateSubscription {
    UpdateSubscription::nothing(SubscriptionId(Uuid::nil()))
}

/// Returns the command that changes a subscription to one to the package, now and for as many. Its ids are set by
/// [`change_package`](Environment::change_package) and when it has its turn.
#[must_use]
pub fn to_change_package(package: PackageId) -> ChangePackage {
    let nil = SubscriptionId(Uuid::nil());
    ChangePackage {
        subscription: nil,
        package,
        id: nil,
        at: None,
        at_end_of: None,
        carry_usage: false,
        quantity: None,
    }
}

/// Returns subscriptions as they are shown at an instant.
pub(super) fn as_of(all: &[Subscription], now: Timestamp) -> Vec<Subscription> {
    all.iter().map(|one| one.as_of(now)).collect()
}

pub(super) fn newest_first(subscriptions: &mut [Subscription]) {
    subscriptions.sort_by_key(|subscription| Reverse((subscription.started_at, subscription.id)));
}

/// Parses a subscription's id. Fails as not found if the text is no id, since Kana chooses them.
fn subscription_id(text: &str) -> Result<SubscriptionId, Refusal> {
    SubscriptionId::parse(text).ok_or_else(|| {
        // The text may be long; an id is not.
        Refusal::SubscriptionNotFound(text.chars().take(64).collect())
    })
}
