//! Overrides of one user.

use kana_core::Timestamp;
use kana_core::decide::{Answer, Command, OverrideInput, RemoveOverride, SetOverride};
use kana_core::facts::{Obstacle, UserFacts};
use kana_core::id::{FeatureId, OverrideId, UserId};
use kana_core::metadata::Label;
use kana_core::overrides::Override;
use kana_core::subscription::AsOf;
use uuid::Uuid;

use super::view::EnvironmentView;
use super::{ANSWERED_AS_ANOTHER, Environment};
use crate::error::Error;

impl EnvironmentView {
    /// Returns the user's overrides that live, by their start, then by creation.
    pub async fn overrides(&self, user: &UserId) -> Result<Vec<Override>, Error> {
        self.ask(user, |_, facts, now| living_overrides(facts, now)).await
    }
}

/// Returns the overrides that live, by their start, then by creation.
pub(super) fn living_overrides(
    facts: &UserFacts,
    now: Timestamp,
) -> Result<Vec<Override>, Obstacle> {
    let lives = |known: &&Override| known.lives(AsOf::Now(now));
    let mut living: Vec<Override> = facts.overrides()?.iter().filter(lives).cloned().collect();
    living.sort_by_key(|known| (known.starts_at, known.id));
    Ok(living)
}

impl Environment {
    /// Sets the user's override of a feature, and returns it. One that lives keeps its id and its start.
    pub async fn set_override(
        &self,
        user: UserId,
        feature: FeatureId,
        input: OverrideInput,
        (ends_at, reason): (Option<Timestamp>, Option<Label>),
    ) -> Result<Override, Error> {
        // The writer chooses the id when the command has its turn.
        let new_id = OverrideId(Uuid::nil());
        let command = SetOverride { user, feature, input, ends_at, reason, new_id };
        match self.submit(Command::SetOverride(command)).await?.answer {
            Answer::OverrideSet(set) => Ok(set),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }

    /// Removes the user's override of a feature. Returns true if one lived.
    pub async fn remove_override(&self, user: UserId, feature: FeatureId) -> Result<bool, Error> {
        let command = RemoveOverride { user, feature };
        match self.submit(Command::RemoveOverride(command)).await?.answer {
            Answer::OverrideRemoved(lived) => Ok(lived),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }
}
