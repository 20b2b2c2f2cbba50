//! Many connections, most of which say nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tempfile::TempDir;

use crate::process::{Server, after, init, note};

/// How long anything may take, on a busy machine too.
const SOON: Duration = Duration::from_secs(20);

/// A client of its own connection is answered.
fn assert_serves(server: &Server, key: &str) {
    let asked = Instant::now();
    server.data(key, "{ __typename }");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
}

/// Waits until the server has closed the connection.
fn assert_closed(connection: &mut TcpStream) {
    connection.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(connection.read(&mut [0; 1]).unwrap(), 0);
}

fn is_closed(connection: &mut TcpStream) -> bool {
    connection.set_nonblocking(true).unwrap();
    match connection.read(&mut [0; 1]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Bytes of memory that are the server's own.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    resident.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// As many connections as this process may open, up to `wanted`.
fn crowd_size(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let possible = limit.maximum.unwrap_or(u64::MAX).saturating_sub(200);
    if possible < wanted {
        note(&format!("the limit of open files allows only {possible} connections"));
    }
    possible.min(wanted)
}

#[test]
fn ten_thousand_connections_that_say_nothing_keep_nobody_out_and_cost_little() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    assert_serves(&server, &key);
    let before = memory(&server);
    let size = crowd_size(10_000);
    let mut crowd = Vec::new();
    for number in 0..size {
        crowd.push(server.connect());
        if number % 1000 == 0 {
            assert_serves(&server, &key);
        }
    }
    assert_serves(&server, &key);
    let each = memory(&server).saturating_sub(before) / size;
    note(&format!("{size} connections take {each} bytes each"));
    assert!(each < 32 * 1024, "a silent connection takes {each} bytes");
}

#[test]
fn more_connections_than_may_be_open_push_out_those_that_have_waited_longest() {
    let dir = TempDir::new().unwrap();
    let key = init(dir.path());
    let server = Server::start_with(Server::command(dir.path()).args(["--connections-max", "100"]));
    let mut crowd: Vec<TcpStream> = (0..1000)
        .map(|number| {
            if number % 100 == 0 {
                assert_serves(&server, &key);
            }
            server.connect()
        })
        .collect();
    assert_serves(&server, &key);
    for connection in &mut crowd[..900] {
        assert_closed(connection);
    }
    assert!(!is_closed(crowd.last_mut().unwrap()), "whoever came last may still ask");
    assert!(server.log().contains("no more connections are allowed"), "{}", server.log());
}

#[test]
fn connections_that_say_nothing_end_after_the_time_that_was_set() {
    let dir = TempDir::new().unwrap();
    let key = init(dir.path());
    let server =
        Server::start_with(Server::command(dir.path()).env("KANA_IDLE_TIMEOUT_SECONDS", "1"));
    let mut crowd: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    let opened = Instant::now();
    for connection in &mut crowd {
        assert_closed(connection);
    }
    assert!(opened.elapsed() < SOON, "{:?}", opened.elapsed());
    assert_serves(&server, &key);
}

#[test]
fn a_server_out_of_files_waits_for_some_and_then_serves_again() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    assert_serves(&server, &key);
    let pid = Pid::from_raw(server.pid().cast_signed()).unwrap();
    let few = Rlimit { current: Some(1), maximum: getrlimit(Resource::Nofile).maximum };
    let before = prlimit(Some(pid), Resource::Nofile, few).unwrap();
    let shut_out = server.connect();
    let out_of_files = Instant::now();
    while !server.log().contains("connections cannot be accepted") {
        assert!(out_of_files.elapsed() < SOON, "{}", server.log());
        std::thread::yield_now();
    }
    prlimit(Some(pid), Resource::Nofile, before).unwrap();
    assert_serves(&server, &key);
    drop(shut_out);
    let complaints = server.log().matches("connections cannot be accepted").count();
    assert_eq!(complaints, 1, "the log is not flooded");
}

#[test]
fn a_server_that_may_open_few_files_says_so_and_keeps_some_for_the_database() {
    let dir = TempDir::new().unwrap();
    let key = init(dir.path());
    let mut limited = after("ulimit -n 100", &Server::command(dir.path()));
    let server = Server::start_with(&mut limited);
    let crowd: Vec<TcpStream> = (0..300).map(|_| server.connect()).collect();
    assert_serves(&server, &key);
    assert!(server.log().contains("lets only 50 connections be open"), "{}", server.log());
    assert!(!server.log().contains("cannot be accepted"), "{}", server.log());
    drop(crowd);
}

#[test]
fn a_client_that_shuts_down_its_writing_half_is_answered_and_its_usage_is_recorded() {
    const MODEL: &str = "mutation {
        createFeature(input: {id: \"calls\", type: CONSUMABLE}) { id }
        createPackage(input: {id: \"basic\", features: [{id: \"calls\"}]}) { id }
        publishPackage(id: \"basic\") { id }
        createUser(input: {id: \"124\"}) { id }
        subscribe(userId: \"124\", packageIds: [\"basic\"]) { id }
    }";
    const RECORD: &str = r#"{"query":"mutation { recordUsage(input: {userId: \"124\", featureId: \"calls\"}) { recorded } }"}"#;
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    server.data(&key, MODEL);
    let asked: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut connection = server.connect();
            let length = RECORD.len();
            let request = format!(
                "POST /graphql HTTP/1.1\r\nHost: kana\r\nAuthorization: {key}\r\n\
                 Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{RECORD}"
            );
            connection.write_all(request.as_bytes()).unwrap();
            connection.shutdown(Shutdown::Write).unwrap();
            connection
        })
        .collect();
    for mut connection in asked {
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(r#"{"data":{"recordUsage":{"recorded":true}}}"#), "{answer}");
    }
    let used = server.data(
        &key,
        "{ canUseFeature(userId: \"124\", featureId: \"calls\") { consumption { used } } }",
    );
    assert_eq!(used["canUseFeature"]["consumption"]["used"], 20);
}
