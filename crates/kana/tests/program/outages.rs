//! A PostgreSQL server that goes away and comes back, or hands over to another, under load.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use kana_test_postgres::{Cluster, run as run_sql};
use tempfile::TempDir;

use crate::ledger::{Books, Client, prepare, seed};
use crate::load::Load;
use crate::process::{Server, init_with, kana, note, run, text};

/// By when a server must serve again once its database is back.
const BACK_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn what_is_told_while_the_database_and_its_servers_are_killed_counts_once() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let url = cluster.url();
    let mut random = fastrand::Rng::with_seed(seed());
    let key = init_with(dir.path(), &["--database-url", &url]);
    let start = || Server::start_on(dir.path(), &url);
    let (mut one, mut other) = (start(), start());
    prepare(&one, &key);
    let load = Load::start(&one, &key, &mut random);

    for round in 0..4 {
        load.await_answers(random.usize(20..150));
        cluster.kill();
        if round % 2 == 0 {
            // So long that somebody notices. Otherwise it is back before anybody gives up.
            load.await_failures(1);
        }
        cluster.begin();
        let back = Instant::now();
        load.await_answers(1);
        assert!(back.elapsed() < BACK_WITHIN, "it took {:?}", back.elapsed());
        note(&format!("served {:?} after the database was back", back.elapsed()));

        load.await_answers(random.usize(20..150));
        load.move_to(&other);
        one.signal("KILL");
        one.wait();
        std::mem::swap(&mut one, &mut other);
        other = start();
    }
    let told = load.finish();
    told.assert_agrees(&Books::ask(&url));
    told.assert_repeats(&other, &Client::new(&key));
    for mut server in [one, other] {
        server.signal("TERM");
        assert!(server.wait().0.success());
    }
    told.assert_agrees(&Books::ask(&url));
}

#[test]
fn what_was_acknowledged_survives_that_a_standby_takes_over() {
    let Some(primary) = Cluster::start() else {
        return;
    };
    let standby = primary.standby();
    // Nothing is acknowledged before the standby has it.
    primary.administrate("ALTER SYSTEM SET synchronous_standby_names = '*'");
    primary.administrate("SELECT pg_reload_conf()");
    let dir = TempDir::new().unwrap();
    let both = format!("{},{}", primary.address(), standby.address());
    let url = primary.url().replace(&primary.address(), &both);
    let mut random = fastrand::Rng::with_seed(seed());
    let key = init_with(dir.path(), &["--database-url", &url]);
    let server = Server::start_on(dir.path(), &url);
    prepare(&server, &key);
    let load = Load::start(&server, &key, &mut random);

    load.await_answers(random.usize(20..150));
    primary.kill();
    standby.promote();
    let back = Instant::now();
    load.await_answers(1);
    assert!(back.elapsed() < BACK_WITHIN, "it took {:?}", back.elapsed());
    load.await_answers(50);
    let told = load.finish();
    told.assert_agrees(&Books::ask(&standby.url()));
    told.assert_repeats(&server, &Client::new(&key));
}

/// The status of a page of the server.
fn status(server: &Server, path: &str) -> u16 {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    agent.get(format!("{}{path}", server.url)).call().unwrap().status().as_u16()
}

#[test]
fn a_server_says_whether_its_database_is_there() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let key = init_with(dir.path(), &["--database-url", &cluster.url()]);
    let server = Server::start_on(dir.path(), &cluster.url());
    assert_eq!((status(&server, "/readyz"), status(&server, "/healthz")), (200, 200));

    cluster.kill();
    assert_eq!((status(&server, "/readyz"), status(&server, "/healthz")), (503, 200));
    let make = r#"mutation { createUser(input: { id: "ada" }) { id } }"#;
    let question = "{ features { id } }";
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    for query in [make, question] {
        let answer = agent
            .post(format!("{}/graphql", server.url))
            .header("Authorization", &key)
            .send_json(serde_json::json!({ "query": query }))
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
        assert!(answer.contains("OVERLOADED"), "{answer}");
        assert!(answer.contains("the database is unavailable; nothing was recorded"), "{answer}");
        assert!(!answer.contains("127.0.0.1"), "{answer}");
    }

    cluster.begin();
    assert_eq!((status(&server, "/readyz"), status(&server, "/healthz")), (200, 200));
    assert_eq!(server.data(&key, make)["createUser"]["id"], "ada");
}

/// What the program says when it cannot use a database, whichever command it is given.
fn refused(dir: &Path, url: &str) -> String {
    let [served, made] = ["serve", "init"].map(|command| {
        let output = run(dir, &[command, "--database-url", url]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
        let said = text(&output.stderr).to_owned();
        assert!(!said.contains("secret") && !said.contains("hunter2"), "{said}");
        said
    });
    let problem = |said: &str| -> String {
        let entry: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        entry["message"].as_str().unwrap_or_else(|| panic!("{entry}")).to_owned()
    };
    assert_eq!(problem(&served), problem(&made));
    problem(&served)
}

#[test]
fn a_database_that_cannot_be_used_is_an_error_that_says_why() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let (url, address) = (cluster.url(), cluster.address());
    init_with(dir.path(), &["--database-url", &url]);
    let said = refused(dir.path(), &format!("postgres://kana:hunter2@{address}/kana"));
    assert!(said.contains("password authentication failed"), "{said}");
    let said = refused(dir.path(), &format!("{url}2"));
    assert!(said.contains("\"kana2\" does not exist"), "{said}");
    let standby = cluster.standby();
    let said = refused(dir.path(), &standby.url());
    assert!(said.contains("read-only standby"), "{said}");
    run_sql(&url, "UPDATE kana.schema_version SET version = 99");
    let said = refused(dir.path(), &url);
    assert!(said.contains("schema version 99"), "{said}");
}

/// Starts a server that waits for its database, and returns once the server logs that.
fn waiting_server(dir: &Path, url: &str) -> (Child, BufReader<ChildStderr>) {
    let mut command = kana(dir, &["serve", "--listen", "127.0.0.1:0", "--database-url", url]);
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("waiting up to 60 seconds for the database"), "{line}");
    assert!(!line.contains("secret"), "{line}");
    (server, log)
}

#[test]
fn a_server_that_is_started_before_its_database_waits_for_it() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let dir = TempDir::new().unwrap();
    init_with(dir.path(), &["--database-url", &cluster.url()]);
    // The database first has no connection left, and is then away.
    cluster.administrate("ALTER ROLE kana CONNECTION LIMIT 0");
    let (mut server, mut log) = waiting_server(dir.path(), &cluster.url());
    cluster.kill();
    cluster.begin();
    cluster.administrate("ALTER ROLE kana CONNECTION LIMIT -1");
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("ready: listening"), "it says so once: {line}");
    server.kill().unwrap();
    server.wait().unwrap();

    cluster.kill();
    for signal in ["TERM", "INT"] {
        let (mut server, _log) = waiting_server(dir.path(), &cluster.url());
        signal_to(&server, signal);
        assert!(server.wait().unwrap().success());
    }
    let output = run(dir.path(), &["init", "--database-url", &cluster.url()]);
    assert_eq!(output.status.code(), Some(1), "a command that ends does not wait");
    assert!(text(&output.stderr).contains("cannot be reached"), "{}", text(&output.stderr));
}

fn signal_to(process: &Child, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &process.id().to_string()]).status();
    assert!(sent.unwrap().success());
}
