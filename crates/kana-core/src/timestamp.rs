//! Points in time, in UTC, to the millisecond.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{self, DateTime};

use crate::invalid::InvalidValue;

const MINUTE_MS: i64 = 60 * 1000;

/// The instant that milliseconds are counted from.
const EPOCH: DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, within the years 0000 to 9999.
///
/// Written as the contract's `DateTime`: RFC 3339 with exactly three fractional digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0000-01-01T00:00:00.000Z
    pub const MIN: Self = Self(-62_167_219_200_000);
    /// 9999-12-31T23:59:59.999Z
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Describes what [`parse`](Self::parse) reads.
    pub const FORMAT: &str = "an RFC 3339 instant with a time zone, like 2022-08-10T15:07:01.803Z";

    /// Creates a point in time from milliseconds since 1970, clamped to [`MIN`](Self::MIN) and
    /// [`MAX`](Self::MAX).
    #[must_use]
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Returns the milliseconds since 1970.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// Adds milliseconds, clamped to the range.
    #[must_use]
    pub fn saturating_add_ms(self, ms: i64) -> Self {
        Self::from_ms(self.0.saturating_add(ms))
    }

    /// Parses an RFC 3339 instant. Digits after the millisecond are cut. The error names `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, InvalidValue> {
        read(text.as_bytes())
            .ok_or_else(|| InvalidValue::new(field, format!("must be {}", Self::FORMAT)))
    }

    fn within_range(ms: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&ms).then_some(Self(ms))
    }

    // Not by way of the library's instants: they end a day early, so that no offset can lead past
    // the end of its calendar. The calendar itself holds all of the years 0000 to 9999.
    pub(crate) fn civil(self) -> DateTime {
        // `MIN` and `MAX` lie within the calendar's range, so the fallback is never taken.
        EPOCH.checked_add(SignedDuration::from_millis(self.0)).unwrap_or(EPOCH)
    }

    pub(crate) fn from_civil(civil: DateTime) -> Option<Self> {
        let ms = civil.duration_since(EPOCH).as_millis();
        Self::within_range(i64::try_from(ms).ok()?)
    }
}

/// Parses RFC 3339's `date-time` exactly. The library would also take a comma for the point, a space
/// for the T, and a zone in brackets.
fn read(text: &[u8]) -> Option<Timestamp> {
    let (year, text) = number::<4>(text)?;
    let (month, text) = number::<2>(text.strip_prefix(b"-")?)?;
    let (day, text) = number::<2>(text.strip_prefix(b"-")?)?;
    let (hour, text) = number::<2>(either(text, b'T', b't')?)?;
    let (minute, text) = number::<2>(text.strip_prefix(b":")?)?;
    let (second, text) = number::<2>(text.strip_prefix(b":")?)?;
    let (ms, text) = milliseconds(text)?;
    let offset_minutes = offset_minutes(text)?;
    // A leap second counts as the last second of its minute, since the count of milliseconds has no
    // place for it.
    let second = if second == 60 { 59 } else { second };
    let small = |number: i16| i8::try_from(number).ok();
    let civil = DateTime::new(
        year,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        i32::from(ms) * 1_000_000,
    );
    // Cut to the millisecond already, which is towards the past: an instant belongs to the
    // millisecond that contains it.
    let local = Timestamp::from_civil(civil.ok()?)?;
    Timestamp::within_range(local.0 - offset_minutes * MINUTE_MS)
}

/// Parses the first `DIGITS` bytes as a number. Returns it with the rest.
fn number<const DIGITS: usize>(text: &[u8]) -> Option<(i16, &[u8])> {
    let (digits, rest) = text.split_at_checked(DIGITS)?;
    let number = digits.iter().try_fold(0, |number: i16, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i16::from(digit - b'0'))
    });
    Some((number?, rest))
}

/// Expects one of two bytes. Returns the rest.
fn either(text: &[u8], one: u8, other: u8) -> Option<&[u8]> {
    let (first, rest) = text.split_first()?;
    (*first == one || *first == other).then_some(rest)
}

/// Parses an optional fraction, with any number of digits, as milliseconds.
fn milliseconds(text: &[u8]) -> Option<(i16, &[u8])> {
    let Some(fraction) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let end = fraction.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(fraction.len());
    let (digits, rest) = fraction.split_at(end);
    let digit = |index: usize| digits.get(index).map_or(0, |digit| i16::from(digit - b'0'));
    (!digits.is_empty()).then(|| (digit(0) * 100 + digit(1) * 10 + digit(2), rest))
}

/// Parses an offset: the minutes by which local time is ahead of UTC.
fn offset_minutes(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        b"Z" | b"z" => return Some(0),
        [b'+', h1, h2, b':', m1, m2] => (1, [*h1, *h2], [*m1, *m2]),
        [b'-', h1, h2, b':', m1, m2] => (-1, [*h1, *h2], [*m1, *m2]),
        _ => return None,
    };
    let (hours, _) = number::<2>(&hours)?;
    let (minutes, _) = number::<2>(&minutes)?;
    (hours < 24 && minutes < 60).then(|| sign * (i64::from(hours) * 60 + i64::from(minutes)))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.civil();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second(),
            civil.millisecond(),
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339() {
        for (text, written) in [
            ("2022-08-10T15:07:01.803Z", "2022-08-10T15:07:01.803Z"),
            ("2022-08-10T15:07:01Z", "2022-08-10T15:07:01.000Z"),
            ("2022-08-10T17:07:01.803999+02:00", "2022-08-10T15:07:01.803Z"),
            ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("2022-08-10t15:07:01z", "2022-08-10T15:07:01.000Z"),
            ("2022-08-10T15:07:01-00:00", "2022-08-10T15:07:01.000Z"),
            ("2022-08-10T15:07:01.8-23:59", "2022-08-11T15:06:01.800Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::parse("at", text).unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_an_instant() {
        for text in [
            "",
            "yesterday",
            "2022-08-10",
            "2022-08-10T15:07:01",
            "2022-08-10 15:07:01Z",
            "2022-08-10T15:07Z",
            "2022-02-30T00:00:00Z",
            "2022-08-10T15:07:01+02:00[Europe/Berlin]",
            "+012022-08-10T15:07:01Z",
            "2023-02-29T00:00:00Z",
            "2022-13-01T00:00:00Z",
            "2022-08-10T24:00:00Z",
            "2022-08-10T15:60:00Z",
            "2022-08-10T15:07:61Z",
            "2022-08-10T15:07:01.Z",
            "2022-08-10T15:07:01.8",
            "2022-08-10T15:07:01 Z",
            "2022-08-10T15:07:01Z ",
            "2022-08-10T15:07:01+02",
            "2022-08-10T15:07:01+0200",
            "2022-08-10T15:07:01+02:60",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "1660144021803",
        ] {
            assert!(Timestamp::parse("at", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_comma_is_no_fraction() {
        assert!(Timestamp::parse("at", "2022-08-10T15:07:01,803Z").is_err());
    }

    #[test]
    fn an_offset_of_24_hours_is_none() {
        for text in ["2022-08-10T15:07:01+24:00", "2022-08-10T15:07:01-24:00"] {
            assert!(Timestamp::parse("at", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_fraction_may_have_any_number_of_digits() {
        let text = format!("2022-08-10T15:07:01.803{}Z", "9".repeat(100));
        assert_eq!(Timestamp::parse("at", &text).unwrap().to_string(), "2022-08-10T15:07:01.803Z");
    }

    #[test]
    fn the_last_day_of_the_year_9999_is_a_day() {
        let last = "9999-12-31T23:59:59.999Z";
        assert_eq!(Timestamp::parse("at", last), Ok(Timestamp::MAX));
        assert_eq!(Timestamp::MAX.to_string(), last);
        assert_eq!(Timestamp::MIN.to_string(), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn what_is_no_instant_is_told_how_one_is_written() {
        assert_eq!(
            Timestamp::parse("startedAt", "yesterday").unwrap_err().to_string(),
            "startedAt must be an RFC 3339 instant with a time zone, like 2022-08-10T15:07:01.803Z"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let at = Timestamp::from_ms(ms);
            prop_assert_eq!(Timestamp::parse("at", &at.to_string()), Ok(at));
        }

        #[test]
        fn an_offset_names_the_same_instant(
            ms in Timestamp::MIN.0..=Timestamp::MAX.0, minutes in -1439_i64..1440,
        ) {
            let at = Timestamp::from_ms(ms);
            if let Some(local) = Timestamp::within_range(ms + minutes * MINUTE_MS) {
                let sign = if minutes < 0 { '-' } else { '+' };
                let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
                let text = local.to_string().replace('Z', &format!("{sign}{hours:02}:{rest:02}"));
                prop_assert_eq!(Timestamp::parse("at", &text), Ok(at));
            }
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,40}") {
            let _ = Timestamp::parse("at", &text);
        }
    }
}
