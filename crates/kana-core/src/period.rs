//! Reset periods (contract: `entitlements.md`, "Reset periods").
//!
//! Period *k* of a subscription is `[anchor + k·P, anchor + (k+1)·P)`, always computed from the
//! anchor and never from the period before, in UTC, to the millisecond.

use std::ops::Range;

use crate::calendar::Date;
use crate::timestamp::Timestamp;

const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const WEEK_MS: i64 = 7 * DAY_MS;

/// 1970-01-05, the Monday where calendar weeks are anchored; other calendar periods are anchored at 0.
const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;

/// The months of the years 0000 to 9999.
const MONTHS: Range<i64> = 0..10_000 * 12;

/// How often usage starts again at 0. The order is by length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResetPeriod {
    /// Every 60 seconds.
    Minute,
    /// Every 60 minutes.
    Hour,
    /// Every 24 hours.
    Day,
    /// Every 7 times 24 hours.
    Week,
    /// Every calendar month, on the anchor's day, or on the last day of a shorter month.
    Month,
    /// Every calendar year, on the anchor's date; 29 February becomes 28 in a common year.
    Year,
}

impl ResetPeriod {
    /// Every reset period, the shortest first.
    pub const ALL: [Self; 6] =
        [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// Returns the length of a period that always has the same length.
    fn length_ms(self) -> Option<i64> {
        match self {
            Self::Minute => Some(MINUTE_MS),
            Self::Hour => Some(HOUR_MS),
            Self::Day => Some(DAY_MS),
            Self::Week => Some(WEEK_MS),
            Self::Month | Self::Year => None,
        }
    }

    /// Returns the least length that a period can have.
    pub(crate) fn least_ms(self) -> i64 {
        let shortest = if self == Self::Year { 365 * DAY_MS } else { 28 * DAY_MS };
        self.length_ms().unwrap_or(shortest)
    }

    /// Returns the months of a period that is counted by the calendar.
    fn months(self) -> i64 {
        match self {
            Self::Year => 12,
            Self::Month | Self::Minute | Self::Hour | Self::Day | Self::Week => 1,
        }
    }
}

/// What the periods are counted from (contract: `beyond.md`, "Reset periods").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ResetAnchor {
    /// The anchor of the subscription: its start, unless it goes on with usage of another one.
    #[default]
    Subscription,
    /// 1970-01-01T00:00Z, and Monday, 1970-01-05, for weeks: periods begin when the clock and the
    /// calendar begin one, in UTC.
    Calendar,
}

/// How often usage starts again at 0, and what the periods are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reset {
    /// How often.
    pub period: ResetPeriod,
    /// What the periods are counted from.
    pub anchor: ResetAnchor,
}

/// Where something that counts begins, and what its periods are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Its first instant. No period begins earlier.
    pub started_at: Timestamp,
    /// The start of period 0 of those that the calendar does not anchor; mostly `started_at`.
    pub anchored_at: Timestamp,
}

impl From<Timestamp> for Origin {
    /// Something whose periods are counted from its start.
    fn from(started_at: Timestamp) -> Self {
        Self { started_at, anchored_at: started_at }
    }
}

impl Reset {
    /// Returns the anchor of the periods of something with this origin.
    fn anchor(self, origin: Origin) -> Timestamp {
        match (self.anchor, self.period) {
            (ResetAnchor::Subscription, _) => origin.anchored_at,
            (ResetAnchor::Calendar, ResetPeriod::Week) => Timestamp::from_ms(FIRST_MONDAY_MS),
            (ResetAnchor::Calendar, _) => Timestamp::from_ms(0),
        }
    }

    /// Returns the index of the period that contains `at`.
    #[must_use]
    pub fn index_at(self, origin: Origin, at: Timestamp) -> i64 {
        index_at(self.anchor(origin), self.period, at)
    }

    /// Returns period `index`, which begins no earlier than its origin.
    #[must_use]
    pub fn nth(self, origin: Origin, index: i64) -> Period {
        let whole = Period::nth(self.anchor(origin), self.period, index);
        Period { start: whole.start.max(origin.started_at), ..whole }
    }
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

    /// Returns the period that contains `at`, of something with this origin, which is not later. The period
    /// begins no earlier: the first one can be a part of a period.
    #[must_use]
    pub fn since(origin: Origin, reset: Option<Reset>, at: Timestamp) -> Self {
        match reset {
            None => Self { start: origin.started_at, end: None },
            Some(reset) => reset.nth(origin, reset.index_at(origin, at)),
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
    if let Some(length_ms) = reset.length_ms() {
        return (at.as_ms() - anchor.as_ms()).div_euclid(length_ms);
    }
    let months = date(at).months() - date(anchor).months();
    // Period `guess` starts in the month of `at` or in one before it, and the next one in a later
    // month. So it is this period, or, if it starts later in the same month, the one before.
    let guess = months.div_euclid(reset.months());
    if start(anchor, reset, guess) <= at { guess } else { guess - 1 }
}

/// Returns when period `index` starts, clamped to the range of [`Timestamp`].
fn start(anchor: Timestamp, reset: ResetPeriod, index: i64) -> Timestamp {
    if let Some(length_ms) = reset.length_ms() {
        return anchor.saturating_add_ms(index.saturating_mul(length_ms));
    }
    let months = index.saturating_mul(reset.months());
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
