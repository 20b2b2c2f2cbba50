//! Usage events, and what a request about usage is answered.

use serde::{Deserialize, Serialize};

use crate::access::{Consumption, Reason};
use crate::credits::Drawn;
use crate::id::{FeatureId, IdempotencyKey, SubscriptionId};
use crate::metadata::Metadata;
use crate::timestamp::Timestamp;

/// What a usage event does to the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UsageAction {
    /// Adds the delta, which may be negative. The counter never goes below 0.
    Add,
    /// Replaces the usage of the period by the delta.
    Set,
}

/// What an entry of the log of usage does to the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoggedAction {
    /// Adds the delta, which may be negative. The counter never goes below 0.
    Add,
    /// Replaces the usage of the period by the delta.
    Set,
    /// Takes back what an earlier event under the same idempotency key has added: adds the delta, which
    /// is 0 where nothing of it was left.
    Void,
}

impl From<UsageAction> for LoggedAction {
    fn from(action: UsageAction) -> Self {
        match action {
            UsageAction::Add => Self::Add,
            UsageAction::Set => Self::Set,
        }
    }
}

impl LoggedAction {
    /// Returns the usage after an entry with this action and `delta`.
    #[must_use]
    pub fn after(self, before: i64, delta: i64) -> i64 {
        match self {
            Self::Add | Self::Void => before.saturating_add(delta).max(0),
            Self::Set => delta,
        }
    }
}

/// The answer to [`RecordUsage`](crate::usage::RecordUsage).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordedUsage {
    /// The usage is recorded and, for a consumable feature, counted.
    Recorded,
    /// Nothing granted the feature. The usage event is kept, and not counted.
    NotCounted,
}

impl RecordedUsage {
    /// Returns true if the usage was recorded.
    #[must_use]
    pub fn recorded(self) -> bool {
        self == Self::Recorded
    }

    /// Returns why it was not recorded; `None` if it was.
    #[must_use]
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Recorded => None,
            Self::NotCounted => Some(
                "Nothing granted this feature to the user at that time: \
                 the event is kept and not counted.",
            ),
        }
    }
}

/// The answer to [`UseFeature`](crate::usage::UseFeature).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedFeature {
    /// Whether the usage was granted, and therefore recorded.
    pub granted: bool,
    /// Why.
    pub reason: Reason,
    /// The usage after the call; `None` for a `BINARY` feature, or if nothing grants the feature.
    pub consumption: Option<Consumption>,
}

/// The answer to [`VoidUsage`](crate::usage::VoidUsage).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoidedUsage {
    /// Nothing of what the event added counts any more.
    Voided,
    /// Nothing had counted it.
    NotCounted,
    /// Its feature is `BINARY`.
    Binary,
    /// It was recorded by a release that did not keep what an event added.
    NotKept,
    /// What its counter counted under is no longer known.
    CounterUnknown,
}

impl VoidedUsage {
    /// Returns true if nothing of the event counts any more.
    #[must_use]
    pub fn voided(self) -> bool {
        self == Self::Voided
    }

    /// Returns why there was nothing to take back; `None` if it was voided.
    #[must_use]
    pub fn reason(self) -> Option<&'static str> {
        Some(match self {
            Self::Voided => return None,
            Self::NotCounted => "The usage was not counted, so there is nothing to take back.",
            Self::Binary => "The feature is BINARY: nothing was counted.",
            Self::NotKept => {
                "The usage was recorded by an earlier release of Kana, which did not keep what it \
                 added: record a negative delta instead."
            }
            Self::CounterUnknown => {
                "What the usage was counted under is no longer known: record a negative delta \
                 instead."
            }
        })
    }
}

/// A usage event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEvent {
    /// What was used.
    pub feature: FeatureId,
    /// What the amount does.
    pub action: LoggedAction,
    /// The amount.
    pub delta: i64,
    /// When it was used.
    pub occurred_at: Timestamp,
    /// When Kana recorded it.
    pub recorded_at: Timestamp,
    /// By how much it changed the usage of its period, which never goes below 0 nor above the largest
    /// number; 0 if nothing counts it. It is not part of the log.
    pub amount: i64,
    /// What it changed of a balance, if its feature draws on one. It is not part of the log, either.
    pub drawn: Option<Drawn>,
    /// The subscription that it counts for or, for a `BINARY` feature, that granted it; `None` if
    /// nothing granted the feature. An override that did so has its id in this place.
    pub subscription: Option<SubscriptionId>,
    /// The key under which it was sent.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The product's own data.
    pub metadata: Option<Metadata>,
}
