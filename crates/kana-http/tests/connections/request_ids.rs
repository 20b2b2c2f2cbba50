//! Each answer has the id of its request.

use std::io::Write as _;

use crate::{PATIENT, Server, assert_closed, head_and_body, send};

/// Sends a request, and returns the id and the status line of its answer.
fn id_of_answer(server: &Server, request: &str) -> (String, String) {
    let mut connection = server.connect();
    send(&mut connection, request);
    let (head, _) = head_and_body(&mut connection);
    let mut ids = head.lines().filter_map(|line| line.strip_prefix("x-request-id: "));
    let id = ids.next().unwrap_or_else(|| panic!("no id in {head}")).to_owned();
    assert_eq!(ids.next(), None, "{head}");
    (id, head.lines().next().unwrap().to_owned())
}

#[test]
fn every_answer_has_an_id_also_one_to_what_cannot_be_read() {
    let server = Server::start(PATIENT);
    let long = "x".repeat(64 * 1024);
    let mut ids = Vec::new();
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: kana\r\n\r\n", "200"),
        ("GET /nothing HTTP/1.1\r\nHost: kana\r\n\r\n", "404"),
        ("DELETE / HTTP/1.1\r\nHost: kana\r\n\r\n", "405"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: kana\r\nHost: kana\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost : kana\r\n\r\n", "400"),
        ("no request at all\r\n\r\n", "400"),
        ("GET / HTTP/9.9\r\n\r\n", "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
        (&format!("GET / HTTP/1.1\r\nHost: kana\r\nCookie: {long}\r\n\r\n"), "431"),
        (&format!("GET /{long} HTTP/1.1\r\nHost: kana\r\n\r\n"), "4"),
    ] {
        let (id, status_line) = id_of_answer(&server, request);
        assert!(status_line.starts_with(&format!("http/1.1 {status}")), "{status_line}");
        assert_eq!(id.len(), 32, "{id}");
        ids.push(id);
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "each is another");
}

#[test]
fn a_callers_id_comes_back_if_it_is_one() {
    let server = Server::start(PATIENT);
    let request = |header: &str| format!("GET / HTTP/1.1\r\nHost: kana\r\n{header}\r\n\r\n");
    let longest = "7".repeat(128);
    for id in ["a", "00-._~+/=", longest.as_str()] {
        let (answered, _) = id_of_answer(&server, &request(&format!("X-Request-Id: {id}")));
        assert_eq!(answered, id);
    }
    for id in ["", "a b", "a;b", "\"a\"", &"7".repeat(129)] {
        let (answered, _) = id_of_answer(&server, &request(&format!("X-Request-Id: {id}")));
        assert!(answered != id && answered.len() == 32, "{answered}");
    }
}

#[test]
fn after_a_good_request_a_bad_one_on_the_same_connection_has_an_id_too() {
    let server = Server::start(PATIENT);
    let mut connection = server.connect();
    send(&mut connection, "GET / HTTP/1.1\r\nHost: kana\r\n\r\n");
    let (first, _) = head_and_body(&mut connection);
    send(&mut connection, "nonsense\r\n\r\n");
    let (second, _) = head_and_body(&mut connection);
    assert!(first.contains("200 ok") && first.contains("x-request-id: "), "{first}");
    assert!(second.contains("400 bad request") && second.contains("x-request-id: "), "{second}");
}

#[test]
fn what_cannot_be_read_is_answered_with_a_problem_and_the_headers_of_every_answer() {
    let server = Server::start(PATIENT);
    let long = "x".repeat(64 * 1024);
    for (request, status, code) in [
        ("no request at all\r\n\r\n", 400, "BAD_REQUEST"),
        ("GET / HTTP/1.1\r\nHost : kana\r\n\r\n", 400, "BAD_REQUEST"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "BAD_REQUEST"),
        (&format!("GET / HTTP/1.1\r\nHost: kana\r\nCookie: {long}\r\n\r\n"), 431, "HEAD_TOO_LARGE"),
    ] {
        let mut connection = server.connect();
        send(&mut connection, request);
        let (head, body) = head_and_body(&mut connection);
        assert_eq!(head.matches("content-length: ").count(), 1, "{head}");
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        for header in [
            "content-type: application/problem+json",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{header}: {head}");
        }
        assert!(body.contains(&format!("\"status\":{status},\"detail\":\"The head of ")), "{body}");
        assert!(body.ends_with(&format!(",\"code\":\"{code}\"}}")), "{body}");
    }
}

#[test]
fn a_client_that_speaks_http_2_is_refused_however_its_preface_arrives() {
    let server = Server::start(PATIENT);
    let hello = "GET / HTTP/1.1\r\nHost: kana\r\n\r\n";
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
    for before in ["", hello] {
        for size in [preface.len(), 3] {
            let mut connection = server.connect();
            send(&mut connection, before);
            if !before.is_empty() {
                head_and_body(&mut connection);
            }
            for piece in preface.as_bytes().chunks(size) {
                // Once it is refused, the rest need not be taken.
                let _ = connection.write_all(piece);
            }
            let (head, _) = head_and_body(&mut connection);
            assert!(head.starts_with("http/1.1 400 bad request\r\n"), "{head}");
            assert_closed(&mut connection);
        }
    }
}
