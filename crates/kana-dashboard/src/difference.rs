//! What differs between two JSON values, field by field.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A field of something, before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its name; `Value` where the thing has no fields.
    pub(crate) field: String,
    /// What it was; `None` where it was not there, or null.
    pub(crate) before: Option<String>,
    /// What it is now; `None` where it is gone, or null.
    pub(crate) after: Option<String>,
}

impl Difference {
    /// Compares two JSON texts field by field, in the order of the names.
    pub(crate) fn between(before: Option<&str>, after: Option<&str>) -> Vec<Self> {
        match (fields(before), fields(after)) {
            (Some(before), Some(after)) => {
                let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
                let difference = |name: &String| Self {
                    field: name.clone(),
                    before: before.get(name).and_then(shown),
                    after: after.get(name).and_then(shown),
                };
                names.into_iter().map(difference).collect()
            }
            _ => vec![Self {
                field: "Value".to_owned(),
                before: before.and_then(shown_text),
                after: after.and_then(shown_text),
            }],
        }
    }

    pub(crate) fn is_changed(&self) -> bool {
        self.before != self.after
    }
}

/// Returns the fields of an object; none where there is nothing, and `None` for another value.
fn fields(json: Option<&str>) -> Option<Map<String, Value>> {
    match json {
        None => Some(Map::new()),
        Some(json) => match kana_json::parse(json) {
            Ok(Value::Object(fields)) => Some(fields),
            _ => None,
        },
    }
}

fn shown_text(json: &str) -> Option<String> {
    kana_json::parse(json).map_or_else(|_| Some(json.to_owned()), |value| shown(&value))
}

/// Returns a value as people read it: text as it is, unless there is nothing of it to see, others as JSON.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(field: &str, before: Option<&str>, after: Option<&str>) -> Difference {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Difference { field: field.to_owned(), before: owned(before), after: owned(after) }
    }

    #[test]
    fn two_things_are_compared_field_by_field() {
        let (before, after) =
            (r#"{"name":"A","on":true}"#, r#"{"name":"B","tiers":[1],"on":true}"#);
        let found = Difference::between(Some(before), Some(after));
        assert_eq!(
            found,
            [
                difference("name", Some("A"), Some("B")),
                difference("on", Some("true"), Some("true")),
                difference("tiers", None, Some("[1]")),
            ]
        );
        assert_eq!(
            found.iter().map(Difference::is_changed).collect::<Vec<_>>(),
            [true, false, true]
        );
    }

    #[test]
    fn what_is_no_object_is_compared_as_a_whole() {
        for (before, after, expected) in [
            (Some("false"), Some("true"), difference("Value", Some("false"), Some("true"))),
            (Some(r#""A""#), Some("not json"), difference("Value", Some("A"), Some("not json"))),
            (None, Some("[1]"), difference("Value", None, Some("[1]"))),
        ] {
            assert_eq!(Difference::between(before, after), [expected]);
        }
        assert_eq!(Difference::between(None, None), []);
    }
}
