//! Spans of time as people write them: a whole number and `s`, `m`, `h` or `d` (contract: `operations.md`,
//! "Keys").

use std::time::Duration;

/// The longest lifetime: 100 years.
const DAYS_MAX: u64 = 36_500;
const DAY: u64 = 24 * 60 * 60;

/// Reads a lifetime, from a second to 36,500 days.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let problem =
        || format!("must be a whole number above 0 and s, m, h or d, like 90d, up to {DAYS_MAX}d");
    let (unit, seconds) = match text.chars().last() {
        Some('s') => ('s', 1),
        Some('m') => ('m', 60),
        Some('h') => ('h', 60 * 60),
        Some('d') => ('d', DAY),
        _ => return Err(problem()),
    };
    let number = text.trim_end_matches(unit);
    let is_number = number.len() + 1 == text.len() && number.bytes().all(|it| it.is_ascii_digit());
    let number: Option<u64> = number.parse().ok().filter(|_| is_number);
    number
        .and_then(|number| number.checked_mul(seconds))
        .filter(|seconds| (1..=DAYS_MAX * DAY).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("1s", 1),
            ("15m", 900),
            ("36h", 129_600),
            ("90d", 7_776_000),
            ("036500d", 3_153_600_000),
        ] {
            assert_eq!(lifetime(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in [
            "",
            "d",
            "90",
            "0d",
            "-1d",
            "+1d",
            "1.5d",
            "1dd",
            "1 d",
            "1w",
            "1D",
            "36501d",
            "18446744073709551615d",
        ] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }
}
