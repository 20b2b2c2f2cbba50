//! Clients that send what is no request of ours.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use super::client::{connect, read_response};
use super::faults::Faults;
use super::gate::{Gate, Pass};
use crate::load::http::{Response, post};

const PAUSE_MS_MAX: u64 = 60;

/// The server may wait for more instead of answering.
const ANSWER_WITHIN: Duration = Duration::from_millis(300);

/// How large a head may be is less than this.
const HUGE_HEAD_BYTES: usize = 200 * 1024;

/// Sends garbage until the gate ends.
pub(super) fn run(mut random: fastrand::Rng, key: &str, gate: &Gate, faults: &Faults) {
    while let Some(pass) = gate.enter() {
        while pass.nap(Duration::from_millis(random.u64(..PAUSE_MS_MAX))) {
            let garbage = any(&mut random, key);
            send(&pass, &garbage, faults);
        }
    }
}

fn send(pass: &Pass<'_>, garbage: &[u8], faults: &Faults) {
    let Ok(mut stream) = connect(pass.address) else {
        return;
    };
    // The server may have had enough before the end, and has still answered.
    let _ = stream.write_all(garbage);
    let mut input = Vec::new();
    let read = match stream.set_read_timeout(Some(ANSWER_WITHIN)) {
        Ok(()) => read_response(&mut stream, &mut input),
        Err(error) => Err(error),
    };
    if read.is_err_and(|error| error.kind() == ErrorKind::InvalidData) {
        faults.add("no HTTP", &String::from_utf8_lossy(&input));
    } else if let Ok(Some(response)) = Response::read(&input) {
        judge(response, faults);
    }
}

/// Garbage is the client's fault, and is told so in JSON if it is told anything.
fn judge(response: Response<'_>, faults: &Faults) {
    let text = || format!("{}: {}", response.status, String::from_utf8_lossy(response.body));
    if response.status >= 500 && response.status != 503 {
        faults.add("wrong status or code", &text());
    }
    let is_json = serde_json::from_slice::<serde_json::Value>(response.body).is_ok();
    if !is_json && !response.body.is_empty() {
        faults.add("no JSON", &text());
    }
}

fn any(random: &mut fastrand::Rng, key: &str) -> Vec<u8> {
    let json = |body: &[u8]| post("/graphql", key, "application/json", body);
    let length = random.usize(1..2000);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
    match random.u8(..14) {
        0 => noise,
        1 => [b"POST /graphql HTTP/1.1\r\n", &noise[..], b"\r\n\r\n"].concat(),
        2 => b"GARBAGE\r\n\r\n".to_vec(),
        3 => json(br#"{"query":"{ users { id "#),
        4 => json(br#"{"query":"{ users { id } }}{{{{ $","variables":[]}"#),
        5 => json(&noise),
        6 => json("[".repeat(length).as_bytes()),
        7 => post("/events", key, "application/x-ndjson", &noise),
        8 => post("/events", key, "application/cloudevents-batch+json", b"[{\"specversion\":1}"),
        9 => post("/graphql", "prv_test_nobody", "application/json", &noise),
        10 => {
            let value = "x".repeat(HUGE_HEAD_BYTES);
            format!("GET / HTTP/1.1\r\nHost: a\r\nX-Much: {value}\r\n\r\n").into_bytes()
        }
        11 => client_hello(&noise),
        12 => {
            let lengths = "Content-Length: 3\r\nContent-Length: 4\r\n";
            format!("POST /events HTTP/1.1\r\nHost: a\r\n{lengths}\r\nabcd").into_bytes()
        }
        _ => {
            let chunked = "Transfer-Encoding: chunked\r\n\r\nzz\r\nno chunk\r\n";
            format!("POST /events HTTP/1.1\r\nHost: a\r\nAuthorization: {key}\r\n{chunked}")
                .into_bytes()
        }
    }
}

/// The beginning of a TLS connection: a record with a ClientHello, whose content is noise.
fn client_hello(noise: &[u8]) -> Vec<u8> {
    let length = |length: usize| [(length >> 8) as u8, (length & 0xff) as u8];
    let [high, low] = length(noise.len() + 4);
    let [hello_high, hello_low] = length(noise.len());
    let head = [0x16, 0x03, 0x01, high, low, 0x01, 0x00, hello_high, hello_low];
    [&head[..], noise].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_error_and_a_page_are_faults() {
        let judged = |status: u16, body: &str| {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
            let bytes = format!("{head}{body}").into_bytes();
            let faults = Faults::default();
            judge(Response::read(&bytes).unwrap().unwrap(), &faults);
            faults.into_kinds().len()
        };
        assert_eq!((judged(400, "{}"), judged(400, ""), judged(503, "{}")), (0, 0, 0));
        assert_eq!((judged(500, "{}"), judged(400, "<html>")), (1, 1));
    }
}
