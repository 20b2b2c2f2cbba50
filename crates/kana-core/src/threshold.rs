//! Thresholds of a feature's usage (contract: `beyond.md`, "Thresholds"): when one is reached, an event
//! is stored, once for each threshold and counter.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::Consumption;
use crate::id::FeatureId;
use crate::invalid::InvalidValue;
use crate::period::Period;
use crate::timestamp::Timestamp;

/// How many thresholds a feature may have.
pub const THRESHOLDS_MAX: usize = 5;

/// The largest share of a budget that can be a threshold, in percent.
pub const PERCENT_MAX: i64 = 1000;

/// The largest amount left that can be a threshold.
pub const LEFT_MAX: i64 = 2_147_483_647;

/// How much must be used or left of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// This share of the budget is used, in percent: 1 to 1000.
    Percent(i64),
    /// This much of the budget is left, or less: 0 to 2,147,483,647.
    Left(i64),
}

impl Threshold {
    /// Creates the threshold of a request, which has exactly one of the two.
    pub fn new(percent: Option<i64>, left: Option<i64>) -> Result<Self, InvalidValue> {
        let threshold = match (percent, left) {
            (Some(percent), None) => Self::Percent(percent),
            (None, Some(left)) => Self::Left(left),
            _ => {
                let problem = "must each have either percent or left";
                return Err(InvalidValue::new("thresholds", problem));
            }
        };
        threshold.check()?;
        Ok(threshold)
    }

    fn check(self) -> Result<(), InvalidValue> {
        match self {
            Self::Percent(percent) if !(1..=PERCENT_MAX).contains(&percent) => {
                let problem = format!("must have a percent from 1 to {PERCENT_MAX}");
                Err(InvalidValue::new("thresholds", problem))
            }
            Self::Left(left) if !(0..=LEFT_MAX).contains(&left) => {
                let problem = format!("must have a left from 0 to {LEFT_MAX}");
                Err(InvalidValue::new("thresholds", problem))
            }
            Self::Percent(_) | Self::Left(_) => Ok(()),
        }
    }

    /// Returns the share in percent, if that is what it says.
    #[must_use]
    pub fn percent(self) -> Option<i64> {
        match self {
            Self::Percent(percent) => Some(percent),
            Self::Left(_) => None,
        }
    }

    /// Returns how much is left, if that is what it says.
    #[must_use]
    pub fn left(self) -> Option<i64> {
        match self {
            Self::Percent(_) => None,
            Self::Left(left) => Some(left),
        }
    }

    /// Returns the usage that reaches it.
    fn usage(self, budget: i64) -> i128 {
        let budget = i128::from(budget);
        match self {
            Self::Percent(percent) => (budget * i128::from(percent) + 99).div_euclid(100),
            Self::Left(left) => (budget - i128::from(left)).max(0),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::Left(left) => write!(f, "{left} left"),
        }
    }
}

/// The thresholds of a feature, in the product's order: at most [`THRESHOLDS_MAX`], all different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thresholds(Vec<Threshold>);

impl Thresholds {
    /// No thresholds: the default.
    pub const NONE: Self = Self(Vec::new());

    /// Checks the thresholds of a feature. Fails if there are too many, if one is there twice, or if
    /// one is out of range.
    pub fn new(thresholds: Vec<Threshold>) -> Result<Self, InvalidValue> {
        if thresholds.len() > THRESHOLDS_MAX {
            let problem = format!("must be at most {THRESHOLDS_MAX}");
            return Err(InvalidValue::new("thresholds", problem));
        }
        for (place, threshold) in thresholds.iter().enumerate() {
            threshold.check()?;
            if thresholds.iter().take(place).any(|earlier| earlier == threshold) {
                let problem = format!("must be different: {threshold} is there twice");
                return Err(InvalidValue::new("thresholds", problem));
            }
        }
        Ok(Self(thresholds))
    }

    /// Reads what [`to_json`](Self::to_json) writes.
    pub fn read(json: &str) -> Result<Self, InvalidValue> {
        let read = serde_json::from_str(json);
        Self::new(read.map_err(|error| InvalidValue::new("thresholds", error.to_string()))?)
    }

    /// Returns them as JSON text: `[{"percent":80},{"left":10}]`. `None` if there are none.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        // Only maps with keys that are no text, and types that refuse, fail; there are none here.
        (!self.is_empty()).then(|| serde_json::to_string(&self.0).unwrap_or_default())
    }

    /// Returns true if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all of them, in the product's order.
    #[must_use]
    pub fn as_slice(&self) -> &[Threshold] {
        &self.0
    }

    /// Returns those that are reached and not among `fired`, in the order in which usage reaches them.
    /// Without a budget, none is.
    pub(crate) fn reached(&self, consumption: Consumption, fired: &[Threshold]) -> Vec<Threshold> {
        let Some(budget) = consumption.budget else { return Vec::new() };
        let is_new = |threshold: &&Threshold| {
            i128::from(consumption.used) >= threshold.usage(budget) && !fired.contains(threshold)
        };
        let mut reached: Vec<Threshold> = self.0.iter().filter(is_new).copied().collect();
        reached.sort_by_key(|threshold| threshold.usage(budget));
        reached
    }
}

/// Usage has reached a threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThresholdEvent {
    /// Chosen by the writer. Ids are ordered by arrival.
    pub id: Uuid,
    /// The feature.
    pub feature: FeatureId,
    /// What was reached.
    pub threshold: Threshold,
    /// The period; it has no end if usage never resets.
    pub period: Period,
    /// The usage after what reached it.
    pub consumption: Consumption,
    /// When it was recorded.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::Extras;

    #[test]
    fn a_share_is_rounded_up_and_what_is_left_never_goes_below_nothing() {
        let cases = [
            (Threshold::Percent(80), 10, 8),
            (Threshold::Percent(80), 11, 9),
            (Threshold::Percent(1), 1, 1),
            (Threshold::Percent(100), 0, 0),
            (Threshold::Percent(1000), i64::MAX, i128::from(i64::MAX) * 10),
            (Threshold::Left(3), 10, 7),
            (Threshold::Left(10), 10, 0),
            (Threshold::Left(LEFT_MAX), 10, 0),
            (Threshold::Left(0), i64::MAX, i64::MAX.into()),
        ];
        for (threshold, budget, usage) in cases {
            assert_eq!(threshold.usage(budget), usage, "{threshold} of {budget}");
        }
    }

    #[test]
    fn a_request_says_one_of_the_two_within_its_range() {
        assert_eq!(Threshold::new(Some(1), None), Ok(Threshold::Percent(1)));
        assert_eq!(Threshold::new(Some(1000), None), Ok(Threshold::Percent(1000)));
        assert_eq!(Threshold::new(None, Some(0)), Ok(Threshold::Left(0)));
        let message = |percent, left| Threshold::new(percent, left).unwrap_err().to_string();
        let either = "thresholds must each have either percent or left";
        assert_eq!(message(None, None), either);
        assert_eq!(message(Some(1), Some(1)), either);
        for percent in [0, -1, 1001] {
            let problem = "thresholds must have a percent from 1 to 1000";
            assert_eq!(message(Some(percent), None), problem);
        }
        for left in [-1, LEFT_MAX + 1] {
            let problem = "thresholds must have a left from 0 to 2147483647";
            assert_eq!(message(None, Some(left)), problem);
        }
    }

    #[test]
    fn a_feature_has_at_most_five_different_ones() {
        let percent = |count: i64| (1..=count).map(Threshold::Percent).collect::<Vec<_>>();
        assert!(Thresholds::new(percent(5)).is_ok());
        let message = |all| Thresholds::new(all).unwrap_err().to_string();
        assert_eq!(message(percent(6)), "thresholds must be at most 5");
        let twice = vec![Threshold::Left(1), Threshold::Percent(1), Threshold::Left(1)];
        assert_eq!(message(twice), "thresholds must be different: 1 left is there twice");
        assert_eq!(
            message(vec![Threshold::Percent(0)]),
            "thresholds must have a percent from 1 to 1000"
        );
    }

    #[test]
    fn they_are_reached_in_the_order_of_the_usage() {
        let all = [Threshold::Percent(100), Threshold::Left(9), Threshold::Percent(50)];
        let all = Thresholds::new(all.to_vec()).unwrap();
        let at = |used| Consumption {
            used,
            budget: Some(10),
            overage_enabled: false,
            extras: Extras::NONE,
        };
        let reached = |used, fired: &[Threshold]| all.reached(at(used), fired);
        assert_eq!(reached(0, &[]), []);
        assert_eq!(reached(1, &[]), [Threshold::Left(9)]);
        let [full, first, half] = [all.0[0], all.0[1], all.0[2]];
        assert_eq!(reached(10, &[]), [first, half, full]);
        assert_eq!(reached(10, &[half]), [first, full]);
        assert_eq!(reached(10, &[full, half, first]), []);
        let unlimited = Consumption { budget: None, ..at(i64::MAX) };
        assert_eq!(all.reached(unlimited, &[]), []);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(percents in prop::collection::btree_set(1..=PERCENT_MAX, 0..5)) {
            let all = percents.into_iter().map(Threshold::Percent).collect();
            let all = Thresholds::new(all).unwrap();
            let read = all.to_json().map_or(Ok(Thresholds::NONE), |json| Thresholds::read(&json));
            prop_assert_eq!(read, Ok(all));
        }
    }
}
