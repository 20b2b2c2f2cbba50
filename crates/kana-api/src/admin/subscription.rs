use std::sync::Arc;

use async_graphql::{Enum, InputObject, Object};
use kana_core::Timestamp;
use kana_core::catalog::Catalog;
use kana_core::id::{SubscriptionId, UserId};
use kana_core::subscription::{self, Subscription};

use kana_service::SubscriptionPage;

use super::package::Package;
use crate::error::ApiError;
use crate::scalars::DateTime;

/// Where a subscription stands. ACTIVE and TRIALING grant; every other status grants nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "SubscriptionStatus", remote = "subscription::SubscriptionStatus")]
pub(super) enum SubscriptionStatus {
    /// Grants
    Active,
    /// Grants, for a trial
    Trialing,
    /// Ended
    Cancelled,
    /// A payment failed
    PastDue,
    /// Payments have failed for good
    Unpaid,
    /// The first payment is missing
    Incomplete,
    /// The first payment never came
    IncompleteExpired,
}

/// A subscription, whose it is, and the catalog that has its package.
pub(super) struct PackageSubscription {
    catalog: Arc<Catalog>,
    user: UserId,
    subscription: Subscription,
}

impl PackageSubscription {
    pub(super) fn new(catalog: Arc<Catalog>, user: UserId, subscription: Subscription) -> Self {
        Self { catalog, user, subscription }
    }

    /// A page of subscriptions of any users.
    pub(super) fn page(page: SubscriptionPage) -> Vec<Self> {
        let catalog = page.catalog;
        page.subscriptions
            .into_iter()
            .map(|(user, subscription)| Self::new(Arc::clone(&catalog), user, subscription))
            .collect()
    }

    /// Where the next page starts.
    pub(super) fn start_and_id(&self) -> (Timestamp, SubscriptionId) {
        (self.subscription.started_at, self.subscription.id)
    }

    /// Those of one user.
    pub(super) fn all(
        catalog: &Arc<Catalog>,
        user: &UserId,
        subscriptions: Vec<Subscription>,
    ) -> Vec<Self> {
        subscriptions
            .into_iter()
            .map(|subscription| Self::new(Arc::clone(catalog), user.clone(), subscription))
            .collect()
    }
}

/// One user's subscription to one package.
#[Object(name = "PackageSubscription")]
impl PackageSubscription {
    /// Kana's own id of the subscription
    async fn id(&self) -> String {
        self.subscription.id.to_string()
    }

    /// The product's own id of the user
    async fn user_id(&self) -> &str {
        self.user.as_str()
    }

    /// Whether it grants its package's features
    async fn status(&self) -> SubscriptionStatus {
        self.subscription.status.into()
    }

    /// The package, whatever its status is by now
    async fn package(&self) -> Result<Package, ApiError> {
        Package::find(Arc::clone(&self.catalog), &self.subscription.package)
    }

    /// When it started: reset periods are counted from here
    async fn started_at(&self) -> DateTime {
        DateTime(self.subscription.started_at)
    }

    /// When it ended; null while it runs
    async fn ended_at(&self) -> Option<DateTime> {
        self.subscription.ended_at.map(DateTime)
    }

    /// How many of the package it is for: every limit counts so many times
    async fn quantity(&self) -> i32 {
        // At most a million.
        i32::try_from(self.subscription.quantities.current().get()).unwrap_or(i32::MAX)
    }
}

/// What is to change about a subscription: absent or null = leave as it is.
#[derive(InputObject)]
pub(super) struct UpdateSubscriptionInput {
    /// How many of the package it is for from now on, 1 to 1,000,000
    quantity: Option<i32>,
}

impl UpdateSubscriptionInput {
    pub(super) fn quantity(&self) -> Option<i64> {
        self.quantity.map(i64::from)
    }
}
