//! Formats values of a file for messages: on one line, and shortened.

use serde_json::Value;

/// The most characters of a text that a message repeats.
const CHARS_MAX: usize = 64;

/// Formats a value: text in quotes, numbers and booleans as they are, lists and objects by their
/// kind.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Formats a text in quotes and on one line, cut after 64 characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    for c in text.chars().take(CHARS_MAX) {
        // Control characters could move a terminal's cursor.
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    let is_cut = text.chars().nth(CHARS_MAX).is_some();
    shown.push_str(if is_cut { "…\"" } else { "\"" });
    shown
}
