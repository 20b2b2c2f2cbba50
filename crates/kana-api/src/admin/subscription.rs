use std::sync::Arc;

use async_graphql::{Enum, InputObject, MaybeUndefined, Object};
use kana_core::Timestamp;
use kana_core::catalog::Catalog;
use kana_core::decide::{ChangePackage, UpdateSubscription};
use kana_core::id::{PackageId, SubscriptionId, UserId};
use kana_core::subscription::{self, Subscription};

use kana_service::{SubscriptionPage, no_update, to_change_package};

use super::package::{Package, ResetPeriod};
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
    /// Ended, or cancelled before it began
    Cancelled,
    /// A payment failed
    PastDue,
    /// Payments have failed for good
    Unpaid,
    /// Has not begun, or its first payment is missing
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

    /// When it starts: reset periods are counted from here
    async fn started_at(&self) -> DateTime {
        DateTime(self.subscription.started_at)
    }

    /// When it ended; null until it is CANCELLED
    async fn ended_at(&self) -> Option<DateTime> {
        self.subscription.ended_at.map(DateTime)
    }

    /// When it will end; null without an end, and once it has ended
    async fn cancel_at(&self) -> Option<DateTime> {
        self.subscription.cancel_at().map(DateTime)
    }

    /// When its trial ends or ended; null without one
    async fn trial_ends_at(&self) -> Option<DateTime> {
        self.subscription.timing.trial_ends_at.map(DateTime)
    }

    /// How many of the package it is for: every limit counts so many times
    async fn quantity(&self) -> i32 {
        // At most a million.
        i32::try_from(self.subscription.quantities.current().get()).unwrap_or(i32::MAX)
    }
}

/// What is to change about a subscription: absent = leave as it is.
#[derive(InputObject)]
pub(super) struct UpdateSubscriptionInput {
    /// How many of the package it is for from now on, 1 to 1,000,000; null = leave as it is
    quantity: Option<i32>,
    /// When it ends, ahead of now and of its start; null = it has no end
    cancel_at: MaybeUndefined<DateTime>,
    /// It ends with the current period of this length, counted from its start; not together with cancelAt;
    /// null = leave as it is
    cancel_at_end_of: Option<ResetPeriod>,
    /// When its trial ends, ahead of now and of its start; null = the trial is over
    trial_ends_at: MaybeUndefined<DateTime>,
}

impl UpdateSubscriptionInput {
    pub(super) fn read(self) -> UpdateSubscription {
        UpdateSubscription {
            quantity: self.quantity.map(i64::from),
            cancel_at: instant(self.cancel_at),
            cancel_at_end_of: self.cancel_at_end_of.map(Into::into),
            trial_ends_at: instant(self.trial_ends_at),
            ..no_update()
        }
    }
}

/// A change of a subscription to one to another package.
#[derive(InputObject)]
pub(super) struct ChangePackageInput {
    /// Kana's own id of the subscription that ends
    subscription_id: String,
    /// The product's own id of the package of the new one
    package_id: String,
    /// When, in the future; absent = now
    at: Option<DateTime>,
    /// With the end of the current period of this length, counted from the old one's anchor; not together
    /// with at
    at_end_of: Option<ResetPeriod>,
    /// Whether the new one goes on with what was used of the features of both packages, in the periods of the
    /// old one; not together with at or atEndOf
    #[graphql(default_with = "Some(false)")]
    carry_usage: Option<bool>,
    /// How many of the package, 1 to 1,000,000; absent = as many as the old one
    quantity: Option<i32>,
}

impl ChangePackageInput {
    /// Returns the id of the subscription that ends, and the command.
    pub(super) fn read(self) -> Result<(String, ChangePackage), ApiError> {
        let package = PackageId::new("packageId", &self.package_id)?;
        let command = ChangePackage {
            at: self.at.map(|at| at.0),
            at_end_of: self.at_end_of.map(Into::into),
            carry_usage: self.carry_usage.unwrap_or(false),
            quantity: self.quantity.map(i64::from),
            ..to_change_package(package)
        };
        Ok((self.subscription_id, command))
    }
}

/// What an update does to an instant: absent leaves it, null clears it.
fn instant(value: MaybeUndefined<DateTime>) -> Option<Option<Timestamp>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(at) => Some(Some(at.0)),
    }
}
