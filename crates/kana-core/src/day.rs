//! Days in UTC.

use std::fmt;

use crate::timestamp::Timestamp;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A day in UTC: days since 1970-01-01, within the years 0000 to 9999. Written as `2026-11-29`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// 0000-01-01
    pub const MIN: Self = Self::of(Timestamp::MIN);
    /// 9999-12-31
    pub const MAX: Self = Self::of(Timestamp::MAX);

    /// Returns the day that an instant is in.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_ms().div_euclid(DAY_MS))
    }

    /// Creates a day from days since 1970-01-01, clamped to [`MIN`](Self::MIN) and
    /// [`MAX`](Self::MAX).
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        Self(number.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Returns the days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Returns the day so many days later, or earlier if `days` is negative, clamped to the range.
    #[must_use]
    pub fn saturating_add(self, days: i64) -> Self {
        Self::from_number(self.0.saturating_add(days))
    }

    /// Returns the first instant of the day.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_ms(self.0.saturating_mul(DAY_MS))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.start().civil().date().fmt(f)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_are_written_as_dates() {
        let days = [Day::MIN, Day::from_number(-1), Day::from_number(0), Day::MAX];
        let written = days.map(|day| day.to_string());
        assert_eq!(written, ["0000-01-01", "1969-12-31", "1970-01-01", "9999-12-31"]);
        assert_eq!(Day::MAX.saturating_add(i64::MAX), Day::MAX);
        assert_eq!(Day::MIN.saturating_add(-1), Day::MIN);
    }

    proptest! {
        #[test]
        fn an_instant_is_within_its_day(ms in Timestamp::MIN.as_ms()..=Timestamp::MAX.as_ms()) {
            let at = Timestamp::from_ms(ms);
            let day = Day::of(at);
            prop_assert!(day.start() <= at);
            prop_assert!(day == Day::MAX || at < day.saturating_add(1).start());
            prop_assert_eq!(Day::from_number(day.number()), day);
            prop_assert_eq!(&at.to_string()[..10], day.to_string());
        }
    }
}
