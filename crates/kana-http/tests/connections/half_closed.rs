//! Clients that shut down their writing half after the request, and clients that go away.

use std::net::Shutdown;

use super::*;

#[test]
fn a_client_that_shuts_down_its_writing_half_is_answered() {
    let server = Server::start(PATIENT);
    let mut connection = server.connect();
    get_path(&mut connection, "/wait");
    server.expect("waiting");
    connection.shutdown(Shutdown::Write).unwrap();
    // Once another client is answered, the server has seen the shutdown.
    assert_hello(&mut server.connect());
    server.gate.add_permits(1);
    assert_eq!(answer(&mut connection).1, "waited");
    assert_closed(&mut connection);
}

#[test]
fn all_requests_before_the_end_of_the_writing_half_are_answered() {
    let server = Server::start(PATIENT);
    let mut connection = server.connect();
    let body = "POST /read HTTP/1.1\r\nHost: kana\r\nContent-Length: 4\r\n\r\nbody";
    let hello = "GET / HTTP/1.1\r\nHost: kana\r\n\r\n";
    send(&mut connection, &format!("{body}{hello}{body}"));
    connection.shutdown(Shutdown::Write).unwrap();
    for expected in ["4 bytes", "hello", "4 bytes"] {
        assert_eq!(answer(&mut connection).1, expected);
    }
    assert_closed(&mut connection);
}

#[test]
fn a_body_that_ends_early_with_the_writing_half_is_cut_and_answered() {
    let server = Server::start(PATIENT);
    for body in ["Content-Length: 10\r\n\r\nonly", "Transfer-Encoding: chunked\r\n\r\n4\r\nonly"] {
        for (path, expected) in [("/read", "cut off"), ("/refuse", "refused")] {
            let mut connection = server.connect();
            send(&mut connection, &format!("POST {path} HTTP/1.1\r\nHost: kana\r\n{body}"));
            connection.shutdown(Shutdown::Write).unwrap();
            assert_eq!(answer(&mut connection).1, expected);
            assert_closed(&mut connection);
        }
    }
}

#[test]
fn a_half_closed_connection_that_asks_nothing_is_closed() {
    let server = Server::start(PATIENT);
    let mut silent = server.connect();
    silent.shutdown(Shutdown::Write).unwrap();
    assert_closed(&mut silent);
    let mut asked = server.connect();
    assert_hello(&mut asked);
    send(&mut asked, "GET / HTTP/1.1\r\nHost: ka");
    asked.shutdown(Shutdown::Write).unwrap();
    assert_closed(&mut asked);
}

#[test]
fn what_a_client_asked_before_it_went_away_is_finished_and_its_place_is_free_again() {
    let server = Server::start(Limits { connections_max: 2, ..PATIENT });
    let mut gone = server.connect();
    get_path(&mut gone, "/wait");
    server.expect("waiting");
    drop(gone);
    let mut other = server.connect();
    get_path(&mut other, "/wait");
    server.expect("waiting");
    let mut next = server.connect();
    get_path(&mut next, "/");
    server.gate.add_permits(2);
    server.expect("done");
    server.expect("done");
    assert_eq!(answer(&mut other).1, "waited");
    assert_eq!(answer(&mut next).1, "hello");
}

#[test]
fn an_answer_to_a_client_that_went_away_is_given_up() {
    let server = Server::start(PATIENT);
    let mut connection = server.connect();
    get_path(&mut connection, "/endless");
    connection.read_exact(&mut [0; 100]).unwrap();
    drop(connection);
    server.expect("given up");
}
