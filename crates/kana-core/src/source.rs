//! What counts usage, and for how long.

use uuid::Uuid;

use crate::id::{OverrideId, SubscriptionId, UserKey};
use crate::period::Origin;
use crate::subscription::Subscription;
use crate::timestamp::Timestamp;

/// What counts usage of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A subscription.
    Subscription(SubscriptionId),
    /// An override, by itself.
    Override(OverrideId),
    /// The grants of this user.
    Grants(UserKey),
}

impl Source {
    /// Returns its id; grants have none in common.
    #[must_use]
    pub fn id(self) -> Option<Uuid> {
        match self {
            Self::Subscription(subscription) => Some(subscription.0),
            Self::Override(id) => Some(id.0),
            Self::Grants(_) => None,
        }
    }

    /// Returns the id that its counters and its events have in the place of a subscription's.
    #[must_use]
    pub fn counter_id(self) -> SubscriptionId {
        match self {
            Self::Subscription(subscription) => subscription,
            Self::Override(id) => SubscriptionId(id.0),
            Self::Grants(user) => SubscriptionId::of_grants(user),
        }
    }
}

/// The stretch of time in which a source counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) source: Source,
    /// Where it begins, and what its periods are counted from.
    pub(crate) origin: Origin,
    /// The first instant after it, which may lie ahead; `None` if there is no end.
    pub(crate) ended_at: Option<Timestamp>,
    /// Whether it was ended by a command. An end that was set says nothing about what time it is.
    pub(crate) was_ended: bool,
}

impl From<&Subscription> for Lifetime {
    fn from(subscription: &Subscription) -> Self {
        Self {
            source: Source::Subscription(subscription.id),
            origin: subscription.origin(),
            ended_at: subscription.end(),
            was_ended: subscription.ended_at.is_some(),
        }
    }
}
