//! A server that is killed while it takes over the database of a release that had a row for each usage
//! event and each idempotency record.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::process::{Server, init, note};

/// The schema's version in that release.
const OLD_VERSION: usize = 16;
/// How many usage events and idempotency records there are.
const ROWS: u32 = 30_000;
/// Into how many parts the time of a whole start is divided. One server is killed after each.
const PARTS: u32 = 8;
/// How long a start may take.
const START: Duration = Duration::from_secs(60);

/// Makes the database of the older release in `into`, with the app that `kana init` made in `of`.
fn make_old_database(into: &Path, of: &Path) {
    let data = into.join("kana-data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    let database = Connection::open(data.join("kana.db")).unwrap();
    database.pragma_update(None, "journal_mode", "wal").unwrap();
    for migration in old_migrations() {
        database.execute_batch(&std::fs::read_to_string(migration).unwrap()).unwrap();
    }
    database.pragma_update(None, "user_version", OLD_VERSION as u32).unwrap();
    let new = of.join("kana-data/kana.db");
    database.execute("ATTACH ?1 AS new", [new.to_str().unwrap()]).unwrap();
    database
        .execute_batch(&format!(
            "INSERT INTO app SELECT * FROM new.app;
             INSERT INTO environments SELECT * FROM new.environments;
             INSERT INTO keys SELECT * FROM new.keys;
             INSERT INTO users (environment_id, key, id)
                 SELECT id, x'0190d3a81f2b7c3d8e4f000000000001', 'ada' FROM environments;
             CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS
                 (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS}) SELECT n FROM n;
             INSERT INTO events SELECT n, environments.id, key, 'calls', 'ADD', n, 1700000000000 + n,
                     1700000000000 + n, NULL, 'key-' || n, NULL
                 FROM n, environments JOIN users ON environment_id = environments.id
                 WHERE kind = 'test';
             INSERT INTO replays SELECT environments.id, 'key-' || n, key, 'calls', 'ADD', n, NULL,
                     '{{\"Recorded\":\"Recorded\"}}', unixepoch() * 1000
                 FROM n, environments JOIN users ON environment_id = environments.id
                 WHERE kind = 'test';
             INSERT INTO counters (environment_id, user_key, subscription_id, feature_id, terms,
                     period_start, used)
                 SELECT environments.id, key, randomblob(16), 'calls', 0, 0, 7
                 FROM n, environments JOIN users ON environment_id = environments.id
                 WHERE n <= 100;"
        ))
        .unwrap();
}

fn old_migrations() -> Vec<PathBuf> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../kana-store/src/sqlite/migrations");
    let files = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.truncate(OLD_VERSION);
    files
}

/// Returns the schema's version, and everything that must not be lost.
fn stored(in_dir: &Path) -> (usize, Vec<Vec<Value>>) {
    let database = Connection::open(in_dir.join("kana-data/kana.db")).unwrap();
    kana_store::sqlite::register_functions(&database).unwrap();
    let version: u32 = database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let mut rows = Vec::new();
    for sql in [
        "SELECT * FROM events ORDER BY id",
        "SELECT environment_id, idempotency_key, user_key, feature_id, action, delta, occurred_at,
             answer, kept_at FROM replays ORDER BY environment_id, idempotency_key",
        "SELECT environment_id, user_key, subscription_id, feature_id, terms, period_start, used
             FROM counters ORDER BY environment_id, subscription_id",
    ] {
        let mut statement = database.prepare(sql).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|place| row.get(place)).collect();
        rows.extend(statement.query_map([], row).unwrap().map(Result::unwrap));
    }
    (version as usize, rows)
}

/// Starts a server and kills it when it is ready, or after `patience`. Returns whether it was ready.
fn start_and_kill(in_dir: &Path, patience: Duration) -> bool {
    let mut command = Server::command(in_dir);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (ready, is_ready) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains("ready: listening") {
                let _ = ready.send(());
            }
        }
    });
    let was_ready = is_ready.recv_timeout(patience).is_ok();
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    was_ready
}

fn copy_of(in_dir: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    let data = copy.path().join("kana-data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    std::fs::copy(in_dir.join("kana-data/kana.db"), data.join("kana.db")).unwrap();
    copy
}

#[test]
fn a_server_that_is_killed_while_it_takes_over_an_older_database_loses_nothing() {
    let (dir, new) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let key = init(new.path());
    make_old_database(dir.path(), new.path());
    let (version, before) = stored(dir.path());
    assert_eq!(version, OLD_VERSION);
    assert!(before.len() > 2 * ROWS as usize);

    let copy = copy_of(dir.path());
    let since = Instant::now();
    assert!(start_and_kill(copy.path(), START), "a start takes too long");
    let whole = since.elapsed();
    let mut killed_on_the_way = 0;
    for part in 1..PARTS {
        start_and_kill(dir.path(), whole * part / PARTS);
        let (version, now) = stored(dir.path());
        assert!(now == before, "killed after {part} of {PARTS} parts of {whole:?}");
        killed_on_the_way += u32::from(version == OLD_VERSION);
    }
    note(&format!("{killed_on_the_way} servers were killed before they had taken it over"));
    assert!(killed_on_the_way > 0, "all had taken it over within {whole:?}");

    let mut server = Server::start(dir.path());
    let repeat =
        "mutation ($input: CreateUsageEventInput!) { recordUsage(input: $input) { recorded } }";
    for n in [1, ROWS / 2, ROWS] {
        let input = json!({ "userId": "ada", "featureId": "calls", "delta": n,
            "idempotencyKey": format!("key-{n}") });
        let answer = server.ask(&key, repeat, &json!({ "input": input }));
        assert_eq!(answer, json!({ "data": { "recordUsage": { "recorded": true } } }));
    }
    server.signal("TERM");
    server.wait();
    let (version, now) = stored(dir.path());
    assert!(version > OLD_VERSION && now == before);
}
