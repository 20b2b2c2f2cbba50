//! The lines about requests, and what never stands in the log.

use std::io::{Read, Write};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::engines::{Engine, engines};
use crate::process::{Server, init, kana, run, text};

/// Starts a server with these flags.
fn start(dir: &TempDir, flags: &[&str]) -> (Server, String) {
    let key = init(dir.path());
    let flags = [&["serve", "--listen", "127.0.0.1:0"], flags].concat();
    (Server::start_with(&mut kana(dir.path(), &flags)), key)
}

/// Sends a request with these header lines, and returns the whole answer.
fn send(server: &Server, request_line: &str, headers: &str, body: &str) -> String {
    let mut connection = server.connect();
    write!(
        connection,
        "{request_line} HTTP/1.1\r\nHost: kana\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n\
         {body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Stops the server. Returns its log, line by line.
fn log_of(mut server: Server) -> Vec<Value> {
    server.signal("TERM");
    server.wait();
    server.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn requests(log: &[Value]) -> Vec<&Value> {
    log.iter().filter(|line| line["message"] == "request").collect()
}

#[test]
fn a_request_has_a_line_with_what_is_known_of_it() {
    let dir = TempDir::new().unwrap();
    let (server, key) = start(&dir, &[]);
    let ask = |query: &str, id: &str| {
        let headers = format!(
            "Authorization: {key}\r\nContent-Type: application/json\r\nX-Request-Id: {id}\r\n\
             traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        );
        let body = json!({ "query": query }).to_string();
        let answer = send(&server, "POST /graphql", &headers, &body);
        assert!(answer.contains(&format!("x-request-id: {id}\r\n")), "{answer}");
        body.len()
    };
    let bytes_in = ask("{ features { id } packages { id } }", "one");
    ask(r#"mutation { createUser(input: { id: "" }) { id } }"#, "two");
    send(&server, "GET /graphql?query=%7B__typename%7D", "X-Request-Id: three\r\n", "");
    send(&server, "GET /healthz", "X-Request-Id: four\r\n", "");
    send(&server, "GET /nothing", "X-Request-Id: five\r\n", "");
    send(&server, "GET /cli/pull", &format!("Authorization: {key}\r\nX-Request-Id: six\r\n"), "");
    let log = log_of(server);
    let requests = requests(&log);
    let line = |id: &str| {
        let line = requests.iter().find(|line| line["request_id"] == id);
        (*line.unwrap_or_else(|| panic!("no {id} in {log:?}"))).clone()
    };
    let one = line("one");
    for (field, value) in [
        ("level", json!("INFO")),
        ("target", json!("kana_http::request_log")),
        ("trace_id", json!("0af7651916cd43dd8448eb211c80319c")),
        ("surface", json!("admin")),
        ("operations", json!("features,packages")),
        ("environment", json!("test")),
        ("key_id", json!(1)),
        ("status", json!(200)),
        ("outcome", json!("ok")),
        ("code", Value::Null),
        ("bytes_in", json!(bytes_in)),
    ] {
        assert_eq!(one[field], value, "{field} of {one}");
    }
    assert!(one["duration_ms"].as_f64().unwrap() > 0.0, "{one}");
    assert!(one["bytes_out"].as_u64().unwrap() > 10, "{one}");
    assert!(one["timestamp"].as_str().unwrap().ends_with('Z'), "{one}");
    let two = line("two");
    assert_eq!((&two["level"], &two["outcome"]), (&json!("INFO"), &json!("refused")), "{two}");
    assert_eq!(
        (&two["operations"], &two["code"]),
        (&json!("createUser"), &json!("BAD_USER_INPUT"))
    );
    let three = line("three");
    assert_eq!(
        (&three["environment"], &three["code"]),
        (&json!("none"), &json!("UNAUTHENTICATED"))
    );
    assert!(requests.iter().all(|line| line["request_id"] != "four"), "health is not logged");
    assert_eq!((&line("five")["surface"], &line("five")["status"]), (&json!("other"), &json!(404)));
    assert_eq!(line("six")["operations"], "cli_pull");
}

#[test]
fn the_line_of_a_head_that_cannot_be_read_has_the_code_and_size_of_its_answer() {
    let dir = TempDir::new().unwrap();
    let (server, _) = start(&dir, &[]);
    let mut bodies = Vec::new();
    for head in ["nonsense\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut connection = server.connect();
        connection.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        bodies.push(answer.split_once("\r\n\r\n").unwrap().1.len());
    }
    let log = log_of(server);
    let lines = requests(&log);
    let sizes: Vec<&Value> = lines.iter().map(|line| &line["bytes_out"]).collect();
    assert_eq!(sizes, [&json!(bodies[0]), &json!(bodies[1])], "{log:?}");
    assert!(bodies[0] > 0, "{bodies:?}");
    for line in lines {
        let known = [&line["code"], &line["status"], &line["outcome"]];
        assert_eq!(known, [&json!("BAD_REQUEST"), &json!(400), &json!("refused")], "{line}");
    }
}

#[test]
fn what_went_well_is_sampled_and_what_was_slow_is_a_warning() {
    let dir = TempDir::new().unwrap();
    let (server, key) = start(&dir, &["--log-requests-per-second", "1"]);
    for _ in 0..50 {
        server.data(&key, "{ __typename }");
    }
    let log = log_of(server);
    assert!((1..50).contains(&requests(&log).len()), "{log:?}");

    let dir = TempDir::new().unwrap();
    let (server, key) = start(&dir, &["--log-requests-per-second", "0"]);
    server.data(&key, "{ __typename }");
    let log = log_of(server);
    assert!(requests(&log).is_empty(), "{log:?}");

    let dir = TempDir::new().unwrap();
    let flags = ["--log-requests-per-second", "0", "--slow-ms", "1", "--log-format", "json"];
    let (server, key) = start(&dir, &flags);
    for number in 0..20 {
        let events: String = (0..2000)
            .map(|event| {
                let data = r#"{"userId":"u","featureId":"f"}"#;
                format!(
                    r#"{{"specversion":"1.0","id":"{number}-{event}","source":"s","type":"kana.usage","data":{data}}}"#
                ) + "\n"
            })
            .collect();
        let headers = format!("Authorization: {key}\r\nContent-Type: application/x-ndjson\r\n");
        send(&server, "POST /events", &headers, &events);
    }
    let log = log_of(server);
    let requests = requests(&log);
    assert!(!requests.is_empty() && requests.iter().all(|line| line["level"] == "WARN"), "{log:?}");
    assert!(requests.iter().all(|line| line["surface"] == "events"), "{log:?}");
}

#[test]
fn text_is_one_line_for_each_event_and_a_wrong_setting_is_named() {
    let dir = TempDir::new().unwrap();
    let wrong = run(
        dir.path(),
        &[
            "serve",
            "--log-format",
            "xml",
            "--log-level",
            "loud",
            "--slow-ms",
            "0",
            "--log-requests-per-second",
            "100001",
        ],
    );
    assert_eq!(wrong.status.code(), Some(2));
    let said = text(&wrong.stderr);
    assert_eq!(said.lines().count(), 4, "{said}");
    for named in ["--log-format", "--log-level", "--slow-ms", "--log-requests-per-second"] {
        assert!(said.contains(named), "{said}");
    }
    let failed = run(dir.path(), &["export", "--log-format", "text", "--data-dir", "a\nb"]);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(said.lines().count() == 1 && said.contains("ERROR"), "{said}");
    let config = run(dir.path(), &["config", "--log-level", "debug"]);
    let config = text(&config.stdout).to_owned();
    for line in ["log-level ", "log-format ", "slow-ms ", "log-requests-per-second "] {
        assert!(config.lines().any(|shown| shown.starts_with(line)), "{line}: {config}");
    }
}

#[test]
fn the_line_of_the_start_says_what_runs() {
    let dir = TempDir::new().unwrap();
    let (server, _) = start(&dir, &["--events-days", "9"]);
    let log = log_of(server);
    let start = log.iter().find(|line| line["address"].is_string()).unwrap();
    assert_eq!(start["engine"], "sqlite", "{start}");
    assert_eq!(start["version"], env!("CARGO_PKG_VERSION"));
    assert!(start["schema_version"].as_u64().unwrap() > 0, "{start}");
    assert!(!start["commit"].as_str().unwrap().is_empty());
    assert_eq!(start["settings"], "listen=127.0.0.1:0 events-days=9");
}

#[test]
fn a_change_has_a_line_and_an_entry_of_the_audit_log_that_name_its_request() {
    for engine in engines() {
        let (server, key) = engine.start();
        let query = r#"mutation { createFeature(input: { id: "f", type: BINARY }) { id } }"#;
        let headers = format!(
            "Authorization: {key}\r\nContent-Type: application/json\r\nX-Request-Id: the-creation\r\n"
        );
        let answer =
            send(&server, "POST /graphql", &headers, &json!({ "query": query }).to_string());
        assert!(answer.contains("\"id\":\"f\""), "{answer}");
        let log = server.data(&key, "{ auditLog { edges { node { action requestId } } } }");
        let newest = &log["auditLog"]["edges"][0]["node"];
        assert_eq!(*newest, json!({ "action": "createFeature", "requestId": "the-creation" }));
        let log = log_of(server);
        let change = log.iter().find(|line| line["message"] == "change").unwrap();
        for (field, value) in [
            ("level", "INFO"),
            ("actor", "key 1"),
            ("action", "createFeature"),
            ("kind", "feature"),
            ("subject", "f"),
            ("request_id", "the-creation"),
        ] {
            assert_eq!(change[field], value, "{change}");
        }
    }
}

#[test]
fn a_statement_that_is_slow_is_a_warning_with_our_name_for_it() {
    let engine = Engine::embedded();
    let key = engine.start().1;
    // A commit that waits for the disk takes longer than a millisecond, sooner or later.
    let mut serve = engine.kana(&["serve", "--listen", "127.0.0.1:0", "--slow-ms", "1"]);
    let mut server = Server::start_with(&mut serve);
    for number in 0..1000 {
        let create = format!(r#"mutation {{ createUser(input: {{ id: "u{number}" }}) {{ id }} }}"#);
        server.data(&key, &create);
        if server.log().contains("slow statement") {
            break;
        }
    }
    server.signal("TERM");
    server.wait();
    let log = server.log();
    let line = log.lines().find(|line| line.contains("\"slow statement\""));
    let line: Value = serde_json::from_str(line.unwrap_or_else(|| panic!("{log}"))).unwrap();
    assert_eq!((&line["level"], &line["statement"]), (&json!("WARN"), &json!("COMMIT")), "{line}");
    assert!(line["duration_ms"].as_f64().unwrap() >= 1.0, "{line}");
}

#[test]
fn a_hangup_reads_the_level_anew_and_keeps_it_if_it_is_wrong() {
    let dir = TempDir::new().unwrap();
    init(dir.path());
    let file = dir.path().join("kana.toml");
    std::fs::write(&file, "log_level = \"info\"").unwrap();
    let mut server =
        Server::start_with(&mut kana(dir.path(), &["serve", "--listen", "127.0.0.1:0"]));
    std::fs::write(&file, "log_level = \"loud\"").unwrap();
    server.signal("HUP");
    server.await_log("log_level in kana.toml");
    assert!(!server.log().contains("DEBUG"));
    std::fs::write(&file, "log_level = \"debug\"").unwrap();
    server.signal("HUP");
    server.await_log("\"log_level\":\"debug\"");
    // A connection that ends in the middle of a head is told at this level only.
    let mut connection = server.connect();
    connection.write_all(b"GET / HT").unwrap();
    drop(connection);
    server.await_log("\"level\":\"DEBUG\"");
    server.signal("TERM");
    assert!(server.wait().0.success());
}
