//! Subscriptions, and when they grant (contract: `entitlements.md`, first section).

use crate::id::{PackageId, SubscriptionId};
use crate::quantity::Quantities;
use crate::timestamp::Timestamp;

/// One user's subscription to one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Chosen by Kana; its order is the order of creation.
    pub id: SubscriptionId,
    /// The package. It exists, whatever its status is by now.
    pub package: PackageId,
    /// Its status, which decides whether it grants its features.
    pub status: SubscriptionStatus,
    /// When it started: the anchor of its periods.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// How many of the package it is for.
    pub quantities: Quantities,
}

/// The status of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionStatus {
    /// It grants its features.
    Active,
    /// It grants its features, for a trial.
    Trialing,
    /// It has ended, and granted its features until then.
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

/// The time that a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// Now. A subscription that starts later than this clock says counts: another node's clock may
    /// be ahead.
    Now(Timestamp),
    /// A time that the request names (`occurredAt`).
    Moment(Timestamp),
}

impl AsOf {
    /// Returns the instant.
    #[must_use]
    pub fn at(self) -> Timestamp {
        match self {
            Self::Now(at) | Self::Moment(at) => at,
        }
    }
}

impl Subscription {
    /// Rule 1: returns true if the status grants the package's features.
    #[must_use]
    pub fn is_granting(&self) -> bool {
        matches!(self.status, SubscriptionStatus::Active | SubscriptionStatus::Trialing)
    }

    /// Rules 1 and 2: returns true if the subscription grants, or granted, at that time. A cancelled
    /// one granted until it ended; any other status counts as it is now.
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
