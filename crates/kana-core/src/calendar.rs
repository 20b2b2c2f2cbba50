//! Months of the Gregorian calendar, counted in integers. Each recording and each question finds its
//! period by them, and the calendar library takes twenty times as long.

/// A date, in any year within some millions of 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
}

/// The days of 400 years, after which the calendar repeats.
const DAYS_OF_ERA: i64 = 146_097;
const YEARS_OF_ERA: i64 = 400;
/// 1970-01-01, in days since 0000-03-01.
///
/// Years are counted from March here, so that the day that only leap years have is the last of its year.
const EPOCH: i64 = 719_468;

impl Date {
    /// Returns the date of a day, counted from 1970-01-01.
    pub(crate) fn of_day(day: i64) -> Self {
        let since_march = day + EPOCH;
        let (era, day) = (since_march.div_euclid(DAYS_OF_ERA), since_march.rem_euclid(DAYS_OF_ERA));
        // Without the leap days before it: one every 4 years, but not every 100, but every 400.
        let year = (day - day / 1460 + day / 36_524 - day / (DAYS_OF_ERA - 1)) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        // From March on, five months have 153 days.
        let from_march = (5 * of_year + 2) / 153;
        let (month, is_next_year) =
            if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
        Self {
            year: era * YEARS_OF_ERA + year + is_next_year,
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
        }
    }

    /// Returns the day, counted from 1970-01-01.
    pub(crate) fn to_day(self) -> i64 {
        let from_march = (self.month + 9) % 12;
        let year = self.year - i64::from(self.month < 3);
        let (era, year) = (year.div_euclid(YEARS_OF_ERA), year.rem_euclid(YEARS_OF_ERA));
        let of_year = (153 * from_march + 2) / 5 + self.day - 1;
        era * DAYS_OF_ERA + 365 * year + year / 4 - year / 100 + of_year - EPOCH
    }

    /// Returns the months from 0000-01 to this date's month.
    pub(crate) fn months(self) -> i64 {
        self.year * 12 + self.month - 1
    }

    /// Returns the same day of another month, counted from 0000-01, or the last day of a shorter one.
    pub(crate) fn in_month(self, months: i64) -> Self {
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        Self { year, month, day: self.day.min(days_of_month(year, month)) }
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{self, DateTime};
    use jiff::{SignedDuration, ToSpan};
    use proptest::prelude::*;

    use super::*;

    const FIRST: i64 = -719_528;
    const LAST: i64 = 2_932_896;

    fn of_library(day: i64) -> DateTime {
        let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
        epoch.checked_add(SignedDuration::from_hours(day * 24)).unwrap()
    }

    fn date(of: DateTime) -> Date {
        Date { year: of.year().into(), month: of.month().into(), day: of.day().into() }
    }

    #[test]
    fn every_day_of_the_years_0000_to_9999_has_its_date() {
        let mut expected = civil::date(0, 1, 1);
        for day in FIRST..=LAST {
            let date = Date::of_day(day);
            let read = (expected.year().into(), expected.month().into(), expected.day().into());
            assert_eq!((date.year, date.month, date.day), read);
            assert_eq!(date.to_day(), day);
            if day < LAST {
                expected = expected.tomorrow().unwrap();
            }
        }
    }

    proptest! {
        #[test]
        fn months_are_added_as_the_library_adds_them(day in FIRST..=LAST, months in -240_i64..240) {
            let from = Date::of_day(day);
            let Ok(to) = of_library(day).checked_add(months.months()) else { return Ok(()) };
            prop_assert_eq!(from.in_month(from.months() + months), date(to));
        }
    }
}
