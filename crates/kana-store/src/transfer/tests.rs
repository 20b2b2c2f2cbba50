use std::fmt::Write as _;

use super::file::{ReadError, Reader};
use super::{Tally, line};

const HEADER: &str = r#"{"kana_export":1,"environments":["test"],"exported_at":"2024-01-01T00:00:00.000Z","token_secrets":false}"#;
const APP: &str = r#"{"record":"app","name":"Kana","created_at":1704067200000}"#;
const ENVIRONMENT: &str =
    r#"{"record":"environment","environment":"test","catalog_version":3,"simple_mode":true}"#;
const USER: &str = r#"{"record":"user","environment":"test","key":"01890a5d-ac96-774b-bcce-b302099a8057","id":"ada","metadata":{"a": 1.50}}"#;
const EVENT: &str = r#"{"record":"event","environment":"test","user_key":"01890a5d-ac96-774b-bcce-b302099a8057","feature_id":"calls","action":"ADD","delta":1,"occurred_at":1,"recorded_at":2}"#;

/// The end that belongs to these records.
fn end(records: &[&str]) -> String {
    let mut tally = Tally::default();
    for record in records {
        let Ok(line::Line::Record(kind, _)) = line::parse(record.as_bytes()) else {
            panic!("{record}");
        };
        tally.add(kind, record.as_bytes());
    }
    let mut end = Vec::new();
    line::write_end(&tally, &mut end);
    String::from_utf8(end).unwrap()
}

fn file(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

fn whole() -> String {
    let records = [APP, ENVIRONMENT, USER, EVENT];
    file(&[HEADER, APP, ENVIRONMENT, USER, EVENT, &end(&records)])
}

/// How many records there are, or what is wrong with the file.
fn read(file: &[u8]) -> Result<u64, String> {
    let told = |error| match error {
        ReadError::Io(error) => error.to_string(),
        ReadError::Line(line, problem) => format!("line {line}: {problem}"),
    };
    let mut reader = Reader::begin(file).map_err(told)?;
    let mut records = 0;
    while let Some(lines) = reader.next().map_err(told)? {
        records += lines.batch.len();
        assert_eq!(lines.last_line - lines.first_line + 1, lines.batch.len());
    }
    assert_eq!(reader.tally().counts.total(), records);
    Ok(records)
}

#[test]
fn a_whole_file_is_read() {
    assert_eq!(read(whole().as_bytes()), Ok(4));
    assert_eq!(read(whole().trim_end().as_bytes()), Ok(4), "without the last line's end");
    assert_eq!(read(whole().replace(',', " , ").as_bytes()), Ok(4), "with spaces");
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let whole = whole();
    for bytes in 0..whole.len() - 1 {
        let problem = read(&whole.as_bytes()[..bytes]).unwrap_err();
        let told = ["it was cut", "no export"].iter().any(|told| problem.contains(told));
        assert!(told, "{bytes}: {problem}");
    }
}

#[test]
fn a_file_that_holds_what_it_may_not_is_refused_with_the_line() {
    let records = [APP, ENVIRONMENT, USER, EVENT];
    let (end, whole) = (end(&records), whole());
    let with = |line: &str| file(&[HEADER, APP, ENVIRONMENT, line]);
    let user = |from: &str, to: &str| {
        assert!(USER.contains(from), "{from}");
        with(&USER.replace(from, to))
    };
    let long = "x".repeat(4 * 1024 * 1024 + 1);
    let cases = [
        ("an empty file", String::new()),
        ("no export", "{}\n".to_owned()),
        ("a picture", "\u{89}PNG\n".to_owned()),
        ("a newer format", HEADER.replace(":1,", ":2,")),
        ("another field in the header", HEADER.replace("exported_at", "at")),
        ("another environment", HEADER.replace("\"test\"", "\"dev\"")),
        ("an environment twice", HEADER.replace("\"test\"", "\"test\",\"test\"")),
        ("no environment", HEADER.replace("\"test\"", "")),
        ("a time that is none", HEADER.replace("2024-01-01", "2024-13-01")),
        ("a kind that is unknown", with(r#"{"record":"plan","id":"a"}"#)),
        ("a field that is unknown", user("\"id\"", "\"ID\"")),
        ("a field twice", user("\"id\"", "\"id\":\"bob\",\"id\"")),
        ("a field that is missing", user("\"id\":\"ada\",", "")),
        ("a null", user("\"ada\"", "null")),
        ("an id with a space", user("\"ada", "\" ada")),
        ("a key that is no UUID", user("01890a5d", "01890A5D")),
        ("metadata that is no object", user("{\"a\": 1.50}", "[]")),
        ("a number for a text", user("\"ada\"", "1")),
        ("no environment of a user", user("\"environment\":\"test\",", "")),
        ("an environment that the header has not", user("\"test\"", "\"live\"")),
        ("an environment that is none", user("\"test\"", "\"dev\"")),
        ("no JSON", with("id,name")),
        ("a list", with("[1]")),
        ("an empty line", with("")),
        ("an action that is none", with(&EVENT.replace("ADD", "SUB"))),
        ("an instant that is none", with(&EVENT.replace(":2}", ":999999999999999}"))),
        ("a number that is none", with(&EVENT.replace(":1,", ":1.5,"))),
        (
            "a secret that should not be there",
            with(
                r#"{"record":"token_secret","environment":"test","id":1,"secret":"00","created_at":1}"#,
            ),
        ),
        (
            "a counter below 0",
            with(
                r#"{"record":"counter","environment":"test","user_key":"01890a5d-ac96-774b-bcce-b302099a8057","subscription_id":"01890a5d-ac96-774b-bcce-b302099a8057","feature_id":"calls","period_start":0,"used":-1}"#,
            ),
        ),
        (
            "a label with a zero",
            with(
                r#"{"record":"feature","environment":"test","id":"a","position":1,"name":"a\u0000","type":"BINARY"}"#,
            ),
        ),
        ("a kind out of order", with(APP)),
        ("a line that is too long", with(&long)),
        ("no end", file(&[HEADER, APP])),
        ("something after the end", whole.clone() + "\n"),
        ("a record less", file(&[HEADER, APP, ENVIRONMENT, USER, &end])),
        ("a record more", file(&[HEADER, APP, ENVIRONMENT, USER, EVENT, EVENT, &end])),
        ("another value", whole.replace("\"ada", "\"eve")),
        ("another number of metadata", whole.replace("1.50", "1.5")),
        ("no app", file(&[HEADER, ENVIRONMENT, &self::end(&[ENVIRONMENT])])),
        ("an environment less", file(&[HEADER, APP, &self::end(&[APP])])),
        ("no checksum", file(&[HEADER, r#"{"record":"end","counts":{}}"#])),
        (
            "a checksum that is none",
            file(&[HEADER, r#"{"record":"end","counts":{},"checksum":"0"}"#]),
        ),
        (
            "a count of nothing",
            file(&[HEADER, r#"{"record":"end","counts":{"plan":1},"checksum":""}"#]),
        ),
    ];
    let mut told = String::new();
    for (what, file) in cases {
        let problem = read(file.as_bytes()).expect_err(what);
        writeln!(told, "{what}\n    {problem}").unwrap();
    }
    insta::assert_snapshot!(told);
}
