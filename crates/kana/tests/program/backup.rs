//! `kana backup` and `kana restore`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Server, init, kana, run, text};

const FEATURE: &str =
    "mutation { createFeature(input: { id: \"api\", name: \"API\", type: CONSUMABLE }) { id } }";
const USE: &str = "mutation { createUser(input: { id: \"ada\" }) { id }
    createUsageEvent(input: { userId: \"ada\", featureId: \"api\", delta: 2 }) }";

/// A data directory with a user and an event, and the private key of its test environment.
fn filled(dir: &TempDir) -> (Server, String) {
    let (server, key) = Server::start_new(dir);
    server.data(&key, FEATURE);
    server.data(&key, USE);
    (server, key)
}

fn backup(in_dir: &Path) -> Value {
    let output = run(in_dir, &["backup", "--out", "kana.backup"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn restore(in_dir: &Path, data_dir: &str, more: &[&str]) -> Output {
    let arguments = [&["restore", "kana.backup", "--data-dir", data_dir], more].concat();
    run(in_dir, &arguments)
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_backup_beside_a_running_server_is_restored_and_answers() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = filled(&dir);
    let made = backup(dir.path());
    let file = dir.path().join("kana.backup");
    let length = fs::metadata(&file).unwrap().len();
    assert_eq!(made["file"], "kana.backup");
    assert_eq!(
        (&made["bytes"], &made["events"], &made["users"]),
        (&json!(length), &json!(1), &json!(1))
    );
    assert_eq!(made["sha256"].as_str().unwrap().len(), 64);
    assert!(made["took_ms"].is_u64());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // What comes later is not in it.
    server.data(&key, "mutation { createUser(input: { id: \"bob\" }) { id } }");
    let before = fs::read(&file).unwrap();
    let again = run(dir.path(), &["backup", "--out", "kana.backup"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("exists already"), "{}", text(&again.stderr));
    assert_eq!(fs::read(&file).unwrap(), before);

    // Not into a directory on which a server runs, nor into one that is not empty.
    for (more, named) in [(&["--replace"][..], "another kana server"), (&[], "not empty")] {
        let refused = restore(dir.path(), "kana-data", more);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains(named), "{}", text(&refused.stderr));
    }
    let restored = restore(dir.path(), "restored", &[]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    let restored = dir.path().join("restored");
    assert_eq!(fs::metadata(restored.join("kana.db")).unwrap().permissions().mode() & 0o777, 0o600);
    let mut serve =
        kana(dir.path(), &["serve", "--listen", "127.0.0.1:0", "--data-dir", "restored"]);
    let other = Server::start_with(&mut serve);
    let users = "{ users { id } user(id: \"ada\") { id } }";
    assert_eq!(other.data(&key, users)["users"], json!([{ "id": "ada" }]));

    // The server that went on has lost nothing.
    assert_eq!(server.data(&key, "{ users { id } }")["users"].as_array().unwrap().len(), 2);
    server.signal("TERM");
    server.wait();
    let replaced = restore(dir.path(), "kana-data", &["--replace"]);
    assert!(replaced.status.success(), "{}", text(&replaced.stderr));
    let moved: Vec<String> = names(dir.path())
        .into_iter()
        .filter(|name| name.starts_with("kana-data.before-"))
        .collect();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert!(names(&dir.path().join(&moved[0])).contains(&"kana.db".to_owned()));
    let server = Server::start(dir.path());
    assert_eq!(server.data(&key, "{ users { id } }")["users"], json!([{ "id": "ada" }]));
}

#[test]
fn what_is_no_sound_backup_is_refused_and_nothing_moves() {
    let dir = TempDir::new().unwrap();
    let (mut server, _) = filled(&dir);
    backup(dir.path());
    server.signal("TERM");
    server.wait();
    let file = dir.path().join("kana.backup");
    let sound = fs::read(&file).unwrap();
    let data = dir.path().join("kana-data");
    let (before, beside) = (names(&data), names(dir.path()));
    let mut torn = sound.clone();
    torn.truncate(sound.len() / 2);
    let mut flipped = sound.clone();
    // The number of cells of each page but the first.
    flipped.chunks_mut(4096).skip(1).for_each(|page| page[3] ^= 0xff);
    for bad in [&b""[..], b"not a database at all", &torn, &flipped] {
        fs::write(&file, bad).unwrap();
        for data_dir in ["kana-data", "absent"] {
            let refused = restore(dir.path(), data_dir, &["--replace"]);
            assert_eq!(refused.status.code(), Some(1));
            assert!(text(&refused.stderr).contains("kana.backup"), "{}", text(&refused.stderr));
        }
        assert_eq!((names(&data), names(dir.path())), (before.clone(), beside.clone()));
    }
    let absent = run(dir.path(), &["restore", "absent.backup", "--data-dir", "new"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(text(&absent.stderr).contains("absent.backup"), "{}", text(&absent.stderr));
    assert!(!dir.path().join("new").exists());
}

#[test]
fn what_cannot_be_backed_up_leaves_no_file() {
    let dir = TempDir::new().unwrap();
    let output = run(dir.path(), &["backup", "--out", "kana.backup"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no database in"), "{}", text(&output.stderr));
    assert_eq!(names(dir.path()), [""; 0]);
    init(dir.path());
    let url = "postgres://kana@127.0.0.1/kana";
    let output = run(dir.path(), &["backup", "--out", "kana.backup", "--database-url", url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("pg_dump"), "{}", text(&output.stderr));
    let output = run(dir.path(), &["backup", "--out", "absent/kana.backup"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(names(dir.path()), ["kana-data"]);
}
