//! Points in time, in UTC, to the millisecond.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::invalid::InvalidValue;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, within the years 0000 to 9999.
///
/// Written as the contract's `DateTime`: RFC 3339 with exactly three fractional digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0000-01-01T00:00:00.000Z
    pub const MIN: Self = Self(-62_167_219_200_000);
    /// 9999-12-30T00:00:00.000Z: the last day is left out, so that no offset leads past the end
    /// of what a calendar can hold.
    pub const MAX: Self = Self(253_402_128_000_000);

    /// The point in time `ms` milliseconds after 1970, held within [`MIN`](Self::MIN) and
    /// [`MAX`](Self::MAX).
    #[must_use]
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn as_ms(self) -> i64 {
        self.0
    }

    /// This point plus `ms` milliseconds, held within the range.
    #[must_use]
    pub fn saturating_add_ms(self, ms: i64) -> Self {
        Self::from_ms(self.0.saturating_add(ms))
    }

    /// Reads an RFC 3339 instant; digits past the millisecond are cut. `field` names it in the
    /// error.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, InvalidValue> {
        let invalid = || {
            InvalidValue::new(
                field,
                "must be an RFC 3339 instant with a time zone, like 2022-08-10T15:07:01.803Z",
            )
        };
        // The calendar library reads more than RFC 3339 (a space for the T, years of six digits,
        // zones in brackets); what starts and ends as RFC 3339 asks is what both agree on.
        let bytes = text.as_bytes();
        let starts_well = bytes.len() <= 64
            && bytes.get(10).is_some_and(|t| matches!(t, b'T' | b't'))
            && bytes.get(..4).is_some_and(|year| year.iter().all(u8::is_ascii_digit))
            && bytes.get(13) == Some(&b':')
            && bytes.get(16) == Some(&b':');
        let ends_well = matches!(bytes, [.., b'Z' | b'z'] | [.., b'+' | b'-', _, _, b':', _, _]);
        if !starts_well || !ends_well {
            return Err(invalid());
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| invalid())?;
        // Cut towards the past: an instant belongs to the millisecond that contains it.
        let ns = instant.as_nanosecond();
        let ms = i64::try_from(ns.div_euclid(1_000_000)).map_err(|_| invalid())?;
        if (Self::MIN.0..=Self::MAX.0).contains(&ms) { Ok(Self(ms)) } else { Err(invalid()) }
    }

    pub(crate) fn civil(self) -> DateTime {
        // `MIN` and `MAX` lie within the calendar's range, so the fallback is never taken.
        jiff::Timestamp::from_millisecond(self.0)
            .map(|instant| Offset::UTC.to_datetime(instant))
            .unwrap_or_default()
    }

    pub(crate) fn from_civil(civil: DateTime) -> Option<Self> {
        let ms = Offset::UTC.to_timestamp(civil).ok()?.as_millisecond();
        (Self::MIN.0..=Self::MAX.0).contains(&ms).then_some(Self(ms))
    }
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
            "9999-12-31T23:59:59Z",
            "1660144021803",
        ] {
            assert!(Timestamp::parse("at", text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let at = Timestamp::from_ms(ms);
            prop_assert_eq!(Timestamp::parse("at", &at.to_string()), Ok(at));
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,40}") {
            let _ = Timestamp::parse("at", &text);
        }
    }
}
