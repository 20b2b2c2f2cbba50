//! Numbers of a JSON text that parsing would round.

/// Returns the first number of a valid JSON text that neither 64 bits nor a double would keep.
pub(crate) fn first_rounded(json: &str) -> Option<&str> {
    numbers(json).find(|number| !is_kept(number))
}

/// Returns the numbers of a valid JSON text as they are written.
fn numbers(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = json;
    std::iter::from_fn(move || {
        loop {
            let start =
                rest.find(|char: char| char == '"' || char == '-' || char.is_ascii_digit())?;
            let found = &rest[start..];
            if let Some(string) = found.strip_prefix('"') {
                rest = &string[end_of_string(string)..];
                continue;
            }
            let is_part = |char: char| char.is_ascii_digit() || "+-.eE".contains(char);
            let end = found.find(|char| !is_part(char)).unwrap_or(found.len());
            rest = &found[end..];
            return Some(&found[..end]);
        }
    })
}

/// Returns where a string ends, after its closing quotation mark.
fn end_of_string(string: &str) -> usize {
    let mut is_escaped = false;
    for (index, char) in string.char_indices() {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    string.len()
}

/// Returns true if the number is written back with the same digits.
fn is_kept(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    match number.parse::<f64>() {
        // Of two that are as near and as short, either is kept: they are the same double.
        Ok(double) if double.is_finite() => {
            let written = serde_json::to_string(&double).unwrap_or_default();
            let digits_of = [format!("{double:e}"), written];
            digits_of.iter().any(|written| digits(number) == digits(written))
        }
        _ => false,
    }
}

/// Returns the digits that make the number what it is, without the zeros around them.
fn digits(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_that_would_be_rounded_is_found() {
        for (text, number) in [
            (r#"{"a": 0.1234567890123456789}"#, "0.1234567890123456789"),
            (r#"{"a": [1, 18446744073709551616]}"#, "18446744073709551616"),
            (r#"{"1.00000000000000000001": 1.00000000000000000001}"#, "1.00000000000000000001"),
            (r#"{"a": 1e999}"#, "1e999"),
            (r#"{"a": 1e-999}"#, "1e-999"),
        ] {
            assert_eq!(first_rounded(text), Some(number));
        }
        let quoted = r#"{"a": "0.1234567890123456789", "b\"": "\\", "c": 0.30000000000000004}"#;
        assert_eq!(first_rounded(quoted), None);
        assert_eq!(first_rounded("[9223372036854775807, 18446744073709551615, -0.0, 1e3]"), None);
    }

    proptest! {
        #[test]
        fn a_number_that_we_write_is_kept(number in any::<f64>().prop_filter("JSON", |n| n.is_finite())) {
            let text = serde_json::to_string(&number).unwrap();
            prop_assert_eq!(first_rounded(&text), None);
        }
    }
}
