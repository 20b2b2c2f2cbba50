//! Reset periods (contract: `entitlements.md`, "Reset periods").
//!
//! Period *k* of a subscription is `[anchor + k·P, anchor + (k+1)·P)`, always computed from the
//! anchor and never from the period before, in UTC, to the millisecond.

use std::ops::Range;

use crate::calendar::Date;
use crate::timestamp::Timestamp;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The months of the years 0000 to 9999.
const MONTHS: Range<i64> = 0..10_000 * 12;

/// How often usage starts again at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResetPeriod {
    /// Every 24 hours.
    Day,
    /// Every calendar month, on the anchor's day, or on the last day of a shorter month.
    Month,
    /// Every calendar year, on the anchor's date; 29 February becomes 28 in a common year.
    Year,
}

/// A half-open span of time in which usage is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// The first instant of the period.
    pub start: Timestamp,
    /// The first instant after it; `None` if usage never resets.
    pub end: Option<Timestamp>,
}

impl Period {
    /// Returns the period that contains `at`, of those anchored at `anchor`.
    ///
    /// Without a reset period there is only one. It starts at the anchor and never ends.
    #[must_use]
    pub fn containing(anchor: Timestamp, reset: Option<ResetPeriod>, at: Timestamp) -> Self {
        match reset {
            None => Self { start: anchor, end: None },
            Some(reset) => Self::nth(anchor, reset, index_at(anchor, reset, at)),
        }
    }

    /// Returns period `index` of those anchored at `anchor`. Period 0 starts at the anchor.
    #[must_use]
    pub fn nth(anchor: Timestamp, reset: ResetPeriod, index: i64) -> Self {
        let end = start(anchor, reset, index.saturating_add(1));
        Self { start: start(anchor, reset, index), end: Some(end) }
    }

    /// Returns true if the period contains `at`.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && self.end.is_none_or(|end| at < end)
    }
}

/// Returns the index of the period that contains `at`; negative before the anchor.
#[must_use]
pub fn index_at(anchor: Timestamp, reset: ResetPeriod, at: Timestamp) -> i64 {
    let step = match reset {
        ResetPeriod::Day => return (at.as_ms() - anchor.as_ms()).div_euclid(DAY_MS),
        ResetPeriod::Month => 1,
        ResetPeriod::Year => 12,
    };
    let months = date(at).months() - date(anchor).months();
    // Period `guess` starts in the month of `at` or in one before it, and the next one in a later
    // month. So it is this period, or, if it starts later in the same month, the one before.
    let guess = months.div_euclid(step);
    if start(anchor, reset, guess) <= at { guess } else { guess - 1 }
}

/// Returns when period `index` starts, clamped to the range of [`Timestamp`].
fn start(anchor: Timestamp, reset: ResetPeriod, index: i64) -> Timestamp {
    let months = match reset {
        ResetPeriod::Day => {
            return anchor.saturating_add_ms(index.saturating_mul(DAY_MS));
        }
        ResetPeriod::Month => index,
        ResetPeriod::Year => index.saturating_mul(12),
    };
    // The anchor's day, or the last day of a shorter month.
    let from = date(anchor);
    let month = from.months().saturating_add(months);
    if !MONTHS.contains(&month) {
        return if month < 0 { Timestamp::MIN } else { Timestamp::MAX };
    }
    let time = anchor.as_ms().rem_euclid(DAY_MS);
    Timestamp::from_ms(from.in_month(month).to_day() * DAY_MS + time)
}

fn date(at: Timestamp) -> Date {
    Date::of_day(at.as_ms().div_euclid(DAY_MS))
}
