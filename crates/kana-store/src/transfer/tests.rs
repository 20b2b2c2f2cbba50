use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kana_core::Timestamp;

use super::reading::{ReadError, Reader};
use super::{Kind, Scope, Tally, export, line, sql};
use crate::{App, EnvironmentKind, SqliteStore, Store};

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

/// What each of these files is refused with, below what is wrong with it.
fn refusals(files: Vec<(&str, String)>) -> String {
    let mut told = String::new();
    for (what, file) in files {
        let problem = read(file.as_bytes()).expect_err(what);
        writeln!(told, "{what}\n    {problem}").unwrap();
    }
    told
}

#[test]
fn a_first_line_that_is_no_header_is_refused() {
    let files = vec![
        ("an empty file", String::new()),
        ("no export", "{}\n".to_owned()),
        ("a picture", "\u{89}PNG\n".to_owned()),
        ("a newer format", HEADER.replace(":1,", ":2,")),
        ("another field in the header", HEADER.replace("exported_at", "at")),
        ("another environment", HEADER.replace("\"test\"", "\"dev\"")),
        ("an environment twice", HEADER.replace("\"test\"", "\"test\",\"test\"")),
        ("no environment", HEADER.replace("\"test\"", "")),
        ("a time that is none", HEADER.replace("2024-01-01", "2024-13-01")),
    ];
    insta::assert_snapshot!(refusals(files), @r#"
    an empty file
        line 1: the file is empty, and so no export
    no export
        line 1: this is no export of Kana: its first line has no kana_export
    a picture
        line 1: this is no export of Kana: its first line has no kana_export
    a newer format
        line 1: the export has format 2, and this release reads format 1: import it with the release that made it, or a newer one
    another field in the header
        line 1: unknown field `at`, expected one of `kana_export`, `environments`, `exported_at`, `token_secrets` (column 45)
    another environment
        line 1: environments: there is no environment "dev"
    an environment twice
        line 1: environments: test stands twice
    no environment
        line 1: environments must not be empty
    a time that is none
        line 1: exported_at must be an RFC 3339 instant with a time zone, like 2022-08-10T15:07:01.803Z
    "#);
}

/// Files whose fourth line is no record.
fn with_a_record_that_is_none() -> Vec<(&'static str, String)> {
    let with = |line: &str| file(&[HEADER, APP, ENVIRONMENT, line]);
    let user = |from: &str, to: &str| {
        assert!(USER.contains(from), "{from}");
        with(&USER.replace(from, to))
    };
    vec![
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
        ("a line that is too long", with(&"x".repeat(4 * 1024 * 1024 + 1))),
    ]
}

#[test]
fn a_record_that_holds_what_it_may_not_is_refused_with_the_line() {
    insta::assert_snapshot!(refusals(with_a_record_that_is_none()), @r#"
    a kind that is unknown
        line 4: there is no kind of record "plan" in this release (column 16)
    a field that is unknown
        line 4: user: there is no field "ID" in this release (column 87)
    a field twice
        line 4: user: id stands twice (column 104)
    a field that is missing
        line 4: user: id is missing
    a null
        line 4: user: id: invalid type: null, expected a string (column 92)
    an id with a space
        line 4: user: id must not start or end with a space
    a key that is no UUID
        line 4: user: key: must be a UUID like 01890a5d-ac96-774b-bcce-b302099a8057 (column 82)
    metadata that is no object
        line 4: user: metadata must be a JSON object
    a number for a text
        line 4: user: id: invalid type: integer `1`, expected a string (column 89)
    no environment of a user
        line 4: user: environment is missing (column 96)
    an environment that the header has not
        line 4: the first line does not name the environment live
    an environment that is none
        line 4: there is no environment "dev" (column 36)
    no JSON
        line 4: expected value (column 1)
    a list
        line 4: invalid type: sequence, expected a record, which is a JSON object
    an empty line
        line 4: EOF while parsing a value
    an action that is none
        line 4: event: action must not be "SUB", which this release does not know
    an instant that is none
        line 4: event: recorded_at must be milliseconds since 1970 within the years 0000 to 9999
    a number that is none
        line 4: event: delta: invalid type: floating point `1.5`, expected i64 (column 136)
    a secret that should not be there
        line 4: the first line says that there are no token secrets
    a counter below 0
        line 4: counter: used must be 0 or more
    a label with a zero
        line 4: feature: name must not contain the character U+0000
    a kind out of order
        line 4: app must stand before environment
    a line that is too long
        line 4: the line is longer than 4 MiB
    "#);
}

#[test]
fn records_that_are_not_those_of_the_end_are_refused() {
    let (end, whole) = (end(&[APP, ENVIRONMENT, USER, EVENT]), whole());
    let files = vec![
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
    insta::assert_snapshot!(refusals(files), @r#"
    no end
        line 2: the file has no end: it was cut
    something after the end
        line 7: there is more after the end
    a record less
        line 5: the file should have 1 records of event and not 0: it was cut or changed
    a record more
        line 7: the file should have 1 records of event and not 2: it was cut or changed
    another value
        line 6: the checksum is another: the file was changed
    another number of metadata
        line 6: the checksum is another: the file was changed
    no app
        line 3: the file must have one app
    an environment less
        line 3: the file must have each environment of its first line once
    no checksum
        line 2: end: checksum is missing (column 28)
    a checksum that is none
        line 2: end: checksum must be 64 hexadecimal digits (column 43)
    a count of nothing
        line 2: end: there is no kind of record "plan" (column 50)
    "#);
}

type Tables = BTreeMap<String, BTreeSet<String>>;

/// The columns that travel, by their tables.
fn described() -> Tables {
    let columns = |kind| sql::names(kind).split(", ").map(str::to_owned).collect();
    let table = |kind: Kind| (kind.table().to_owned(), columns(kind));
    let mut tables: Tables = Kind::ALL.into_iter().map(table).collect();
    // Every record names its environment by its kind.
    tables.entry("environments".to_owned()).or_default().insert("kind".to_owned());
    tables
}

fn gather(columns: impl Iterator<Item = (String, String)>) -> Tables {
    let mut tables = Tables::new();
    for (table, column) in columns {
        tables.entry(table).or_default().insert(column);
    }
    tables
}

const TOTALS: &str = "an import adds them up";

const JOBS_STAY: &str = "jobs do not travel: a server that starts schedules those that recur, and what a \
     one-off job would do is done, or scheduled anew, by the server that it belongs to";

/// Nobody who signed in or was invited somewhere else is let in here. A file of users waits for an hour,
/// and an import that is under way is gone on with where it began.
const NOT_COPIED: [&str; 6] = [
    "sessions",
    "invitations",
    "sent_forms",
    "user_imports",
    "user_import_lines",
    "user_import_names",
];

const SUBSCRIBERS_STAY: &str = "an import of subscriptions counts the subscribers again";

const SEARCH_STAYS: &str = "the search index does not travel: an import makes it anew of the users";

/// Who adds a column without saying here that it travels would lose it.
#[test]
fn every_column_of_the_embedded_engine_travels() {
    let directory = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(directory.path()).unwrap());
    let database = rusqlite::Connection::open(directory.path().join("kana.db")).unwrap();
    let columns = "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name <> 'sqlite_sequence'";
    let mut statement = database.prepare(columns).unwrap();
    let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut found = gather(columns.map(Result::unwrap));
    assert!(found.remove("jobs").is_some(), "{JOBS_STAY}");
    for table in NOT_COPIED {
        assert!(found.remove(table).is_some());
    }
    assert!(found.remove("user_search").is_some(), "{SEARCH_STAYS}");
    assert!(found.remove("package_subscribers").is_some(), "{SUBSCRIBERS_STAY}");
    // They say once more what travels as users, subscriptions, overrides, grants and holds.
    assert!(found.remove("user_facts").is_some());
    assert!(found.remove("user_facts_to_gather").is_some());
    // What the log of counters holds travels as counters.
    assert!(found.remove("counter_log").is_some());
    // How much of it is usage by day already.
    assert!(found.remove("usage_folding").is_some());
    assert!(found.remove("usage_totals").is_some(), "{TOTALS}");
    // What these hold travels as the rows of a view.
    assert!(found.remove("event_blocks").is_some());
    for table in ["settings", "log", "runs", "blocks", "filters"] {
        assert!(found.remove(&format!("replay_{table}")).is_some());
    }
    let mut described = described();
    for view in ["events", "replays"] {
        assert!(described.remove(view).is_some());
    }
    assert_eq!(found, described);
}

#[test]
fn every_column_of_postgres_travels() {
    if !kana_test_postgres::is_here() {
        return;
    }
    let database = kana_test_postgres::Database::new();
    let columns = "SELECT c.table_name, c.column_name
        FROM information_schema.columns c JOIN information_schema.tables t
            USING (table_schema, table_name)
        WHERE table_schema = 'kana' AND t.table_type = 'BASE TABLE'
            AND table_name !~ '^events_' AND table_name <> 'schema_version'";
    let rows = kana_test_postgres::rows(database.url(), columns);
    let mut found = gather(rows.into_iter().map(|row| (row[0].clone(), row[1].clone())));
    assert!(found.remove("jobs").is_some(), "{JOBS_STAY}");
    for table in NOT_COPIED {
        assert!(found.remove(table).is_some());
    }
    assert!(found.remove("user_search").is_some(), "{SEARCH_STAYS}");
    // They say once more what travels as subscriptions, overrides, grants and holds, and hold what travels
    // as counters.
    for column in [
        "running_subscriptions",
        "has_overrides",
        "has_grants",
        "has_holds",
        "recent_counters",
        "has_older_counters",
    ] {
        assert!(found.get_mut("users").unwrap().remove(column));
    }
    // What it holds travels as usage by day.
    assert!(found.remove("usage_deltas").is_some());
    assert!(found.remove("usage_totals").is_some(), "{TOTALS}");
    // Each database chooses the table for new idempotency keys itself.
    for column in ["replays_table", "replays_since", "replays_earlier"] {
        assert!(found.get_mut("environments").unwrap().remove(column));
    }
    let tables = ["replays_0", "replays_1", "replays_2", "replays_3"];
    let [first, others @ ..] = tables.map(|table| found.remove(table).unwrap());
    assert!(others.iter().all(|other| *other == first));
    found.insert("replays".to_owned(), first);
    assert_eq!(found, described());
}

#[tokio::test]
async fn what_could_not_be_imported_is_not_exported_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let app = App { name: "Kana".to_owned() };
    assert!(store.create_app(app, Vec::new(), Timestamp::from_ms(0)).await.unwrap());
    let user =
        "INSERT INTO users VALUES (1, x'01890a5dac96774bbcceb302099a8057', 'ada', NULL, NULL,
        NULL, '[]')";
    let database = rusqlite::Connection::open(directory.path().join("kana.db")).unwrap();
    crate::sqlite::register_functions(&database).unwrap();
    database.execute_batch(user).unwrap();
    let scope =
        Scope { environments: vec![EnvironmentKind::Test], token_secrets: false, user: None };
    let at = Timestamp::from_ms(0);
    let exported = export(&store, &scope, Vec::new(), at, &mut |_| ()).await;
    insta::assert_snapshot!(exported.unwrap_err(), @"the database holds a value that this release cannot read: test user 01890a5d-ac96-774b-bcce-b302099a8057: metadata must be a JSON object");
}

/// A file with these records after the environment.
fn with_records(records: &[String]) -> String {
    let all: Vec<&str> =
        [APP, ENVIRONMENT].into_iter().chain(records.iter().map(String::as_str)).collect();
    let end = end(&all);
    file(&[&[HEADER], all.as_slice(), &[end.as_str()]].concat())
}

fn feature(id: &str, rest: &str) -> String {
    format!(
        r#"{{"record":"feature","environment":"test","id":"{id}","position":1,"name":"{id}",{rest}}}"#
    )
}

fn grant(user: u8, key: u8, feature: &str) -> String {
    format!(
        r#"{{"record":"grant","environment":"test","user_key":"01890a5d-ac96-774b-bcce-b3020000{user:04}","key":"01890a5d-ac96-774b-bcce-b3020001{key:04}","id":"{key}","feature_id":"{feature}","amount":5,"drawn":0,"priority":0,"starts_at":1,"created_at":1}}"#
    )
}

fn an_override(feature: &str, rest: &str) -> String {
    format!(
        r#"{{"record":"override","environment":"test","user_key":"01890a5d-ac96-774b-bcce-b30200000001","feature_id":"{feature}","id":"01890a5d-ac96-874b-bcce-b302099a8057",{rest},"starts_at":1}}"#
    )
}

#[test]
fn what_no_request_can_make_is_refused_with_its_line() {
    let consumable = r#""type":"CONSUMABLE""#;
    let features = [
        feature("sso", r#""type":"BINARY""#),
        feature("images", r#""type":"CONSUMABLE","draws_on":"credits""#),
        feature("credits", consumable),
    ];
    let with = |records: &[String]| with_records(&[&features[..], records].concat());
    let draws_on = |balance: &str| {
        let drawing = feature("drawing", &format!(r#"{consumable},"draws_on":"{balance}""#));
        with_records(&[&[drawing][..], &features[..]].concat())
    };
    let twenty = |user| (1..=20).map(move |key| grant(user, key, "credits"));
    let files = vec![
        ("a balance that is missing", draws_on("gone")),
        ("a balance that is BINARY", draws_on("sso")),
        ("a balance that draws itself", draws_on("images")),
        (
            "a limit of what is BINARY",
            with(&[an_override("sso", r#""kind":"LIMIT","usage_limit":1"#)]),
        ),
        (
            "a limit of what draws",
            with(&[an_override("images", r#""kind":"LIMIT","usage_limit":1"#)]),
        ),
        (
            "periods of what is BINARY",
            with(&[an_override("sso", r#""kind":"UNLIMITED","reset_period":"DAY""#)]),
        ),
        ("a grant of what is BINARY", with(&[grant(1, 1, "sso")])),
        ("a grant of what draws", with(&[grant(1, 1, "images")])),
        ("21 grants", with(&twenty(1).chain([grant(1, 21, "credits")]).collect::<Vec<_>>())),
        ("users out of order", with(&[grant(2, 1, "credits"), grant(1, 1, "credits")])),
    ];
    insta::assert_snapshot!(refusals(files), @"
    a balance that is missing
        line 4: draws_on names gone, which is not there
    a balance that is BINARY
        line 4: draws_on names sso, which is BINARY
    a balance that draws itself
        line 4: draws_on names images, which draws on credits
    a limit of what is BINARY
        line 7: kind must not be LIMIT for sso, which is BINARY
    a limit of what draws
        line 7: kind must not be LIMIT for images, which draws on credits
    periods of what is BINARY
        line 7: reset_period must be left out for sso, which is BINARY
    a grant of what is BINARY
        line 7: there can be no grant of sso, which is BINARY
    a grant of what draws
        line 7: there can be no grant of images, which draws on credits
    21 grants
        line 27: the user has more than 20 grants of credits
    users out of order
        line 8: user_key is out of order: grants stand in the order of users' keys
    ");
    let all = [
        an_override("sso", r#""kind":"DENY""#),
        an_override("credits", r#""kind":"LIMIT","usage_limit":1,"reset_period":"DAY""#),
    ];
    let all: Vec<String> = all.into_iter().chain(twenty(1)).chain(twenty(2)).collect();
    assert_eq!(read(with(&all).as_bytes()), Ok(2 + 3 + 42));
}
