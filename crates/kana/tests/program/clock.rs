//! A wrong system clock, and a panic in a thread that the server needs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::process::{Server, init, text};

/// A directory for a server whose clock can be set wrong.
struct Machine {
    dir: TempDir,
    library: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let library = dir.path().join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/clock.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", text(&compiled.stderr));
        Self { dir, library }
    }

    fn command(&self) -> Command {
        let mut command = Server::command(self.dir.path());
        command
            .env("LD_PRELOAD", &self.library)
            .env("CLOCK_SWITCH", self.dir.path().join("switch"))
            // Each thread caches the date of answers once it has written one.
            .env("TOKIO_WORKER_THREADS", "1");
        command
    }

    fn set_wrong(&self, what: &str) {
        let ready = self.dir.path().join("switch-to-be");
        std::fs::write(&ready, what).unwrap();
        std::fs::rename(ready, self.dir.path().join("switch")).unwrap();
    }
}

const NEW_USER: &str = "mutation ($id: String!) { createUser(input: { id: $id }) { id } }";

#[test]
fn a_clock_that_is_set_to_before_1970_stops_nothing() {
    let machine = Machine::new();
    let key = init(machine.dir.path());
    let mut server = Server::start_with(&mut machine.command());
    server.ask(&key, NEW_USER, &json!({ "id": "before" }));
    machine.set_wrong("past");
    for id in ["a", "b"] {
        let answer = server.ask(&key, NEW_USER, &json!({ "id": id }));
        assert_eq!(answer, json!({ "data": { "createUser": { "id": id } } }));
    }
    let users = server.data(&key, "{ users { id } }");
    assert_eq!(users, json!({ "users": [{ "id": "before" }, { "id": "a" }, { "id": "b" }] }));
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0), "{}", server.log());
}

#[test]
fn a_server_does_not_start_with_a_clock_that_was_never_set() {
    let machine = Machine::new();
    machine.set_wrong("past");
    let started = machine.command().stdin(Stdio::null()).output().unwrap();
    assert_eq!(started.status.code(), Some(1));
    let log = text(&started.stderr);
    assert!(
        log.contains("the system's clock is before the year 1970 or after 9999: set it"),
        "{log}"
    );
    assert!(!machine.dir.path().join("kana-data").exists());
}

#[test]
fn a_writer_that_ends_by_a_bug_ends_the_server_with_70() {
    let machine = Machine::new();
    let key = init(machine.dir.path());
    let mut server = Server::start_with(&mut machine.command());
    server.ask(&key, NEW_USER, &json!({ "id": "before" }));
    machine.set_wrong("writer");
    let answer = server.ask(&key, NEW_USER, &json!({ "id": "after" }));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "INTERNAL_SERVER_ERROR", "{answer}");
    let (status, _) = server.wait();
    let log = server.log();
    assert_eq!(status.code(), Some(70), "{log}");
    assert!(log.contains("kana-writer-0"), "{log}");
    let last = log.lines().last().unwrap();
    assert!(last.contains("the server cannot go on"), "{last}");
}
