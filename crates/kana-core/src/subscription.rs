//! Subscriptions, and when they grant (contract: `entitlements.md`, first section).

use crate::id::{PackageId, SubscriptionId};
use crate::period::Origin;
use crate::quantity::Quantities;
use crate::timestamp::Timestamp;
use crate::timing::Timing;

/// One user's subscription to one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Chosen by Kana; its order is the order of creation.
    pub id: SubscriptionId,
    /// The package. It exists, whatever its status is by now.
    pub package: PackageId,
    /// Its status as it was last written. What it is at an instant, [`status_at`](Self::status_at) says.
    pub status: SubscriptionStatus,
    /// When it starts. It may lie ahead.
    pub started_at: Timestamp,
    /// When it was ended; `None` if it was not, also where it has an end by its [`timing`](Self::timing).
    pub ended_at: Option<Timestamp>,
    /// How many of the package it is for.
    pub quantities: Quantities,
    /// What was said about its start, its end and its trial ahead of time, and its anchor.
    pub timing: Timing,
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
    /// Now. A subscription that starts later than this clock says counts, unless that was set ahead of
    /// time: another node's clock may be ahead.
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
    /// Returns true if the status, as it is written, grants the package's features.
    #[must_use]
    pub fn is_granting(&self) -> bool {
        matches!(self.status, SubscriptionStatus::Active | SubscriptionStatus::Trialing)
    }

    /// Returns where it begins, and what its periods are counted from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let anchored_at = self.timing.anchored_at.unwrap_or(self.started_at);
        Origin { started_at: self.started_at, anchored_at }
    }

    /// Returns the first instant after the subscription, which may lie ahead; `None` if there is none.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        self.ended_at.or(self.timing.end)
    }

    /// Returns true if it has begun by the clock of the answer. A start that did not lie ahead when it was
    /// created has come, whatever the clock says.
    #[must_use]
    pub fn has_begun(&self, now: Timestamp) -> bool {
        !self.timing.starts_ahead || self.started_at <= now
    }

    /// Returns true if it was ended, or its end has come.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ended_at.is_some() || self.timing.end.is_some_and(|end| end <= now)
    }

    /// Returns its status at an instant.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> SubscriptionStatus {
        let on_trial = || self.timing.trial_ends_at.is_some_and(|ends_at| now < ends_at);
        if self.ended_at.is_some() {
            self.status
        } else if self.is_over(now) {
            SubscriptionStatus::Cancelled
        } else if !self.has_begun(now) {
            SubscriptionStatus::Incomplete
        } else if self.status == SubscriptionStatus::Active && on_trial() {
            SubscriptionStatus::Trialing
        } else {
            self.status
        }
    }

    /// Returns it as it is shown at an instant: with its status of then, and `ended_at` only where it is
    /// over.
    #[must_use]
    pub fn as_of(&self, now: Timestamp) -> Self {
        let ended_at = if self.is_over(now) { self.end() } else { None };
        Self { status: self.status_at(now), ended_at, ..self.clone() }
    }

    /// Returns the end that lies ahead of a subscription as [`as_of`](Self::as_of) returned it.
    #[must_use]
    pub fn cancel_at(&self) -> Option<Timestamp> {
        self.timing.end.filter(|_| self.ended_at.is_none())
    }

    /// Rules 1 and 2: returns true if the subscription grants, or granted, at that time. A cancelled
    /// one granted until it ended; any other status counts as it is now.
    #[must_use]
    pub fn grants_as_of(&self, as_of: AsOf) -> bool {
        let ends_after = |at: Timestamp| self.timing.end.is_none_or(|end| at < end);
        match as_of {
            AsOf::Now(now) => self.is_granting() && self.has_begun(now) && ends_after(now),
            AsOf::Moment(at) => {
                let cancelled = self.status == SubscriptionStatus::Cancelled;
                (self.is_granting() || (cancelled && self.ended_at.is_some()))
                    && self.started_at <= at
                    && self.ended_at.is_none_or(|ended_at| at < ended_at)
                    && ends_after(at)
            }
        }
    }
}
