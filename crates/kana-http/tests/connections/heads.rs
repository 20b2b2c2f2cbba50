//! Requests that are refused by their head alone.

use super::*;

/// Sends a request with this request line and these headers. Returns the answer's status and body.
fn ask(server: &Server, start: &str, lines: &[&str]) -> (String, String) {
    let mut connection = server.connect();
    let head: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    send(&mut connection, &format!("{start}\r\n{head}\r\n"));
    let (status, body) = answer(&mut connection);
    let (_version, status) = status.split_once(' ').unwrap();
    (status.to_owned(), body.trim_end().to_owned())
}

#[test]
fn a_request_without_host_or_with_two_hosts_or_two_authorizations_is_refused() {
    let server = Server::start(PATIENT);
    let get = "GET / HTTP/1.1";
    let bad = "400 bad request";
    let twice = |name: &str| format!("The request has more than one {name} header");
    for (start, lines, problem) in [
        (get, &[][..], "The request has no Host header".to_owned()),
        (get, &["Authorization: a"], "The request has no Host header".to_owned()),
        ("GET http://kana/ HTTP/1.1", &[], "The request has no Host header".to_owned()),
        (get, &["Host: kana", "Host: kana"], twice("Host")),
        (get, &["host: a", "HOST: b"], twice("Host")),
        ("GET / HTTP/1.0", &["Host: a", "Host: b"], twice("Host")),
        (get, &["Host: kana", "Authorization: a", "Authorization: a"], twice("Authorization")),
        (get, &["Authorization: a", "Host: kana", "authorization: b"], twice("Authorization")),
    ] {
        let body = format!(
            r#"{{"type":"about:blank","title":"Bad Request","status":400,"detail":"{problem}.","code":"BAD_REQUEST"}}"#
        );
        assert_eq!(ask(&server, start, lines), (bad.to_owned(), body), "{start} {lines:?}");
    }
}

#[test]
fn a_request_with_one_host_or_an_old_one_without_is_taken() {
    let server = Server::start(PATIENT);
    for (start, lines) in [
        ("GET / HTTP/1.1", &["Host: kana", "Authorization: a"][..]),
        ("GET / HTTP/1.1", &["Host:"]),
        ("GET http://kana/ HTTP/1.1", &["Host: kana"]),
        ("GET / HTTP/1.0", &["Connection: keep-alive"]),
        ("GET / HTTP/1.0", &[]),
    ] {
        let hello = ("200 ok".to_owned(), "hello".to_owned());
        assert_eq!(ask(&server, start, lines), hello, "{start} {lines:?}");
    }
}

#[test]
fn a_request_that_is_refused_by_its_head_may_have_a_body_and_others_after_it() {
    let server = Server::start(PATIENT);
    let mut connection = server.connect();
    let body = "x".repeat(1024 * 1024);
    let length = body.len();
    send(
        &mut connection,
        &format!("POST /read HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}"),
    );
    assert_eq!(answer(&mut connection).0, "http/1.1 400 bad request");
    assert_hello(&mut connection);
}

/// What a head says that gives the length of its body twice.
const TWO_LENGTHS: [&str; 5] = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 5\r\n",
    "content-length:5\r\nAccept: a\r\nCONTENT-LENGTH: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n",
];

fn with_lengths(lengths: &str) -> String {
    format!("POST /read HTTP/1.1\r\nHost: kana\r\n{lengths}\r\n0\r\n\r\n")
}

/// Reads the refusal of a head with two lengths, and waits for the connection to close.
fn assert_refused_and_closed(connection: &mut TcpStream) {
    let (head, body) = head_and_body(connection);
    assert!(head.starts_with("http/1.1 400 bad request\r\n"), "{head}");
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/problem+json\r\n"), "{head}");
    assert!(body.ends_with(r#","code":"BAD_REQUEST"}"#), "{body}");
    assert_closed(connection);
}

#[test]
fn a_head_with_two_lengths_is_refused_and_nothing_that_follows_is_taken() {
    let server = Server::start(PATIENT);
    for lengths in TWO_LENGTHS {
        let mut connection = server.connect();
        let next = "GET / HTTP/1.1\r\nHost: kana\r\n\r\n";
        send(&mut connection, &format!("{}{next}", with_lengths(lengths)));
        assert_refused_and_closed(&mut connection);
    }
    assert!(server.events.try_recv().is_err(), "no handler has seen one of them");
}

#[test]
fn a_head_with_two_lengths_is_refused_behind_others_and_byte_by_byte_too() {
    let server = Server::start(PATIENT);
    let body = "\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
    let sized = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let chunked = format!(
        "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\nContent-Length: 1\r\n\r\n",
        body.len()
    );
    let read = "POST /read HTTP/1.1\r\nHost: kana\r\n";
    for lengths in TWO_LENGTHS {
        let bad = with_lengths(lengths);
        let requests = format!("{read}{sized}{read}{chunked}GET / HTTP/1.1\r\nHost:\r\n\r\n{bad}");
        let mut together = server.connect();
        send(&mut together, &requests);
        let mut one_by_one = server.connect();
        for byte in requests.as_bytes() {
            one_by_one.write_all(&[*byte]).unwrap();
        }
        for mut connection in [together, one_by_one] {
            let read = format!("{} bytes", body.len());
            for expected in [&read, &read, "hello"] {
                assert_eq!(answer(&mut connection).1, expected);
            }
            assert_refused_and_closed(&mut connection);
        }
    }
}

#[test]
fn a_body_that_its_handler_leaves_and_that_looks_like_a_head_is_no_request() {
    let server = Server::start(PATIENT);
    let mut connection = server.connect();
    let body = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n".repeat(5000);
    for _ in 0..2 {
        let length = body.len();
        send(
            &mut connection,
            &format!("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"),
        );
        assert_eq!(answer(&mut connection).0, "http/1.1 401 unauthorized");
        assert_hello(&mut connection);
    }
}
