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
