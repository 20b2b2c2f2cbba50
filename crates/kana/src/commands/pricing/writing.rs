//! Writes a configuration as YAML, in the style of a person.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::scalars::plain;

/// The maximum length of an object in one line, in characters.
const LINE_CHARS_MAX: usize = 100;

/// Writes the whole file.
pub(super) fn write(configuration: &Value) -> String {
    let mut text = String::new();
    if let Value::Object(object) = configuration {
        // The file has no app: the key decides about the environment.
        let entries = object.iter().filter(|(key, _)| *key != "app");
        for (key, value) in entries {
            entry(&mut text, 0, key, value);
        }
    }
    text
}

/// Writes an item of a list whose dashes are in column `indent`, from 0.
pub(super) fn item(text: &mut String, indent: usize, value: &Value) {
    let _ = write!(text, "{:indent$}- ", "");
    match value {
        Value::Object(object) if !object.is_empty() => {
            let mut entries = object.iter();
            if let Some((key, value)) = entries.next() {
                let mut first = String::new();
                entry(&mut first, indent + 2, key, value);
                text.push_str(first.trim_start());
            }
            for (key, value) in entries {
                entry(text, indent + 2, key, value);
            }
        }
        other => {
            text.push_str(&inline(other));
            text.push('\n');
        }
    }
}

fn entry(text: &mut String, indent: usize, key: &str, value: &Value) {
    let _ = write!(text, "{:indent$}{key}:", "");
    match value {
        // Quoted so that people do not take it for a number; no parser does.
        Value::String(version) if key == "version" && version.bytes().all(is_of_version) => {
            let _ = writeln!(text, " {version}");
        }
        Value::Array(items) if items.iter().any(|item| !is_short(item)) => {
            text.push('\n');
            for value in items {
                item(text, indent + 2, value);
            }
        }
        Value::Object(object) if !object.is_empty() => {
            text.push('\n');
            for (key, value) in object {
                entry(text, indent + 2, key, value);
            }
        }
        other => {
            let _ = writeln!(text, " {}", inline(other));
        }
    }
}

fn is_of_version(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

/// Returns true if a list of such items is written in one line: ids only.
fn is_short(value: &Value) -> bool {
    matches!(value, Value::String(text) if text.len() < LINE_CHARS_MAX)
}

/// Writes a value in one line.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Object(object) => inline_object(object),
        other => other.to_string(),
    }
}

fn inline_object(object: &Map<String, Value>) -> String {
    let entries = object.iter().map(|(key, value)| format!("{key}: {}", inline(value)));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
}

/// Writes text as a scalar that reads as the same text, in a line or within brackets.
pub(super) fn scalar(text: &str) -> String {
    if is_safe_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Returns true if every parser, also of YAML 1.1, reads it as text without quotes.
fn is_safe_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let is_word_of_1_1 = matches!(
        text.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "<<" | "="
    );
    let is_safe = |c: char| {
        c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/' | '(' | ')' | '+' | '@')
    };
    first.is_alphabetic()
        && !text.ends_with(' ')
        && text.chars().all(is_safe)
        && !is_word_of_1_1
        && matches!(plain(text), Value::String(_))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Not printable, or the end of a line for some parsers.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::commands::pricing::yaml;

    fn read_back(text: &str) -> Value {
        yaml::read(text).unwrap().unwrap().to_value().unwrap()
    }

    #[test]
    fn a_configuration_is_written_as_a_person_would() {
        let configuration = json!({
            "app": "Acme",
            "version": "1.0.0",
            "features": [{ "id": "api-calls", "name": "API Calls", "type": "CONSUMABLE" }],
            "packages": {
                "draft": [],
                "published": [{ "id": "pro", "name": "yes", "features": [
                    { "id": "api-calls", "limit": null, "overage_enabled": true }] }],
            },
            "addons": { "draft": [], "published": [
                { "id": "7", "name": "a: b", "base_packages": ["pro"], "features": [] }] },
        });
        let text = write(&configuration);
        assert_eq!(
            text,
            r#"version: 1.0.0
features:
  - id: api-calls
    name: API Calls
    type: CONSUMABLE
packages:
  draft: []
  published:
    - id: pro
      name: "yes"
      features:
        - id: api-calls
          limit: null
          overage_enabled: true
addons:
  draft: []
  published:
    - id: "7"
      name: "a: b"
      base_packages: [pro]
      features: []
"#
        );
        let mut expected = configuration;
        expected.as_object_mut().unwrap().shift_remove("app");
        assert_eq!(read_back(&text), expected);
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_it_was(
            text in prop_oneof![any::<String>(), "[-:#{}\\[\\],&*!|>'\"%@` a0~.\\n\\t\\\\]{0,8}", "[0-9a-fxoe+-_.:]{1,6}"]
        ) {
            let file = json!({ "name": text, "list": [text, "a"], "deep": [{ "id": text }] });
            prop_assert_eq!(read_back(&write(&file)), file);
        }
    }
}
