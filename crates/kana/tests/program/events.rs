//! `POST /events` over a real socket: the documentation's examples, a body in chunks, a client that
//! stops in the middle, and a server that does.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::engines::{Engine, engines};
use crate::process::{Server, text};

const MODEL: &str = r#"mutation {
    createFeature(input: { id: "api-calls", type: CONSUMABLE }) { id }
    createPackage(input: { id: "pro", features: { id: "api-calls" } }) { id }
    publishPackage(id: "pro") { id }
    createUser(input: { id: "124" }) { id }
    subscribe(packageIds: "pro", userId: "124") { id }
}"#;
const USED: &str =
    r#"{ canUseFeature(userId: "124", featureId: "api-calls") { consumption { used } } }"#;

/// A server with the model, and its key.
fn serve_on(engine: &Engine) -> (Server, String) {
    let (server, key) = engine.start();
    server.data(&key, MODEL);
    (server, key)
}

/// The same, in this directory.
fn serve(dir: &TempDir) -> (Server, String) {
    let (server, key) = Server::start_new(dir);
    server.data(&key, MODEL);
    (server, key)
}

fn used(server: &Server, key: &str) -> u64 {
    server.data(key, USED)["canUseFeature"]["consumption"]["used"].as_u64().unwrap()
}

/// Waits until so much is used.
fn wait_until_used(server: &Server, key: &str, expected: u64) {
    let started = Instant::now();
    while used(server, key) != expected {
        assert!(started.elapsed() < Duration::from_secs(30), "{expected} is never used");
        std::thread::yield_now();
    }
}

fn line(id: usize) -> String {
    let event = json!({
        "specversion": "1.0", "type": "kana.usage", "source": "/test", "id": id.to_string(),
        "subject": "124", "data": { "featureId": "api-calls" },
    });
    format!("{event}\n")
}

/// A connection on which a body in chunks has begun.
fn begin(server: &Server, key: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        connection,
        "POST /events HTTP/1.1\r\nHost: kana\r\nAuthorization: {key}\r\nConnection: close\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .unwrap();
    connection
}

fn write_chunk(connection: &mut TcpStream, text: &str) {
    write!(connection, "{:x}\r\n{text}\r\n", text.len()).unwrap();
}

/// The status line and the JSON of the response.
fn response(connection: &mut TcpStream) -> (String, Value) {
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").expect(&response);
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
}

fn recorded(count: usize) -> Value {
    json!({ "received": count, "recorded": count, "notCounted": 0, "refused": [] })
}

#[test]
fn the_examples_in_the_documentation_print_what_it_says() {
    let documentation = include_str!("../../../../docs/events.md");
    let forms = documentation.split("## Forms").nth(1).unwrap();
    let forms = forms.split("\n## ").next().unwrap();
    // Every second part lies within a fence.
    let (mut commands, mut answers) = (String::new(), Vec::new());
    for fenced in forms.split("```").skip(1).step_by(2) {
        match fenced.split_once('\n').unwrap() {
            ("sh", lines) => commands.push_str(lines),
            ("json", answer) => answers.push(answer.trim()),
            (language, _) => panic!("what is {language}?"),
        }
    }
    assert_eq!(answers.len(), 4, "each form shows what to expect");

    for engine in engines() {
        let (server, key) = serve_on(&engine);
        let run = |commands: &str, key: &str| {
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c", commands])
                .env("KANA_URL", &server.url)
                .env("KANA_DEV_KEY", key)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            text(&output.stdout).to_owned()
        };
        assert_eq!(run(&commands, &key).lines().collect::<Vec<_>>(), answers);
        assert_eq!(used(&server, &key), 41);

        // And the documented error is what is answered to the first of them without a key.
        let first = commands.split("\ncurl").next().unwrap();
        let error = documentation.split("```json\n{\"type\"").nth(1).unwrap();
        let error = format!("{{\"type\"{}", error.lines().next().unwrap());
        assert_eq!(run(first, "").trim(), error);
    }
}

#[test]
fn lines_in_chunks_are_recorded_as_they_arrive() {
    for engine in engines() {
        let (server, key) = serve_on(&engine);
        let mut connection = begin(&server, &key);
        write_chunk(&mut connection, &line(1));
        wait_until_used(&server, &key, 1);
        let (second, third) = (line(2), line(3));
        let (start, rest) = second.split_at(30);
        write_chunk(&mut connection, start);
        write_chunk(&mut connection, &format!("{rest}{third}not JSON\n"));
        wait_until_used(&server, &key, 3);
        let many: String = (4..=20_000).map(line).collect();
        for piece in many.as_bytes().chunks(10_000) {
            write_chunk(&mut connection, text(piece));
        }
        write!(connection, "0\r\n\r\n").unwrap();
        let (status, answer) = response(&mut connection);
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert_eq!((&answer["received"], &answer["recorded"]), (&json!(20_001), &json!(20_000)));
        let refused = answer["refused"].as_array().unwrap();
        assert_eq!((refused.len(), &refused[0]["index"]), (1, &json!(3)));
        assert_eq!(used(&server, &key), 20_000);
    }
}

#[test]
fn a_client_that_stops_in_the_middle_has_its_whole_lines_recorded_and_may_send_them_again() {
    let dir = TempDir::new().unwrap();
    let (server, key) = serve(&dir);

    // It goes away.
    let mut connection = begin(&server, &key);
    write_chunk(&mut connection, &format!("{}{}{}", line(1), line(2), &line(3)[..60]));
    wait_until_used(&server, &key, 2);
    drop(connection);

    // It stops writing, and still reads.
    let mut connection = begin(&server, &key);
    let torn = format!("{}{}", line(4), line(5).trim_end());
    write_chunk(&mut connection, &torn);
    connection.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    // What the server says to that, if anything, is no success.
    let _ = connection.read_to_string(&mut rest);
    assert!(!rest.contains(" 200 "), "{rest}");
    wait_until_used(&server, &key, 3);

    let mut connection = begin(&server, &key);
    write_chunk(&mut connection, &(1..=5).map(line).collect::<String>());
    write!(connection, "0\r\n\r\n").unwrap();
    assert_eq!(response(&mut connection), ("HTTP/1.1 200 OK".to_owned(), recorded(5)));
    assert_eq!(used(&server, &key), 5);
}

#[test]
fn a_client_that_sends_all_before_it_reads_sees_why_it_is_refused() {
    let dir = TempDir::new().unwrap();
    let (server, key) = serve(&dir);
    let mut connection = begin(&server, &key);
    // The first thousand are listed, and what follows is not looked at.
    let bad = "{}\n".repeat(10_000);
    for _ in 0..500 {
        write_chunk(&mut connection, &bad);
    }
    write!(connection, "0\r\n\r\n").unwrap();
    let (status, answer) = response(&mut connection);
    assert_eq!(status, "HTTP/1.1 400 Bad Request");
    assert_eq!((&answer["received"], &answer["recorded"]), (&json!(1000), &json!(0)));
    assert_eq!(used(&server, &key), 0);
}

#[test]
fn a_stream_does_not_keep_the_server_from_stopping_and_what_was_used_survives() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = serve(&dir);
    let mut connection = begin(&server, &key);
    write_chunk(&mut connection, &line(1));
    wait_until_used(&server, &key, 1);
    server.signal("TERM");
    let told = Instant::now();
    let (status, _) = server.wait();
    assert!(status.success());
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    let server = Server::start(dir.path());
    assert_eq!(used(&server, &key), 1);
}
