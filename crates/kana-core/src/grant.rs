//! Grants: an extra amount of one feature for one user (contract: `beyond.md`, "Grants").

use std::cmp::Ordering;

use uuid::Uuid;

use crate::id::{FeatureId, GrantId};
use crate::metadata::Label;
use crate::subscription::AsOf;
use crate::timestamp::Timestamp;

/// How many grants are kept for a user and feature.
pub const GRANTS_MAX: usize = 20;

/// The largest amount of a grant.
pub const AMOUNT_MAX: i64 = 2_147_483_647;

/// The priorities that a grant can have: -100 to 100.
pub const PRIORITIES: std::ops::RangeInclusive<i64> = -100..=100;

/// The key of a grant, by which counters say what they drew from it. Kana chooses it; its order is the
/// order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantKey(pub Uuid);

impl GrantKey {
    /// Stands for the key of a grant in a command that has not had its turn.
    pub const UNCHOSEN: Self = Self(Uuid::nil());
}

/// An extra amount of one feature for one user. But for what was drawn from it and its end, it never
/// changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its key.
    pub key: GrantKey,
    /// The caller's id, or else the key; unique for the user.
    pub id: GrantId,
    /// The feature.
    pub feature: FeatureId,
    /// The amount, 1 to [`AMOUNT_MAX`].
    pub amount: i64,
    /// How much of it counters have drawn: 0 to the amount.
    pub drawn: i64,
    /// One of [`PRIORITIES`]; lower ones are drawn first, and negative ones before the allowance.
    pub priority: i64,
    /// Where it begins; it may lie ahead.
    pub starts_at: Timestamp,
    /// The first instant after it; `None` if it has no end.
    pub expires_at: Option<Timestamp>,
    /// When it was voided.
    pub voided_at: Option<Timestamp>,
    /// Why it was given, in the product's words.
    pub reason: Option<Label>,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Grant {
    /// Returns true if the grant lives at that time. One that began when it was created lives now also
    /// by a clock that is behind the one that created it.
    #[must_use]
    pub fn lives(&self, as_of: AsOf) -> bool {
        let has_begun = self.starts_at <= as_of.at()
            || (matches!(as_of, AsOf::Now(_)) && self.starts_at == self.created_at);
        has_begun && !self.has_ended(as_of.at())
    }

    /// Returns the first instant after it; `None` if it has no end.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        [self.expires_at, self.voided_at].into_iter().flatten().min()
    }

    /// Returns true if it has ended at that instant.
    #[must_use]
    pub fn has_ended(&self, at: Timestamp) -> bool {
        self.end().is_some_and(|end| end <= at)
    }

    /// Returns how much can still be drawn while it lives.
    #[must_use]
    pub fn left(&self) -> i64 {
        self.amount.saturating_sub(self.drawn).max(0)
    }

    /// Returns how much can be drawn at that instant or later: 0 once it has ended.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> i64 {
        if self.has_ended(now) { 0 } else { self.left() }
    }

    /// Returns true if it is drawn before the period's allowance.
    #[must_use]
    pub fn is_before_allowance(&self) -> bool {
        self.priority < 0
    }

    /// Compares in the order in which grants are drawn: by priority, then the one that expires earlier,
    /// then the older one.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        let rank = |grant: &Self| {
            (
                grant.priority,
                grant.expires_at.is_none(),
                grant.expires_at,
                grant.created_at,
                grant.key,
            )
        };
        rank(self).cmp(&rank(other))
    }
}
