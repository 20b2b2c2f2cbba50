//! Events in the binary mode of CloudEvents, with attributes in `ce-` headers and data as the body,
//! and events with JSON data in Base64.

use axum::http::{HeaderName, Method, StatusCode, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::app::{Ask, TestApp};
use crate::events::{EVENT, LINES, event, recorded, used};

fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// An event of the user `124` with this data.
fn binary<'a>(app: &'a TestApp, id: &str, data: impl Into<Vec<u8>>) -> Ask<'a> {
    app.request(Method::POST, "/events")
        .with(name("ce-specversion"), "1.0")
        .with(name("ce-type"), "kana.usage")
        .with(name("ce-source"), "/gateway")
        .with(name("ce-id"), id)
        .with(name("ce-subject"), "124")
        .body(data)
}

const DATA: &str = r#"{"featureId": "api-calls"}"#;

#[tokio::test]
async fn an_event_in_headers_is_the_same_event_as_one_in_json() {
    let (app, _) = TestApp::subscribed("basic").await;
    let sent = binary(
        &app,
        "a-1",
        r#" {"featureId": "api-calls", "delta": 7.0, "action": "SET",
        "metadata": {"a": [2.5, "é"]}} "#,
    )
    .with(name("ce-time"), "2024-01-15T11:00:00.5Z")
    .with(name("ce-dataschema"), "https://example.com/usage")
    .with(name("ce-traceparent"), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let answer = sent.send().await.ok();
    // The usage took place before the subscription.
    let expected = json!({ "received": 1, "recorded": 0, "notCounted": 1, "refused": [] });
    assert_eq!(answer, expected);
    let kept = app.stored()["events"].clone();
    let at = crate::app::time("2024-01-15T11:00:00.500Z").as_ms().to_string();
    for part in ["cloudevent /gateway a-1", r#"{"a":[2.5,"é"]}"#, "SET", "7", &at] {
        assert!(kept[0].iter().any(|column| column == part), "{part}: {kept:?}");
    }

    // Both modes result in the same idempotency key.
    assert_eq!(binary(&app, "a-2", DATA).send().await.ok(), recorded(1));
    let structured = app.request(Method::POST, "/events").with(header::CONTENT_TYPE, EVENT);
    let structured = structured.body(event("a-2", json!({})).to_string());
    assert_eq!(structured.send().await.ok(), recorded(1));
    assert_eq!(used(&app).await, 1);
}

#[tokio::test]
async fn the_headers_of_an_event_are_percent_decoded() {
    let (app, _) = TestApp::subscribed("basic").await;
    app.data(
        r#"mutation { createUser(input: {id: "Zoë 😀"}) { id }
            subscribe(userId: "Zoë 😀", packageIds: ["basic"]) { id } }"#,
        json!({}),
    )
    .await;
    let request = binary(&app, "%61%2D1", DATA).with(name("ce-subject"), "Zo%C3%AB%20%F0%9F%98%80");
    assert_eq!(request.send().await.ok(), recorded(1));
    let kept = app.stored()["events"].clone();
    assert!(kept[0].iter().any(|column| column == "cloudevent /gateway a-1"), "{kept:?}");
}

#[tokio::test]
async fn data_may_be_any_kind_of_json() {
    for content_type in [
        Some("application/json"),
        Some("Application/JSON; charset=UTF-8"),
        Some("application/vnd.usage+json"),
        Some("text/json"),
        None,
    ] {
        let (app, _) = TestApp::subscribed("basic").await;
        let request = binary(&app, "a", format!("\u{feff}{DATA}"));
        let request = match content_type {
            Some(content_type) => request.with(header::CONTENT_TYPE, content_type),
            None => request.without(&header::CONTENT_TYPE),
        };
        assert_eq!(request.send().await.ok(), recorded(1), "{content_type:?}");
    }
    let (app, _) = TestApp::subscribed("basic").await;
    for (content_type, message) in [
        ("text/plain", "The data of an event in ce- headers must be JSON"),
        ("application/xml", "The data of an event in ce- headers must be JSON"),
        ("application/json; charset=latin1", "The request body must be encoded as UTF-8"),
        ("application/cloudevents+xml", "The Content-Type header must be "),
    ] {
        let request = binary(&app, "a", DATA).with(header::CONTENT_TYPE, content_type);
        let answer = request.send().await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.starts_with(message), "{told}");
    }
}

#[tokio::test]
async fn a_structured_media_type_wins_over_headers() {
    let (app, _) = TestApp::subscribed("basic").await;
    let whole = event("whole", json!({})).to_string();
    for form in [EVENT, "Application/CloudEvents+JSON", LINES] {
        let request = binary(&app, "in-headers", whole.clone()).with(header::CONTENT_TYPE, form);
        assert_eq!(request.send().await.ok(), recorded(1), "{form}");
    }
    let kept = app.stored()["events"].clone();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].iter().any(|column| column == "cloudevent /gateway whole"), "{kept:?}");
}

#[tokio::test]
async fn what_is_wrong_with_an_event_in_headers_is_told() {
    let (app, _) = TestApp::subscribed("basic").await;
    let stored = app.stored();
    let refused = async |request: Ask<'_>| {
        let answer = request.send().await.ok();
        answer["refused"][0]["message"].as_str().unwrap().to_owned()
    };
    for (header, message) in [
        ("ce-specversion", "specversion is missing"),
        ("ce-type", "type is missing"),
        ("ce-source", "source is missing"),
        ("ce-id", "id is missing"),
        ("ce-subject", "subject is missing"),
    ] {
        let request = binary(&app, "a", DATA).without(&name(header));
        assert_eq!(refused(request).await, message);
    }
    for (header, value, message) in [
        ("ce-specversion", "0.3", "specversion must be 1.0"),
        ("ce-id", "", "id must not be empty"),
        ("ce-id", "%00", "id must not contain control characters"),
        ("ce-subject", "nobody", "User not found: nobody"),
    ] {
        let request = binary(&app, "a", DATA).with(name(header), value);
        assert_eq!(refused(request).await, message);
    }
    for (data, message) in [
        ("", "data is missing"),
        ("null", "data is missing"),
        ("[]", "data must be a JSON object"),
        ("{}", "data.featureId is missing"),
        (
            r#"{"featureId": "api-calls", "metadata": {"a": 0.1000000000000000055511151231257827}}"#,
            "data.metadata.a is the number 0.1000000000000000055511151231257827, which cannot be \
             kept exactly, but only as 0.1: send it as a string",
        ),
    ] {
        assert_eq!(refused(binary(&app, "a", data)).await, message, "{data}");
    }
    let malformed = async |request: Ask<'_>, status: StatusCode| {
        let answer = request.send().await;
        assert_eq!(answer.status, status, "{}", answer.text);
        answer.json()["detail"].as_str().unwrap().to_owned()
    };
    let bad = StatusCode::BAD_REQUEST;
    assert_eq!(
        malformed(binary(&app, "a", DATA).and(name("ce-id"), "a"), bad).await,
        "The header ce-id is given more than once"
    );
    assert_eq!(
        malformed(binary(&app, "%C0%A0", DATA), bad).await,
        "The header ce-id is not UTF-8 once its percent-encoding is decoded"
    );
    for data in ["{", "{} {}", r#"{"featureId": "api-calls"}, "subject": "125""#] {
        let told = malformed(binary(&app, "a", data), bad).await;
        assert!(told.starts_with("The request body is not valid JSON: "), "{told}");
    }
    let large = format!("{DATA}{}", " ".repeat(1024 * 1024));
    assert_eq!(
        malformed(binary(&app, "a", large), StatusCode::PAYLOAD_TOO_LARGE).await,
        "The request body is larger than 1 MiB"
    );
    assert_eq!(app.stored(), stored);
}

/// An event whose data is this text in Base64.
fn encoded(id: &str, data: &str) -> Value {
    let mut event = event(id, json!({ "data_base64": BASE64_STANDARD.encode(data) }));
    event.as_object_mut().unwrap().remove("data");
    event
}

#[tokio::test]
async fn data_in_base64_that_holds_json_is_taken() {
    let (app, _) = TestApp::subscribed("basic").await;
    let send = async |event: Value| {
        let request = app.request(Method::POST, "/events").with(header::CONTENT_TYPE, EVENT);
        request.body(event.to_string()).send().await.ok()
    };
    let full = r#" {"featureId": "api-calls", "delta": 7e0, "metadata": {"a": [2.5, "é"]}}"#;
    assert_eq!(send(encoded("a", full)).await, recorded(1));
    assert_eq!(used(&app).await, 7);
    let kept = app.stored()["events"].clone();
    assert!(kept[0].iter().any(|column| column == r#"{"a":[2.5,"é"]}"#), "{kept:?}");
    // With plain data, it is the same event.
    let same = event("a", json!({ "data": serde_json::from_str::<Value>(full).unwrap() }));
    assert_eq!(send(same).await, recorded(1));
    assert_eq!(used(&app).await, 7);

    let mut no_base64 = encoded("b", "");
    no_base64["data_base64"] = json!("{}");
    let mut no_text = encoded("b", "");
    no_text["data_base64"] = json!(7);
    let mut beside = encoded("b", DATA);
    beside["data"] = json!({});
    let mut no_utf8 = encoded("b", "");
    no_utf8["data_base64"] = json!(BASE64_STANDARD.encode(b"\"\xFF\""));
    let inexact = r#"{"featureId": "api-calls", "delta": 2.00000000000000000001}"#;
    for (event, start) in [
        (no_base64, "data_base64 is not valid Base64"),
        (no_text, "data_base64 must be a string"),
        (beside, "data_base64 must not stand beside data"),
        (no_utf8, "data_base64 does not hold JSON in UTF-8"),
        (encoded("b", ""), "data_base64 is not valid JSON: EOF"),
        (encoded("b", "<a/>"), "data_base64 is not valid JSON: "),
        (encoded("b", "[]"), "data must be a JSON object"),
        (encoded("b", r#"{"detla": 5}"#), "data_base64 cannot be read: unknown field"),
        (encoded("b", inexact), "data.delta must be a whole number of 32 bits"),
    ] {
        let answer = send(event).await;
        let told = answer["refused"][0]["message"].as_str().unwrap();
        assert!(told.starts_with(start), "{told}");
        assert_eq!(answer["refused"][0]["id"], "b");
    }
    assert_eq!(used(&app).await, 7);
}
