//! The memory that many request bodies take, with and without a valid key.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Server, note, text};

const MIB: u64 = 1024 * 1024;
const CONNECTIONS: usize = 400;
/// The memory that all connections may take besides their bodies.
const OVERHEAD: u64 = 100 * MIB;
const BODY_BYTES: usize = 1024 * 1024;
/// How much of each body is sent at first.
const SENT_BYTES: usize = 1_048_000;

/// Returns the peak memory of the server so far.
fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Sends nearly all of a request with a large body.
fn send_most(server: &Server, key: &str) -> TcpStream {
    let mut connection = server.connect();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: kana\r\nAuthorization: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    // Its first byte shows that this is not JSON.
    connection.write_all(&[b'x'; SENT_BYTES]).unwrap();
    connection
}

/// Reads the status of the answer.
fn status(connection: &mut TcpStream) -> u16 {
    let mut start = [0; 12];
    connection.read_exact(&mut start).unwrap();
    text(&start).strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap()
}

fn is_answered(connection: &mut TcpStream) -> bool {
    connection.set_nonblocking(true).unwrap();
    let answered = match connection.peek(&mut [0; 1]) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    };
    connection.set_nonblocking(false).unwrap();
    answered
}

#[test]
fn bodies_of_strangers_cost_no_memory_and_those_of_callers_have_a_bound() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    server.data(&key, "{ __typename }");
    let before = peak(&server);

    let mut strangers: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| send_most(&server, "wrong")).collect();
    for connection in &mut strangers {
        assert_eq!(status(connection), 200);
    }
    let cost = peak(&server) - before;
    note(&format!("{CONNECTIONS} bodies of strangers take {} KiB", cost / 1024));
    assert!(cost < OVERHEAD, "{cost} bytes for bodies of strangers");
    drop(strangers);

    let mut callers: Vec<TcpStream> = (0..CONNECTIONS).map(|_| send_most(&server, &key)).collect();
    let sent = Instant::now();
    while !callers.iter_mut().any(is_answered) {
        assert!(sent.elapsed() < Duration::from_secs(20), "more is held than there may be");
    }
    // Small questions are answered meanwhile.
    server.data(&key, "{ __typename }");
    let rest = [b'x'; BODY_BYTES - SENT_BYTES];
    let statuses = callers.iter_mut().map(|connection| {
        connection.write_all(&rest).unwrap();
        status(connection)
    });
    let statuses: Vec<u16> = statuses.collect();
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    // The other bodies were read to their end and refused, since they are not JSON.
    assert_eq!(count(503) + count(400), CONNECTIONS, "{statuses:?}");
    assert!(count(400) > CONNECTIONS / 4, "{} were refused", count(503));
    let cost = peak(&server) - before;
    note(&format!("those of callers take {} KiB, {} were refused", cost / 1024, count(503)));
    assert!(cost < 256 * MIB + OVERHEAD, "{cost} bytes for bodies of callers");
}
