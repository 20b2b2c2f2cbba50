//! What is stored under an idempotency key.

use serde::{Deserialize, Serialize};

use crate::counted::Counted;
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

/// The answer of an idempotency record as JSON, with what its usage has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenAnswer {
    /// The answer.
    #[serde(flatten)]
    pub answer: KeptAnswer,
    /// What the usage has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
}

impl WrittenAnswer {
    /// Reads the JSON of an answer.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        // What is wrong with an answer, it says better alone.
        let alone = |_| serde_json::from_str(json).map(|answer| Self { answer, counted: None });
        serde_json::from_str(json).or_else(alone)
    }
}

/// An idempotency record: what was asked under a key, and the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// What was asked.
    pub content: Content,
    /// What was answered.
    pub answer: KeptAnswer,
    /// What it counted, so that it can be taken back. `None` if nothing counted it, for a SET, and for
    /// records of earlier releases.
    pub counted: Option<Counted>,
    /// When it was stored. It expires some time later.
    pub kept_at: Timestamp,
}
