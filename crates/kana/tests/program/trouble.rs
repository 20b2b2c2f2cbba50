//! An embedded database in trouble: a full disk, another process that holds it, a damaged page. The
//! server reports it on every surface and on `/readyz`, and recovers afterwards.

use std::cell::Cell;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::failing_disk::{Disk, FULL, QUOTA, READ_ONLY};
use crate::process::{Server, after, kana, note, pass_on, text};

const NEW_USER: &str = r#"mutation { createUser(input: { id: "new" }) { id } }"#;
const RECORD: &str =
    r#"mutation { recordUsage(input: { userId: "ada", featureId: "calls" }) { recorded } }"#;
/// How long anything may take, even on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A response: status, `Retry-After`, body.
type Answer = (u16, Option<String>, Value);

fn ask(server: &Server, key: &str, path: &str, content_type: &str, body: &str) -> Answer {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let mut response = agent
        .post(format!("{}{path}", server.url))
        .header("Authorization", key)
        .header("Content-Type", content_type)
        .send(body)
        .unwrap();
    let again = response.headers().get("Retry-After").map(|it| it.to_str().unwrap().to_owned());
    (response.status().as_u16(), again, response.body_mut().read_json().unwrap())
}

fn get(server: &Server, path: &str) -> (u16, String) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let mut response = agent.get(format!("{}{path}", server.url)).call().unwrap();
    assert_eq!(response.headers().get("Cache-Control").unwrap(), "no-store");
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

fn not_ready(server: &Server) -> Value {
    let (status, body) = get(server, "/readyz");
    assert_eq!(status, 503, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["ready"], false);
    body["checks"]["database"].clone()
}

fn await_ready(server: &Server) {
    let since = Instant::now();
    while get(server, "/readyz").0 != 200 {
        assert!(since.elapsed() < SOON, "{}", server.log());
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_is_overloaded_with_503_on_every_surface_and_passes() {
    for failure in [FULL, QUOTA] {
        let disk = Disk::new();
        let (server, key) = disk.start_new();
        let event = json!({
            "specversion": "1.0", "type": "kana.usage", "source": "/test", "id": "1",
            "subject": "ada", "data": { "featureId": "calls" },
        });
        let graphql = |query: &str| json!({ "query": query }).to_string();
        let surfaces = [
            ("/graphql", "application/json", graphql(RECORD)),
            ("/graphql", "application/json", graphql(NEW_USER)),
            ("/events", "application/cloudevents+json", event.to_string()),
        ];

        disk.fail(failure);
        for (path, content_type, body) in &surfaces {
            let (status, again, answer) = ask(&server, &key, path, content_type, body);
            assert_eq!((status, again.as_deref()), (503, Some("1")), "{path}: {answer}");
            let answer = answer.to_string();
            assert!(answer.contains("OVERLOADED"), "{answer}");
            assert!(answer.contains("the disk is full; nothing was recorded"), "{answer}");
            assert!(!answer.contains("kana-data"), "{answer}");
        }
        assert_eq!(not_ready(&server), "disk full");
        assert_eq!(get(&server, "/healthz").0, 200);

        disk.recover();
        // The server recovers without further writes.
        await_ready(&server);
        for (path, content_type, body) in &surfaces {
            assert_eq!(ask(&server, &key, path, content_type, body).0, 200);
        }
    }
}

#[test]
fn a_disk_that_has_become_read_only_takes_the_server_out_of_service() {
    let disk = Disk::new();
    let (server, key) = disk.start_new();
    disk.fail(READ_ONLY);
    for _ in 0..2 {
        let (_, answer) = server.try_ask(&key, RECORD);
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "INTERNAL_SERVER_ERROR", "{answer}");
        let id = error["message"].as_str().unwrap().split_whitespace().last().unwrap();
        server.await_log(id.trim_end_matches('.'));
    }
    server.await_log("not permitted");
    assert_eq!(not_ready(&server), "not permitted");
    server.data(&key, "{ users { id } }");

    disk.recover();
    await_ready(&server);
    server.data(&key, RECORD);
}

#[test]
fn a_full_disk_fills_no_log() {
    let disk = Disk::new();
    let (mut server, key) = disk.start_new();
    disk.fail(FULL);
    let since = Instant::now();
    for _ in 0..300 {
        assert_eq!(server.try_ask(&key, RECORD).0, 503);
        assert_eq!(not_ready(&server), "disk full");
    }
    // The second that it began in, and the one that it ended in, are not whole.
    let seconds = since.elapsed().as_secs() + 2;
    disk.recover();
    server.data(&key, NEW_USER);
    server.signal("TERM");
    server.wait();

    let log = server.log();
    let refused: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["message"].as_str().unwrap().starts_with("commands were"))
        .collect();
    assert!(!refused.is_empty() && refused.len() as u64 <= seconds, "{log}");
    let counted: u64 = refused.iter().map(|line| line["commands"].as_u64().unwrap()).sum();
    assert!((1..=300).contains(&counted), "{log}");
    let cause = refused[0]["cause"].as_str().unwrap();
    assert!(cause.contains("the disk is full") && cause.contains("kana-data"), "{cause}");
    // Requests have ten lines a second, readiness checks about one, and the start and the end a few.
    assert!(log.lines().count() as u64 <= 14 * seconds + 10, "{log}");
}

#[test]
fn a_database_held_by_another_process_is_overloaded_within_a_bound() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    let other = rusqlite::Connection::open(dir.path().join("kana-data/kana.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    // Requests behind the first do not wait one after the other.
    let since = Instant::now();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (server, key) = (&server, &key);
            scope.spawn(move || {
                let create = NEW_USER.replace("new", &n.to_string());
                let (status, answer) = server.try_ask(key, &create);
                assert_eq!(status, 503, "{answer}");
                assert_eq!(answer["errors"][0]["extensions"]["code"], "OVERLOADED", "{answer}");
            });
        }
    });
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    assert_eq!(not_ready(&server), "held by another process");
    // Reads still work.
    assert_eq!(server.data(&key, "{ users { id } }"), json!({ "users": [] }));

    other.execute_batch("ROLLBACK").unwrap();
    await_ready(&server);
    server.data(&key, NEW_USER);
}

#[test]
fn a_damaged_page_takes_the_server_out_of_service() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = Server::start_new(&dir);
    server.data(&key, NEW_USER);
    server.signal("TERM");
    server.wait();
    let file = dir.path().join("kana-data/kana.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let page: u32 = rusqlite::Connection::open(&file)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'users'", [], |row| row.get(0))
        .unwrap();
    bytes[(page as usize - 1) * 4096..][..4096].fill(0x5A);
    std::fs::write(&file, bytes).unwrap();

    let mut server = Server::start(dir.path());
    assert_eq!(get(&server, "/readyz").0, 200, "nobody has met it yet");
    let (_, answer) = server.try_ask(&key, "{ users { id } }");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "INTERNAL_SERVER_ERROR", "{answer}");
    assert!(!answer.to_string().contains("kana.db"), "{answer}");
    assert_eq!(not_ready(&server), "damaged");
    assert_eq!(get(&server, "/healthz").0, 200);
    server.signal("TERM");
    server.wait();
    assert!(server.log().contains("kana.db"), "{}", server.log());
}

/// Damages the first page of a database that is in use, so that its server reads the page anew: the page
/// is in no log, and somebody else has written since. `write` makes the server commit something.
fn damage_first_page(file: &Path, write: impl Fn()) {
    use std::os::unix::fs::FileExt as _;

    let other = rusqlite::Connection::open(file).unwrap();
    // What holds up the copying may last until the next commit, so it is not waited for.
    other.busy_timeout(Duration::from_millis(20)).unwrap();
    let log = file.with_extension("db-wal");
    let all_is_in_the_file = (0..1000).any(|_| {
        // A server that nobody writes to keeps its snapshots of the log open.
        write();
        if other.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); BEGIN IMMEDIATE").is_err() {
            return false;
        }
        // A job may have written before the lock was taken.
        let empty = log.metadata().unwrap().len() == 0;
        if !empty {
            other.execute_batch("ROLLBACK").unwrap();
        }
        empty
    });
    assert!(all_is_in_the_file);
    other.execute_batch("UPDATE app SET name = 'other'").unwrap();
    let damaged = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    damaged.write_all_at(&[0x5A; 100], 0).unwrap();
    other.execute_batch("COMMIT").unwrap();
}

#[test]
fn a_server_that_can_write_nothing_any_more_stops_and_says_what_to_do() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = Server::start_new(&dir);
    server.data(&key, NEW_USER);
    let written = Cell::new(0);
    damage_first_page(&dir.path().join("kana-data/kana.db"), || {
        written.set(written.get() + 1);
        server.data(&key, &NEW_USER.replace("new", &format!("user-{}", written.get())));
    });

    // A job may have met it before, and then nobody answers any more.
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let request = agent.post(format!("{}/graphql", server.url)).header("Authorization", &key);
    let _ = request.send_json(json!({ "query": NEW_USER.replace("new", "newer") }));
    let (status, _) = server.wait();
    assert_eq!(status.code(), Some(1));
    let log = server.log();
    let last = log.lines().last().unwrap();
    for named in ["cannot go on", "kana.db", "kana check", "kana restore"] {
        assert!(last.contains(named), "{named}: {last}");
    }
}

/// Runs the program in a directory in which `small` is a disk of this size. Returns `None` if the
/// disk cannot be mounted.
fn run_on_small_disk(in_dir: &Path, size: &str, command: &Command) -> Option<Output> {
    std::fs::create_dir(in_dir.join("small")).unwrap();
    let mount = format!("mount -t tmpfs -o size={size} kana small");
    let alone = |command: &Command| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--map-root-user"]);
        pass_on(&after(&mount, command), unshare)
    };
    let tried = alone(Command::new("true").current_dir(in_dir)).output();
    if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
        note(&format!("not tested on a disk that is really full: {tried:?}"));
        return None;
    }
    Some(alone(command).output().unwrap())
}

#[test]
fn a_disk_that_is_full_at_the_start_is_an_error_that_names_the_directory() {
    let dir = TempDir::new().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "small/data"];
    let Some(output) = run_on_small_disk(dir.path(), "32k", &kana(dir.path(), &arguments)) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "", "no keys are made");
    let log = text(&output.stderr);
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("the disk is full") && log.contains("small/data"), "{log}");
}
