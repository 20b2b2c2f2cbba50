//! Text and JSON that the product attaches to its features, packages and users
//! (contract: `admin-api.md`, "Values").

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::invalid::InvalidValue;

/// The maximum length of a [`Label`], in characters.
pub const LABEL_CHARS_MAX: usize = 255;
/// The maximum size of [`Metadata`], in bytes of compact JSON.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;

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

/// A JSON object of up to 16 KiB, with its keys in the order given.
///
/// Callers that parse JSON must refuse numbers that were rounded by parsing; it cannot be told here.
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
        Ok(metadata)
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

    #[test]
    fn metadata_keeps_the_order_of_its_keys() {
        let text = r#"{"z":1,"a":{"y":2,"b":3}}"#;
        let value = serde_json::from_str(text).unwrap();
        assert_eq!(Metadata::new("metadata", value).unwrap().to_json(), text);
    }

    #[test]
    fn a_label_has_up_to_255_characters() {
        assert!(Label::new("name", "").is_ok());
        assert!(Label::new("name", &"é".repeat(255)).is_ok());
        assert!(Label::new("name", &"é".repeat(256)).is_err());
        assert!(Label::new("name", "a\0b").is_err());
    }
}
