//! `kana serve`: how it starts, what it keeps, how it stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::init_and_keys::assert_are_first_keys;
use crate::process::{Server, run, text};

const MODEL: &str = r#"mutation {
    createFeature(input: { id: "api-calls", type: CONSUMABLE }) { id }
    createPackage(input: { id: "pro", features: { id: "api-calls" } }) { id }
    publishPackage(id: "pro") { id }
    createUser(input: { id: "124" }) { id }
    subscribe(packageIds: "pro", userId: "124") { id }
}"#;
const RECORD: &str =
    r#"mutation { recordUsage(input: { userId: "124", featureId: "api-calls" }) { recorded } }"#;
const USED: &str =
    r#"{ canUseFeature(userId: "124", featureId: "api-calls") { consumption { used } } }"#;

fn used(server: &Server, key: &str) -> u64 {
    server.data(key, USED)["canUseFeature"]["consumption"]["used"].as_u64().unwrap()
}

#[test]
fn the_first_start_prints_the_keys_and_later_ones_print_nothing() {
    let dir = TempDir::new().unwrap();
    let mut first = Server::start(dir.path());
    first.signal("TERM");
    let (status, out) = first.wait();
    assert!(status.success());
    assert_are_first_keys(&out);

    let mut second = Server::start(dir.path());
    second.signal("INT");
    let (status, out) = second.wait();
    assert!(status.success());
    assert_eq!(out, "");
}

#[test]
fn a_second_server_on_the_same_directory_refuses_and_says_why() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    let second = run(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another kana server"), "{}", text(&second.stderr));
    server.data(&key, "{ __typename }");
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let dir = TempDir::new().unwrap();
    let (server, _) = Server::start_new(&dir);
    let address = server.url.strip_prefix("http://").unwrap();
    let other_dir = TempDir::new().unwrap();
    let second = run(other_dir.path(), &["serve", "--listen", address]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains(address), "{}", text(&second.stderr));
}

#[test]
fn health_is_told_without_a_key() {
    let dir = TempDir::new().unwrap();
    let (server, _) = Server::start_new(&dir);
    for path in ["/healthz", "/readyz"] {
        let response = ureq::get(format!("{}{path}", server.url)).call().unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = Server::start_new(&dir);
    server.data(&key, MODEL);
    for acknowledged in 1..=5 {
        for _ in 0..10 {
            assert_eq!(server.data(&key, RECORD)["recordUsage"]["recorded"], true);
        }
        server.signal("KILL");
        server.wait();
        server = Server::start(dir.path());
        assert_eq!(used(&server, &key), acknowledged * 10);
    }
}

#[test]
fn a_server_that_is_told_to_stop_finishes_what_it_has_accepted() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = Server::start_new(&dir);
    server.data(&key, MODEL);

    // A request of which the last byte is missing: accepted, and not to be dropped.
    let body = json!({ "query": RECORD }).to_string();
    let (all_but_last, last) = body.split_at(body.len() - 1);
    let mut connection = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        connection,
        "POST /graphql HTTP/1.1\r\nHost: kana\r\nAuthorization: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{all_but_last}",
        body.len()
    )
    .unwrap();
    // An answered request on another connection shows that the first bytes have been read.
    assert_eq!(used(&server, &key), 0);
    let told = Instant::now();
    server.signal("TERM");
    while !server.log().contains("stopping") {
        assert!(told.elapsed() < Duration::from_secs(5), "{}", server.log());
        std::thread::yield_now();
    }
    write!(connection, "{last}").unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    assert!(response.contains(r#"{"data":{"recordUsage":{"recorded":true}}}"#), "{response}");
    // The server waits for its clients to close their connections.
    drop(connection);

    let (status, _) = server.wait();
    assert!(status.success());
    assert!(told.elapsed() < Duration::from_secs(10));
    let server = Server::start(dir.path());
    assert_eq!(used(&server, &key), 1);
}

#[test]
fn a_client_that_never_finishes_does_not_keep_the_server_from_stopping() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = Server::start_new(&dir);
    let mut connection = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        connection,
        "POST /graphql HTTP/1.1\r\nHost: kana\r\nAuthorization: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n1"
    )
    .unwrap();
    // An answered request on another connection shows that the first bytes have been read.
    server.data(&key, "{ __typename }");
    server.signal("TERM");
    let told = Instant::now();
    let (status, _) = server.wait();
    assert!(status.success());
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}

/// Writes a request that is larger than what is read, whole, before it looks for an answer, as many
/// clients do.
fn send_too_large(server: &Server, key: &str, bytes: usize, more_headers: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        connection,
        "POST /graphql HTTP/1.1\r\nHost: kana\r\nAuthorization: {key}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {bytes}\r\n{more_headers}\r\n"
    )
    .unwrap();
    connection
}

#[test]
fn a_client_that_sends_twenty_mib_before_it_reads_sees_why_it_is_refused() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    let bytes = 20 * 1024 * 1024;
    let mut connection = send_too_large(&server, &key, bytes, "");
    connection.write_all(&vec![b' '; bytes]).unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
    assert!(response.contains("The request body is larger than 1 MiB"), "{response}");
    server.data(&key, "{ __typename }");
}

#[test]
fn a_client_that_asks_before_it_sends_too_much_is_refused_at_once() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    let mut connection =
        send_too_large(&server, &key, 20 * 1024 * 1024, "Expect: 100-continue\r\n");
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
}
