//! Clients that send or read slowly.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde_json::Value;

use super::client::{Client, connect, graphql};
use super::faults::Faults;
use super::gate::{Gate, Pass};
use super::ledger::Entry;
use super::reset::reset;
use super::scribe::Scribe;

const PAUSE_MS_MAX: u64 = 200;

/// How long one request takes at most, if the server lets it: longer than it lets anybody say
/// nothing.
const PATIENCE: Duration = Duration::from_secs(25);

/// How long sending takes at most: less than the server gives a request, so that it is answered.
const SEND_WITHIN: Duration = Duration::from_secs(15);

/// Several hundred kilobytes, with all seeded users.
pub(super) const MUCH: &str =
    "{ users { id name email metadata subscriptions { id status startedAt package { id } } } }";

/// Sends and reads slowly until the gate ends, and returns what was sent.
pub(super) fn run(mut scribe: Scribe, key: &str, gate: &Gate, faults: &Faults) -> Vec<Entry> {
    while let Some(pass) = gate.enter() {
        while pass.nap(Duration::from_millis(scribe.random.u64(..PAUSE_MS_MAX))) {
            match scribe.random.u8(..8) {
                0..3 => send_slowly(&mut scribe, &pass, faults, true),
                3..5 => send_slowly(&mut scribe, &pass, faults, false),
                5..7 => read_slowly(key, &pass, &mut scribe.random),
                _ => stall(&mut scribe, &pass),
            }
        }
    }
    scribe.into_entries()
}

/// Sends usage byte by byte, the head or the body of it, and waits for the answer.
fn send_slowly(scribe: &mut Scribe, pass: &Pass<'_>, faults: &Faults, slow_head: bool) {
    let request = scribe.any();
    let head_end = request.bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = request.bytes.split_at(head_end.map_or(0, |end| end + 4));
    let pause = Duration::from_millis(scribe.random.u64(1..=10));
    let Ok(mut stream) = connect(pass.address) else {
        return;
    };
    // What comes quickly is one piece.
    let pieces = |part: &[u8], slow: bool| if slow { 1 } else { part.len().max(1) };
    let sent = trickle(&mut stream, head, pieces(head, slow_head), pause, pass)
        && trickle(&mut stream, body, pieces(body, !slow_head), pause, pass);
    if sent {
        let outcome = Client::new(pass, faults).receive(stream);
        scribe.settle(&request, &outcome, faults);
    }
}

/// Sends bytes in pieces of so many, with a pause after each. Returns whether all were sent.
fn trickle(
    stream: &mut TcpStream,
    bytes: &[u8],
    piece: usize,
    pause: Duration,
    pass: &Pass<'_>,
) -> bool {
    let deadline = Instant::now() + SEND_WITHIN;
    bytes.chunks(piece).all(|piece| {
        stream.write_all(piece).is_ok() && pass.nap(pause) && Instant::now() < deadline
    })
}

/// Asks for much, takes little of it at a time, and leaves before or at the end.
fn read_slowly(key: &str, pass: &Pass<'_>, random: &mut fastrand::Rng) {
    let Ok(mut stream) = connect(pass.address) else {
        return;
    };
    let small = set_socket_recv_buffer_size(&stream, 4096);
    if small.is_err() || stream.write_all(&graphql(key, MUCH, &Value::Null)).is_err() {
        return;
    }
    let deadline =
        Instant::now() + Duration::from_millis(random.u64(..PATIENCE.as_millis() as u64));
    let mut room = [0; 2048];
    while Instant::now() < deadline && pass.nap(Duration::from_millis(20)) {
        match stream.read(&mut room) {
            Ok(read) if read > 0 => {}
            _ => break,
        }
    }
    if random.bool() {
        reset(stream);
    }
}

/// Sends half a request, and then nothing until the server has had enough.
fn stall(scribe: &mut Scribe, pass: &Pass<'_>) {
    let request = scribe.any();
    let half = scribe.random.usize(..request.bytes.len());
    let Ok(mut stream) = connect(pass.address) else {
        return;
    };
    let short = stream.set_read_timeout(Some(Duration::from_millis(1)));
    if short.is_err() || stream.write_all(&request.bytes[..half]).is_err() {
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    let mut room = [0; 512];
    while Instant::now() < deadline && pass.nap(Duration::from_millis(100)) {
        match stream.read(&mut room) {
            Ok(0) => break,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break,
            _ => {}
        }
    }
}
