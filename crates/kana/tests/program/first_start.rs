//! The keys of a new app are shown only once. So a first start that fails leaves no app behind, and
//! keys that cannot be shown are not stored.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use crate::engines::{Engine, engines};
use crate::init_and_keys::assert_are_first_keys;
use crate::process::{Server, text};

/// Asserts that there is no app yet, by creating one.
fn assert_has_no_app(engine: &Engine) {
    let output = engine.kana(&["init"]).output().unwrap();
    assert_are_first_keys(text(&output.stdout));
}

/// Returns standard outputs that cannot be written to.
fn broken_outputs() -> [Stdio; 2] {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    [File::options().write(true).open("/dev/full").unwrap().into(), writer.into()]
}

fn assert_says_nothing_was_created(output: &Output) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write to standard output"), "{said}");
    assert!(said.contains("was not created"), "{said}");
}

#[test]
fn a_first_start_on_a_port_in_use_prints_no_keys_and_creates_no_app() {
    for engine in engines() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let output = engine.kana(&["serve", "--listen", &address]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
        assert!(text(&output.stderr).contains(&address), "{}", text(&output.stderr));
        assert_has_no_app(&engine);
    }
}

#[test]
fn an_init_that_cannot_print_the_keys_creates_no_app() {
    for engine in engines() {
        for stdout in broken_outputs() {
            let output = engine.kana(&["init"]).stdout(stdout).output().unwrap();
            assert_says_nothing_was_created(&output);
        }
        assert_has_no_app(&engine);
    }
}

#[test]
fn a_first_start_that_cannot_print_the_keys_creates_no_app() {
    for engine in engines() {
        let [full, _] = broken_outputs();
        let mut serve = engine.kana(&["serve", "--listen", "127.0.0.1:0"]);
        assert_says_nothing_was_created(&serve.stdout(full).output().unwrap());
        assert_has_no_app(&engine);
    }
}

#[test]
fn a_key_that_cannot_be_printed_is_not_created() {
    for engine in engines() {
        assert_has_no_app(&engine);
        let [_, closed] = broken_outputs();
        let mut create = engine.kana(&["keys", "create", "--env", "live", "--kind", "private"]);
        assert_says_nothing_was_created(&create.stdout(closed).output().unwrap());
        let list = engine.kana(&["keys", "list"]).output().unwrap();
        assert_eq!(text(&list.stdout).lines().count(), 5, "a heading and the first four keys");
    }
}

#[test]
fn keys_that_were_printed_and_could_not_be_stored_are_called_invalid() {
    for engine in engines() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        engine.kana(&["init"]).stdout(full).output().unwrap();
        // The commit of a new app fails, since its id refers to an empty table.
        engine.execute(
            "CREATE TABLE allowed (id INTEGER PRIMARY KEY);
             DROP TABLE app;
             CREATE TABLE app (
                 id INTEGER PRIMARY KEY REFERENCES allowed (id) DEFERRABLE INITIALLY DEFERRED,
                 name TEXT NOT NULL,
                 created_at BIGINT NOT NULL
             );",
        );
        let output = engine.kana(&["init"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_are_first_keys(text(&output.stdout));
        assert!(text(&output.stderr).contains("not valid"), "{}", text(&output.stderr));
    }
}

#[test]
fn of_many_who_make_the_app_at_once_one_prints_keys_and_they_are_good() {
    for engine in engines() {
        let spawn = |arguments: &[&str]| {
            let mut init: Command = engine.kana(arguments);
            init.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let all: Vec<_> = (0..6).map(|n| spawn(&["init", "--app", &format!("app {n}")])).collect();
        let all: Vec<_> = all.into_iter().map(|init| init.wait_with_output().unwrap()).collect();
        assert!(all.iter().all(|output| output.status.success()), "{all:?}");
        let printed: Vec<_> =
            all.iter().map(|output| text(&output.stdout)).filter(|out| !out.is_empty()).collect();
        let [keys] = printed[..] else { panic!("{} print keys", printed.len()) };
        assert_are_first_keys(keys);

        let key = keys.lines().next().unwrap().strip_prefix("KANA_DEV_KEY=").unwrap();
        let server = Server::start_with(&mut engine.kana(&["serve", "--listen", "127.0.0.1:0"]));
        assert_eq!(server.data(key, "{ __typename }")["__typename"], "Query");
    }
}
