//! `kana jobs`, and the jobs of a server.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Server, run, text};

/// The jobs as a program reads them.
fn jobs(in_dir: &Path) -> Vec<Value> {
    let listed = run(in_dir, &["jobs", "list", "--json"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    serde_json::from_slice(&listed.stdout).unwrap()
}

fn job(in_dir: &Path, kind: &str) -> Value {
    jobs(in_dir).into_iter().find(|job| job["kind"] == kind).unwrap_or_default()
}

/// Waits until the job of a kind is so.
fn until(in_dir: &Path, kind: &str, is: impl Fn(&Value) -> bool) -> Value {
    let begun_at = Instant::now();
    loop {
        let job = job(in_dir, kind);
        if is(&job) {
            return job;
        }
        assert!(begun_at.elapsed() < Duration::from_secs(20), "{job}");
    }
}

#[test]
fn a_server_does_its_housekeeping_and_a_job_can_be_run_beside_it() {
    let dir = TempDir::new().unwrap();
    let (mut server, _) = Server::start_new(&dir);
    for kind in ["counters", "events"] {
        let done = until(dir.path(), kind, |job| job["succeededAt"].is_string());
        assert_eq!(done["attempts"], 0);
        assert_eq!(done["lastError"], Value::Null);
    }
    let before = until(dir.path(), "events", |job| job["status"] == "waiting");
    let id = before["id"].as_str().unwrap();
    let retried = run(dir.path(), &["jobs", "retry", id]);
    assert!(retried.status.success(), "{}", text(&retried.stderr));
    assert!(text(&retried.stderr).contains("due now"), "{}", text(&retried.stderr));
    until(dir.path(), "events", |job| job["succeededAt"] != before["succeededAt"]);

    server.signal("TERM");
    let (status, _) = server.wait();
    assert!(status.success());
    let left = jobs(dir.path());
    assert!(left.len() >= 2 && left.iter().all(|job| job["status"] == "waiting"), "{left:?}");
}

#[test]
fn a_dead_job_is_shown_first_and_can_be_retried() {
    let dir = TempDir::new().unwrap();
    run(dir.path(), &["init"]);
    let listed = run(dir.path(), &["jobs", "list"]);
    assert_eq!(text(&listed.stdout).lines().count(), 1, "the headings");
    assert_eq!(jobs(dir.path()), Vec::<Value>::new());

    let database = rusqlite::Connection::open(dir.path().join("kana-data/kana.db")).unwrap();
    let long = "<html>".repeat(100);
    let error = format!("the endpoint answered 500:\n\u{1b}[2J{long}");
    database
        .execute(
            "INSERT INTO jobs (id, kind, key, environment_id, due_at, attempts, last_error,
                 failed_at, created_at)
             VALUES (x'018d0cfe2a00747d87fc751be5cb4fe0', 'webhook', '1:ada', 2, 1000, 10, ?1, 2000, 0),
                    (x'018d0cfe2a00747d87fc751be5cb4fe1', 'sync', 'bob', NULL, 4000, 0, NULL, NULL, 0)",
            [&error],
        )
        .unwrap();
    let listed = run(dir.path(), &["jobs", "list"]);
    let lines: Vec<&str> = text(&listed.stdout).lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("ID "), "{}", lines[0]);
    let columns: Vec<&str> = lines[1].split_whitespace().take(7).collect();
    let id = "018d0cfe-2a00-747d-87fc-751be5cb4fe0";
    assert_eq!(columns, [id, "webhook", "1:ada", "live", "dead", "-", "10"]);
    assert!(lines[1].ends_with('…') && !lines[1].contains('\u{1b}'), "{}", lines[1]);
    assert!(lines[2].contains("1970-01-01T00:00:04.000Z"), "{}", lines[2]);
    for (word, column) in [("webhook", "KIND"), ("live", "ENVIRONMENT"), ("dead", "STATUS")] {
        assert_eq!(lines[1].find(word), lines[0].find(column), "{word} stands below {column}");
    }
    assert_eq!(job(dir.path(), "webhook")["lastError"], error);

    assert!(run(dir.path(), &["jobs", "retry", id]).status.success());
    let retried = job(dir.path(), "webhook");
    assert_eq!((&retried["status"], &retried["attempts"]), (&"waiting".into(), &0.into()));
    assert_eq!(retried["failedAt"], Value::Null);
}

#[test]
fn a_job_that_runs_or_is_not_there_is_not_retried() {
    let dir = TempDir::new().unwrap();
    let no_database = run(dir.path(), &["jobs", "list"]);
    assert_eq!(no_database.status.code(), Some(1));
    assert!(text(&no_database.stderr).contains("kana init"), "{}", text(&no_database.stderr));
    run(dir.path(), &["init"]);
    let id = "018d0cfe-2a00-747d-87fc-751be5cb4fe0";
    let unknown = run(dir.path(), &["jobs", "retry", id]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("kana jobs list"), "{}", text(&unknown.stderr));
    let wrong = run(dir.path(), &["jobs", "retry", "7"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("kana jobs list"), "{}", text(&wrong.stderr));

    let database = rusqlite::Connection::open(dir.path().join("kana-data/kana.db")).unwrap();
    database
        .execute_batch(
            "INSERT INTO jobs (id, kind, key, due_at, is_running, attempts, created_at)
             VALUES (x'018d0cfe2a00747d87fc751be5cb4fe0', 'sync', 'bob', 4000, 1, 1, 0)",
        )
        .unwrap();
    let runs = run(dir.path(), &["jobs", "retry", id]);
    assert_eq!(runs.status.code(), Some(1));
    assert!(text(&runs.stderr).contains("is running"), "{}", text(&runs.stderr));
}
