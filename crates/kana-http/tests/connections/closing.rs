//! Tests that an answer reaches the client if it is sent before the request was read to its end, or
//! ends the connection.

use super::*;

/// Time limits that no test reaches.
const ROOMY: Limits = Limits { discard: FAR, linger: FAR, ..PATIENT };
const MIB: usize = 1024 * 1024;

/// The head of a request to `/refuse`, whose handler leaves the body unread.
fn refused(more_headers: &str) -> String {
    format!("POST /refuse HTTP/1.1\r\nHost: kana\r\n{more_headers}\r\n")
}

/// Asserts that the answer is the refusal. Returns true if the server closes the connection.
fn assert_refused(connection: &mut TcpStream) -> bool {
    let (head, body) = head_and_body(connection);
    assert!(head.starts_with("http/1.1 401 "), "{head}");
    assert_eq!(body, "refused");
    head.contains("connection: close")
}

#[test]
fn a_body_that_nobody_wants_is_taken_and_the_connection_serves_on() {
    let server = Server::start(ROOMY);
    let mut connection = server.connect();
    let body = "x".repeat(5 * MIB);
    for framed in [
        format!("{}{body}", refused(&format!("Content-Length: {}\r\n", body.len()))),
        format!(
            "{}{:x}\r\n{body}\r\n0\r\n\r\n",
            refused("Transfer-Encoding: chunked\r\n"),
            body.len()
        ),
    ] {
        send(&mut connection, &framed);
        assert!(!assert_refused(&mut connection));
        assert_hello(&mut connection);
    }
}

#[test]
fn a_refusal_does_not_wait_for_the_body() {
    let server = Server::start(ROOMY);
    let mut connection = server.connect();
    send(&mut connection, &refused("Content-Length: 10\r\n"));
    assert!(!assert_refused(&mut connection));
    send(&mut connection, "only then.");
    assert_hello(&mut connection);
}

#[test]
fn a_body_too_large_to_be_dropped_is_told_to_end_and_the_answer_still_arrives() {
    let server = Server::start(ROOMY);
    let mut connection = server.connect();
    let length = 80 * MIB;
    send(&mut connection, &refused(&format!("Content-Length: {length}\r\n")));
    let piece = "x".repeat(MIB);
    for _ in 0..length / MIB {
        send(&mut connection, &piece);
    }
    assert!(assert_refused(&mut connection));
    assert_closed(&mut connection);
}

#[test]
fn a_client_that_asks_before_it_sends_is_answered_and_never_told_to_go_on() {
    let server = Server::start(ROOMY);
    let mut connection = server.connect();
    send(&mut connection, &refused("Content-Length: 5242880\r\nExpect: 100-continue\r\n"));
    // The client gave up waiting and sends the body anyway.
    send(&mut connection, &"x".repeat(5 * MIB));
    assert!(assert_refused(&mut connection), "what follows could be the body or a request");
    assert_closed(&mut connection);
}

#[test]
fn a_client_that_asks_before_it_sends_is_told_to_go_on_once_the_body_is_wanted() {
    let server = Server::start(ROOMY);
    let mut connection = server.connect();
    send(
        &mut connection,
        "POST /read HTTP/1.1\r\nHost: kana\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
    );
    let mut go_on = [0; 25];
    connection.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    send(&mut connection, "body");
    assert_eq!(answer(&mut connection).1, "4 bytes");
    assert_hello(&mut connection);
}

#[test]
fn a_head_that_is_too_large_is_told_so_however_much_follows() {
    let server = Server::start(ROOMY);
    let mut connection = server.connect();
    send(&mut connection, &format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(5 * MIB)));
    let mut refusal = [0; 12];
    connection.read_exact(&mut refusal).unwrap();
    assert_eq!(&refusal, b"HTTP/1.1 431");
}

#[test]
fn an_answer_that_ends_the_connection_arrives_though_more_was_sent() {
    let server = Server::start(ROOMY);
    let mut connection = server.connect();
    let last = "GET / HTTP/1.1\r\nHost: kana\r\nConnection: close\r\n\r\n";
    send(&mut connection, &format!("{last}{}", "x".repeat(5 * MIB)));
    assert_eq!(answer(&mut connection).1, "hello");
    assert_closed(&mut connection);
}

#[test]
fn a_body_that_nobody_wants_and_that_stops_is_not_waited_for_without_end() {
    let server = Server::start(Limits { discard: SHORT, ..ROOMY });
    let mut connection = server.connect();
    send(&mut connection, &refused("Content-Length: 10\r\n"));
    assert!(!assert_refused(&mut connection));
    assert_closed(&mut connection);
}

#[test]
fn a_client_that_goes_on_after_the_end_of_its_connection_is_cut_off() {
    let server = Server::start(Limits { linger: SHORT, ..ROOMY });
    let mut connection = server.connect();
    send(&mut connection, "GET / HTTP/1.1\r\nHost: kana\r\nConnection: close\r\n\r\n");
    assert_eq!(answer(&mut connection).1, "hello");
    let began = Instant::now();
    while connection.write_all(b"more").is_ok() {
        assert!(began.elapsed() < FAR, "a client keeps a closed connection open");
    }
}

#[test]
fn a_server_that_stops_waits_neither_for_bodies_that_nobody_wants_nor_for_clients_that_linger() {
    let mut server = Server::start(ROOMY);
    let mut sending = server.connect();
    send(&mut sending, &refused("Content-Length: 10\r\n"));
    assert!(!assert_refused(&mut sending));
    let mut idle = server.connect();
    assert_hello(&mut idle);
    let began = Instant::now();
    server.tell_to_stop();
    assert_closed(&mut sending);
    assert_closed(&mut idle);
    drop(sending);
    assert!(server.end());
    assert!(began.elapsed() < FAR / 2);
}
