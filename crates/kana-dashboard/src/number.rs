//! Whole numbers as people read them.

/// Groups the digits of a number by commas: `1,000`.
pub fn grouped(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Shortens a number that has few digits but zeros, for an axis: `1.5k`.
pub(crate) fn short(number: i128) -> String {
    let units = [(1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")];
    let Some((unit, letter)) = units.into_iter().find(|(unit, _)| number >= *unit) else {
        return number.to_string();
    };
    match number % unit * 10 / unit {
        0 => format!("{}{letter}", grouped(number / unit)),
        tenth => format!("{}.{tenth}{letter}", grouped(number / unit)),
    }
}

/// Reads a whole number of 64 bits, as people write it: with or without commas between groups of three
/// digits. The error is a sentence.
pub(crate) fn read(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let plain = text.replace(',', "");
    match plain.parse::<i64>() {
        // `1,5` is no number that is grouped.
        Ok(number) if text == plain || text == grouped(number) => Ok(number),
        _ => Err(format!(
            "Must be a whole number from {} to {}.",
            grouped(i64::MIN),
            grouped(i64::MAX)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (-1_000, "-1,000"),
            (1_234_567, "1,234,567"),
            (i64::MIN, "-9,223,372,036,854,775,808"),
            (i64::MAX, "9,223,372,036,854,775,807"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_number_of_an_axis_is_short() {
        for (number, text) in [(0, "0"), (999, "999"), (1_500, "1.5k"), (20_000, "20k")] {
            assert_eq!(short(number), text);
        }
        assert_eq!(short(1_000_000_000), "1B");
    }

    #[test]
    fn a_number_is_read_with_and_without_commas() {
        for (text, number) in [
            ("0", 0),
            (" 1000 ", 1_000),
            ("1,000", 1_000),
            ("-1,234,567", -1_234_567),
            ("9223372036854775807", i64::MAX),
            ("-9,223,372,036,854,775,808", i64::MIN),
        ] {
            assert_eq!(read(text), Ok(number));
        }
        for text in ["", "1,5", "1.5", "1,00", "1e3", "9223372036854775808", "0x1", "one"] {
            assert!(read(text).unwrap_err().starts_with("Must be a whole number"), "{text}");
        }
    }
}
