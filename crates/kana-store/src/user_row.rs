//! Users as rows, the same in every engine: the columns, and how a user is written to them and read
//! from them. The statements about users are made of the description. The first column is the key, and
//! all others hold text.

use std::borrow::Cow;

use kana_core::id::{UserId, UserKey};
use kana_core::metadata::{Label, Metadata};
use kana_core::user::User;

use crate::error::StoreError;
use crate::transfer::description::{Description, OWNER, Order, column, optional};
use crate::transfer::value::Form;

/// Where users are stored, and what each column holds.
pub(crate) static USER: Description = Description {
    name: "user",
    table: "users",
    owner: OWNER,
    order: Order::By("environment_id, key"),
    columns: &[
        column("key", Form::Uuid),
        column("id", Form::Id),
        optional("billing_id", Form::Label),
        optional("name", Form::Label),
        optional("email", Form::Label),
        optional("metadata", Form::Metadata),
    ],
};

/// How many columns there are after the key.
pub(crate) const TEXTS: usize = USER.columns.len() - 1;

/// Returns the values of the columns after the key, in their order.
pub(crate) fn texts(user: &User) -> [Option<Cow<'_, str>>; TEXTS] {
    let User { key: _, id, billing_id, name, email, metadata } = user;
    [
        Some(Cow::Borrowed(id.as_str())),
        label(billing_id),
        label(name),
        label(email),
        metadata.as_ref().map(|metadata| Cow::Owned(metadata.to_json())),
    ]
}

fn label(label: &Option<Label>) -> Option<Cow<'_, str>> {
    label.as_ref().map(|label| Cow::Borrowed(label.as_str()))
}

/// Reads a user from the key and the columns after it. Text that breaks its bounds was not written
/// by Kana, and is an error.
pub(crate) fn read(key: UserKey, texts: [Option<&str>; TEXTS]) -> Result<User, StoreError> {
    let [id, billing_id, name, email, metadata] = texts;
    let label = |text: Option<&str>| text.map(|text| Label::new("stored label", text)).transpose();
    let metadata = metadata.map(kana_json::parse).transpose()?;
    Ok(User {
        key,
        id: UserId::new("stored user id", id.unwrap_or_default())?,
        billing_id: label(billing_id)?,
        name: label(name)?,
        email: label(email)?,
        metadata: metadata.map(|json| Metadata::new("stored metadata", json)).transpose()?,
    })
}

/// Returns all columns for a `SELECT` from `table`.
pub(crate) fn columns_of(table: &str) -> String {
    USER.list(0, |_, column| format!("{table}.{}", column.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_is_read_into_the_field_of_its_name_and_written_from_it() {
        let columns = USER.columns;
        assert_eq!(columns[0].name, "key");
        // The text in each column is the column's name.
        let texts_given: Vec<String> = columns[1..]
            .iter()
            .map(|column| match column.form {
                Form::Metadata => format!("{{\"{}\":0}}", column.name),
                _ => column.name.to_owned(),
            })
            .collect();
        let mut given = [None; TEXTS];
        for (given, text) in given.iter_mut().zip(&texts_given) {
            *given = Some(text.as_str());
        }
        let user = read(UserKey(uuid::Uuid::nil()), given).unwrap();
        assert_eq!(texts(&user).map(|text| text.unwrap().into_owned()).as_slice(), texts_given);
        let fields = format!("{user:?}");
        for column in &columns[1..] {
            let (_, value) = fields.split_once(&format!(" {}: ", column.name)).unwrap();
            let value = value.trim_start_matches("Some(").trim_start_matches(['{', '"']);
            assert!(value.starts_with(column.name), "{}: {fields}", column.name);
        }
    }

    #[test]
    fn a_user_without_an_id_is_unreadable() {
        let read = read(UserKey(uuid::Uuid::nil()), [None; TEXTS]);
        assert!(matches!(read, Err(StoreError::Unreadable(_))), "{read:?}");
    }
}
