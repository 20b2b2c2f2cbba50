//! What is left of earlier periods (contract: `beyond.md`, "Rollover").
//!
//! A period uses its own allowance first and then the reserve, the newest part of it first. So a period
//! that is too old to be part of the reserve makes no difference to those that are, and what is carried
//! follows from a few counters. Nothing is stored for it.

use crate::invalid::InvalidValue;

/// The most periods for which what is left stays usable.
pub const ROLLOVER_PERIODS_MAX: u32 = 12;

/// On which terms what is left of a period stays usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rollover {
    max: Option<i64>,
    periods: u32,
}

impl Rollover {
    /// Creates the terms of a request. Without `periods`, what is left stays usable for one more period.
    /// Fails if `max` is below 1, or `periods` is not from 1 to 12.
    pub fn new(max: Option<i64>, periods: Option<i64>) -> Result<Self, InvalidValue> {
        if max.is_some_and(|max| max < 1) {
            return Err(InvalidValue::new("max", "must be 1 or more, or left out for no cap"));
        }
        let periods = u32::try_from(periods.unwrap_or(1)).ok();
        match periods.filter(|periods| (1..=ROLLOVER_PERIODS_MAX).contains(periods)) {
            Some(periods) => Ok(Self { max, periods }),
            None => {
                let problem = format!("must be from 1 to {ROLLOVER_PERIODS_MAX}");
                Err(InvalidValue::new("periods", problem))
            }
        }
    }

    /// Returns the most that is carried into a period, 1 or more; `None` means no cap.
    #[must_use]
    pub fn max(self) -> Option<i64> {
        self.max
    }

    /// Returns for how many more periods what is left of one stays usable: 1 to 12.
    #[must_use]
    pub fn periods(self) -> u32 {
        self.periods
    }

    /// Returns true if this carries less than `before` can: for fewer periods, or with a lower cap.
    pub(crate) fn carries_less_than(self, before: Self) -> bool {
        let no_cap = i64::MAX;
        self.periods < before.periods || self.max.unwrap_or(no_cap) < before.max.unwrap_or(no_cap)
    }

    /// Returns what is carried into a period, 0 or more and at most [`max`](Self::max). `earlier` are the
    /// periods before it, the oldest first; those that are older than [`periods`](Self::periods) make no
    /// difference.
    #[must_use]
    pub fn carried(self, earlier: &[EarlierPeriod]) -> i64 {
        let count = usize::try_from(self.periods).unwrap_or(usize::MAX);
        let oldest = earlier.len().saturating_sub(count);
        let max = self.max.map_or(i128::from(i64::MAX), i128::from);
        let reserve = earlier.iter().skip(oldest).fold(0, |reserve: i128, period| {
            let (over, left) = period.over_and_left();
            max.min((reserve - over).max(0) + left)
        });
        i64::try_from(reserve).unwrap_or(i64::MAX)
    }
}

/// What an earlier period had, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierPeriod {
    /// Its own allowance: the limit that was in force at its end, by the quantity of then; `None` if it was
    /// unlimited, and so left nothing.
    pub own: Option<i64>,
    /// The usage, 0 or more.
    pub used: i64,
    /// What is still held for jobs that run, 0 or more: it is not left over.
    pub held: i64,
    /// How much of both grants have covered, 0 or more: it was not taken from the allowance.
    pub drawn: i64,
}

impl EarlierPeriod {
    /// Returns how much was used beyond its own allowance, and how much of that is left.
    fn over_and_left(self) -> (i128, i128) {
        let Some(own) = self.own.map(i128::from) else { return (0, 0) };
        let load = i128::from(self.used) + i128::from(self.held);
        let charged = (load - i128::from(self.drawn)).max(0);
        ((charged - own).max(0), (own - charged).max(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rollover(max: Option<i64>, periods: i64) -> Rollover {
        Rollover::new(max, Some(periods)).unwrap()
    }

    /// Periods of which each had 10, and used so much.
    fn used(all: &[i64]) -> Vec<EarlierPeriod> {
        let period = |used: &i64| EarlierPeriod { own: Some(10), used: *used, held: 0, drawn: 0 };
        all.iter().map(period).collect()
    }

    #[test]
    fn terms_are_within_their_ranges() {
        let message = |max, periods| Rollover::new(max, periods).unwrap_err().to_string();
        assert_eq!(Rollover::new(None, None), Ok(rollover(None, 1)));
        assert_eq!((rollover(Some(1), 12).max(), rollover(Some(1), 12).periods()), (Some(1), 12));
        for max in [0, -1, i64::MIN] {
            assert_eq!(message(Some(max), None), "max must be 1 or more, or left out for no cap");
        }
        for periods in [0, -1, 13, i64::MAX] {
            assert_eq!(message(None, Some(periods)), "periods must be from 1 to 12");
        }
    }

    #[test]
    fn what_is_left_is_carried_for_so_many_periods() {
        let one = rollover(None, 1);
        assert_eq!(one.carried(&[]), 0);
        assert_eq!(one.carried(&used(&[4])), 6);
        assert_eq!(one.carried(&used(&[4, 10])), 0, "it was usable in the period after it alone");
        let two = rollover(None, 2);
        assert_eq!(two.carried(&used(&[4, 10])), 6);
        assert_eq!(two.carried(&used(&[4, 10, 10])), 0);
        assert_eq!(two.carried(&used(&[4, 7])), 9);
    }

    #[test]
    fn a_period_uses_its_own_first_and_then_the_newest_part_of_the_reserve() {
        let three = rollover(None, 3);
        // 6 and 3 are left; the third period uses 4 more than its own: 3 of the newer and 1 of the older.
        assert_eq!(three.carried(&used(&[4, 7, 14])), 5);
        // Then the oldest part is what is left, and it ends first.
        assert_eq!(three.carried(&used(&[4, 7, 14, 10])), 0);
        // What was over what there was is no debt.
        assert_eq!(three.carried(&used(&[4, 7, 100, 9])), 1);
    }

    #[test]
    fn a_cap_holds_for_all_that_is_carried() {
        let capped = rollover(Some(7), 3);
        assert_eq!(capped.carried(&used(&[0])), 7);
        assert_eq!(capped.carried(&used(&[0, 0, 0])), 7);
        assert_eq!(capped.carried(&used(&[0, 12])), 5);
    }

    #[test]
    fn what_is_held_is_not_left_and_what_grants_covered_is_not_used() {
        let one = rollover(None, 1);
        let period = EarlierPeriod { own: Some(10), used: 4, held: 3, drawn: 2 };
        assert_eq!(one.carried(&[period]), 5);
        assert_eq!(one.carried(&[EarlierPeriod { drawn: 100, ..period }]), 10);
        assert_eq!(one.carried(&[EarlierPeriod { own: None, ..period }]), 0);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let most = EarlierPeriod { own: Some(i64::MAX), used: 0, held: 0, drawn: 0 };
        assert_eq!(rollover(None, 12).carried(&[most; 12]), i64::MAX);
        assert_eq!(rollover(Some(i64::MAX), 12).carried(&[most; 12]), i64::MAX);
        let over = EarlierPeriod { own: Some(0), used: i64::MAX, held: i64::MAX, drawn: 0 };
        assert_eq!(rollover(None, 12).carried(&[most, over]), 0);
    }

    fn any_period() -> impl Strategy<Value = EarlierPeriod> {
        let amounts = (prop::option::weighted(0.95, 0..20_i64), 0..40_i64, 0..5_i64, 0..10_i64);
        amounts.prop_map(|(own, used, held, drawn)| EarlierPeriod { own, used, held, drawn })
    }

    fn any_rollover() -> impl Strategy<Value = Rollover> {
        (prop::option::of(1..60_i64), 1..=12_i64).prop_map(|(max, periods)| rollover(max, periods))
    }

    /// The reserve as it is told: parts that end after so many periods, of which the newest is used first,
    /// and the oldest gives way to a cap.
    fn of_parts(rollover: Rollover, periods: &[EarlierPeriod]) -> i64 {
        let mut parts: Vec<(i64, u32)> = Vec::new();
        for period in periods {
            let charged = (period.used + period.held - period.drawn).max(0);
            let own = period.own.unwrap_or(charged);
            let mut over = (charged - own).max(0);
            for (amount, _) in parts.iter_mut().rev() {
                let taken = over.min(*amount);
                *amount -= taken;
                over -= taken;
            }
            // What was carried into this period can be carried into fewer from now on.
            parts.iter_mut().for_each(|(_, left)| *left -= 1);
            parts.retain(|(_, left)| *left > 0);
            parts.push(((own - charged).max(0), rollover.periods()));
            let mut excess = parts.iter().map(|(amount, _)| amount).sum::<i64>()
                - rollover.max().unwrap_or(i64::MAX);
            for (amount, _) in &mut parts {
                let taken = excess.clamp(0, *amount);
                *amount -= taken;
                excess -= taken;
            }
        }
        parts.iter().map(|(amount, _)| amount).sum()
    }

    proptest! {
        #[test]
        fn it_is_what_parts_that_end_one_by_one_come_to(
            rollover in any_rollover(),
            periods in prop::collection::vec(any_period(), 0..30),
        ) {
            prop_assert_eq!(rollover.carried(&periods), of_parts(rollover, &periods));
        }

        #[test]
        fn it_is_never_less_than_nothing_nor_more_than_the_cap_or_what_the_periods_had(
            rollover in any_rollover(),
            periods in prop::collection::vec(any_period(), 0..30),
        ) {
            let carried = rollover.carried(&periods);
            prop_assert!(carried >= 0);
            prop_assert!(rollover.max().is_none_or(|max| carried <= max));
            let newest = periods.iter().rev().take(rollover.periods() as usize);
            prop_assert!(carried <= newest.filter_map(|period| period.own).sum());
        }

        #[test]
        fn older_periods_make_no_difference(
            rollover in any_rollover(),
            older in prop::collection::vec(any_period(), 0..10),
            periods in prop::collection::vec(any_period(), 12),
        ) {
            let all = [older, periods.clone()].concat();
            prop_assert_eq!(rollover.carried(&all), rollover.carried(&periods));
        }

        #[test]
        fn more_usage_never_carries_more(
            rollover in any_rollover(),
            periods in prop::collection::vec(any_period(), 1..15),
            place in any::<prop::sample::Index>(),
            more in 0..20_i64,
        ) {
            let mut later = periods.clone();
            later[place.index(periods.len())].used += more;
            prop_assert!(rollover.carried(&later) <= rollover.carried(&periods));
        }
    }
}
