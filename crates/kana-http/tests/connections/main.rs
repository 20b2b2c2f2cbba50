//! Connections over real sockets, with a router of the tests' own and limits of a moment.

// Clippy allows these in tests; what a story is told with is test code too, outside of `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod closing;
mod half_closed;
mod heads;
mod request_ids;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Router};
use hyper::body::Frame;
use kana_http::{Limits, OwnTime, RequestLogSettings, ServerSettings, Tls};
use kana_telemetry::Surface;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// What no test waits for, unless it fails.
const FAR: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(100);
const PATIENT: Limits = Limits {
    connections_max: 100,
    idle: FAR,
    head: FAR,
    response: FAR,
    stall: FAR,
    rate_min: 1,
    discard: FAR,
    linger: SHORT,
};

/// A server that answers by path.
struct Server {
    runtime: Option<Runtime>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<bool>>,
    events: mpsc::Receiver<&'static str>,
    gate: Arc<Semaphore>,
}

#[derive(Clone)]
struct Shared {
    /// What has happened, in order.
    events: mpsc::Sender<&'static str>,
    gate: Arc<Semaphore>,
}

impl Shared {
    fn say(&self, what: &'static str) {
        let _ = self.events.send(what);
    }
}

/// Reads the body, and says how that went.
async fn read(State(shared): State<Shared>, body: Body) -> (StatusCode, String) {
    shared.say("reading");
    match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => (StatusCode::OK, format!("{} bytes", bytes.len())),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "cut off".to_owned()),
    }
}

/// Answers once the gate is opened.
async fn wait(State(shared): State<Shared>) -> &'static str {
    shared.say("waiting");
    shared.gate.acquire().await.unwrap().forget();
    shared.say("done");
    "waited"
}

/// Does what [`wait`] does, and limits its time itself.
async fn wait_long(own_time: Extension<OwnTime>, shared: State<Shared>) -> &'static str {
    own_time.take();
    wait(shared).await
}

/// An answer without an end, that says when it is given up.
struct Endless(Shared);

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.say("given up");
    }
}

impl Server {
    fn start(limits: Limits) -> Self {
        Self::start_with(limits, FAR)
    }

    fn start_with(limits: Limits, drain_time: Duration) -> Self {
        Self::start_by(limits, drain_time, None)
    }

    fn start_by(limits: Limits, drain_time: Duration, tls: Option<Arc<Tls>>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(async { kana_http::listen(&["127.0.0.1:0".parse().unwrap()]) })
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (said, events) = mpsc::channel();
        let gate = Arc::new(Semaphore::new(0));
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/wait-long", get(wait_long))
            .route("/read", post(read))
            .route("/refuse", post(async || (StatusCode::UNAUTHORIZED, "refused")))
            .route("/wait", get(wait))
            .route(
                "/late",
                get(async || {
                    tokio::time::sleep(SHORT * 4).await;
                    "late"
                }),
            )
            .route("/endless", get(async |State(shared)| Body::new(Endless(shared))))
            .with_state(Shared { events: said, gate: Arc::clone(&gate) });
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            let _ = stopped.await;
        };
        let log = RequestLogSettings {
            surface_of: |_| Surface::Other,
            route_of: |_| None,
            is_traced: |_| true,
            slow: FAR,
            lines_per_second: 0,
        };
        let settings = ServerSettings { limits, request_log: log, tls };
        let serving = kana_http::serve(listener, router, settings, stopped, drain_time);
        let served = runtime.spawn(serving);
        let (stop, served) = (Some(stop), Some(served));
        Self { runtime: Some(runtime), address, stop, served, events, gate }
    }

    fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(FAR / 2)).unwrap();
        connection
    }

    /// Waits until this has happened.
    fn expect(&self, event: &str) {
        assert_eq!(self.events.recv_timeout(FAR / 2).as_deref(), Ok(event));
    }

    fn tell_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the end of the server: whether it finished all requests.
    fn end(&mut self) -> bool {
        let served = self.served.take().unwrap();
        self.runtime.as_ref().unwrap().block_on(served).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn send(connection: &mut TcpStream, text: &str) {
    connection.write_all(text.as_bytes()).unwrap();
}

fn get_path(connection: &mut TcpStream, path: &str) {
    send(connection, &format!("GET {path} HTTP/1.1\r\nHost: kana\r\n\r\n"));
}

/// Reads one answer with a length: its status line, and its body.
fn answer(connection: &mut TcpStream) -> (String, String) {
    let (head, body) = head_and_body(connection);
    (head.lines().next().unwrap().to_owned(), body)
}

/// Reads one answer with a `Content-Length`. Returns its head in lower case, and its body.
fn head_and_body(connection: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    connection.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn assert_hello(connection: &mut TcpStream) {
    get_path(connection, "/");
    assert_eq!(answer(connection), ("http/1.1 200 ok".to_owned(), "hello".to_owned()));
}

/// Waits until the server has closed the connection, with nothing more said.
fn assert_closed(connection: &mut TcpStream) {
    match connection.read(&mut [0; 1]) {
        Ok(0) => {}
        // The server had not read everything that was sent.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        other => panic!("the connection is still open: {other:?}"),
    }
}

#[test]
fn a_connection_that_says_nothing_is_closed_and_so_is_one_that_says_nothing_more() {
    let server = Server::start(Limits { idle: SHORT, ..PATIENT });
    let connected = Instant::now();
    let mut silent = server.connect();
    let mut asking = server.connect();
    assert_hello(&mut asking);
    assert_hello(&mut asking);
    assert_closed(&mut silent);
    assert_closed(&mut asking);
    assert!(connected.elapsed() >= SHORT);
    assert_hello(&mut server.connect());
}

#[test]
fn a_head_that_stops_is_given_up_and_so_is_one_that_trickles() {
    let server = Server::start(Limits { head: SHORT, ..PATIENT });
    let mut stopping = server.connect();
    send(&mut stopping, "GET / HTTP/1.1\r\nHost: ka");
    let mut trickling = server.connect();
    let began = Instant::now();
    while trickling.write_all(b"G").is_ok() {
        trickling.set_read_timeout(Some(SHORT / 10)).unwrap();
        if let Ok(0) = trickling.read(&mut [0; 1]) {
            break;
        }
    }
    assert_closed(&mut stopping);
    assert!(began.elapsed() < FAR / 2, "it counts as a head, and not as silence");
}

#[test]
fn a_handler_that_does_not_answer_in_time_is_given_up_and_the_connection_goes_on() {
    let server = Server::start(Limits { response: SHORT, ..PATIENT });
    let mut connection = server.connect();
    for _ in 0..2 {
        let asked = Instant::now();
        get_path(&mut connection, "/wait");
        let (head, body) = head_and_body(&mut connection);
        assert!(asked.elapsed() >= SHORT);
        assert!(head.starts_with("http/1.1 500 "), "{head}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        assert!(body.contains("was not answered in time"), "{body}");
        server.expect("waiting");
        assert_hello(&mut connection);
    }
    server.gate.add_permits(1);
    // Nobody waits at the gate any more.
    get_path(&mut connection, "/wait");
    assert_eq!(answer(&mut connection).1, "waited");
}

#[test]
fn a_handler_that_limits_its_time_itself_is_not_given_up() {
    let server = Server::start(Limits { response: SHORT, ..PATIENT });
    let (mut patient, mut others) = (server.connect(), server.connect());
    get_path(&mut patient, "/wait-long");
    server.expect("waiting");
    for _ in 0..2 {
        // Each answer takes longer than a sweep.
        get_path(&mut others, "/wait");
        assert!(answer(&mut others).0.starts_with("http/1.1 500 "));
    }
    server.gate.add_permits(1);
    assert_eq!(answer(&mut patient).1, "waited");
    // The next request on the connection has the limit again.
    get_path(&mut patient, "/wait");
    assert!(answer(&mut patient).0.starts_with("http/1.1 500 "));
}

#[test]
fn a_body_that_takes_its_time_is_not_given_up_by_the_time_for_the_answer() {
    let server = Server::start(Limits { response: SHORT, ..PATIENT });
    let mut connection = server.connect();
    send(&mut connection, "POST /read HTTP/1.1\r\nHost: kana\r\nContent-Length: 3\r\n\r\n");
    server.expect("reading");
    let began = Instant::now();
    let mut others = server.connect();
    while began.elapsed() < SHORT * 3 {
        // Each answer takes longer than a sweep.
        get_path(&mut others, "/wait");
        assert!(answer(&mut others).0.starts_with("http/1.1 500 "));
    }
    send(&mut connection, "all");
    assert_eq!(answer(&mut connection).1, "3 bytes");
}

#[test]
fn whoever_reads_a_body_that_stops_is_told_and_can_still_answer() {
    let server = Server::start(Limits { stall: SHORT, ..PATIENT });
    for body in ["Content-Length: 10\r\n\r\nonly", "Transfer-Encoding: chunked\r\n\r\n4\r\nonly"] {
        let mut connection = server.connect();
        send(&mut connection, &format!("POST /read HTTP/1.1\r\nHost: kana\r\n{body}"));
        let expected = ("http/1.1 408 request timeout".to_owned(), "cut off".to_owned());
        assert_eq!(answer(&mut connection), expected);
        assert_closed(&mut connection);
    }
}

#[test]
fn a_body_that_trickles_is_cut_off() {
    let server = Server::start(Limits { stall: SHORT, rate_min: 1_000_000, ..PATIENT });
    let mut connection = server.connect();
    send(&mut connection, "POST /read HTTP/1.1\r\nHost: kana\r\nContent-Length: 100000\r\n\r\n");
    connection.set_read_timeout(Some(SHORT / 10)).unwrap();
    let began = Instant::now();
    // Never a pause as long as the one that is allowed.
    while connection.peek(&mut [0; 1]).is_err() {
        assert!(began.elapsed() < FAR, "a trickle keeps the connection open");
        send(&mut connection, "x");
    }
    assert_eq!(answer(&mut connection).1, "cut off");
}

#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    let server = Server::start(Limits { stall: SHORT, ..PATIENT });
    let mut connection = server.connect();
    get_path(&mut connection, "/endless");
    server.expect("given up");
}

#[test]
fn a_handler_may_take_longer_than_a_client() {
    let limits = Limits { idle: SHORT, head: SHORT, stall: SHORT, ..PATIENT };
    let server = Server::start(limits);
    let mut connection = server.connect();
    get_path(&mut connection, "/late");
    assert_eq!(answer(&mut connection).1, "late");
}

#[test]
fn a_new_client_takes_the_place_of_the_one_that_has_never_asked_for_the_longest_time() {
    let server = Server::start(Limits { connections_max: 3, ..PATIENT });
    let mut asked = server.connect();
    assert_hello(&mut asked);
    let mut silent = [server.connect(), server.connect()];
    assert_hello(&mut server.connect());
    assert_closed(&mut silent[0]);
    assert_hello(&mut asked);
    assert_hello(&mut silent[1]);
}

#[test]
fn clients_that_are_being_served_are_not_sent_away_and_new_ones_wait_for_them() {
    let server = Server::start(Limits { connections_max: 2, ..PATIENT });
    let mut served = [server.connect(), server.connect()];
    for connection in &mut served {
        get_path(connection, "/wait");
        server.expect("waiting");
    }
    let mut third = server.connect();
    get_path(&mut third, "/");
    server.gate.add_permits(2);
    for connection in &mut served {
        assert_eq!(answer(connection).1, "waited");
    }
    assert_eq!(answer(&mut third).1, "hello");
}

#[test]
fn a_crowd_that_says_nothing_does_not_keep_a_client_out() {
    let server = Server::start(Limits { connections_max: 20, ..PATIENT });
    let crowd: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    assert_hello(&mut server.connect());
    drop(crowd);
}

#[test]
fn requests_that_are_sent_together_are_answered_in_turn() {
    let server = Server::start(Limits { idle: SHORT, ..PATIENT });
    let mut connection = server.connect();
    let body = "POST /read HTTP/1.1\r\nHost: kana\r\nContent-Length: 4\r\n\r\nbody";
    let hello = "GET / HTTP/1.1\r\nHost: kana\r\n\r\n";
    send(&mut connection, &format!("{hello}{body}{hello}{body}GET"));
    for expected in ["hello", "4 bytes", "hello", "4 bytes"] {
        assert_eq!(answer(&mut connection).1, expected);
    }
    assert_closed(&mut connection);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = Server::start(PATIENT);
    let mut connection = server.connect();
    send(&mut connection, &format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(64 * 1024)));
    let mut refusal = [0; 12];
    connection.read_exact(&mut refusal).unwrap();
    assert_eq!(&refusal, b"HTTP/1.1 431");
}

#[test]
fn a_server_that_stops_closes_what_waits_and_finishes_what_is_asked() {
    let mut server = Server::start(PATIENT);
    let mut silent = server.connect();
    let mut idle = server.connect();
    assert_hello(&mut idle);
    let mut asking = server.connect();
    get_path(&mut asking, "/wait");
    server.expect("waiting");
    server.tell_to_stop();
    assert_closed(&mut silent);
    assert_closed(&mut idle);
    assert!(TcpStream::connect(server.address).is_err(), "nobody listens any more");
    server.gate.add_permits(1);
    assert_eq!(answer(&mut asking).1, "waited");
    assert_closed(&mut asking);
    assert!(server.end());
}

#[test]
fn a_server_that_stops_does_not_wait_for_ever() {
    let mut server = Server::start_with(PATIENT, SHORT);
    let mut asking = server.connect();
    get_path(&mut asking, "/wait");
    server.expect("waiting");
    let mut sending = server.connect();
    send(&mut sending, "POST /read HTTP/1.1\r\nHost: kana\r\nContent-Length: 10\r\n\r\nx");
    server.expect("reading");
    server.tell_to_stop();
    assert!(!server.end(), "two requests are not finished");
    assert_closed(&mut asking);
    assert_closed(&mut sending);
}
