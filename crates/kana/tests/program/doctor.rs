//! `kana doctor`: what it says of set-ups that work, and of those that do not.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use kana_test_postgres::{Database, is_here};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Server, kana, run, text};

/// Runs the doctor. Returns its exit code and its checks.
fn doctor(command: &mut Command) -> (Option<i32>, Vec<Value>) {
    let output = command.arg("--json").output().unwrap();
    assert_eq!(text(&output.stderr), "");
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for check in &checks {
        // What is not right comes with what to do.
        assert_eq!(check["status"] == "ok", check["do"].is_null(), "{check}");
    }
    (output.status.code(), checks)
}

/// Returns the status and the details of the checks of a name.
fn of<'a>(checks: &'a [Value], name: &str) -> Vec<(&'a str, &'a str)> {
    let text = |check: &'a Value, key: &str| check[key].as_str().unwrap();
    let of_name = checks.iter().filter(|check| check["name"] == name);
    of_name.map(|check| (text(check, "status"), text(check, "detail"))).collect()
}

#[test]
fn a_machine_without_anything_is_fine_and_stays_empty() {
    let dir = TempDir::new().unwrap();
    let (exit_code, checks) = doctor(&mut kana(dir.path(), &["doctor", "--listen", "127.0.0.1:0"]));
    for (name, detail) in [
        ("settings", "1 of "),
        ("port", "is free"),
        ("directory", "is not there yet"),
        ("lock", "no server has run here"),
        ("database", "there is none yet"),
        ("backup", "nothing to back up"),
    ] {
        let found = of(&checks, name);
        assert_eq!(found.len(), 1, "{name}: {checks:?}");
        assert!(found[0].0 == "ok" && found[0].1.contains(detail), "{found:?}");
    }
    // This machine may have little room.
    let has_room = of(&checks, "free space")[0].0 != "fail";
    assert_eq!(exit_code, Some(i32::from(!has_room)));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_running_server_is_seen_and_so_is_its_backup() {
    let dir = TempDir::new().unwrap();
    let (server, _) = Server::start_new(&dir);
    let address = server.url.strip_prefix("http://").unwrap();
    let look = || doctor(&mut kana(dir.path(), &["doctor", "--listen", address])).1;
    let checks = look();
    assert_eq!(of(&checks, "port"), [("ok", &*format!("a kana server answers on {address}"))]);
    if cfg!(target_os = "linux") {
        let holder = format!("the server with process id {} runs here", server.pid());
        assert_eq!(of(&checks, "lock"), [("ok", &*holder)]);
    }
    assert_eq!(of(&checks, "database")[0].0, "ok");
    assert_eq!(of(&checks, "backup"), [("warn", "there was none yet")]);

    assert!(run(dir.path(), &["backup", "--out", "kana.backup"]).status.success());
    let checks = look();
    assert_eq!(of(&checks, "backup")[0].0, "ok", "{checks:?}");
    let file = dir.path().join("kana-data/kana.backed-up");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&file, "2026-01-01T00:00:00.000Z\n").unwrap();
    assert_eq!(of(&look(), "backup")[0].0, "warn");
}

#[test]
fn what_is_wrong_is_told_all_at_once() {
    let dir = TempDir::new().unwrap();
    crate::process::init(dir.path());
    let data_dir = dir.path().join("kana-data");
    fs::set_permissions(&data_dir, Permissions::from_mode(0o755)).unwrap();
    fs::write(data_dir.join("kana.db"), [0x5A; 8192]).unwrap();
    fs::write(dir.path().join("kana.toml"), "audit_days = 0\n").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    // It closes each connection, so nobody waits for it.
    let address = other.local_addr().unwrap().to_string();
    std::thread::spawn(move || while other.accept().is_ok() {});

    let mut command = kana(dir.path(), &["doctor", "--listen", &address, "--events-days", "0"]);
    let (exit_code, checks) = doctor(
        command.env("KANA_LOG", "loud").env("KANA_LISEN", ":1").env("KANA_DRAIN_SECONDS", "x"),
    );
    assert_eq!(exit_code, Some(1));
    let settings = of(&checks, "settings");
    for wrong in ["--events-days", "KANA_DRAIN_SECONDS", "audit_days", "KANA_LOG"] {
        let is_named =
            |(status, detail): &&(&str, &str)| *status == "fail" && detail.contains(wrong);
        assert_eq!(settings.iter().filter(is_named).count(), 1, "{wrong}: {settings:?}");
    }
    assert!(
        settings.iter().any(|(status, detail)| *status == "warn" && detail.contains("KANA_LISEN"))
    );
    assert_eq!(of(&checks, "port"), [("fail", &*format!("another program listens on {address}"))]);
    let (status, detail) = of(&checks, "directory")[0];
    assert!(status == "warn" && detail.contains("its mode is 0755"), "{detail}");
    let (status, detail) = of(&checks, "database")[0];
    assert!(status == "fail" && detail.contains("kana.db"), "{detail}");
}

#[test]
fn the_address_for_metrics_was_not_looked_at() {
    let dir = TempDir::new().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    // It closes each connection, so nobody waits for it.
    let address = other.local_addr().unwrap().to_string();
    std::thread::spawn(move || while other.accept().is_ok() {});
    let metrics_port = |listen: &str, metrics_listen: &str| {
        let arguments = ["doctor", "--listen", listen, "--metrics-listen", metrics_listen];
        let (_, checks) = doctor(&mut kana(dir.path(), &arguments));
        let (status, detail) = of(&checks, "metrics port")[0];
        (status.to_owned(), detail.to_owned())
    };
    let (status, detail) = metrics_port("127.0.0.1:0", "127.0.0.1:0");
    assert!(status == "ok" && detail.contains("is free"), "{detail}");
    let (status, detail) = metrics_port("127.0.0.1:0", &address);
    assert!(status == "fail" && detail.contains("another program listens on"), "{detail}");
    let (status, detail) = metrics_port("127.0.0.1:1", "127.0.0.1:1");
    assert!(status == "fail" && detail.contains("is that of --listen, too"), "{detail}");

    let mut command = Server::command(dir.path());
    let server = Server::start_with(command.args(["--metrics-listen", "127.0.0.1:0"]));
    let log = server.log();
    let line = log.lines().find(|line| line.contains("metrics_address")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let (status, detail) = metrics_port("127.0.0.1:0", line["metrics_address"].as_str().unwrap());
    assert!(status == "ok" && detail.contains("a kana server answers on"), "{detail}");
}

#[test]
fn a_database_of_another_release_is_told_with_what_to_do() {
    let dir = TempDir::new().unwrap();
    crate::process::init(dir.path());
    for (version, status) in [(1, "warn"), (9999, "fail")] {
        let sqlite = rusqlite::Connection::open(dir.path().join("kana-data/kana.db")).unwrap();
        sqlite.pragma_update(None, "user_version", version).unwrap();
        drop(sqlite);
        let (_, checks) = doctor(&mut kana(dir.path(), &["doctor", "--listen", "127.0.0.1:0"]));
        let (found, detail) = of(&checks, "schema")[0];
        assert_eq!(found, status, "{detail}");
        assert!(detail.contains(&version.to_string()), "{detail}");
    }
}

#[test]
fn a_server_of_postgresql_is_looked_at() {
    if !is_here() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let database = Database::bare();
    let look = || {
        let mut command = kana(dir.path(), &["doctor", "--listen", "127.0.0.1:0"]);
        doctor(command.env("KANA_DATABASE_URL", database.url()))
    };
    let (exit_code, checks) = look();
    assert_eq!(exit_code, Some(0), "{checks:?}");
    assert!(of(&checks, "schema")[0].1.contains("there are no tables yet"));

    let init =
        kana(dir.path(), &["init"]).env("KANA_DATABASE_URL", database.url()).output().unwrap();
    assert!(init.status.success());
    let (exit_code, checks) = look();
    assert_eq!(exit_code, Some(0), "{checks:?}");
    for name in ["database", "database TLS", "database clock", "schema", "rights"] {
        assert_eq!(of(&checks, name)[0].0, "ok", "{checks:?}");
    }
    assert!(of(&checks, "database")[0].1.starts_with("PostgreSQL "));
    assert_eq!(of(&checks, "directory"), [], "there is none");

    kana_test_postgres::run(database.url(), "ALTER TABLE kana.jobs RENAME TO gone");
    let (exit_code, checks) = look();
    assert_eq!(exit_code, Some(1));
    assert!(of(&checks, "rights")[0].1.contains("kana.jobs"), "{checks:?}");
    kana_test_postgres::run(database.url(), "UPDATE kana.schema_version SET version = 9999");
    assert_eq!(of(&look().1, "schema")[0].0, "fail");
}

#[test]
fn a_database_that_is_silent_or_away_costs_no_more_than_five_seconds() {
    let dir = TempDir::new().unwrap();
    // It accepts, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let since = Instant::now();
    for address in [silent.local_addr().unwrap().to_string(), "127.0.0.1:1".to_owned()] {
        let url = format!("postgres://kana:hunter2@{address}/kana");
        let mut command = kana(dir.path(), &["doctor", "--listen", "127.0.0.1:0"]);
        let (exit_code, checks) = doctor(command.env("KANA_DATABASE_URL", url));
        assert_eq!(exit_code, Some(1));
        let (status, detail) = of(&checks, "database")[0];
        assert_eq!(status, "fail");
        assert!(!detail.contains("hunter2"), "{detail}");
    }
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}
