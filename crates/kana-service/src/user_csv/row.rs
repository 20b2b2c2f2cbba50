//! A line about a user, its values held to the rules of the Admin API.

use kana_core::id::UserId;
use kana_core::refusal::InvalidValue;
use serde_json::Value;

use super::cells::{self, Cell, Cells};
use super::columns::{Column, Columns};
use super::error::{LineError, Place};
use super::guard;
use super::records::RawRecord;
use crate::user_fields::Fields;

/// A line about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserRow {
    /// The line in which it begins.
    pub(crate) line: u32,
    /// The user's id until now.
    pub(crate) id: UserId,
    /// Another id for the user, and where it stands.
    pub(crate) new_id: Option<(UserId, Place)>,
    /// What the other columns of the file have; `null` for an empty cell.
    pub(crate) fields: Fields,
}

impl UserRow {
    /// Reads a line.
    pub(super) fn read(record: &RawRecord<'_>, columns: &Columns) -> Result<Self, LineError> {
        let Cells { cells, end } = cells::read(record)?;
        check_count(&cells, columns, end)?;
        let (mut id, mut new_id, mut fields) = (None, None, Fields::new());
        for (column, Cell { text, place }) in columns.iter().zip(&cells) {
            let text = guard::without(text);
            let at = |invalid: InvalidValue| LineError::new(*place, sentence(&invalid));
            match column {
                Column::Id => id = Some(UserId::new(column.name(), text).map_err(at)?),
                Column::NewId if text.is_empty() => {}
                Column::NewId => {
                    new_id = Some((UserId::new(column.name(), text).map_err(at)?, *place));
                }
                Column::Field(field) => {
                    let value = match text.is_empty() {
                        true => Value::Null,
                        false => field.read(text).map_err(at)?,
                    };
                    fields.insert(field.name.to_owned(), value);
                }
                Column::Packages => {}
            }
        }
        let id = id.ok_or_else(|| LineError::new(record.place(), "There is no id."))?;
        let new_id = new_id.filter(|(new_id, _)| *new_id != id);
        Ok(Self { line: record.line, id, new_id, fields })
    }

    /// Returns the e-mail that the line gives to the user.
    pub(crate) fn email(&self) -> Option<&str> {
        self.fields.get("email")?.as_str()
    }
}

fn check_count(cells: &[Cell<'_>], columns: &Columns, end: Place) -> Result<(), LineError> {
    if let Some(column) = columns.iter().nth(cells.len()) {
        let message = format!("The cell of the column {} is missing.", column.name());
        return Err(LineError::new(end, message));
    }
    if let Some(cell) = cells.get(columns.len()) {
        let message = format!(
            "There are more cells than the {} columns. A cell that has a comma is quoted.",
            columns.len()
        );
        return Err(LineError::new(cell.place, message));
    }
    Ok(())
}

fn sentence(invalid: &InvalidValue) -> String {
    format!("{invalid}.")
}
