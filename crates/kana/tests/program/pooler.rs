//! The program behind PgBouncer in transaction mode.

use kana_test_postgres::{Cluster, Pooler};
use tempfile::TempDir;

use crate::process::{Server, init_with, run, text};

#[test]
fn every_command_works_through_a_pooler_once_it_is_told_of_it() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let Some(pooler) = Pooler::start(&cluster.url(), 2) else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let url = pooler.url("kana");
    // A start would wait in vain.
    for command in [&["init"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let output = run(dir.path(), &[command, &["--database-url", &url]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let error = text(&output.stderr);
        assert!(error.contains("--database-pooler transaction"), "{error}");
    }
    let with_options = format!("{url}?options=-c%20lock_timeout%3D1s");
    let settings = ["--database-pooler", "transaction", "--database-url"];
    let output = run(dir.path(), &[&["init"], &settings[..], &[&with_options]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));

    let settings = [&settings[..], &[&url]].concat();
    let key = init_with(dir.path(), &settings);
    let mut server = Server::start_with(Server::command(dir.path()).args(&settings));
    let created = server.ask(
        &key,
        "mutation { createUser(input: { id: \"ada\" }) { id } }",
        &serde_json::json!({}),
    );
    assert!(created.get("errors").is_none(), "{created}");
    for command in [&["keys", "list"][..], &["jobs", "list"], &["migrate"], &["export"]] {
        let output = run(dir.path(), &[command, &settings].concat());
        assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    }
    server.signal("TERM");
    assert!(server.wait().0.success());
}
