//! Bodies that begin with a UTF-8 byte order mark, as some clients on Windows send them.

use axum::body::Bytes;
use axum::http::{Method, StatusCode, header};
use serde_json::json;

use crate::app::TestApp;
use crate::events::{BATCH, EVENT, LINES, event, recorded, used};
use crate::events_streamed::{Shop, line};

const MARK: &str = "\u{feff}";

#[tokio::test]
async fn a_graphql_request_may_begin_with_a_byte_order_mark() {
    let (app, _) = TestApp::subscribed("basic").await;
    let record = json!({ "query": r#"mutation {
        createUsageEvent(input: { userId: "124", featureId: "api-calls" }) }"# });
    // The general executor answers the first request, a plan the others.
    for count in 1..4 {
        let answer = app.post(format!("{MARK}{record}")).send().await.ok();
        assert_eq!(answer, json!({ "data": { "createUsageEvent": true } }));
        assert_eq!(used(&app).await, count);
    }
    let answer = app
        .request(Method::POST, "/client/graphql")
        .with(header::AUTHORIZATION, app.keys.test_public.reveal())
        .with("x-user-id".parse().unwrap(), "124")
        .body(format!("{MARK}{}", json!({ "query": "{ currentUser { id } }" })))
        .send()
        .await
        .ok();
    assert_eq!(answer["data"]["currentUser"]["id"], "124");
    // A mark alone is an empty body.
    let answer = app.post(MARK).send().await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.not_executed().contains("The request body is empty"), "{}", answer.text);
}

#[tokio::test]
async fn events_may_begin_with_a_byte_order_mark() {
    for (form, body, count) in [
        (EVENT, event("a", json!({})).to_string(), 1),
        (BATCH, json!([event("a", json!({}))]).to_string(), 1),
        (LINES, [line(1), line(2)].concat(), 2),
        (LINES, String::new(), 0),
    ] {
        let (app, _) = TestApp::subscribed("basic").await;
        let request = app.request(Method::POST, "/events").with(header::CONTENT_TYPE, form);
        let answer = request.body(format!("{MARK}{body}")).send().await.ok();
        assert_eq!(answer, recorded(count), "{form}");
    }
    let shop = Shop::open().await;
    let pieces = ["\u{ef}", "\u{bb}", "\u{bf}"].map(|byte| byte.chars().next().unwrap() as u8);
    let mut pieces: Vec<Bytes> =
        pieces.iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
    pieces.push(line(1).into());
    assert_eq!(shop.send_pieces(pieces).await, (StatusCode::OK, recorded(1)));
}

#[tokio::test]
async fn a_file_may_begin_with_a_byte_order_mark() {
    let app = TestApp::shop().await;
    let file = app.request(Method::GET, "/cli/pull").send().await.text;
    for path in ["/cli/validate", "/cli/publish"] {
        let plain = app.request(Method::POST, path).body(file.clone()).send().await.ok();
        let marked = app.request(Method::POST, path).body(format!("{MARK}{file}")).send().await;
        assert_eq!(marked.ok(), plain, "{path}");
    }
}
