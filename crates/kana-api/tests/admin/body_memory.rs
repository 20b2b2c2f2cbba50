//! Request bodies are read only for a valid key, and share a memory limit.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use futures_util::stream;
use http_body::{Frame, SizeHint};
use kana_api::Settings;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::events_streamed::{Shop, line};

const MIB: usize = 1024 * 1024;
const JSON: &str = "application/json";
const EVENT: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const LINES: &str = "application/x-ndjson";

/// A body of an announced length that a test sends piece by piece.
struct Upload {
    announced: u64,
    pieces: mpsc::Receiver<Bytes>,
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.pieces.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

/// A server with 16 MiB of memory for bodies.
struct Server {
    shop: Shop,
    router: Router,
}

impl Server {
    async fn start() -> Self {
        let shop = Shop::open().await;
        let settings = Settings { body_memory_bytes: 16 * MIB, ..Settings::default() };
        Self { router: kana_api::router_with(&shop.kana, settings), shop }
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
        answer(self.router.clone(), request).await
    }

    fn request(&self, path: &str, content_type: &str, body: Body) -> Request<Body> {
        request(path, content_type, self.shop.key(), body)
    }

    /// Starts to send a body to `path`, and waits until `sent` bytes of it have arrived.
    async fn hold(&self, path: &str, content_type: &str, announced: usize, sent: usize) -> Holding {
        let (pieces, receiver) = mpsc::channel(1);
        let upload = Upload { announced: announced as u64, pieces: receiver };
        let request = self.request(path, content_type, Body::new(upload));
        let answer = tokio::spawn(answer(self.router.clone(), request));
        // The channel has room for the last piece once the others were read.
        for piece in vec![b' '; sent].chunks(64 * 1024) {
            pieces.send(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        pieces.send(Bytes::new()).await.unwrap();
        pieces.send(Bytes::new()).await.unwrap();
        Holding { _pieces: pieces, answer }
    }

    async fn assert_refuses(&self, path: &str, content_type: &str, bytes: usize) {
        let pieces = vec![Ok::<_, Infallible>(Bytes::from_static(&[b' '; 1024])); bytes / 1024];
        let body = stream::iter(pieces);
        let (status, headers, answer) =
            self.ask(self.request(path, content_type, Body::from_stream(body))).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {answer}");
        assert_eq!(headers[header::RETRY_AFTER], "1");
        let message = "too many request bodies are being received, and nothing of this one was \
                       recorded; try again shortly";
        let (code, name) = ("OVERLOADED", "OverloadedError");
        let expected = match path {
            "/events" => json!({
                "type": "about:blank", "title": "Service Unavailable", "status": 503,
                "detail": message, "code": code, "name": name,
            }),
            "/graphql" | "/client/graphql" => json!({ "errors": [{
                "message": message,
                "extensions": { "code": code, "exception": { "name": name, "message": message } },
            }] }),
            _ => json!({ "error": message, "code": code, "name": name }),
        };
        assert_eq!(answer, expected);
    }

    async fn assert_answers_a_question(&self) {
        let question = json!({ "query": "{ user(id: \"124\") { id } }" }).to_string();
        let (status, _, answer) = self.ask(self.request("/graphql", JSON, question.into())).await;
        assert_eq!((status, &answer["data"]["user"]["id"]), (StatusCode::OK, &json!("124")));
    }

    /// Asserts that the largest body fits into the memory.
    async fn assert_has_room(&self) {
        let request = self.request("/cli/validate", JSON, vec![b' '; 8 * MIB].into());
        let (status, _, answer) = self.ask(request).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

/// A request whose body is not complete yet.
struct Holding {
    _pieces: mpsc::Sender<Bytes>,
    answer: JoinHandle<(StatusCode, HeaderMap, Value)>,
}

fn request(path: &str, content_type: &str, key: &str, body: Body) -> Request<Body> {
    Request::post(path)
        .header(header::AUTHORIZATION, key)
        .header(header::CONTENT_TYPE, content_type)
        .body(body)
        .unwrap()
}

async fn answer(router: Router, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
}

/// A body that must not be read.
fn unwanted() -> Body {
    Body::from_stream(stream::poll_fn(|_| -> Poll<Option<Result<Bytes, Infallible>>> {
        panic!("the body of a stranger is read")
    }))
}

#[tokio::test]
async fn nothing_is_read_from_whoever_has_no_valid_key() {
    let server = Server::start().await;
    for (path, content_type, status, code) in [
        ("/graphql", JSON, StatusCode::OK, "/errors/0/extensions/code"),
        ("/client/graphql", JSON, StatusCode::OK, "/errors/0/extensions/code"),
        ("/events", EVENT, StatusCode::UNAUTHORIZED, "/code"),
        ("/events", BATCH, StatusCode::UNAUTHORIZED, "/code"),
        ("/events", LINES, StatusCode::UNAUTHORIZED, "/code"),
        ("/cli/validate", JSON, StatusCode::UNAUTHORIZED, "/code"),
        ("/cli/publish", JSON, StatusCode::UNAUTHORIZED, "/code"),
    ] {
        let (found, _, answer) = server.ask(request(path, content_type, "wrong", unwanted())).await;
        assert_eq!(found, status, "{path}: {answer}");
        assert_eq!(answer.pointer(code), Some(&json!("UNAUTHENTICATED")), "{path}: {answer}");
    }
}

#[tokio::test]
async fn the_body_of_a_get_is_not_read() {
    let server = Server::start().await;
    for path in ["/graphql?query=%7B__typename%7D", "/cli/pull"] {
        let mut request = server.request(path, JSON, unwanted());
        *request.method_mut() = axum::http::Method::GET;
        let (status, _, answer) = server.ask(request).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

#[tokio::test]
async fn a_body_for_which_there_is_no_memory_is_refused_in_the_form_of_its_surface() {
    let server = Server::start().await;
    let mut held = Vec::new();
    // 14 of the 16 MiB are for large bodies.
    for (announced, path, content_type) in [
        (8, "/cli/validate", JSON),
        (4, "/events", BATCH),
        (1, "/graphql", JSON),
        (1, "/events", EVENT),
    ] {
        held.push(server.hold(path, content_type, announced * MIB, announced * MIB - 1).await);
    }
    for (path, content_type) in [
        ("/graphql", JSON),
        ("/events", EVENT),
        ("/events", BATCH),
        ("/cli/validate", JSON),
        ("/cli/publish", JSON),
    ] {
        server.assert_refuses(path, content_type, MIB).await;
    }
    server.assert_answers_a_question().await;
    // The requests in progress continue.
    for holding in held {
        assert!(!holding.answer.is_finished());
        drop(holding._pieces);
        let (status, _, answer) = holding.answer.await.unwrap();
        assert_ne!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    }
    server.assert_has_room().await;
}

#[tokio::test]
async fn memory_comes_back_from_a_client_that_goes_away_and_from_a_body_that_is_refused() {
    let server = Server::start().await;
    for _ in 0..5 {
        let holding = server.hold("/cli/validate", JSON, 8 * MIB, 7 * MIB).await;
        server.assert_refuses("/cli/validate", JSON, 8 * MIB).await;
        holding.answer.abort();
        assert!(holding.answer.await.unwrap_err().is_cancelled());
    }
    server.assert_has_room().await;
}

#[tokio::test]
async fn whoever_announces_much_and_sends_little_keeps_nobody_out() {
    let server = Server::start().await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(server.hold("/cli/validate", JSON, 8 * MIB, 1000).await);
    }
    server.assert_has_room().await;
    assert!(held.iter().all(|holding| !holding.answer.is_finished()));
}

#[tokio::test]
async fn lines_are_taken_though_there_is_no_memory_for_bodies() {
    let server = Server::start().await;
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(server.hold("/cli/validate", JSON, 2 * MIB, 2 * MIB - 1).await);
    }
    for _ in 0..32 {
        held.push(server.hold("/cli/validate", JSON, 64 * 1024, 64 * 1024 - 1).await);
    }
    let lines: String = (0..1000).map(line).collect();
    let (status, _, answer) = server.ask(server.request("/events", LINES, lines.into())).await;
    assert_eq!((status, &answer["recorded"]), (StatusCode::OK, &json!(1000)), "{answer}");
}
