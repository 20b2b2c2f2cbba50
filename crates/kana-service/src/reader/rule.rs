//! Rules that answer a question about a user.

use std::sync::Arc;

use kana_core::catalog::Catalog;
use kana_core::facts::{Obstacle, UserFacts};
use kana_core::id::UserId;
use kana_core::{Refusal, Timestamp};

use super::facts_in_use::FactsInUse;

/// A function that answers a question about a user, or returns what it needs.
pub(crate) trait Rule<T>:
    Fn(&Arc<Catalog>, &UserFacts, Timestamp) -> Result<T, Obstacle> + Send + Sync + 'static
{
}

impl<T, F> Rule<T> for F where
    F: Fn(&Arc<Catalog>, &UserFacts, Timestamp) -> Result<T, Obstacle> + Send + Sync + 'static
{
}

/// Applies a rule to a user. Fails if the user does not exist.
pub(super) fn apply<T>(
    rule: &impl Rule<T>,
    facts: &FactsInUse,
    user: &UserId,
    now: Timestamp,
) -> Result<T, Obstacle> {
    let about = facts.user(user).ok_or_else(|| Refusal::UserNotFound(user.clone()))?;
    rule(&facts.catalog, about, now)
}
