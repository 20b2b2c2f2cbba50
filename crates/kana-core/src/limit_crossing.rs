//! When usage crosses a share of its budget (contract: `dashboard.md`, "Data that the service does not
//! have yet").

use crate::id::FeatureId;
use crate::timestamp::Timestamp;

/// A share of a budget that is noted when usage reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Share {
    /// 80 %: the user is near the limit.
    Near,
    /// 100 %: nothing is left.
    Full,
}

impl Share {
    /// Every share, the smallest first.
    pub const ALL: [Self; 2] = [Self::Near, Self::Full];

    /// Returns the share in percent.
    #[must_use]
    pub fn percent(self) -> i64 {
        match self {
            Self::Near => 80,
            Self::Full => 100,
        }
    }

    /// Returns the largest share that `used` has reached of `budget`; `None` below all of them. Where
    /// nothing was used, none is reached, also of a budget of 0.
    #[must_use]
    pub fn reached(used: i64, budget: i64) -> Option<Self> {
        let has_reached = |share: &Self| {
            i128::from(used) * 100 >= i128::from(budget) * i128::from(share.percent())
        };
        if used <= 0 { None } else { Self::ALL.into_iter().rev().find(has_reached) }
    }
}

/// A user's usage of a feature has reached a share of its budget, which it had not before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitCrossing {
    /// The feature.
    pub feature: FeatureId,
    /// The largest share that it has reached.
    pub share: Share,
    /// The first instant after the period; `None` if usage never resets.
    pub period_end: Option<Timestamp>,
    /// When it was recorded.
    pub crossed_at: Timestamp,
}

/// Returns the crossing if the usage of a period that runs goes from `before` to `after`. `period_end` is
/// that of the whole period: an end of the subscription that lies ahead can be taken back.
///
/// Usage that arrives late can also be part of a later period, which has taken its period over. That
/// period is not looked at: the next usage in it is.
pub(crate) fn crossing(
    feature: &FeatureId,
    budget: Option<i64>,
    period_end: Option<Timestamp>,
    (before, after): (i64, i64),
    now: Timestamp,
) -> Option<LimitCrossing> {
    let budget = budget?;
    if after <= before {
        return None;
    }
    let share = Share::reached(after, budget)?;
    let is_new = Share::reached(before, budget) < Some(share);
    is_new.then(|| LimitCrossing { feature: feature.clone(), share, period_end, crossed_at: now })
}
