//! The fields of users as JSON, by the names of their columns in a file of users (contract: `dashboard.md`,
//! "CSV"). All that exports and imports know of a field stands here.

use kana_core::edit::Edit;
use kana_core::id::UserId;
use kana_core::metadata::{Label, Metadata};
use kana_core::refusal::InvalidValue;
use kana_core::user::{User, UserEdit};
use serde_json::{Map, Value};

/// Some of a user's fields; `null` for one that is absent.
pub(crate) type Fields = Map<String, Value>;

/// The name of the field that every line has.
pub(crate) const ID: &str = "id";

/// A field that a user may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UserField {
    pub(crate) name: &'static str,
    form: Form,
}

/// What a field holds.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    Label,
    Metadata,
}

/// The fields after the id, in the order of an export.
pub(crate) static FIELDS: [UserField; 4] = [
    UserField { name: "name", form: Form::Label },
    UserField { name: "email", form: Form::Label },
    UserField { name: "billing_id", form: Form::Label },
    UserField { name: "metadata", form: Form::Metadata },
];

impl UserField {
    /// Reads a text that is not empty.
    pub(crate) fn read(&self, text: &str) -> Result<Value, InvalidValue> {
        match self.form {
            Form::Label => Label::new(self.name, text).map(|label| Value::from(label.as_str())),
            Form::Metadata => Metadata::parse(self.name, text).map(|metadata| metadata.to_value()),
        }
    }
}

/// Returns every field of a user, in the order of an export.
pub(crate) fn fields_of(user: &User) -> Fields {
    let User { key: _, id, billing_id, name, email, metadata } = user;
    let label = |label: &Option<Label>| {
        label.as_ref().map_or(Value::Null, |label| Value::from(label.as_str()))
    };
    [
        (ID, Value::from(id.as_str())),
        ("name", label(name)),
        ("email", label(email)),
        ("billing_id", label(billing_id)),
        ("metadata", metadata.as_ref().map_or(Value::Null, Metadata::to_value)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Returns the edit that sets these fields.
pub(crate) fn edit_of(fields: &Fields) -> Result<UserEdit, InvalidValue> {
    let label = |name: &'static str| match fields.get(name) {
        None => Ok(Edit::Keep),
        Some(Value::String(text)) => Label::new(name, text).map(Edit::Set),
        Some(_) => Ok(Edit::Clear),
    };
    let id = fields.get(ID).map(|id| UserId::new(ID, id.as_str().unwrap_or_default()));
    let metadata = match fields.get("metadata") {
        None => Edit::Keep,
        Some(Value::Null) => Edit::Clear,
        Some(value) => Edit::Set(Metadata::new("metadata", value.clone())?),
    };
    Ok(UserEdit {
        id: id.transpose()?,
        billing_id: label("billing_id")?,
        name: label("name")?,
        email: label("email")?,
        metadata,
    })
}

/// Returns the user that has these fields and no others.
pub(crate) fn user_of(fields: &Fields) -> Result<User, InvalidValue> {
    let id = fields.get(ID).and_then(Value::as_str).unwrap_or_default();
    let mut user = User::named(UserId::new(ID, id)?);
    edit_of(fields)?.apply_to(&mut user);
    Ok(user)
}

/// Returns true if a user has something else in one of these fields.
pub(crate) fn differs_from(user: &User, fields: &Fields) -> bool {
    let now = fields_of(user);
    fields.iter().any(|(name, value)| now.get(name) != Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A user in whom each field holds its own name.
    fn filled() -> User {
        let mut fields = Fields::new();
        fields.insert(ID.to_owned(), Value::from("ada"));
        for field in &FIELDS {
            let text = match field.form {
                Form::Label => field.name.to_owned(),
                Form::Metadata => format!("{{\"{}\":1}}", field.name),
            };
            fields.insert(field.name.to_owned(), field.read(&text).unwrap());
        }
        let user = user_of(&fields).unwrap();
        assert_eq!(fields_of(&user), fields);
        user
    }

    #[test]
    fn every_field_is_read_from_its_column_and_written_to_it() {
        let fields = fields_of(&filled());
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        let described = [ID].into_iter().chain(FIELDS.iter().map(|field| field.name));
        assert_eq!(names, described.collect::<Vec<_>>());
        let debug = format!("{:?}", filled());
        for field in &FIELDS {
            let (_, value) = debug.split_once(&format!(" {}: Some(", field.name)).unwrap();
            let value = value.trim_start_matches(['{', '"']);
            assert!(value.starts_with(field.name), "{}: {debug}", field.name);
        }
    }

    #[test]
    fn what_somebody_else_changed_differs() {
        let ada = filled();
        let fields = |value: Value| value.as_object().cloned().unwrap();
        let before = fields(json!({ "name": "name", "email": "email" }));
        assert!(!differs_from(&ada, &before));
        assert!(differs_from(&User { name: None, ..ada.clone() }, &before));
        assert!(!differs_from(&User { metadata: None, ..ada }, &before));
        let edit = edit_of(&fields(json!({ "name": null, "email": "a@b.co" }))).unwrap();
        assert_eq!((edit.name, edit.id, edit.metadata), (Edit::Clear, None, Edit::Keep));
        assert!(edit_of(&fields(json!({ "metadata": 1 }))).is_err());
        assert!(user_of(&fields(json!({ "name": "Ada" }))).is_err());
    }
}
