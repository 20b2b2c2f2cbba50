//! Standard output and standard error that cannot be written to: a full disk, a reader that is gone,
//! a reader that never reads.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, PipeReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{init, kana, text};

const TIME_TO_STOP: Duration = Duration::from_secs(10);
/// The flag of `open` on Linux.
const O_NONBLOCK: i32 = 0o4000;

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A server, killed at the end of its test.
struct Quiet {
    child: Child,
    address: String,
    key: String,
    _dir: TempDir,
}

impl Quiet {
    /// Starts a server whose log is read up to the line that names its address, and not further.
    fn start(filter: &str) -> (Self, BufReader<PipeReader>) {
        let dir = TempDir::new().unwrap();
        let key = init(dir.path());
        let (reader, writer) = std::io::pipe().unwrap();
        let mut serve = kana(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
        let child = serve.env("KANA_LOG", filter).stderr(writer).spawn().unwrap();
        drop(serve);
        let mut lines = BufReader::new(reader);
        let address = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "no server");
            let line: Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = line["address"].as_str() {
                break address.to_owned();
            }
        };
        (Self { child, address, key, _dir: dir }, lines)
    }

    /// Starts a server whose standard error is full from the start.
    fn start_full() -> Self {
        let dir = TempDir::new().unwrap();
        let key = init(dir.path());
        loop {
            // If another process takes the port first, the server ends.
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let address = address.to_string();
            let mut serve = kana(dir.path(), &["serve", "--listen", &address]);
            let mut child = serve.env("KANA_LOG", "trace").stderr(full()).spawn().unwrap();
            loop {
                if let Some(status) = child.try_wait().unwrap() {
                    assert_eq!(status.code(), Some(1), "only a port in use is a reason to end");
                    break;
                }
                if TcpStream::connect(&address).is_ok() {
                    return Self { child, address, key, _dir: dir };
                }
                std::thread::yield_now();
            }
        }
    }

    fn ask(&self) -> Value {
        ureq::post(format!("http://{}/graphql", self.address))
            .config()
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .header("Authorization", &self.key)
            .send_json(json!({ "query": "{ __typename }" }))
            .unwrap()
            .body_mut()
            .read_json()
            .unwrap()
    }

    /// Asserts that the server stops in time and with success when it is told to.
    fn stop(&mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        let told = Instant::now();
        let status = self.child.wait().unwrap();
        assert!(told.elapsed() < TIME_TO_STOP, "{:?}", told.elapsed());
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_whose_log_is_full_serves_and_stops() {
    let mut server = Quiet::start_full();
    for _ in 0..10 {
        assert_eq!(server.ask()["data"]["__typename"], "Query");
    }
    server.stop();
}

#[test]
fn a_server_whose_reader_of_the_log_is_gone_serves_and_stops() {
    let (mut server, lines) = Quiet::start("trace");
    drop(lines);
    for _ in 0..10 {
        assert_eq!(server.ask()["data"]["__typename"], "Query");
    }
    server.stop();
}

#[test]
fn a_server_whose_log_nobody_reads_serves_and_stops() {
    let (mut server, lines) = Quiet::start("info");
    fill(lines.get_ref());
    assert_eq!(server.ask()["data"]["__typename"], "Query");
    // There is no room for the log line about the stop.
    server.stop();
}

/// Writes to a pipe until it is full.
fn fill(pipe: &PipeReader) {
    // Opened again, so that non-blocking mode applies to this writer alone.
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let mut options = File::options();
    let mut writer = options.write(true).custom_flags(O_NONBLOCK).open(path).unwrap();
    let full = loop {
        if let Err(error) = writer.write(b"\n") {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_last_lines_are_written_before_the_program_ends() {
    let (mut server, mut lines) = Quiet::start("info");
    server.stop();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert!(rest.trim_end().ends_with('}') && rest.contains("stopped"), "{rest}");
}

#[test]
fn a_command_whose_standard_error_is_broken_ends_as_it_would() {
    let dir = TempDir::new().unwrap();
    init(dir.path());
    for (arguments, exit_code) in [
        (&["keys", "list"][..], 0),
        (&["init"], 0),
        (&["keys", "revoke", "99"], 1),
        (&["keys", "simple-mode", "--env", "test", "off"], 0),
        (&["export"], 0),
        (&["import", "no-such-file"], 1),
        (&["pull"], 2),
        (&["bootstrap"], 0),
        (&["serve", "--listen", "nowhere"], 2),
        (&["--no-such-flag"], 2),
    ] {
        for stderr in [full(), closed()] {
            let output = kana(dir.path(), arguments).stderr(stderr).output().unwrap();
            assert_eq!(output.status.code(), Some(exit_code), "{arguments:?}: {}", output.status);
        }
    }
}

#[test]
fn a_command_whose_standard_output_is_broken_says_so_and_fails() {
    let dir = TempDir::new().unwrap();
    init(dir.path());
    for arguments in [
        &["keys", "list"][..],
        &["keys", "create", "--env", "test", "--kind", "public"],
        &["export"],
        &["export", "--out", "-"],
        &["bootstrap"],
        &["bootstrap", "--json"],
        &["--help"],
        &["keys", "create", "--help"],
        &["--version"],
        &["--version", "--json"],
    ] {
        for stdout in [full(), closed()] {
            let output = kana(dir.path(), arguments).stdout(stdout).output().unwrap();
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
            assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
            assert!(said.contains("written") || said.contains("write"), "{arguments:?}: {said}");
        }
    }
}
