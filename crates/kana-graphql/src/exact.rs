//! Numbers that would not come back as they were sent.
//!
//! JSON knows numbers of any size and precision. Those that fit 64 bits as whole numbers are kept
//! as they are; all others become double precision when they are read, and the reader does not
//! tell what it rounded. So where a value has such a number, its text is looked at again: whatever
//! would be answered with another value than was sent is refused.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Number, Value};

/// How deep the reader lets JSON nest, since it recurses.
const JSON_DEPTH_MAX: usize = 127;
/// How much of a number is repeated in a message.
const NUMBER_CHARS_MAX: usize = 40;
/// How much of the way to a place is repeated in a message.
const PATH_CHARS_MAX: usize = 200;

/// A place in a JSON text that cannot be kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The keys and indexes that lead there.
    pub path: Vec<String>,
    /// Why it cannot be kept.
    pub what: Unkept,
}

/// Why something in a text cannot be kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Unkept {
    /// It nests deeper than the reader follows.
    TooDeep,
    /// A number is larger than any that can be kept.
    OutOfRange {
        /// The number as it was sent.
        sent: String,
    },
    /// A number would be rounded.
    Inexact {
        /// The number as it was sent.
        sent: String,
        /// The number as it would be kept.
        kept: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path.as_slice() {
            [] => "the value".to_owned(),
            // A caller knows its variables by their own names.
            [first, rest @ ..] if first == "variables" && !rest.is_empty() => rest.join("."),
            path => path.join("."),
        };
        write!(f, "{} {}", cut(&path, PATH_CHARS_MAX), self.what)
    }
}

impl fmt::Display for Unkept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep => {
                write!(f, "is nested too deep: a request may nest {JSON_DEPTH_MAX} levels")
            }
            Self::OutOfRange { sent } => {
                let sent = cut(sent, NUMBER_CHARS_MAX);
                write!(f, "is the number {sent}, which is out of range: send it as a string")
            }
            Self::Inexact { sent, kept } => {
                let sent = cut(sent, NUMBER_CHARS_MAX);
                write!(
                    f,
                    "is the number {sent}, which cannot be kept exactly, but only as {kept}: send \
                     it as a string"
                )
            }
        }
    }
}

/// The text, or its start where it is long.
fn cut(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// Returns true if the value has a number that is not kept as a whole number. Other values need no
/// closer look.
#[must_use]
pub fn has_double(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_double),
        Value::Object(fields) => fields.values().any(has_double),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Returns the first place in a JSON text that cannot be kept and `matters`: a number that would come back
/// changed, or nesting that is too deep. The text is valid JSON; of any other, the answer may be
/// anything.
pub fn problem_in_json(text: &[u8], matters: impl Fn(&Problem) -> bool) -> Option<Problem> {
    let mut path: Vec<Step> = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = match first {
            b'{' | b'[' => {
                if path.len() == JSON_DEPTH_MAX {
                    let problem = Problem { path: words(&path), what: Unkept::TooDeep };
                    return matters(&problem).then_some(problem);
                }
                path.push(if *first == b'{' { Step::Key(b"\"\"") } else { Step::Index(0) });
                after
            }
            b'}' | b']' => {
                path.pop();
                after
            }
            b',' => {
                if let Some(Step::Index(index)) = path.last_mut() {
                    *index += 1;
                }
                after
            }
            b'"' => {
                let after = after_string(after);
                let string = &rest[..rest.len() - after.len()];
                let is_key = after.trim_ascii_start().starts_with(b":");
                if is_key && let Some(step) = path.last_mut() {
                    *step = Step::Key(string);
                }
                after
            }
            b'-' | b'0'..=b'9' => {
                let (number, after) = split_number(rest);
                let problem = problem_with_number(number);
                let problem = problem.map(|what| Problem { path: words(&path), what });
                if problem.as_ref().is_some_and(&matters) {
                    return problem;
                }
                after
            }
            _ => after,
        };
    }
    None
}

/// A step on the way to a place. A key is kept as it stands in the text, in its quotes.
enum Step<'a> {
    Key(&'a [u8]),
    Index(usize),
}

fn words(path: &[Step<'_>]) -> Vec<String> {
    let word = |step: &Step<'_>| match step {
        Step::Key(quoted) => serde_json::from_slice(quoted).unwrap_or_default(),
        Step::Index(index) => index.to_string(),
    };
    path.iter().map(word).collect()
}

fn after_string(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b'\\', _, after @ ..] => after,
            [b'"', after @ ..] => return after,
            [] => return text,
            [_, after @ ..] => after,
        };
    }
}

/// A number, which the text starts with, and what follows it.
pub(crate) fn split_number(text: &[u8]) -> (&str, &[u8]) {
    let of_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let end = text.iter().position(|byte| !of_number(byte)).unwrap_or(text.len());
    let (number, after) = text.split_at(end);
    (std::str::from_utf8(number).unwrap_or_default(), after)
}

/// Why a number would not come back as it was sent; `None` when it would, if only in another
/// writing: 0.10 as 0.1, 1e2 as 100.0.
pub(crate) fn problem_with_number(text: &str) -> Option<Unkept> {
    if text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok() {
        return None;
    }
    let sent = || text.to_owned();
    let Some(kept) = text.parse().ok().and_then(Number::from_f64) else {
        return Some(Unkept::OutOfRange { sent: sent() });
    };
    let kept = kept.to_string();
    let is_exact = Decimal::read(text) == Decimal::read(&kept);
    (!is_exact).then(|| Unkept::Inexact { sent: sent(), kept })
}

/// Parses the text of a number as an exact integer. Returns `None` if it is not whole, or does not
/// fit.
pub(crate) fn whole(text: &str) -> Option<i64> {
    if let Ok(whole) = text.parse() {
        return Some(whole);
    }
    let Decimal { is_negative, digits, exponent } = Decimal::read(text)?;
    // No 64-bit number has more than 19 digits.
    if exponent < 0 || digits.len() > 19 || exponent > 19 {
        return None;
    }
    let mut whole = if is_negative { "-".to_owned() } else { String::new() };
    whole.extend(digits.iter().copied().map(char::from));
    whole.extend((0..exponent).map(|_| '0'));
    if digits.is_empty() { Some(0) } else { whole.parse().ok() }
}

/// Returns the integer that a JSON number was parsed as; `None` if it is not whole. Parsing may
/// have rounded it, which only its text can show.
#[must_use]
pub fn whole_as_read(number: &Number) -> Option<i64> {
    if number.is_f64() { whole(&number.to_string()) } else { number.as_i64() }
}

/// Replaces whole numbers that are written with a point or an exponent by integers. `text` is what
/// the value was parsed from; no object in it has a key twice.
pub fn make_whole(value: &mut Value, text: &[u8]) {
    if has_double(value) {
        make_whole_in_order(value, &mut numbers(text));
    }
}

/// Does the work of [`make_whole`]. The value has its numbers in the order of the text.
fn make_whole_in_order<'t>(value: &mut Value, written: &mut impl Iterator<Item = &'t str>) {
    match value {
        Value::Number(number) => {
            let whole = written.next().filter(|_| number.is_f64()).and_then(whole);
            if let Some(whole) = whole {
                *number = whole.into();
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| make_whole_in_order(item, written));
        }
        Value::Object(fields) => {
            fields.values_mut().for_each(|field| make_whole_in_order(field, written));
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Returns the numbers of a JSON text as they are written.
fn numbers(mut text: &[u8]) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        while let [first, after @ ..] = text {
            match first {
                b'"' => text = after_string(after),
                b'-' | b'0'..=b'9' => {
                    let (number, after) = split_number(text);
                    text = after;
                    return Some(number);
                }
                _ => text = after,
            }
        }
        None
    })
}

/// A decimal number in the one writing that all of its writings share.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    /// Without zeros at either end.
    digits: Vec<u8>,
    /// The power of ten that the digits, as a whole number, are multiplied by.
    exponent: i64,
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole.as_bytes(), fraction.as_bytes()].concat();
        let zeros_before = all.iter().take_while(|digit| **digit == b'0').count();
        let digits = &all[zeros_before..];
        let zeros_after = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        let digits = digits[..digits.len() - zeros_after].to_vec();
        if digits.is_empty() {
            // Zero is zero, whatever its exponent, which may be longer than any number.
            return Some(Self { is_negative, digits, exponent: 0 });
        }
        // One that does not fit belongs to no number that double precision can come near.
        let exponent: i64 = exponent.parse().ok()?;
        let shift = i64::try_from(zeros_after).ok()? - i64::try_from(fraction.len()).ok()?;
        Some(Self { is_negative, digits, exponent: exponent.checked_add(shift)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Option<(String, String)> {
        let problem = problem_in_json(text.as_bytes(), |_| true)?;
        Some((problem.path.join("."), problem.what.to_string()))
    }

    #[test]
    fn a_number_that_comes_back_with_its_value_is_kept() {
        for text in [
            "0",
            "-0",
            "0.0",
            "0e999999999999999999999",
            "-0.0",
            "1",
            "-1",
            "0.1",
            "0.10",
            "1e2",
            "1E+2",
            "100e-2",
            "1.5e300",
            "18446744073709551615",
            "-9223372036854775808",
            "1e22",
            "123456789012345680000",
            "0.30000000000000004",
            "5e-324",
            "1.7976931348623157e308",
        ] {
            assert_eq!(problem_with_number(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_that_would_come_back_changed_is_refused() {
        for (text, problem) in [
            (
                "12345678901234567890123",
                "is the number 12345678901234567890123, which cannot be kept exactly, but only as \
                 1.2345678901234568e+22: send it as a string",
            ),
            (
                "0.1000000000000000055511151231257827",
                "is the number 0.1000000000000000055511151231257827, which cannot be kept \
                 exactly, but only as 0.1: send it as a string",
            ),
            (
                "18446744073709551616",
                "is the number 18446744073709551616, which cannot be kept exactly, but only as \
                 1.8446744073709552e+19: send it as a string",
            ),
            (
                "1e-999",
                "is the number 1e-999, which cannot be kept exactly, but only as 0.0: send it as \
                 a string",
            ),
            ("1e999", "is the number 1e999, which is out of range: send it as a string"),
            ("-1e999", "is the number -1e999, which is out of range: send it as a string"),
            (
                "1e99999999999999999999",
                "is the number 1e99999999999999999999, which is out of range: send it as a string",
            ),
        ] {
            assert_eq!(problem_with_number(text).unwrap().to_string(), problem);
        }
        let long = problem_with_number(&"1".repeat(1000)).unwrap().to_string();
        assert!(long.starts_with(&format!("is the number {}…, ", "1".repeat(40))), "{long}");
    }

    #[test]
    fn a_problem_is_found_where_it_stands() {
        let bad = "1e999";
        for (text, path) in [
            (bad.to_owned(), ""),
            (format!("{{\"a\": 1, \"b\": {bad}}}"), "b"),
            (format!("{{\"a\": [1, 2.5, [], {{\"c\" : {bad}}}], \"b\": 1}}"), "a.3.c"),
            (format!("{{\"a\": {{}}, \"b\": [[], [{bad}]]}}"), "b.1.0"),
            (format!("{{\"a\\\"\\u00e9\": {bad}}}"), "a\"é"),
            (format!("{{\"x\": \"1e999, \\\"y\\\": [\", \"z\":{bad}}}"), "z"),
        ] {
            assert_eq!(found(&text).unwrap().0, path, "{text}");
        }
        assert_eq!(found("{\"1e999\": \"1e999\", \"a\": [1, -2.5e3, true, null]}"), None);
        let only_b =
            |text: &str| problem_in_json(text.as_bytes(), |problem| problem.path[0] == "b");
        assert_eq!(only_b("{\"a\": {\"b\": 1e999}}"), None);
        assert_eq!(only_b("{\"a\": 1e999, \"b\": [1e999]}").unwrap().path, ["b", "0"]);
    }

    #[test]
    fn what_is_nested_too_deep_is_found() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(found(&nested(JSON_DEPTH_MAX)), None);
        let (path, what) = found(&nested(JSON_DEPTH_MAX + 1)).unwrap();
        assert_eq!(path.split('.').count(), JSON_DEPTH_MAX);
        assert_eq!(what, "is nested too deep: a request may nest 127 levels");
        assert!(serde_json::from_str::<Value>(&nested(JSON_DEPTH_MAX)).is_ok());
        assert!(serde_json::from_str::<Value>(&nested(JSON_DEPTH_MAX + 1)).is_err());
    }

    #[test]
    fn a_whole_number_is_whole_in_each_of_its_writings() {
        for (text, number) in [
            ("7", Some(7)),
            ("-7.0", Some(-7)),
            ("70e-1", Some(7)),
            ("0.0007E+4", Some(7)),
            ("-0.000e-99", Some(0)),
            ("0e99999999999999999999999", Some(0)),
            ("9223372036854775807.0", Some(i64::MAX)),
            ("-9223372036854775808e0", Some(i64::MIN)),
            ("9223372036854775808.0", None),
            ("1e19", None),
            ("1e99999999999999999999999", None),
            ("1e-99999999999999999999999", None),
            ("7.00000000000000000001", None),
            ("6.99999999999999999999", None),
            ("0.5", None),
        ] {
            assert_eq!(whole(text), number, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_found_where_they_are_written() {
        let text =
            r#"{"1.0": "2.0", "\"3.0": [4.0, 5, 6.5, {"a": 7e1}, 9007199254740993.0], "b": 8.0}"#;
        let mut value = serde_json::from_str(text).unwrap();
        make_whole(&mut value, text.as_bytes());
        assert_eq!(
            value.to_string(),
            r#"{"1.0":"2.0","\"3.0":[4,5,6.5,{"a":70},9007199254740993],"b":8}"#
        );
    }

    proptest! {
        #[test]
        fn every_double_comes_back(bits in any::<u64>()) {
            if let Some(number) = Number::from_f64(f64::from_bits(bits)) {
                prop_assert_eq!(problem_with_number(&number.to_string()), None);
            }
        }

        #[test]
        fn what_is_kept_has_the_value_that_was_sent(
            text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
        ) {
            let answered = serde_json::from_str::<Value>(&text).map(|value| value.to_string());
            let kept = answered.is_ok_and(|answered| {
                // A whole number that fits 64 bits is answered as it was sent.
                answered == text || Decimal::read(&answered) == Decimal::read(&text)
            });
            prop_assert_eq!(problem_with_number(&text).is_none(), kept, "{}", text);
        }

        #[test]
        fn looking_for_problems_never_panics(text in "\\PC{0,40}|[\\[\\]{}\",:e0-9.\\\\-]{0,40}") {
            let _ = found(&text);
        }
    }
}
