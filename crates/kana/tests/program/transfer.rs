//! `kana export` and `kana import`: a server's data on another engine, and what goes wrong on the way.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use kana_test_postgres::{Database, is_here};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::init_and_keys::current_user;
use crate::ledger::{prepare, used};
use crate::process::{Server, kana, run, text};

const FILE: &str = "export.jsonl";

/// Runs the program, which must succeed.
fn done(in_dir: &Path, arguments: &[&str]) -> Output {
    let output = run(in_dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output
}

/// Runs the program, which must fail, and answers what it says.
fn refused(in_dir: &Path, arguments: &[&str]) -> String {
    let output = run(in_dir, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stderr).to_owned()
}

fn use_some(server: &Server, key: &str, times: usize) {
    for n in 0..times {
        let usage = format!(
            r#"mutation {{
                useFeature(input: {{ userId: "ada", featureId: "credits" }}) {{ granted }}
                recordUsage(input: {{ userId: "bob", featureId: "calls", delta: 3,
                    idempotencyKey: "key-{n}", metadata: {{ n: {n}.5 }} }}) {{ recorded }}
            }}"#
        );
        server.data(key, &usage);
    }
}

/// What a server says of everything that `prepare` and `use_some` have made.
fn answers(server: &Server, key: &str) -> Vec<Value> {
    let catalog = "{ features { id name type } packages { id status features { id } } }";
    let mut answers = vec![server.data(key, catalog)];
    for user in ["ada", "bob", "eve"] {
        let subscriptions = format!(
            r#"{{ user(id: "{user}") {{ id subscriptions {{ id status package {{ id }} }} }} }}"#
        );
        answers.push(server.data(key, &subscriptions));
        answers.extend(["calls", "credits"].map(|it| used(server, key, user, it).into()));
    }
    answers
}

/// A file's records and what its last line says of them.
fn shape(file: &Path) -> (usize, Value) {
    let lines = BufReader::new(std::fs::File::open(file).unwrap()).lines();
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    (lines.len() - 2, serde_json::from_str(lines.last().unwrap()).unwrap())
}

#[test]
fn a_server_moves_to_postgres_and_back_with_all_its_data() {
    if !is_here() {
        return;
    }
    let (dir, database) = (TempDir::new().unwrap(), Database::bare());
    let (mut server, key) = Server::start_new(&dir);
    prepare(&server, &key);
    use_some(&server, &key, 20);
    let token = server.data(&key, r#"mutation { generateUserToken(userId: "ada") { token } }"#);
    let bearer = format!("Bearer {}", token["generateUserToken"]["token"].as_str().unwrap());
    let before = answers(&server, &key);

    // While the server runs.
    let exported = done(dir.path(), &["export", "--token-secrets", "--out", FILE]);
    assert_eq!(text(&exported.stdout), "");
    let file = dir.path().join(FILE);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else may read it");
    let (records, end) = shape(&file);
    assert_eq!(end["counts"]["event"], 40);
    let said = text(&exported.stderr);
    assert!(said.contains(&format!("{records} records")), "{said}");
    assert!(said.contains(end["checksum"].as_str().unwrap()), "{said}");
    assert!(said.contains("keep it as secret"), "{said}");
    server.signal("TERM");
    server.wait();

    let url = ["--database-url", database.url()];
    let imported = done(dir.path(), &["import", url[0], url[1], FILE]);
    let said = text(&imported.stderr);
    assert!(said.contains(end["checksum"].as_str().unwrap()), "{said}");
    let moved = Server::start_on(dir.path(), database.url());
    done(dir.path(), &["check"]);
    done(dir.path(), &["check", url[0], url[1]]);
    assert_eq!(answers(&moved, &key), before);
    let headers = [("Authorization", bearer.as_str())];
    assert_eq!(current_user(&moved, &headers)["data"]["currentUser"]["id"], "ada");
    // What was told before is not told again, and the budget goes on where it stood.
    use_some(&moved, &key, 20);
    assert_eq!(used(&moved, &key, "bob", "calls"), 60);
    assert_eq!(used(&moved, &key, "ada", "credits"), 40);
    let more =
        r#"mutation { useFeature(input: { userId: "ada", featureId: "credits" }) { granted } }"#;
    assert_eq!(moved.data(&key, more)["useFeature"]["granted"], false);
    let after = answers(&moved, &key);
    drop(moved);

    // Through a pipe, without a file, to an embedded database again.
    let mut out = kana(dir.path(), &["export", url[0], url[1]]);
    let mut out = out.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut into = kana(dir.path(), &["import", "--data-dir", "back", "-"]);
    let into = into.stdin(out.stdout.take().unwrap()).output().unwrap();
    assert!(out.wait().unwrap().success());
    assert!(into.status.success(), "{}", text(&into.stderr));
    assert!(text(&into.stderr).contains("no token secrets"), "{}", text(&into.stderr));
    let back = Server::start_with(Server::command(dir.path()).args(["--data-dir", "back"]));
    assert_eq!(answers(&back, &key), after);
    assert!(current_user(&back, &headers)["errors"][0]["message"].is_string());
    let token = back.data(&key, r#"mutation { generateUserToken(userId: "ada") { token } }"#);
    let bearer = format!("Bearer {}", token["generateUserToken"]["token"].as_str().unwrap());
    let headers = [("Authorization", bearer.as_str())];
    assert_eq!(current_user(&back, &headers)["data"]["currentUser"]["id"], "ada");
}

#[test]
fn one_environment_can_be_exported_and_the_other_one_used_after() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    prepare(&server, &key);
    done(dir.path(), &["export", "--env", "test", "--out", FILE]);
    assert!(!std::fs::read_to_string(dir.path().join(FILE)).unwrap().contains(r#":"live""#));
    done(dir.path(), &["import", "--data-dir", "new", FILE]);
    let new = Server::start_with(Server::command(dir.path()).args(["--data-dir", "new"]));
    assert_eq!(answers(&new, &key), answers(&server, &key));
    let create = ["keys", "--data-dir", "new", "create", "--env", "live", "--kind", "private"];
    let live = text(&done(dir.path(), &create).stdout).trim().to_owned();
    assert_eq!(new.data(&live, "{ features { id } }"), json!({ "features": [] }));
}

#[test]
fn what_cannot_be_exported_or_imported_is_told_and_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    let said = refused(dir.path(), &["export", "--data-dir", "none", "--out", FILE]);
    assert!(said.contains("there is no database in none"), "{said}");
    assert!(!path("none").exists());
    done(dir.path(), &["init"]);
    assert!(!path(FILE).exists());
    done(dir.path(), &["export", "--out", FILE]);
    let said = refused(dir.path(), &["export", "--out", FILE]);
    assert!(said.contains("exists already"), "{said}");
    let said = refused(dir.path(), &["export", "--out", "nowhere/export.jsonl"]);
    assert!(said.contains("nowhere"), "{said}");

    let said = refused(dir.path(), &["import", FILE]);
    assert!(said.contains("needs an empty database"), "{said}");
    let said = refused(dir.path(), &["import", "--data-dir", "new", "missing.jsonl"]);
    assert!(said.contains("missing.jsonl"), "{said}");
    let said = refused(dir.path(), &["import", "--data-dir", "new", "."]);
    assert!(said.contains("cannot be read"), "{said}");
    let whole = std::fs::read_to_string(path(FILE)).unwrap();
    for (file, told) in [
        ("", "line 1: the file is empty"),
        ("name = \"kana\"\n", "line 1: this is no export of Kana"),
        (&whole[..whole.len() / 2], "it was cut"),
        (&whole.replace("private", "public"), "the checksum is another"),
    ] {
        std::fs::write(path("bad.jsonl"), file).unwrap();
        let said = refused(dir.path(), &["import", "--data-dir", "new", "bad.jsonl"]);
        assert!(said.contains(told) && said.contains("nothing was imported"), "{said}");
    }
    done(dir.path(), &["import", "--data-dir", "new", FILE]);

    // Whoever reads standard output goes away before anything is written.
    let mut out = kana(dir.path(), &["export"]);
    let mut out = out.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(out.stdout.take());
    let mut said = String::new();
    out.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(out.wait().unwrap().code(), Some(1));
    assert!(said.contains("the export cannot be written: Broken pipe"), "{said}");
    // A disk that is full.
    if Path::new("/dev/full").exists() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let out = kana(dir.path(), &["export"]).stdout(full).output().unwrap();
        assert_eq!(out.status.code(), Some(1));
        assert!(text(&out.stderr).contains("No space left"), "{}", text(&out.stderr));
    }
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    let temporary = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(".kana-export");
    assert!(!left.iter().any(temporary), "{left:?}");
}
