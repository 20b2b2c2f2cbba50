//! The data directory: its permissions, lost files, and commands that create nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use kana_test_postgres::{Database, is_here};
use tempfile::TempDir;

use crate::process::{Server, after, init, kana, run, text};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Asserts that nobody but the owner has access to the directory and its files.
fn assert_closed(directory: &Path) {
    assert_eq!(mode(directory), 0o700);
    let mut files = 0;
    for entry in directory.read_dir().unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files > 2);
}

#[test]
fn files_are_the_owners_alone_whatever_the_umask() {
    for umask in ["umask 000", "umask 022", "umask 277"] {
        let dir = TempDir::new().unwrap();
        let done = |arguments: &[&str]| {
            let output = after(umask, &kana(dir.path(), arguments)).output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
        };
        done(&["init"]);
        let server = Server::start_with(&mut after(umask, &Server::command(dir.path())));
        assert_closed(&dir.path().join("kana-data"));
        done(&["export", "--out", "export.jsonl"]);
        assert_eq!(mode(&dir.path().join("export.jsonl")), 0o600);
        drop(server);
    }
}

#[test]
fn files_that_others_may_read_are_mended_with_one_line() {
    let dir = TempDir::new().unwrap();
    let (mut server, _) = Server::start_new(&dir);
    server.signal("KILL");
    server.wait();
    let data = dir.path().join("kana-data");
    for entry in data.read_dir().unwrap() {
        set_mode(&entry.unwrap().path(), 0o644);
    }
    set_mode(&data, 0o755);

    let mended = |server: &mut Server| {
        server.signal("TERM");
        server.wait();
        server.log().matches("could be used by others").count()
    };
    let mut server = Server::start(dir.path());
    assert_closed(&data);
    assert_eq!(mended(&mut server), 1, "{}", server.log());
    assert_eq!(mended(&mut Server::start(dir.path())), 0);
}

/// Asserts that the program failed with one line, and returns it.
fn refused(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(text(&output.stdout), "");
    assert_eq!(said.lines().count(), 1, "{said}");
    said.to_owned()
}

#[test]
fn a_database_that_was_cut_to_nothing_is_no_new_app() {
    let dir = TempDir::new().unwrap();
    init(dir.path());
    let file = dir.path().join("kana-data/kana.db");
    std::fs::write(&file, "").unwrap();
    for command in ["serve", "init", "export"] {
        let said = refused(&run(dir.path(), &[command]));
        assert!(said.contains("kana-data/kana.db is empty"), "{said}");
        assert!(said.contains("backup"), "{said}");
    }
    std::fs::remove_file(&file).unwrap();
    for arguments in [&["serve"][..], &["init"], &["keys", "list"]] {
        let said = refused(&run(dir.path(), arguments));
        assert!(said.contains("kana-data/kana.db is gone"), "{said}");
    }
    assert!(!file.exists());
}

/// Commands that need a database and do not create one.
const NEED_A_DATABASE: [&[&str]; 6] = [
    &["keys", "list"],
    &["keys", "create", "--env", "test", "--kind", "private"],
    &["keys", "revoke", "1"],
    &["keys", "simple-mode", "--env", "test", "off"],
    &["export"],
    &["migrate"],
];

#[test]
fn commands_that_need_a_database_create_none() {
    let dir = TempDir::new().unwrap();
    for arguments in NEED_A_DATABASE {
        let said = refused(&run(dir.path(), arguments));
        assert!(said.contains("there is no database in ./kana-data"), "{said}");
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "{arguments:?}");
    }
}

#[test]
fn commands_that_need_a_database_create_none_on_postgres() {
    if !is_here() {
        return;
    }
    let (dir, database) = (TempDir::new().unwrap(), Database::bare());
    let on_it = |arguments: &[&str]| {
        let (command, rest) = arguments.split_first().unwrap();
        run(dir.path(), &[&[command, "--database-url", database.url()], rest].concat())
    };
    for arguments in NEED_A_DATABASE.iter().filter(|arguments| **arguments != ["migrate"]) {
        let said = refused(&on_it(arguments));
        assert!(said.contains("there is no database in the schema kana"), "{said}");
    }
    // On PostgreSQL the database exists, and only its tables are missing.
    assert!(on_it(&["migrate"]).status.success());
    assert!(refused(&on_it(&["keys", "list"])).contains("no app yet"));
    assert!(on_it(&["init"]).status.success());
    assert!(on_it(&["keys", "list"]).status.success());
    kana_test_postgres::run(database.url(), "UPDATE kana.schema_version SET version = 99");
    assert!(refused(&on_it(&["export"])).contains("schema version 99"));
}
