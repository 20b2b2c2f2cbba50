//! Clients that reset their connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::client::connect;
use super::gate::{Gate, Pass};
use super::ledger::Entry;
use super::scribe::Scribe;

const PAUSE_MS_MAX: u64 = 60;

/// Longest wait between a request and its reset.
const RESET_WITHIN_MS: u64 = 8;

/// Sends usage whose answers it does not want: each may count, once. Ends with the gate, and returns
/// what was sent.
pub(super) fn run(mut scribe: Scribe, gate: &Gate) -> Vec<Entry> {
    while let Some(pass) = gate.enter() {
        while pass.nap(Duration::from_millis(scribe.random.u64(..PAUSE_MS_MAX))) {
            let request = scribe.any();
            send_and_reset(&pass, &request.bytes, &mut scribe.random);
        }
    }
    scribe.into_entries()
}

/// Sends a request, or its beginning, and resets the connection: at once, a little later, or in the
/// middle of the answer. Whether the server is there makes no difference.
pub(super) fn send_and_reset(pass: &Pass<'_>, request: &[u8], random: &mut fastrand::Rng) {
    let Ok(mut stream) = connect(pass.address) else {
        return;
    };
    let part = match random.u8(..4) {
        0 => &request[..random.usize(..request.len())],
        _ => request,
    };
    let sent = stream.write_all(part);
    match random.u8(..3) {
        0 => {}
        1 => {
            pass.nap(Duration::from_millis(random.u64(..RESET_WITHIN_MS)));
        }
        _ if sent.is_ok() && part.len() == request.len() => {
            let mut some = [0; 16];
            // Whatever comes, the connection is reset now.
            let _ = stream.read(&mut some);
        }
        _ => {}
    }
    reset(stream);
}

/// Closes a connection by a reset instead of an orderly end.
pub(super) fn reset(stream: TcpStream) {
    // A connection that is gone already needs no reset.
    let _ = set_socket_linger(&stream, Some(Duration::ZERO));
    drop(stream);
}
