//! Requests that may be repeated (contract: `entitlements.md`, "Recording usage",
//! `idempotencyKey`): the same key records once, and every repeat answers as the first did.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::facts::{Change, Need, Obstacle, UserChange};
use crate::id::{FeatureId, IdempotencyKey, UserKey};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;
use crate::usage::{RecordedUsage, UsageAction, UsedFeature};

/// What makes two requests the same, beside the operation, which the kind of answer tells.
/// A default counts as if it had been written; metadata is not compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The user, also after a new id.
    pub user: UserKey,
    /// The feature.
    pub feature: FeatureId,
    /// The action.
    pub action: UsageAction,
    /// The amount.
    pub delta: i64,
    /// The time that was named, if any.
    pub occurred_at: Option<Timestamp>,
}

/// The answer that repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeptAnswer {
    /// To `recordUsage` and `createUsageEvent`, which are one operation.
    Recorded(RecordedUsage),
    /// To `useFeature`, a refusal included, with the consumption of then.
    Used(UsedFeature),
}

/// What was asked under a key, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// What was asked.
    pub content: Content,
    /// What was answered.
    pub answer: KeptAnswer,
    /// When; keys are forgotten some time after.
    pub kept_at: Timestamp,
}

/// The answers kept in one environment, as far as they were loaded.
#[derive(Debug, Clone, Default)]
pub struct Replays(HashMap<IdempotencyKey, Option<Replay>>);

/// What an earlier request under the same key was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// There was none.
    None,
    /// It had the same content, and this answer.
    Same(KeptAnswer),
    /// It had other content.
    Other,
}

impl Earlier {
    /// Refuses a key that was used for anything else: other content, or, once a rule has looked
    /// for its own kind of answer, another operation.
    pub(crate) fn refuse_other(&self) -> Result<(), Refusal> {
        match self {
            Self::None => Ok(()),
            Self::Same(_) | Self::Other => Err(Refusal::IdempotencyConflict),
        }
    }
}

impl Replays {
    /// Adds what is stored under a key; `None` when nothing is.
    pub fn load(&mut self, key: IdempotencyKey, replay: Option<Replay>) {
        self.0.entry(key).or_insert(replay);
    }

    /// Takes over what a change keeps.
    pub fn apply(&mut self, change: &Change) {
        if let Change::KeepReplay { key, replay } = change {
            self.0.insert(key.clone(), Some(replay.clone()));
        }
    }

    pub(crate) fn earlier(
        &self,
        key: Option<&IdempotencyKey>,
        content: &Content,
    ) -> Result<Earlier, Obstacle> {
        let Some(key) = key else {
            return Ok(Earlier::None);
        };
        match self.0.get(key) {
            None => Err(Obstacle::Needs(Need::Replay(key.clone()))),
            Some(None) => Ok(Earlier::None),
            Some(Some(replay)) if replay.content == *content => Ok(Earlier::Same(replay.answer)),
            Some(Some(_)) => Ok(Earlier::Other),
        }
    }
}

/// The change that keeps an answer under its key, if there is one.
pub(crate) fn keep(
    key: Option<&IdempotencyKey>,
    content: Content,
    answer: KeptAnswer,
    now: Timestamp,
) -> Option<UserChange> {
    key.map(|key| {
        let user = content.user;
        let replay = Replay { content, answer, kept_at: now };
        (user, Change::KeepReplay { key: key.clone(), replay })
    })
}
