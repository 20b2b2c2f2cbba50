//! What is said of a line of a file.

use std::fmt;

use kana_json::PlainValue;
use kana_store::StoreError;
use kana_store::user_imports::UserImportLine as StoredLine;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::user_fields::Fields;

/// What is said of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UserImportLineKind {
    /// The user is new.
    Create,
    /// The user would change.
    Update,
    /// The user is so already.
    Unchanged,
    /// Another line, or a user, is in the way.
    Conflict,
    /// The line cannot be read.
    Error,
    /// The e-mail is another user's.
    Warning,
    /// The line no longer fitted when it was applied.
    LeftAlone,
}

impl UserImportLineKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
            Self::Conflict => "conflict",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::LeftAlone => "leftAlone",
        }
    }
}

impl UserImportLineKind {
    /// Returns the kind with this name, if a line of it could be imported.
    pub(crate) fn of_change(name: &str) -> Option<Self> {
        [Self::Create, Self::Update, Self::Unchanged].into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for UserImportLineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A line of a file, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserImportLine {
    /// The line, from 1.
    #[serde(skip)]
    pub line: u32,
    /// The user that it is about, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The other line that is in its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<u32>,
    /// Where it is wrong: a line, since a record may have several, and a column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<(u32, u32)>,
    /// A sentence; empty if there is nothing more to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What it would change, as it was in the preview.
    #[serde(default, deserialize_with = "plain_fields", skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Fields>,
    /// What it would change, as it would become.
    #[serde(default, deserialize_with = "plain_fields", skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Fields>,
}

/// Reads fields as they stand, whatever the keys of their metadata are.
fn plain_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Fields>, D::Error> {
    match Option::deserialize(deserializer)? {
        None => Ok(None),
        Some(PlainValue(Value::Object(fields))) => Ok(Some(fields)),
        Some(_) => Err(serde::de::Error::custom("fields must be an object")),
    }
}

impl UserImportLine {
    pub(crate) fn of(line: u32, user: &str) -> Self {
        Self { line, user: Some(user.to_owned()), ..Self::default() }
    }

    /// Returns the fields that it would change as a JSON object, as they were in the preview.
    #[must_use]
    pub fn before_json(&self) -> Option<String> {
        self.before.clone().map(|fields| Value::Object(fields).to_string())
    }

    /// Returns the fields that it would change as a JSON object, as they would become.
    #[must_use]
    pub fn after_json(&self) -> Option<String> {
        self.after.clone().map(|fields| Value::Object(fields).to_string())
    }

    pub(crate) fn read(stored: &StoredLine) -> Result<Self, StoreError> {
        let unreadable = |error: serde_json::Error| {
            StoreError::Unreadable(format!("line {} of an import: {error}", stored.line))
        };
        let line: Self = serde_json::from_str(&stored.data).map_err(unreadable)?;
        Ok(Self { line: stored.line, ..line })
    }

    pub(crate) fn stored(&self, kind: UserImportLineKind) -> StoredLine {
        StoredLine {
            kind: kind.name().to_owned(),
            line: self.line,
            // Texts and numbers can be written to memory.
            data: serde_json::to_string(self).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Such a line came back with other metadata, or could not be read, and the import never ended.
    #[test]
    fn a_stored_line_comes_back_whatever_the_keys_of_its_metadata_are() {
        let private = "$serde_json::private::RawValue";
        for value in [json!("[1,2]"), json!(5)] {
            let fields = json!({ "id": "ada", "metadata": { "a": { private: value } } });
            let after = fields.as_object().cloned();
            let line = UserImportLine { after, ..UserImportLine::of(2, "ada") };
            let read = UserImportLine::read(&line.stored(UserImportLineKind::Create)).unwrap();
            assert_eq!(read, line);
        }
        let bare = UserImportLine::of(3, "bob");
        let read = UserImportLine::read(&bare.stored(UserImportLineKind::Unchanged)).unwrap();
        assert_eq!(read, bare);
    }
}
