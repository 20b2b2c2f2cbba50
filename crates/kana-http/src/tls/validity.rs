//! When a certificate expires. This is all that is read of it here: rustls takes what it is given, and leaves
//! the judgement to clients.

/// The tags of DER that stand before a certificate's end.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Returns the end of a certificate, in seconds since 1970; `None` for what is no certificate.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    if fields.first() == Some(&VERSION) {
        (_, _, fields) = element(fields)?;
    }
    // The number, the algorithm of the signature, and who signed.
    for _ in 0..3 {
        (_, _, fields) = element(fields)?;
    }
    let (SEQUENCE, validity, _) = element(fields)? else { return None };
    let (_, _, after_start) = element(validity)?;
    let (tag, time, _) = element(after_start)?;
    seconds(tag, std::str::from_utf8(time).ok()?)
}

/// Splits DER after its first element: the tag, the content, and the rest.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, der) = der.split_first()?;
    let (first, der) = der.split_first()?;
    let (length, der) = match first {
        0..=0x7f => (usize::from(*first), der),
        // At most three bytes: a certificate has less than 16 MiB.
        0x81..=0x83 => {
            let (bytes, der) = der.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), der)
        }
        _ => return None,
    };
    let (content, rest) = der.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// Reads `YYMMDDHHMMSSZ`, in which years below 50 are of this century, or `YYYYMMDDHHMMSSZ`.
fn seconds(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(is_digit))?;
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year: i64 = digits[..2].parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (digits[..4].parse().ok()?, &digits[4..]),
        _ => return None,
    };
    let part = |at: usize| rest[at..at + 2].parse::<i64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    let (hour, minute, second) = (part(4)?, part(6)?, part(8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// Returns the days since 1970 of a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin with March, so that the day that leap years add is their last one.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", 0),
            (UTC_TIME, "491231235959Z", 2_524_607_999),
            (UTC_TIME, "261130063000Z", 1_796_020_200),
            (GENERALIZED_TIME, "20000229120000Z", 951_825_600),
            (GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(seconds(tag, text), Some(expected), "{text}");
        }
        for (tag, bad) in [
            (UTC_TIME, "20261130063000Z"),
            (GENERALIZED_TIME, "261130063000Z"),
            (UTC_TIME, "261330063000Z"),
            (UTC_TIME, "2611300630+0Z"),
            (UTC_TIME, "261130063000"),
            (0x16, "261130063000Z"),
        ] {
            assert_eq!(seconds(tag, bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let certificate = [SEQUENCE, 4, SEQUENCE, 2, VERSION, 0];
        for length in 0..=certificate.len() {
            assert_eq!(not_after(&certificate[..length]), None);
        }
        for first in 0..=u8::MAX {
            assert_eq!(not_after(&[SEQUENCE, first, 0xff, 0xff, 0xff, 0xff]), None);
        }
    }
}
