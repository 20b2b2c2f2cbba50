//! The field for metadata: a JSON object, or nothing.

use kana_core::metadata::Metadata;

use crate::form::FieldProblem;

/// Reads the field. Empty means no metadata. A number that a double could not keep is refused.
pub(super) fn read(text: &str) -> Result<Option<Metadata>, FieldProblem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    Metadata::parse("metadata", text)
        .map(Some)
        .map_err(|invalid| FieldProblem::of_value(&invalid, |_| Some("metadata")))
}

/// Writes the field.
pub(super) fn written(metadata: Option<&Metadata>) -> String {
    metadata.map_or_else(String::new, Metadata::to_json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_it_is_written() {
        for text in ["{}", r#"{"z":1,"a":{"y":[2.5,-1e3]}}"#, r#"{"a":9223372036854775807}"#] {
            let metadata = read(text).unwrap().unwrap();
            let again = read(&written(Some(&metadata))).unwrap().unwrap();
            assert_eq!(again, metadata);
        }
        assert_eq!(read("  ").unwrap(), None);
    }

    #[test]
    fn what_is_no_object_is_refused_where_it_is_wrong() {
        assert_eq!(read("[1]").unwrap_err().message, "Must be a JSON object.");
        assert_eq!(read("{\n  \"a\": }").unwrap_err().message, "Is not JSON at line 2, column 8.");
        let rounded = read(r#"{"a": 18446744073709551616}"#).unwrap_err();
        assert!(rounded.message.starts_with("Has 18446744073709551616, "), "{rounded:?}");
    }
}
