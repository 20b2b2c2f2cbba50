//! Holds: an amount that is kept for a job while it runs (contract: `beyond.md`, "Holds").

use std::ops::RangeInclusive;

use crate::access::{Consumption, Reason};
use crate::counter_key::CounterKey;
use crate::credits::Cost;
use crate::id::{FeatureId, HoldId};
use crate::timestamp::Timestamp;

/// How many holds of a user on one balance can live at a time.
pub const HOLDS_MAX: usize = 100;

/// The largest amount of a hold, in the unit of its feature.
pub const AMOUNT_MAX: i64 = 2_147_483_647;

/// For how many seconds a hold can be made or extended.
pub const TTL_SECONDS: RangeInclusive<i64> = 1..=604_800;

/// For how many seconds a hold is made or extended if nothing else is said.
pub const TTL_SECONDS_DEFAULT: i64 = 900;

/// An amount of one feature that is kept for one user until the job is done that it is for. It belongs to the
/// counter that counted when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The caller's id, or else one of Kana's; unique for the user.
    pub id: HoldId,
    /// The feature that was asked for.
    pub feature: FeatureId,
    /// The amount in that feature's unit, 1 to [`AMOUNT_MAX`].
    pub amount: i64,
    /// What one unit costs of the balance, at the time when it was held.
    pub cost: Cost,
    /// The counter that it is held on. Its feature is the balance, if the hold's own draws on one.
    pub counter: CounterKey,
    /// When it was created.
    pub created_at: Timestamp,
    /// The first instant at which it counts no longer, unless it has ended before.
    pub expires_at: Timestamp,
    /// How and when it ended; `None` for one that lives or has expired.
    pub ended: Option<(HoldEnd, Timestamp)>,
}

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldEnd {
    /// So much was used, in the unit of its feature; 0 or more, and maybe more than was held.
    Settled(i64),
    /// Nothing was used.
    Released,
}

/// What a hold is at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HoldState {
    /// It counts.
    Held,
    /// Its time is over. It can still be settled, or released.
    Expired,
    /// It was settled.
    Settled,
    /// It was released.
    Released,
}

impl Hold {
    /// Returns what it is at that instant.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> HoldState {
        match self.ended {
            Some((HoldEnd::Settled(_), _)) => HoldState::Settled,
            Some((HoldEnd::Released, _)) => HoldState::Released,
            None if now < self.expires_at => HoldState::Held,
            None => HoldState::Expired,
        }
    }

    /// Returns true if it counts at that instant.
    #[must_use]
    pub fn lives(&self, now: Timestamp) -> bool {
        self.state(now) == HoldState::Held
    }

    /// Returns what was settled, in the unit of its feature; `None` if it was not.
    #[must_use]
    pub fn settled(&self) -> Option<i64> {
        match self.ended {
            Some((HoldEnd::Settled(amount), _)) => Some(amount),
            Some((HoldEnd::Released, _)) | None => None,
        }
    }

    /// Returns when it ended or was to expire: from then on it counts no longer, and is kept like an
    /// idempotency key.
    #[must_use]
    pub fn is_over_at(&self) -> Timestamp {
        self.ended.map_or(self.expires_at, |(_, at)| at)
    }

    /// Returns the feature on which it is held.
    #[must_use]
    pub fn balance(&self) -> &FeatureId {
        &self.counter.feature
    }

    /// Returns how much it holds, in the unit of its balance.
    #[must_use]
    pub fn held(&self) -> i64 {
        self.counted(self.amount)
    }

    /// Returns what an amount of its feature counts, in the unit of its balance; the largest number where
    /// that does not fit.
    #[must_use]
    pub fn counted(&self, amount: i64) -> i64 {
        i64::try_from(self.cost.of(amount)).unwrap_or(i64::MAX)
    }
}

/// The answer to [`CreateHold`](crate::decide::CreateHold).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldFeature {
    /// The hold as it is now; `None` if it was not granted.
    pub hold: Option<Hold>,
    /// Why.
    pub reason: Reason,
    /// What is used and held after the call; `None` if nothing grants the feature.
    pub consumption: Option<Consumption>,
}

/// Returns how much holds keep together.
pub(crate) fn held<'a>(holds: impl IntoIterator<Item = &'a Hold>) -> i64 {
    holds.into_iter().fold(0, |sum, hold| sum.saturating_add(hold.held()))
}
