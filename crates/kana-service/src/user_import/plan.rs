//! What a line would do.

use kana_core::user::User;
use serde_json::Value;

use crate::user_csv::{LineError, UserRow};
use crate::user_fields::{Fields, ID, fields_of};

/// What a line would do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// Create a user with these fields.
    Create(Fields),
    /// Change these fields.
    Update {
        before: Fields,
        after: Fields,
    },
    Unchanged,
}

/// Says what a line would do to a user; `None` for one that does not exist.
pub(crate) fn plan(
    row: &UserRow,
    known: Option<&User>,
    clears_empty: bool,
) -> Result<Planned, LineError> {
    let Some(user) = known else {
        if let Some((_, place)) = &row.new_id {
            let message = format!("There is no user {} that could get another id.", row.id);
            return Err(LineError { place: *place, message });
        }
        let mut fields = applied(row, &fields_of(&User::named(row.id.clone())), true);
        fields.retain(|_, value| !value.is_null());
        return Ok(Planned::Create(fields));
    };
    let mut before = fields_of(user);
    let mut after = applied(row, &before, clears_empty);
    before.retain(|name, value| after.get(name) != Some(&*value));
    after.retain(|name, _| before.contains_key(name));
    match before.is_empty() {
        true => Ok(Planned::Unchanged),
        false => Ok(Planned::Update { before, after }),
    }
}

/// Returns a user's fields as the line wants them.
fn applied(row: &UserRow, before: &Fields, clears_empty: bool) -> Fields {
    let mut after = before.clone();
    for (name, value) in &row.fields {
        // An empty text and none are written alike.
        let was_empty = || before.get(name).is_some_and(|before| before == "");
        if value.is_null() && (!clears_empty || was_empty()) {
            continue;
        }
        after.insert(name.clone(), value.clone());
    }
    if let Some((new_id, _)) = &row.new_id {
        after.insert(ID.to_owned(), Value::from(new_id.as_str()));
    }
    after
}

#[cfg(test)]
mod tests {
    use kana_core::metadata::Label;
    use serde_json::json;

    use super::*;
    use crate::user_csv::UserReader;
    use crate::user_fields::user_of;

    fn row(file: &str) -> UserRow {
        let mut reader = UserReader::new();
        let mut bytes = file.as_bytes();
        let row = reader.next(&mut bytes).unwrap().or_else(|| reader.last().unwrap());
        row.unwrap().unwrap()
    }

    fn fields(value: serde_json::Value) -> Fields {
        let serde_json::Value::Object(fields) = value else { panic!("{value}") };
        fields
    }

    fn ada() -> User {
        user_of(&fields(json!({ "id": "ada", "name": "Ada", "metadata": { "a": 1 } }))).unwrap()
    }

    #[test]
    fn an_unknown_user_is_created_with_what_is_given() {
        let row = row("id,name,email,billing_id\nada,Ada,,cus_1");
        let Planned::Create(created) = plan(&row, None, false).unwrap() else { panic!("{row:?}") };
        assert_eq!(created, fields(json!({ "id": "ada", "name": "Ada", "billing_id": "cus_1" })));
        assert_eq!(user_of(&created).unwrap().name.unwrap().as_str(), "Ada");
    }

    #[test]
    fn a_known_user_changes_where_the_line_says_so() {
        let update = |file, clears| match plan(&row(file), Some(&ada()), clears).unwrap() {
            Planned::Update { before, after } => {
                (serde_json::Value::Object(before), serde_json::Value::Object(after))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            update("id,new_id,name,email\nada,ada-2,Ada,a@b.co", false),
            (json!({ "id": "ada", "email": null }), json!({ "id": "ada-2", "email": "a@b.co" }))
        );
        assert_eq!(
            update("id,name,metadata\nada,,", true),
            (
                json!({ "name": "Ada", "metadata": { "a": 1 } }),
                json!({ "name": null, "metadata": null })
            )
        );
        for (file, clears) in [
            ("id,name,email\nada,Ada,", true),
            ("id,name,metadata\nada,,", false),
            ("id,metadata\nada,\"{\"\"a\"\": 1}\"", true),
            ("id\nada", true),
        ] {
            let planned = plan(&row(file), Some(&ada()), clears).unwrap();
            assert_eq!(planned, Planned::Unchanged, "{file}");
        }
        let nameless = User { name: Some(Label::new("name", "").unwrap()), ..ada() };
        let planned = plan(&row("id,name\nada,"), Some(&nameless), true).unwrap();
        assert_eq!(planned, Planned::Unchanged);
    }

    #[test]
    fn who_does_not_exist_gets_no_other_id() {
        let error = plan(&row("id,new_id\nada,ada-2"), None, false).unwrap_err();
        assert_eq!((error.place.line, error.place.column), (2, 5));
        assert!(error.message.starts_with("There is no user ada "));
    }
}
