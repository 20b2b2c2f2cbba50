use kana_core::Timestamp;
use kana_core::id::{PackageId, SubscriptionId, UserId};
use kana_core::metadata::{Label, Metadata};
use kana_core::quantity::Quantities;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::timing::Timing;
use kana_core::user::User;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::CsvError;
use super::limits::RECORD_BYTES_MAX;
use super::reader::{Read, UserReader};
use super::row::UserRow;
use super::writing::{write_user, write_user_header};
use crate::user_fields::fields_of;

/// Reads a file that arrives in pieces of this length.
fn read_in_pieces(file: &[u8], piece: usize) -> Result<Vec<Read>, CsvError> {
    let mut reader = UserReader::new();
    let mut rows = Vec::new();
    for mut bytes in file.chunks(piece) {
        while let Some(row) = reader.next(&mut bytes)? {
            rows.push(row);
        }
        assert!(bytes.is_empty());
    }
    while let Some(row) = reader.last()? {
        rows.push(row);
    }
    Ok(rows)
}

fn read(file: impl AsRef<[u8]>) -> Result<Vec<Read>, CsvError> {
    read_in_pieces(file.as_ref(), usize::MAX)
}

/// Reads a file that is good as a whole: each line's id, or what is wrong with it.
fn lines(file: impl AsRef<[u8]>) -> Vec<String> {
    let line = |row: Read| match row {
        Ok(row) => format!("{} {}", row.line, row.id),
        Err(error) => format!("{}: {}", error.place, error.message),
    };
    read(file).unwrap().into_iter().map(line).collect()
}

fn only(file: impl AsRef<[u8]>) -> UserRow {
    let mut rows = read(file).unwrap();
    assert_eq!(rows.len(), 1);
    rows.pop().unwrap().unwrap()
}

/// A value that a line has for a field: `None` if the file has no such column, `null` for an empty cell.
fn field(row: &UserRow, name: &str) -> Option<Value> {
    row.fields.get(name).cloned()
}

#[test]
fn columns_stand_in_any_order_and_may_be_absent() {
    let row = only("email,metadata,id,packages\r\na@b.co,\"{\"\"a\"\":1}\",u-1,pro team\r\n");
    assert_eq!((row.line, row.id.as_str()), (2, "u-1"));
    assert_eq!(Value::Object(row.fields), json!({ "email": "a@b.co", "metadata": { "a": 1 } }));
    assert_eq!(row.new_id, None);
    let row = only("id,new_id,name\nu-1,u-2,\n");
    assert_eq!((field(&row, "name"), row.new_id.unwrap().0.as_str()), (Some(Value::Null), "u-2"));
    // An id that stays is no new one.
    assert_eq!(only("new_id,id\nu-1,u-1").new_id, None);
    assert_eq!(only("new_id,id\n,u-1").new_id, None);
}

#[test]
fn a_file_is_read_as_programs_write_it() {
    for file in [
        "id,name\nu-1,Ada\n",
        "id,name\r\nu-1,Ada\r\n",
        "id,name\nu-1,Ada",
        "\u{feff}id,name\r\n\"u-1\",\"Ada\"\r\n\r\n",
        "\n\nid,name\n\nu-1,Ada\n\n",
        "\u{feff}\"id\",name\nu-1,Ada",
    ] {
        let row = only(file);
        assert_eq!(row.id.as_str(), "u-1", "{file:?}");
        assert_eq!(field(&row, "name"), Some(json!("Ada")), "{file:?}");
    }
    assert_eq!(only("id\na").id.as_str(), "a");
    assert_eq!(lines("id\n1\n2\n3"), ["2 1", "3 2", "4 3"]);
    let row = only("id,name\nu-1,\" Ada\r\nKing, \"\"the\"\" \"\n");
    assert_eq!(field(&row, "name"), Some(json!(" Ada\r\nKing, \"the\" ")));
    for (cell, name) in [("'=1+1", "=1+1"), ("'t Hooft", "'t Hooft")] {
        assert_eq!(field(&only(format!("id,name\nu-1,{cell}")), "name"), Some(json!(name)));
    }
}

#[test]
fn a_wrong_line_is_said_with_line_and_column_and_those_after_it_are_read() {
    let file = "id,name,email\n\
        u-1,Ada\n\
        u-2,Ada,a@b.co,more\n\
        u-3,A\"da,\n\
        u-4,\"Ada\"x,\n\
        \"u-5\",\"two\nlines\",\"éé\"x\n\
        ,Ada,\n\
        u-7,ok,\n";
    let said = lines(file);
    let places: Vec<&str> = said.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "line 2, column 8",
            "line 3, column 16",
            "line 4, column 6",
            "line 5, column 9",
            "line 7, column 11",
            "line 8, column 1",
            "9 u-7",
        ]
    );
    assert!(said[0].contains("column email is missing"), "{said:?}");
    assert!(said[5].ends_with(": id must not be empty."), "{said:?}");
}

#[test]
fn values_are_held_to_the_rules_of_the_api() {
    let long = "x".repeat(256);
    for (cell, column, problem) in [
        (long.as_str(), 7, "name must have at most 255 characters."),
        ("a\0b", 7, "name must not contain the character U+0000."),
    ] {
        let said = lines(format!("id,name\n\"u-1\",{cell}\n"));
        assert_eq!(said, [format!("line 2, column {column}: {problem}")]);
    }
    for (cell, problem) in [
        ("[1]", "metadata must be a JSON object."),
        ("{", "metadata is not JSON at line 1, column 1."),
        ("{\"\"a\"\":1e999}", "metadata is not JSON at line 1, column 10."),
    ] {
        let said = lines(format!("metadata,id\n\"{cell}\",u-1\n"));
        assert!(said[0].starts_with("line 2, column 1: metadata "), "{said:?} {problem}");
    }
    assert!(lines("id\n a\n")[0].ends_with("id must not start or end with a space."));
}

#[test]
fn bad_utf_8_is_an_error_of_its_line() {
    let said = lines(b"id,name\nu-1,\xc3\xa9\xff\nu-2,b\n");
    assert_eq!(said[0].split(':').next(), Some("line 2, column 6"));
    assert_eq!(said[1], "3 u-2");
}

#[test]
fn a_quotation_mark_that_is_never_closed_is_named_where_it_opens() {
    let said = lines("id,name\nu-1,\"Ada\nu-2,b\n");
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("line 2, column 5: The quotation mark that opens"), "{said:?}");
}

#[test]
fn what_is_no_such_file_is_refused_as_a_whole() {
    let utf16: Vec<u8> = "id;name".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe], utf16.as_slice()].concat();
    for (file, said) in [
        (b"".as_slice(), "The file is empty."),
        (b"\n\r\n", "The file is empty."),
        (&utf16, "The file is UTF-16."),
        (&marked, "The file is UTF-16."),
        (&[0xfe, 0xff, 0, b'i'], "The file is UTF-16."),
        (b"id;name\nu-1;Ada\n", "The columns are separated by semicolons."),
        (b"\"Id\";\"name\"\n", "The columns are separated by semicolons."),
        (b"sep=;\nid;name\n", "The columns are separated by semicolons."),
        (b"id\tname\n", "The columns are separated by tabs."),
        (b"id,Phone\n", "There is no column \"Phone\""),
        (b"id,name,name\n", "The column name stands twice."),
        (b"name,email\n", "There is no column id,"),
        (b"id,na\"me\n", "A quotation mark may not stand here"),
    ] {
        let error = read(file).unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
    assert!(read("id,Phone\n").unwrap_err().to_string().contains("id, new_id, name, email"));
}

#[test]
fn a_cell_that_never_ends_is_refused_before_it_is_read_to_its_end() {
    for endless in ["\"", "\"\"", "\"a", "a"] {
        let mut reader = UserReader::new();
        let mut head = "id\n\"".as_bytes();
        assert_eq!(reader.next(&mut head), Ok(None));
        let piece = endless.repeat(64 * 1024);
        let mut taken = 0;
        let error = loop {
            match reader.next(&mut piece.as_bytes()) {
                Ok(None) => taken += piece.len(),
                Ok(Some(row)) => panic!("{row:?}"),
                Err(error) => break error,
            }
        };
        assert!(taken <= RECORD_BYTES_MAX, "{taken}");
        assert_eq!(error, CsvError::RecordTooLong { line: 2 });
    }
}

#[test]
fn the_longest_user_that_there_can_be_fits_into_a_record() {
    let long = "\"".repeat(255);
    let metadata = format!("{{\"a\":\"{}\"}}", "\\\"".repeat(8 * 1024 - 4));
    let user = User {
        name: Some(Label::new("name", &long).unwrap()),
        email: Some(Label::new("email", &long).unwrap()),
        billing_id: Some(Label::new("billing", &long).unwrap()),
        metadata: Some(Metadata::parse("metadata", &metadata).unwrap()),
        ..User::named(UserId::new("id", &long).unwrap())
    };
    let packages: Vec<Subscription> =
        (0..500).map(|number| subscription(number, &"é".repeat(250))).collect();
    let mut text = String::new();
    write_user_header(&mut text);
    write_user(&mut text, &user, &packages);
    assert!(is_as_it_was(&user, &only(&text)));
}

fn subscription(number: u128, package: &str) -> Subscription {
    Subscription {
        id: SubscriptionId(Uuid::from_u128(number)),
        package: PackageId::new("package", &format!("{package}{number}")).unwrap(),
        status: SubscriptionStatus::Active,
        started_at: Timestamp::from_ms(0),
        ended_at: None,
        quantities: Quantities::ONE,
        timing: Timing::NONE,
    }
}

#[test]
fn the_packages_of_a_user_are_written_once_each() {
    let ended = Subscription {
        status: SubscriptionStatus::Cancelled,
        ended_at: Some(Timestamp::from_ms(1)),
        ..subscription(3, "old")
    };
    let again = Subscription { id: SubscriptionId(Uuid::from_u128(9)), ..subscription(1, "pro") };
    let subscriptions = [subscription(1, "pro"), subscription(2, "team"), ended, again];
    let mut text = String::new();
    write_user(&mut text, &User::named(UserId::new("id", "u-1").unwrap()), &subscriptions);
    assert_eq!(text, "u-1,,,,,pro1 team2\r\n");
}

/// Whether a line would leave the user unchanged. An empty text and no text are written alike.
fn is_as_it_was(user: &User, row: &UserRow) -> bool {
    let mut fields = fields_of(user);
    fields.values_mut().filter(|value| **value == "").for_each(|value| *value = Value::Null);
    fields.remove("id");
    row.id == user.id && row.new_id.is_none() && row.fields == fields
}

fn labels() -> impl Strategy<Value = Option<Label>> {
    let text = prop_oneof!["['=+@\t\r\n\",; a-]{0,8}", any::<String>()];
    let label = text.prop_filter_map("a label", |text| Label::new("label", &text).ok());
    prop::option::of(label)
}

fn users() -> impl Strategy<Value = User> {
    let ids = prop_oneof!["['=+@\",; a-]{1,8}", any::<String>()];
    let id = ids.prop_filter_map("an id", |text| UserId::new("id", &text).ok());
    let values = prop::collection::btree_map(any::<String>(), any::<(f64, String)>(), 0..3);
    let metadata = prop::option::of(values).prop_map(|values| {
        let json = serde_json::to_value(values?).ok()?;
        Metadata::new("metadata", json).ok()
    });
    (id, labels(), labels(), labels(), metadata).prop_map(
        |(id, name, email, billing_id, metadata)| User {
            name,
            email,
            billing_id,
            metadata,
            ..User::named(id)
        },
    )
}

proptest! {
    #[test]
    fn every_user_is_read_as_it_was_written(
        users in prop::collection::vec(users(), 0..4),
        piece in 1_usize..40,
    ) {
        let mut text = String::new();
        write_user_header(&mut text);
        for user in &users {
            write_user(&mut text, user, &[]);
        }
        let rows = read_in_pieces(text.as_bytes(), piece).unwrap();
        prop_assert_eq!(rows.len(), users.len());
        for (user, row) in users.iter().zip(rows) {
            let row = row.unwrap();
            prop_assert!(is_as_it_was(user, &row), "{:?} {:?} {:?}", user, row, text);
        }
    }

    #[test]
    fn any_bytes_are_read_the_same_in_any_pieces(
        file in prop_oneof![
            any::<Vec<u8>>(),
            "[id,ne\"\r\n;a\t=']{0,60}".prop_map(String::into_bytes),
            "(id,name|\u{feff}name,id)\r?\n([ab,\"\r\né=']|\"\"){0,40}".prop_map(String::into_bytes),
        ],
        piece in 1_usize..20,
    ) {
        prop_assert_eq!(read_in_pieces(&file, piece), read(&file));
    }
}
