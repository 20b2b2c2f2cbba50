//! Idempotency records (contract: `entitlements.md`, "Recording usage", `idempotencyKey`): a request
//! that is repeated under the same key records once, and gets the first answer again.

use foldhash::HashMap;

use crate::counted::Counted;
use crate::facts::{Change, Need, Obstacle, UserChange};
use crate::id::IdempotencyKey;
pub use crate::idempotency_record::{Content, KeptAnswer, Replay, WrittenAnswer};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

/// The loaded idempotency records of one environment.
#[derive(Debug, Clone, Default)]
pub struct Replays(HashMap<IdempotencyKey, Option<Replay>>);

/// An earlier request under the same key.
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
    /// Fails if the key was used for anything else: other content or, once a rule has looked for its
    /// own kind of answer, another operation.
    pub(crate) fn refuse_other(&self) -> Result<(), Refusal> {
        match self {
            Self::None => Ok(()),
            Self::Same(_) | Self::Other => Err(Refusal::IdempotencyConflict),
        }
    }
}

impl Replays {
    /// Adds what is stored under a key; `None` if nothing is.
    pub fn load(&mut self, key: IdempotencyKey, replay: Option<Replay>) {
        self.0.entry(key).or_insert(replay);
    }

    /// Returns true if something is stored under the key, as far as that was loaded.
    #[must_use]
    pub fn has(&self, key: &IdempotencyKey) -> bool {
        matches!(self.0.get(key), Some(Some(_)))
    }

    /// Adds the record that a change stores.
    pub fn apply(&mut self, change: &Change) {
        if let Change::KeepReplay { key, replay } = change {
            self.0.insert(key.clone(), Some(replay.clone()));
        }
    }

    /// Returns what is stored under the key. Fails if that was not loaded.
    pub(crate) fn stored(&self, key: &IdempotencyKey) -> Result<Option<&Replay>, Obstacle> {
        let known = self.0.get(key).ok_or_else(|| Obstacle::Needs(Need::Replay(key.clone())))?;
        Ok(known.as_ref())
    }

    pub(crate) fn earlier(
        &self,
        key: Option<&IdempotencyKey>,
        content: &Content,
    ) -> Result<Earlier, Obstacle> {
        let Some(key) = key else {
            return Ok(Earlier::None);
        };
        Ok(match self.stored(key)? {
            None => Earlier::None,
            Some(replay) if replay.content == *content => Earlier::Same(replay.answer),
            Some(_) => Earlier::Other,
        })
    }
}

/// Returns the change that stores an answer under the request's key, if it has one, with what the
/// request has counted.
pub(crate) fn keep(
    key: Option<&IdempotencyKey>,
    content: Content,
    (answer, counted): (KeptAnswer, Option<Counted>),
    now: Timestamp,
) -> Option<UserChange> {
    key.map(|key| {
        let user = content.user;
        let replay = Replay { content, answer, counted, kept_at: now };
        (user, Change::KeepReplay { key: key.clone(), replay })
    })
}
