//! Signals that the server ignores.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use crate::process::{Server, kana};

/// Signals that end a process by default.
const MEANINGLESS: [&str; 4] = ["HUP", "PIPE", "USR1", "USR2"];

#[test]
fn signals_without_a_meaning_do_nothing_to_a_server_or_to_what_it_has_begun() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = Server::start_new(&dir);
    let body = json!({ "query": "{ __typename }" }).to_string();
    let (first, rest) = body.split_at(5);
    let mut connection = server.connect();
    write!(
        connection,
        "POST /graphql HTTP/1.1\r\nHost: kana\r\nAuthorization: {key}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        body.len()
    )
    .unwrap();
    for signal in MEANINGLESS {
        server.signal(signal);
        server.data(&key, "{ __typename }");
    }
    connection.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(r#"{"data":{"__typename":"Query"}}"#), "{answer}");
    server.signal("TERM");
    let (status, _) = server.wait();
    assert!(status.success(), "{status}");
}

#[test]
fn signals_without_a_meaning_do_nothing_to_a_server_that_starts() {
    let dir = TempDir::new().unwrap();
    // A database that accepts a connection and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://kana@{}/kana", silent.local_addr().unwrap());
    let mut command: Command =
        kana(dir.path(), &["serve", "--listen", "127.0.0.1:0", "--database-url", &url]);
    let mut server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let connection = silent.accept().unwrap();
    let pid = Pid::from_child(&server);
    for signal in [Signal::HUP, Signal::PIPE, Signal::USR1, Signal::USR2, Signal::TERM] {
        kill_process(pid, signal).unwrap();
    }
    let status = server.wait().unwrap();
    drop(connection);
    // Of pending signals, the one with the smallest number is delivered first.
    let by = status.signal();
    assert!(by.is_none() || by == Some(Signal::TERM.as_raw()), "{status}");
}
