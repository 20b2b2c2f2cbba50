//! The values of scalars, by the core schema of YAML 1.2.

use kana_core::configuration::quoted;
use saphyr_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

/// Returns true if there is no tag, or one that changes nothing.
pub(super) fn is_tag_of(tag: Option<&Tag>, name: &str) -> bool {
    tag.is_none_or(|tag| tag.is_yaml_core_schema() && tag.suffix == name)
}

/// Converts a scalar to a value. Fails with what is wrong with it.
pub(super) fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let is_string = tag.is_some() && is_tag_of(tag, "str");
    if style != ScalarStyle::Plain || is_string {
        return match tag {
            None => Ok(Value::String(text.to_owned())),
            Some(_) if is_string => Ok(Value::String(text.to_owned())),
            Some(tag) => Err(unknown_tag(tag)),
        };
    }
    if let Some(tag) = tag {
        return Err(unknown_tag(tag));
    }
    Ok(plain(text))
}

/// Returns the message about a tag that has no meaning at its place.
pub(super) fn unknown_tag(tag: &Tag) -> String {
    let handle = if tag.is_yaml_core_schema() { "!!" } else { &tag.handle };
    format!("has the tag {}, which means nothing here", quoted(&format!("{handle}{}", tag.suffix)))
}

/// Converts a plain scalar to a value.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let of_radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(Number::from);
    if let Some(digits) = text.strip_prefix("0x") {
        return of_radix(digits, 16).filter(|_| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return of_radix(digits, 8).filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = unsigned.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'.')
        && unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !is_number {
        return None;
    }
    match text.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64),
    }
}
