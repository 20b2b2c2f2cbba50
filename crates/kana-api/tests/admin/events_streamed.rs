//! Bulk intake as it arrives: lines in pieces, slow and cut bodies, many batches, and what stops a
//! stream in the middle.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode, header};
use futures_util::future::join_all;
use futures_util::stream;
use kana_core::id::{FeatureId, UserId};
use kana_service::{Actor, InitialKeys, Kana, ManualClock, SystemClock, init};
use kana_store::Store;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::app::{JSON, NOW, time};
use crate::engine::Database;
use crate::events::{BATCH, LINES, event, event_with, recorded};

/// A server that takes bodies in pieces: two features, one package, and the user `124`, who is
/// subscribed to it.
pub(crate) struct Shop {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) kana: Arc<Kana>,
    keys: InitialKeys,
    router: Router,
    database: Database,
}

const STOCK: &str = r#"mutation {
    calls: createFeature(input: {id: "api-calls", type: CONSUMABLE}) { id }
    sso: createFeature(input: {id: "sso", type: BINARY}) { id }
    createPackage(input: {id: "basic", features: [{id: "api-calls"}]}) { id }
    publishPackage(id: "basic") { id }
    createUser(input: {id: "124"}) { id }
    subscribe(userId: "124", packageIds: ["basic"]) { id }
}"#;

impl Shop {
    pub(crate) async fn open() -> Self {
        let database = Database::new();
        let clock = Arc::new(ManualClock::new(time(NOW)));
        let store = database.open().await;
        let keys = init(store.as_ref(), clock.as_ref(), "story").await.unwrap().unwrap();
        let kana = Kana::start(Arc::clone(&store), clock).unwrap();
        let shop = Self { store, keys, router: kana_api::router(&kana), kana, database };
        let stock = json!({ "query": STOCK }).to_string();
        let (_, answer) = shop.ask("/graphql", "application/json", stock.into()).await;
        assert_eq!(answer.get("errors"), None, "{answer}");
        shop
    }

    pub(crate) fn key(&self) -> &str {
        self.keys.test_private.reveal()
    }

    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    async fn ask(&self, path: &str, form: &str, body: Body) -> (StatusCode, Value) {
        answer(self.router(), self.key(), path, form, body).await
    }

    /// The status and the JSON of the answer to this body.
    async fn send(&self, form: &str, body: Body) -> (StatusCode, Value) {
        self.ask("/events", form, body).await
    }

    /// The same of lines that arrive in these pieces.
    pub(crate) async fn send_pieces(&self, pieces: Vec<Bytes>) -> (StatusCode, Value) {
        let pieces = pieces.into_iter().map(Ok::<_, Infallible>);
        self.send(LINES, Body::from_stream(stream::iter(pieces))).await
    }

    /// Starts to send lines that the test goes on to write.
    pub(crate) fn open_stream(&self) -> Stream {
        let (pieces, mut receiver) = mpsc::unbounded_channel();
        let body = Body::from_stream(stream::poll_fn(move |context| receiver.poll_recv(context)));
        let (router, key) = (self.router.clone(), self.key().to_owned());
        let answer =
            tokio::spawn(async move { answer(router, &key, "/events", LINES, body).await });
        Stream { pieces, answer }
    }

    pub(crate) async fn used(&self) -> i64 {
        let environment = self.kana.authorise_private(self.key()).await.unwrap();
        let (user, feature) = (user_id("124"), feature_id("api-calls"));
        let entitlement = environment.can_use_feature(&user, &feature, 0).await.unwrap();
        entitlement.consumption.unwrap().used
    }

    /// Waits until so much is used.
    pub(crate) async fn wait_until_used(&self, expected: i64) {
        let started = Instant::now();
        while self.used().await != expected {
            assert!(started.elapsed() < Duration::from_secs(30), "still not {expected}");
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn user_id(id: &str) -> UserId {
    UserId::new("user", id).unwrap()
}

pub(crate) fn feature_id(id: &str) -> FeatureId {
    FeatureId::new("feature", id).unwrap()
}

async fn answer(
    router: Router,
    key: &str,
    path: &str,
    form: &str,
    body: Body,
) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, key)
        .header(header::CONTENT_TYPE, form)
        .body(body)
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let is_problem = path == "/events" && status != StatusCode::OK;
    let content_type = if is_problem { "application/problem+json" } else { JSON };
    assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
    let wants_retry = response.headers().contains_key(header::RETRY_AFTER);
    assert_eq!(wants_retry, status == StatusCode::SERVICE_UNAVAILABLE);
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// A request whose body is being written.
pub(crate) struct Stream {
    pieces: mpsc::UnboundedSender<io::Result<Bytes>>,
    answer: JoinHandle<(StatusCode, Value)>,
}

impl Stream {
    pub(crate) fn write(&self, text: impl Into<Bytes>) {
        self.pieces.send(Ok(text.into())).unwrap();
    }

    /// Breaks the connection.
    fn cut(&self) {
        self.pieces.send(Err(io::ErrorKind::ConnectionReset.into())).unwrap();
    }

    pub(crate) async fn finish(self) -> (StatusCode, Value) {
        drop(self.pieces);
        self.answer.await.unwrap()
    }

    /// The answer that comes without the end of the body.
    async fn answer(self) -> (StatusCode, Value) {
        self.answer.await.unwrap()
    }
}

/// A call, as a line.
pub(crate) fn line(id: usize) -> String {
    format!("{}\n", event(&id.to_string(), json!({})))
}

/// What an answer counts, its error and its refusals aside.
fn counts(answer: &Value) -> Value {
    json!([answer["received"], answer["recorded"], answer["notCounted"]])
}

/// The error of an answer that tells what has become of the events before it.
pub(crate) fn error(answer: &Value) -> String {
    assert!(answer["received"].is_u64(), "{answer}");
    let text = |field: &str| answer[field].as_str().unwrap().to_owned();
    let message = text("detail");
    let again = "; all events may be sent again: what was recorded is not recorded again";
    let message = message.strip_suffix(again).expect(&message);
    format!("{} {}: {message}", text("code"), text("name"))
}

#[tokio::test]
async fn many_batches_are_recorded_in_the_order_of_the_lines() {
    let shop = Shop::open().await;
    let body: String = (1..=5000_usize)
        .map(|number| {
            let data = json!({ "action": "SET", "delta": number });
            format!("{}\n", event_with(&number.to_string(), data))
        })
        .collect();
    assert_eq!(shop.send_pieces(vec![body.into()]).await, (StatusCode::OK, recorded(5000)));
    assert_eq!(shop.used().await, 5000);
}

#[tokio::test]
async fn many_requests_at_the_same_time_record_all_of_theirs() {
    let shop = Shop::open().await;
    let requests = (0..16).map(|request: usize| {
        let lines = (0..3000).map(|number| line(request * 3000 + number)).collect::<String>();
        shop.send_pieces(vec![lines.into()])
    });
    for (status, answer) in join_all(requests).await {
        assert_eq!((status, answer), (StatusCode::OK, recorded(3000)));
    }
    assert_eq!(shop.used().await, 16 * 3000);
}

#[tokio::test]
async fn a_slow_stream_is_recorded_as_it_arrives() {
    let shop = Shop::open().await;
    let stream = shop.open_stream();
    for sent in 1..=3 {
        let line = line(sent);
        let (start, rest) = line.split_at(40);
        stream.write(start.to_owned());
        stream.write(rest.to_owned());
        shop.wait_until_used(i64::try_from(sent).unwrap()).await;
    }
    // A last line needs no end.
    stream.write(line(4).trim_end().to_owned());
    assert_eq!(stream.finish().await, (StatusCode::OK, recorded(4)));
    assert_eq!(shop.used().await, 4);
}

#[tokio::test]
async fn a_body_that_is_cut_keeps_its_whole_lines_and_refuses_the_torn_one() {
    let shop = Shop::open().await;
    for (torn, id) in [(&line(9)[..50], 9), (line(9).trim_end(), 9), ("{", 9)] {
        let stream = shop.open_stream();
        stream.write(format!("{}{}{torn}", line(1), line(2)));
        stream.cut();
        let (status, answer) = stream.answer().await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{id}");
        assert_eq!(
            error(&answer),
            "BAD_USER_INPUT ValidationError: The request body was cut before its end"
        );
        assert_eq!(counts(&answer), json!([3, 2, 0]));
        assert_eq!(
            answer["refused"],
            json!([{
                "id": null, "index": 2, "code": "BAD_USER_INPUT", "name": "ValidationError",
                "message": "The request body was cut within this event",
            }])
        );
        assert_eq!(shop.used().await, 2);
    }
    // Between two lines nothing is torn.
    let stream = shop.open_stream();
    stream.write(line(1));
    stream.cut();
    let (status, answer) = stream.answer().await;
    assert_eq!((status, counts(&answer)), (StatusCode::BAD_REQUEST, json!([1, 1, 0])));
    assert_eq!(answer["refused"], json!([]));
    // All of it once more is safe.
    let again = [line(1), line(2), line(9)].concat();
    assert_eq!(shop.send_pieces(vec![again.into()]).await, (StatusCode::OK, recorded(3)));
    assert_eq!(shop.used().await, 3);
}

#[tokio::test]
async fn a_batch_that_is_cut_records_nothing() {
    let shop = Shop::open().await;
    let piece = Ok(Bytes::from(format!("[{}", event("1", json!({})))));
    let pieces = vec![piece, Err(io::Error::from(io::ErrorKind::ConnectionReset))];
    let (status, answer) = shop.send(BATCH, Body::from_stream(stream::iter(pieces))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = "The request body was cut before its end";
    let expected = json!({
        "type": "about:blank", "title": "Bad Request", "status": 400, "detail": message,
        "code": "BAD_USER_INPUT", "name": "ValidationError" });
    assert_eq!(answer, expected);
    assert_eq!(shop.used().await, 0);
}

#[tokio::test]
async fn a_sender_that_falls_silent_is_answered_and_what_it_sent_is_recorded() {
    let shop = Shop::open().await;
    let stream = shop.open_stream();
    stream.write(format!("{}{}{{\"id\"", line(1), line(2)));
    shop.wait_until_used(2).await;
    // Once this is answered, so is the commit before it: nothing waits for the database any more
    // whose deadline the clock would reach.
    shop.send_pieces(vec![line(9).into()]).await;
    tokio::time::pause();
    let (status, answer) = stream.answer.await.unwrap();
    tokio::time::resume();
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    let message = "Nothing of the request body has arrived for 30 seconds";
    assert_eq!(error(&answer), format!("BAD_USER_INPUT ValidationError: {message}"));
    assert_eq!(counts(&answer), json!([3, 2, 0]));
    assert_eq!(answer["refused"][0]["index"], 2);
    // It was not cut before its time was over.
    drop(stream.pieces);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_those_around_it_are_not() {
    let shop = Shop::open().await;
    let padded = |id: usize, bytes: usize| {
        let event = event(&id.to_string(), json!({})).to_string();
        format!("{event}{}\n", " ".repeat(bytes - event.len()))
    };
    let endless = Bytes::from(vec![b' '; 1024 * 1024]);
    let mut pieces =
        vec![padded(1, 64 * 1024).into(), padded(2, 64 * 1024 + 1).into(), line(3).into()];
    pieces.extend(vec![endless; 20]);
    pieces.push(format!("\n{}", line(4)).into());
    let (status, answer) = shop.send_pieces(pieces).await;
    assert_eq!((status, counts(&answer)), (StatusCode::OK, json!([5, 3, 0])));
    let refused = |index: u64| {
        json!({
            "id": null, "index": index, "code": "BAD_USER_INPUT", "name": "ValidationError",
            "message": "An event must have at most 65536 bytes",
        })
    };
    assert_eq!(answer["refused"], json!([refused(1), refused(3)]));
    assert_eq!(shop.used().await, 3);
}

#[tokio::test]
async fn a_stream_of_nothing_but_bad_events_is_stopped_and_all_before_that_is_settled() {
    let shop = Shop::open().await;
    // As many refusals as are listed are no reason to stop.
    let bad = "{}\n";
    let fits = format!("{}{}", bad.repeat(1000), "\n".repeat(10));
    let (status, answer) = shop.send_pieces(vec![fits.into()]).await;
    assert_eq!((status, counts(&answer)), (StatusCode::OK, json!([1000, 0, 0])));

    let more = format!("{}{}{}{}", line(1), bad.repeat(1000), line(2), line(3));
    let (status, answer) = shop.send_pieces(vec![more.into()]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        error(&answer),
        "BAD_USER_INPUT ValidationError: More than 1000 events were refused: those that follow the \
         received ones were not looked at"
    );
    assert_eq!(counts(&answer), json!([1001, 1, 0]));
    let listed = answer["refused"].as_array().unwrap();
    let indexes = listed.iter().map(|refused| refused["index"].as_u64().unwrap());
    assert!(indexes.eq(1..=1000));
    assert_eq!(shop.used().await, 1);

    // The same when it is stored things that they are refused by.
    let nobody =
        |number: usize| format!("{}\n", event(&number.to_string(), json!({ "subject": "x" })));
    let many: Vec<Bytes> = (0..20_000).map(|number| nobody(number).into()).collect();
    let (status, answer) = shop.send_pieces(many).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let received = answer["received"].as_u64().unwrap();
    assert!((1000..=1000 + 2 * 1024).contains(&received), "{received}");
    assert_eq!(answer["refused"].as_array().unwrap().len() as u64, received);
}

#[tokio::test]
async fn a_database_that_fails_in_the_middle_is_told_without_its_details() {
    let shop = Shop::open().await;
    let stream = shop.open_stream();
    stream.write(line(1));
    shop.wait_until_used(1).await;
    shop.database.run(&format!("ALTER TABLE {} RENAME TO gone", Database::EVENTS));
    stream.write(format!("{}{}", line(2), line(3)));
    let (status, answer) = stream.finish().await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let told = error(&answer);
    assert!(
        told.starts_with("INTERNAL_SERVER_ERROR InternalError: Something went wrong on our side."),
        "{told}"
    );
    assert!(!answer.to_string().contains("SQL"), "{answer}");
    assert_eq!((&answer["recorded"], &answer["refused"]), (&json!(1), &json!([])));

    shop.database.run(&format!("ALTER TABLE gone RENAME TO {}", Database::EVENTS));
    let again = [line(1), line(2), line(3)].concat();
    assert_eq!(shop.send_pieces(vec![again.into()]).await, (StatusCode::OK, recorded(3)));
    assert_eq!(shop.used().await, 3);
}

#[tokio::test]
async fn a_stream_does_not_outlive_its_key() {
    let shop = Shop::open().await;
    let stream = shop.open_stream();
    stream.write(line(1));
    shop.wait_until_used(1).await;
    let key = &shop.keys.test_private;
    let revoked = shop.store.find_key(key.hash()).await.unwrap().unwrap();
    let actor = &Actor::CommandLine;
    kana_service::revoke_key(shop.store.as_ref(), &SystemClock, actor, revoked.id).await.unwrap();
    // For as long as a revocation may take to be obeyed.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
    stream.write(line(2));
    let (status, answer) = stream.answer().await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let told = error(&answer);
    assert!(told.starts_with("UNAUTHENTICATED AuthenticationError: Unauthenticated: "), "{told}");
    assert_eq!((counts(&answer), &answer["refused"]), (json!([2, 1, 0]), &json!([])));
}
