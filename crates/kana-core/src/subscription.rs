//! Which subscription counts (contract: `entitlements.md`, first section).

use std::cmp::Reverse;

use crate::catalog::{Allowance, Catalog};
use crate::id::{FeatureId, PackageId, SubscriptionId};
use crate::schedule::Schedule;
use crate::timestamp::Timestamp;

/// One user's subscription to one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Ours, ordered by creation.
    pub id: SubscriptionId,
    /// The package; it exists, whatever its status is by now.
    pub package: PackageId,
    /// Whether it grants its features.
    pub status: SubscriptionStatus,
    /// When it started: the anchor of its periods.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<Timestamp>,
}

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionStatus {
    /// Grants.
    Active,
    /// Grants, for a trial.
    Trialing,
    /// Ended; it granted until then.
    Cancelled,
    /// A payment failed.
    PastDue,
    /// Payments have failed for good.
    Unpaid,
    /// The first payment is missing.
    Incomplete,
    /// The first payment never came.
    IncompleteExpired,
}

/// The moment that a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// Now. What is stored is what holds: a start that lies ahead of this clock, as another
    /// node's clock may have set it, does not hide a subscription.
    Now(Timestamp),
    /// A moment that was named (`occurredAt`).
    Moment(Timestamp),
}

impl AsOf {
    /// The instant itself.
    #[must_use]
    pub fn at(self) -> Timestamp {
        match self {
            Self::Now(at) | Self::Moment(at) => at,
        }
    }
}

impl Subscription {
    /// Rule 1: whether the subscription grants its package's features by its status.
    #[must_use]
    pub fn is_granting(&self) -> bool {
        matches!(self.status, SubscriptionStatus::Active | SubscriptionStatus::Trialing)
    }

    /// Rules 1 and 2: whether it grants, or granted, at the moment asked about. A cancelled one
    /// granted until it ended; any other status counts as it stands now.
    #[must_use]
    pub fn grants_as_of(&self, as_of: AsOf) -> bool {
        match as_of {
            AsOf::Now(_) => self.is_granting(),
            AsOf::Moment(at) => {
                let cancelled = self.status == SubscriptionStatus::Cancelled;
                (self.is_granting() || (cancelled && self.ended_at.is_some()))
                    && self.started_at <= at
                    && self.ended_at.is_none_or(|ended_at| at < ended_at)
            }
        }
    }
}

/// The subscription that counts for a feature.
#[derive(Debug, Clone, Copy)]
pub struct Counting<'a> {
    /// The subscription.
    pub subscription: &'a Subscription,
    /// The package's allowance of the feature at the moment asked about.
    pub allowance: Allowance,
    /// The subscription's periods for the feature.
    pub(crate) schedule: Schedule<'a>,
}

/// Rule 2: of the subscriptions that grant `feature`, the one with the highest limit, alone.
///
/// Ties: overage enabled first, then the oldest start, then the smallest id. The order of
/// `subscriptions` does not matter.
#[must_use]
pub fn counting_subscription<'a>(
    catalog: &'a Catalog,
    subscriptions: &'a [Subscription],
    feature: &FeatureId,
    as_of: AsOf,
) -> Option<Counting<'a>> {
    subscriptions
        .iter()
        .filter(|subscription| subscription.grants_as_of(as_of))
        .filter_map(|subscription| {
            let package = catalog.package(&subscription.package)?;
            let allowance = match as_of {
                AsOf::Now(_) => package.features.get(feature)?.allowance,
                AsOf::Moment(at) => {
                    Schedule::new(subscription, package, feature)?.allowance_at(at)?
                }
            };
            Some((subscription, package, allowance))
        })
        .max_by_key(|(subscription, _, allowance)| {
            (
                allowance.limit.is_none(),
                allowance.limit,
                allowance.overage_enabled,
                Reverse(subscription.started_at),
                Reverse(subscription.id),
            )
        })
        .and_then(|(subscription, package, allowance)| {
            let schedule = Schedule::new(subscription, package, feature)?;
            Some(Counting { subscription, allowance, schedule })
        })
}
