//! Rules that answer a question about a user.

use std::sync::Arc;

use kana_core::catalog::Catalog;
use kana_core::facts::{Obstacle, UserFacts};
use kana_core::id::UserId;
use kana_core::{Refusal, Timestamp};

use super::facts_in_use::FactsInUse;

/// What answers a question about a user, or says what it needs.
pub(crate) trait Rule<T>:
    Fn(&Arc<Catalog>, &UserFacts, Timestamp) -> Result<T, Obstacle> + Send + Sync + 'static
{
}

impl<T, F> Rule<T> for F where
    F: Fn(&Arc<Catalog>, &UserFacts, Timestamp) -> Result<T, Obstacle> + Send + Sync + 'static
{
}

/// Asks a rule about a user, who must exist.
pub(super) fn apply<T>(
    rule: &impl Rule<T>,
    facts: &FactsInUse,
    user: &UserId,
    now: Timestamp,
) -> Result<T, Obstacle> {
    let about = facts.user(user).ok_or_else(|| Refusal::UserNotFound(user.clone()))?;
    rule(&facts.catalog, about, now)
}
