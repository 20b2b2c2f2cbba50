//! Text and JSON that the product attaches to its features, packages and users
//! (contract: `admin-api.md`, "Values").

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::invalid::InvalidValue;
use crate::json_numbers::first_rounded;

/// The maximum length of a [`Label`], in characters.
pub const LABEL_CHARS_MAX: usize = 255;
/// The maximum size of [`Metadata`], in bytes of compact JSON.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;

/// The maximum depth of [`Metadata`], in objects and lists within one another. JSON readers, ours among
/// them, read some 127 levels, and metadata stands within other JSON.
pub const METADATA_DEPTH_MAX: usize = 120;

/// A name, unit label, e-mail address or billing id: up to 255 characters, none of them NUL.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Label(Arc<str>);

impl Label {
    /// Creates a label. Fails if `text` breaks the bounds; the error names `field`.
    pub fn new(field: &'static str, text: &str) -> Result<Self, InvalidValue> {
        if text.len() > LABEL_CHARS_MAX && text.chars().count() > LABEL_CHARS_MAX {
            return Err(InvalidValue::new(field, "must have at most 255 characters"));
        }
        if text.contains('\0') {
            // PostgreSQL cannot store it, and no name needs it.
            return Err(InvalidValue::new(field, "must not contain the character U+0000"));
        }
        Ok(Self(Arc::from(text)))
    }

    /// Returns the label as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

macro_rules! label_from_id {
    ($($id:ty),*) => {
        $(impl From<&$id> for Label {
            /// Converts an id, whose bounds are narrower than those of a label.
            fn from(id: &$id) -> Self {
                Self(Arc::from(id.as_str()))
            }
        })*
    };
}

label_from_id!(crate::id::FeatureId, crate::id::PackageId);

/// How much of a number a message shows, in characters.
const SHOWN_DIGITS_MAX: usize = 40;

/// A JSON object of up to 16 KiB and 120 levels, with its keys in the order given.
///
/// Callers that parse JSON themselves must refuse numbers that were rounded by parsing.
#[derive(Clone, PartialEq, Eq)]
pub struct Metadata(Arc<Map<String, Value>>);

impl Metadata {
    /// Creates metadata. Fails if `value` is no object or too large; the error names `field`.
    pub fn new(field: &'static str, value: Value) -> Result<Self, InvalidValue> {
        let Value::Object(object) = value else {
            return Err(InvalidValue::new(field, "must be a JSON object"));
        };
        let metadata = Self(Arc::new(object));
        if metadata.to_json().len() > METADATA_BYTES_MAX {
            return Err(InvalidValue::new(field, "must have at most 16384 bytes as JSON"));
        }
        if metadata.0.values().any(|value| is_deeper(value, METADATA_DEPTH_MAX - 1)) {
            return Err(InvalidValue::new(field, "must nest at most 120 levels"));
        }
        Ok(metadata)
    }

    /// Parses a JSON text. Fails if it is no object, too large, or has a number that would be rounded;
    /// the error names `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, InvalidValue> {
        let value = kana_json::parse(text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            InvalidValue::new(field, format!("is not JSON at {place}"))
        })?;
        if let Some(number) = first_rounded(text) {
            let shown: String = number.chars().take(SHOWN_DIGITS_MAX).collect();
            let problem = format!("has {shown}, which would be rounded: write it as a string");
            return Err(InvalidValue::new(field, problem));
        }
        Self::new(field, value)
    }

    /// Returns the object as compact JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Writing a map of strings and values to memory cannot fail.
        serde_json::to_string(&*self.0).unwrap_or_default()
    }

    /// Returns the object as a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object((*self.0).clone())
    }
}

/// Returns true if lists and objects in a value nest deeper than `levels`.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, below)),
        Value::Object(fields) => fields.values().any(|field| is_deeper(field, below)),
        _ => false,
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_is_an_object_of_up_to_16_kib() {
        let fits = json!({ "a": "x".repeat(METADATA_BYTES_MAX - 8) });
        assert_eq!(Metadata::new("metadata", fits).unwrap().to_json().len(), METADATA_BYTES_MAX);
        let over = json!({ "a": "x".repeat(METADATA_BYTES_MAX - 7) });
        for (bad, problem) in [
            (over, "must have at most 16384 bytes as JSON"),
            (json!([]), "must be a JSON object"),
            (json!("text"), "must be a JSON object"),
            (json!(null), "must be a JSON object"),
        ] {
            assert_eq!(Metadata::new("metadata", bad), Err(InvalidValue::new("metadata", problem)));
        }
    }

    /// Such an object was stored as something that was not sent, and could not be read again.
    #[test]
    fn metadata_is_stored_as_it_was_sent_and_never_deeper_than_can_be_read() {
        let private = "$serde_json::private::RawValue";
        let text = format!(r#"{{"a":{{"{private}":"[1,2]"}}}}"#);
        assert_eq!(Metadata::parse("metadata", &text).unwrap().to_json(), text);
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
            Metadata::parse("metadata", &format!("{{\"a\":{open}{close}}}"))
        };
        let deepest = nested(METADATA_DEPTH_MAX).unwrap();
        assert_eq!(Metadata::parse("metadata", &deepest.to_json()).unwrap(), deepest);
        let deeper = nested(METADATA_DEPTH_MAX + 1);
        assert_eq!(deeper, Err(InvalidValue::new("metadata", "must nest at most 120 levels")));
    }

    #[test]
    fn metadata_keeps_the_order_of_its_keys() {
        let text = r#"{"z":1,"a":{"y":2,"b":3}}"#;
        let value = serde_json::from_str(text).unwrap();
        assert_eq!(Metadata::new("metadata", value).unwrap().to_json(), text);
    }

    #[test]
    fn a_text_is_parsed_unless_it_would_come_back_as_another() {
        for text in ["{}", r#"{"z":1,"a":{"y":[2.5,-1e3]}}"#, r#"{"a":9223372036854775807}"#] {
            let metadata = Metadata::parse("metadata", text).unwrap();
            assert_eq!(Metadata::parse("metadata", &metadata.to_json()).unwrap(), metadata);
        }
        for (text, problem) in [
            ("[1]", "must be a JSON object"),
            ("{\n  \"a\": }", "is not JSON at line 2, column 8"),
            (
                r#"{"a": 18446744073709551616}"#,
                "has 18446744073709551616, which would be rounded: write it as a string",
            ),
        ] {
            let expected = Err(InvalidValue::new("metadata", problem));
            assert_eq!(Metadata::parse("metadata", text), expected, "{text}");
        }
    }

    #[test]
    fn a_label_has_up_to_255_characters() {
        assert!(Label::new("name", "").is_ok());
        assert!(Label::new("name", &"é".repeat(255)).is_ok());
        assert!(Label::new("name", &"é".repeat(256)).is_err());
        assert!(Label::new("name", "a\0b").is_err());
    }
}
