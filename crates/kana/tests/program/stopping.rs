//! How a server ends when it is told to, and what `/readyz` and `kana healthcheck` say meanwhile.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Server, run, text};

/// How long anything may take, even on a busy machine.
const SOON: Duration = Duration::from_secs(30);

fn ready(server: &Server) -> (u16, String) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let mut response = agent.get(format!("{}/readyz", server.url)).call().unwrap();
    assert_eq!(response.headers().get("Cache-Control").unwrap(), "no-store");
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

#[test]
fn a_server_that_drains_serves_and_is_not_ready_and_a_second_signal_ends_it_at_once() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    drop(server);
    let mut server =
        Server::start_with(Server::command(dir.path()).args(["--drain-seconds", "300"]));
    assert_eq!(ready(&server).0, 200);
    server.signal("TERM");
    server.await_log("stopping in 300 seconds");
    let (status, body) = ready(&server);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, body),
        (503, json!({ "ready": false, "checks": { "server": "stopping" } }))
    );
    // New connections are served, also with changes.
    server.data(&key, r#"mutation { createUser(input: { id: "new" }) { id } }"#);
    let told = Instant::now();
    server.signal("TERM");
    let (status, _) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(told.elapsed() < SOON);
    assert!(server.log().contains("stopped at once"), "{}", server.log());
    let server = Server::start(dir.path());
    assert_eq!(server.data(&key, "{ users { id } }"), json!({ "users": [{ "id": "new" }] }));
}

#[test]
fn a_second_signal_does_not_wait_for_a_client_that_never_finishes() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = Server::start_new(&dir);
    let mut connection = server.connect();
    write!(
        connection,
        "POST /graphql HTTP/1.1\r\nHost: kana\r\nAuthorization: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n1"
    )
    .unwrap();
    server.data(&key, "{ __typename }");
    server.signal("TERM");
    server.await_log("finishing what was accepted");
    server.signal("INT");
    let (status, _) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(server.log().contains("stopped at once"), "{}", server.log());
    drop(connection);
}

#[test]
fn a_health_check_says_whether_the_server_is_ready() {
    let dir = TempDir::new().unwrap();
    let (server, _) = Server::start_new(&dir);
    drop(server);
    let mut server =
        Server::start_with(Server::command(dir.path()).args(["--drain-seconds", "300"]));
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let check = || run(dir.path(), &["healthcheck", "--listen", &address]);
    let output = check();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("", ""));

    server.signal("TERM");
    server.await_log("stopping in 300 seconds");
    let output = check();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("not ready: server: stopping"),
        "{}",
        text(&output.stderr)
    );

    server.signal("TERM");
    server.wait();
    let output = check();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&address), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made");
}
