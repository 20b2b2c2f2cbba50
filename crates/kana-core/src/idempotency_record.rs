//! What is stored under an idempotency key.

use serde::{Deserialize, Serialize};

use crate::id::{FeatureId, UserKey};
use crate::timestamp::Timestamp;
use crate::usage_event::{RecordedUsage, UsageAction, UsedFeature};

/// What two requests must have in common to be the same, beside the operation. A default counts as
/// written; metadata is not compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The user. Stays the same when the user's id changes.
    pub user: UserKey,
    /// The feature.
    pub feature: FeatureId,
    /// The action.
    pub action: UsageAction,
    /// The amount.
    pub delta: i64,
    /// The `occurredAt` of the request.
    pub occurred_at: Option<Timestamp>,
}

/// An answer that is given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeptAnswer {
    /// To `recordUsage` and `createUsageEvent`, which are one operation.
    Recorded(RecordedUsage),
    /// To `useFeature`, a refusal included, with the consumption of then.
    Used(UsedFeature),
}

/// An idempotency record: what was asked under a key, and the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// What was asked.
    pub content: Content,
    /// What was answered.
    pub answer: KeptAnswer,
    /// When it was stored. It expires some time later.
    pub kept_at: Timestamp,
}
