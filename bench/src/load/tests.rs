use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::talk::Answer;
use super::*;

/// One byte, answered by a line.
struct Ping;

impl Talk for Ping {
    fn ask(&mut self, out: &mut Vec<u8>) -> usize {
        out.push(b'?');
        0
    }

    fn read(&mut self, _kind: usize, input: &[u8]) -> Result<Option<Answer>> {
        let whole = input.ends_with(b"\n");
        Ok(whole.then(|| Answer { len: input.len(), right: input.starts_with(b"yes") }))
    }
}

/// A server that answers `first` and then `rest`. Before `rest` it does nothing for `stall`, on all
/// connections. It ends with its connections.
fn server(first: u32, stall: Duration, rest: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answered = Arc::new(Mutex::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().take(CONNECTIONS) {
            let (mut stream, answered) = (stream.unwrap(), Arc::clone(&answered));
            std::thread::spawn(move || {
                let mut asked = [0];
                while stream.read(&mut asked).is_ok_and(|read| read > 0) {
                    let mut answered = answered.lock().unwrap();
                    *answered += 1;
                    if *answered == first {
                        // The stall itself, which is what is measured.
                        std::thread::sleep(stall);
                    }
                    let answer = if *answered <= first { "yes\n" } else { rest };
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

const CONNECTIONS: usize = 4;

fn measure(address: SocketAddr, pace: Pace, length_ms: u64) -> Result<Round> {
    let plan = Plan {
        connections: CONNECTIONS,
        warm_up: Duration::from_millis(20),
        length: Duration::from_millis(length_ms),
        pace,
        own_core: false,
    };
    let server = Usage::of(std::process::id());
    run(address, &mut Ping, &plan, &server, &Stop::never())
}

const STALL: Duration = Duration::from_millis(200);

#[test]
fn an_open_loop_counts_what_was_due_while_the_server_stalled() {
    let address = server(50, STALL, "yes\n");
    let interval = Duration::from_millis(2);
    let round = measure(address, Pace::Open(interval), 600).unwrap();
    // Every request that was due is counted, whenever it could be sent.
    assert!((299..=301).contains(&round.units()), "{}", round.units());
    // All that were due in the first 150 ms of the stall have waited for 50 ms or more.
    assert!(round.slower_than(STALL / 4) >= 70, "{}", round.slower_than(STALL / 4));
}

#[test]
fn a_closed_loop_has_one_request_on_a_connection() {
    let address = server(50, STALL, "yes\n");
    let round = measure(address, Pace::Closed, 400).unwrap();
    assert!(round.units() > 50, "{}", round.units());
    // Those that were on their way when the server stalled, and not one that was due meanwhile.
    assert!(round.slower_than(STALL) <= 2 * CONNECTIONS as u64, "{}", round.slower_than(STALL));
    assert!(round.memory_bytes_max > 0);
}

#[test]
fn wrong_answers_fail_a_round() {
    let address = server(50, Duration::ZERO, "no, not you\n");
    let mut contestant = || measure(address, Pace::Closed, 100);
    let error = in_turn(1, [Some(&mut contestant)]).err().unwrap().to_string();
    assert!(error.ends_with("answers were wrong, the first: no, not you "), "{error}");
}
