//! What counts usage, and for how long.

use uuid::Uuid;

use crate::id::{OverrideId, SubscriptionId};
use crate::subscription::Subscription;
use crate::timestamp::Timestamp;

/// What counts usage of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A subscription.
    Subscription(SubscriptionId),
    /// An override, by itself.
    Override(OverrideId),
}

impl Source {
    /// Returns its id.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Subscription(subscription) => subscription.0,
            Self::Override(id) => id.0,
        }
    }

    /// Returns the id that its counters and its events have in the place of a subscription's.
    pub(crate) fn counter_id(self) -> SubscriptionId {
        SubscriptionId(self.id())
    }
}

/// The stretch of time in which a source counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) source: Source,
    /// Where it begins, which is the anchor of its periods.
    pub(crate) started_at: Timestamp,
    /// The first instant after it. That of an override may lie ahead; `None` if there is no end.
    pub(crate) ended_at: Option<Timestamp>,
}

impl From<&Subscription> for Lifetime {
    fn from(subscription: &Subscription) -> Self {
        Self {
            source: Source::Subscription(subscription.id),
            started_at: subscription.started_at,
            ended_at: subscription.ended_at,
        }
    }
}
