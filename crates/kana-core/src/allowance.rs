//! How much a package gives.

use crate::invalid::InvalidValue;
use crate::period::{Reset, ResetAnchor, ResetPeriod};
use crate::rollover::Rollover;

/// How the limit of a package goes with those of the user's other subscriptions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Stacking {
    /// The highest limit counts, alone.
    #[default]
    Highest,
    /// The limit is added to the one that counts.
    Add,
}

/// How much of a feature a package gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The most that may be used in a period, 0 or more; `None` means unlimited.
    pub limit: Option<i64>,
    /// When usage starts again at 0; `None` means never.
    pub reset_period: Option<ResetPeriod>,
    /// What the periods are counted from; [`ResetAnchor::Subscription`] without a reset period.
    pub reset_anchor: ResetAnchor,
    /// Whether usage may go over the limit.
    pub overage_enabled: bool,
    /// Whether the limit is added to others.
    pub stacking: Stacking,
    /// On which terms what is left of a period stays usable; `None` means that it is lost. It needs a limit
    /// and a reset period.
    pub rollover: Option<Rollover>,
}

impl Allowance {
    /// No limit and no reset: the default.
    pub const UNLIMITED: Self = Self {
        limit: None,
        reset_period: None,
        reset_anchor: ResetAnchor::Subscription,
        overage_enabled: false,
        stacking: Stacking::Highest,
        rollover: None,
    };

    /// Returns how the periods are made; `None` means that usage never starts again.
    #[must_use]
    pub fn reset(self) -> Option<Reset> {
        self.reset_period.map(|period| Reset { period, anchor: self.reset_anchor })
    }

    /// Returns an allowance without a limit that resets like this.
    pub(crate) fn unlimited(reset: Option<Reset>) -> Self {
        Self {
            reset_period: reset.map(|reset| reset.period),
            reset_anchor: reset.map_or(ResetAnchor::Subscription, |reset| reset.anchor),
            ..Self::UNLIMITED
        }
    }

    /// Checks the values by themselves.
    pub(crate) fn check(self) -> Result<(), InvalidValue> {
        if self.limit.is_some_and(|limit| limit < 0) {
            return Err(InvalidValue::new("limit", "must not be negative"));
        }
        if self.reset_anchor != ResetAnchor::Subscription && self.reset_period.is_none() {
            return Err(InvalidValue::new("resetAnchor", "needs a reset period"));
        }
        if self.rollover.is_some() && self.limit.is_none() {
            return Err(InvalidValue::new("rollover", "needs a limit"));
        }
        if self.rollover.is_some() && self.reset_period.is_none() {
            return Err(InvalidValue::new("rollover", "needs a reset period"));
        }
        Ok(())
    }

    /// Returns true if this is less than `before` in any respect: a lower limit, one that is no longer
    /// added to others, no overage any more, a longer time until usage starts again, or less of earlier
    /// periods.
    #[must_use]
    pub fn gives_less_than(self, before: Self) -> bool {
        let Some(limit) = self.limit else { return false };
        let Some(limit_before) = before.limit else { return true };
        let resets_later = match (before.reset_period, self.reset_period) {
            (Some(before), Some(after)) => after > before,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let is_added_no_more =
            before.stacking == Stacking::Add && self.stacking == Stacking::Highest;
        let has_overage_no_more = before.overage_enabled && !self.overage_enabled;
        let carries_less = before.rollover.is_some_and(|before| {
            self.rollover.is_none_or(|rollover| rollover.carries_less_than(before))
        });
        limit < limit_before
            || resets_later
            || has_overage_no_more
            || is_added_no_more
            || carries_less
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_a_lower_limit_a_later_reset_or_no_overage() {
        let allowance = |limit, reset_period, overage_enabled| Allowance {
            limit,
            reset_period,
            overage_enabled,
            ..Allowance::UNLIMITED
        };
        let month = Some(ResetPeriod::Month);
        let before = allowance(Some(10), month, true);
        for less in [
            allowance(Some(9), month, true),
            allowance(Some(10), month, false),
            allowance(Some(10), Some(ResetPeriod::Year), true),
            allowance(Some(20), None, true),
        ] {
            assert!(less.gives_less_than(before), "{less:?}");
            assert!(less.gives_less_than(Allowance::UNLIMITED), "{less:?}");
        }
        for more in [
            before,
            Allowance::UNLIMITED,
            allowance(Some(11), month, true),
            allowance(Some(10), Some(ResetPeriod::Day), true),
        ] {
            assert!(!more.gives_less_than(before), "{more:?}");
        }
        let added = Allowance { stacking: Stacking::Add, ..before };
        assert!(before.gives_less_than(added));
        assert!(!added.gives_less_than(before));
        assert!(!Allowance::UNLIMITED.gives_less_than(added));
    }

    #[test]
    fn less_is_also_a_lower_cap_on_what_is_carried_fewer_periods_or_nothing_carried() {
        let carrying = |max, periods| Allowance {
            limit: Some(10),
            reset_period: Some(ResetPeriod::Month),
            rollover: Some(Rollover::new(max, Some(periods)).unwrap()),
            ..Allowance::UNLIMITED
        };
        let before = carrying(Some(5), 2);
        for less in
            [carrying(Some(4), 2), carrying(None, 1), Allowance { rollover: None, ..before }]
        {
            assert!(less.gives_less_than(before), "{less:?}");
        }
        for more in [before, carrying(None, 2), carrying(Some(5), 3), Allowance::UNLIMITED] {
            assert!(!more.gives_less_than(before), "{more:?}");
        }
        assert!(carrying(Some(9), 2).gives_less_than(carrying(None, 2)));
    }

    #[test]
    fn what_is_carried_needs_a_limit_and_a_reset_period() {
        let rollover = Some(Rollover::new(None, None).unwrap());
        let message = |limit, reset_period| {
            let allowance = Allowance { limit, reset_period, rollover, ..Allowance::UNLIMITED };
            allowance.check().map_err(|invalid| invalid.to_string())
        };
        let month = Some(ResetPeriod::Month);
        assert_eq!(message(Some(0), month), Ok(()));
        assert_eq!(message(None, month), Err("rollover needs a limit".to_owned()));
        assert_eq!(message(None, None), Err("rollover needs a limit".to_owned()));
        assert_eq!(message(Some(1), None), Err("rollover needs a reset period".to_owned()));
    }
}
