//! Writes users, and rows of any kind, as comma-separated values by RFC 4180 of which no spreadsheet runs
//! a cell.

use std::borrow::Cow;

use kana_core::subscription::Subscription;
use kana_core::user::User;
use serde_json::Value;

use super::columns::exported;
use super::guard;
use crate::user_fields::fields_of;

/// Adds a row to a text.
pub fn write_row<'a>(text: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_cell(text, cell);
    }
    text.push_str("\r\n");
}

fn write_cell(text: &mut String, cell: &str) {
    let guard = guard::before(cell);
    if cell.contains(['"', ',', '\r', '\n']) {
        text.push('"');
        text.push_str(guard);
        text.push_str(&cell.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(guard);
        text.push_str(cell);
    }
}

/// Adds the line that names the columns of an export of users.
pub fn write_user_header(text: &mut String) {
    write_row(text, exported());
}

/// Adds a user to a text: the fields, and the packages that grant something now, each once.
pub fn write_user(text: &mut String, user: &User, subscriptions: &[Subscription]) {
    let mut packages: Vec<&str> = Vec::new();
    for subscription in subscriptions.iter().filter(|subscription| subscription.is_granting()) {
        let package = subscription.package.as_str();
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    let packages = packages.join(" ");
    let fields = fields_of(user);
    let cells: Vec<Cow<'_, str>> = fields.values().map(cell).collect();
    write_row(text, cells.iter().map(AsRef::as_ref).chain([packages.as_str()]));
}

fn cell(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_never_a_formula() {
        for (cell, written) in [
            ("", ""),
            ("a b", "a b"),
            ("a,b", "\"a,b\""),
            ("say \"a\"\nb", "\"say \"\"a\"\"\nb\""),
            ("=1+1", "'=1+1"),
            ("''@a", "'''@a"),
            ("-1,2", "\"'-1,2\""),
            ("'t Hooft", "'t Hooft"),
        ] {
            let mut text = String::new();
            write_row(&mut text, [cell, "b"]);
            assert_eq!(text, format!("{written},b\r\n"));
        }
    }
}
