//! Bulk intake (`docs/events.md`): what an event becomes, what is refused, and what a request is
//! answered with.

use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::app::{Answer, Ask, TestApp};

pub(crate) const EVENT: &str = "application/cloudevents+json";
pub(crate) const BATCH: &str = "application/cloudevents-batch+json";
pub(crate) const LINES: &str = "application/x-ndjson";
const MIB: usize = 1024 * 1024;

/// A call of the user `124`, with these attributes beside or instead of the usual ones.
pub(crate) fn event(id: &str, more: Value) -> Value {
    let mut event = json!({
        "specversion": "1.0", "type": "kana.usage", "source": "/gateway", "id": id,
        "subject": "124", "data": { "featureId": "api-calls" },
    });
    let Value::Object(more) = more else { panic!("{more}") };
    event.as_object_mut().unwrap().extend(more);
    event
}

/// The same with this in its data.
pub(crate) fn event_with(id: &str, data: Value) -> Value {
    let mut event = event(id, json!({}));
    let Value::Object(data) = data else { panic!("{data}") };
    event["data"].as_object_mut().unwrap().extend(data);
    event
}

fn ask<'a>(app: &'a TestApp, content_type: &str, body: impl Into<Vec<u8>>) -> Ask<'a> {
    app.request(Method::POST, "/events").with(header::CONTENT_TYPE, content_type).body(body)
}

/// The answer to a request that is taken to its end.
async fn send(app: &TestApp, content_type: &str, body: impl Into<Vec<u8>>) -> Value {
    ask(app, content_type, body).send().await.ok()
}

/// The same of events that are sent as a batch.
async fn send_all(app: &TestApp, events: Value) -> Value {
    send(app, BATCH, events.to_string()).await
}

/// What is answered when all of the events are recorded.
pub(crate) fn recorded(count: usize) -> Value {
    json!({ "received": count, "recorded": count, "notCounted": 0, "refused": [] })
}

/// The error of a request of which no event was looked at, as `CODE Name: message`.
fn error(answer: &Answer) -> String {
    assert_eq!(answer.content_type(), "application/problem+json");
    let status = answer.status;
    let answer = answer.json();
    assert_eq!(answer["type"], "about:blank");
    assert_eq!(answer["title"], status.canonical_reason().unwrap());
    assert_eq!(answer["status"], status.as_u16());
    assert_eq!(answer.as_object().unwrap().len(), 6, "{answer}");
    let text = |field: &str| answer[field].as_str().unwrap().to_owned();
    format!("{} {}: {}", text("code"), text("name"), text("detail"))
}

pub(crate) async fn used(app: &TestApp) -> Value {
    let query = r#"{ canUseFeature(userId: "124", featureId: "api-calls") {
        consumption { used } } }"#;
    app.data(query, json!({})).await["canUseFeature"]["consumption"]["used"].take()
}

#[tokio::test]
async fn an_event_is_recorded_in_each_of_the_forms() {
    for (form, body) in [
        (EVENT, event("a", json!({})).to_string()),
        (BATCH, json!([event("a", json!({}))]).to_string()),
        (LINES, event("a", json!({})).to_string()),
        (LINES, format!("\r\n{}\r\n\n", event("a", json!({})))),
        ("application/ndjson", event("a", json!({})).to_string()),
        ("application/jsonl", event("a", json!({})).to_string()),
        ("Application/CloudEvents+JSON; charset=\"UTF-8\"", event("a", json!({})).to_string()),
    ] {
        let (app, _) = TestApp::subscribed("basic").await;
        assert_eq!(send(&app, form, body).await, recorded(1), "{form}");
        assert_eq!(used(&app).await, 1, "{form}");
    }
}

#[tokio::test]
async fn an_event_means_what_the_table_in_the_documentation_says() {
    let (app, _) = TestApp::subscribed("basic").await;
    let full = event(
        "a-1",
        json!({
            "time": "2024-01-15T13:00:00.5+02:00",
            "datacontenttype": "application/json; charset=utf-8",
            "dataschema": "https://example.com/usage",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "data": {
                "featureId": "api-calls", "delta": 7, "action": "SET",
                "metadata": { "z": [1, 2.5], "a": "é" },
            },
        }),
    );
    // It took place before the subscription, so that it is kept and not counted.
    let answer = send(&app, EVENT, full.to_string()).await;
    let expected = json!({ "received": 1, "recorded": 0, "notCounted": 1, "refused": [] });
    assert_eq!(answer, expected);
    let kept = app.stored()["events"].clone();
    assert_eq!(kept.len(), 1);
    let at = crate::app::time("2024-01-15T11:00:00.500Z").as_ms().to_string();
    for part in ["cloudevent /gateway a-1", r#"{"z":[1,2.5],"a":"é"}"#, "SET", "7", &at] {
        assert!(kept[0].iter().any(|column| column == part), "{part}: {kept:?}");
    }

    for (id, data, after) in [
        ("b", json!({}), 1),
        ("c", json!({ "delta": 10 }), 11),
        ("d", json!({ "delta": -1, "action": "ADD" }), 10),
        ("e", json!({ "delta": 40, "action": "SET" }), 40),
        ("f", json!({ "delta": null, "action": null, "metadata": null }), 41),
        ("g", json!({ "delta": 2_147_483_647 }), 2_147_483_688_u32 as i64),
    ] {
        let answer = send(&app, EVENT, event_with(id, data).to_string()).await;
        assert_eq!(answer, recorded(1), "{id}");
        let query = r#"{ canUseFeature(userId: "124", featureId: "api-calls") {
            consumption { usedExact } } }"#;
        let exact = app.data(query, json!({})).await;
        let exact = &exact["canUseFeature"]["consumption"]["usedExact"];
        assert_eq!(*exact, json!(after.to_string()), "{id}");
    }
}

#[tokio::test]
async fn the_key_of_an_event_is_one_that_graphql_knows() {
    let (app, _) = TestApp::subscribed("basic").await;
    assert_eq!(send_all(&app, json!([event("a-1", json!({}))])).await, recorded(1));
    let again = r#"mutation { recordUsage(input: {
        userId: "124", featureId: "api-calls", idempotencyKey: "cloudevent /gateway a-1"
    }) { recorded } }"#;
    assert_eq!(app.data(again, json!({})).await["recordUsage"]["recorded"], true);
    assert_eq!(used(&app).await, 1);
}

fn good_and_bad_events() -> Value {
    json!([
        event("good-1", json!({})),
        event("no-user", json!({ "subject": "nobody" })),
        event_with("no-feature", json!({ "featureId": "nothing" })),
        event("no-subject", json!({ "subject": null })),
        event_with("too-much", json!({ "delta": 2_147_483_648_i64 })),
        event_with("good-1", json!({ "delta": 2 })),
        event_with("late", json!({ "featureId": "sso" })),
        event("early", json!({ "time": "2024-01-15T12:05:00.001Z" })),
        event_with("below", json!({ "delta": -1, "action": "SET" })),
        7,
        event_with("good-2", json!({ "delta": 10 })),
    ])
}

#[tokio::test]
async fn each_event_of_a_batch_stands_or_falls_alone() {
    let (app, _) = TestApp::subscribed("basic").await;
    let answer = send_all(&app, good_and_bad_events()).await;
    insta::assert_json_snapshot!(answer, @r#"
{
  "received": 11,
  "recorded": 2,
  "notCounted": 1,
  "refused": [
    {
      "id": "no-user",
      "index": 1,
      "code": "NOT_FOUND",
      "name": "UserNotFoundError",
      "message": "User not found: nobody"
    },
    {
      "id": "no-feature",
      "index": 2,
      "code": "NOT_FOUND",
      "name": "FeatureNotFoundError",
      "message": "Feature not found: nothing"
    },
    {
      "id": "no-subject",
      "index": 3,
      "code": "BAD_USER_INPUT",
      "name": "ValidationError",
      "message": "subject is missing"
    },
    {
      "id": "too-much",
      "index": 4,
      "code": "BAD_USER_INPUT",
      "name": "ValidationError",
      "message": "data.delta must be a whole number of 32 bits, -2147483648 to 2147483647"
    },
    {
      "id": "good-1",
      "index": 5,
      "code": "IDEMPOTENCY_CONFLICT",
      "name": "ConflictError",
      "message": "An event with this source and id was sent before, with other content; a new event needs a new id"
    },
    {
      "id": "early",
      "index": 7,
      "code": "BAD_USER_INPUT",
      "name": "ValidationError",
      "message": "time must not be more than five minutes in the future"
    },
    {
      "id": "below",
      "index": 8,
      "code": "BAD_USER_INPUT",
      "name": "ValidationError",
      "message": "data.delta must not be negative with action SET"
    },
    {
      "id": null,
      "index": 9,
      "code": "BAD_USER_INPUT",
      "name": "ValidationError",
      "message": "The event is not a JSON object"
    }
  ]
}
"#);
    assert_eq!(used(&app).await, 11);
}

#[tokio::test]
async fn what_was_sent_before_is_answered_as_it_was_and_counts_once() {
    let (app, _) = TestApp::subscribed("basic").await;
    let twice = json!([
        event_with("a", json!({ "delta": 5 })),
        event_with("b", json!({ "featureId": "sso" })),
        event_with("a", json!({ "delta": 5 })),
        event_with("b", json!({ "featureId": "sso" })),
    ]);
    for _ in 0..2 {
        let expected = json!({ "received": 4, "recorded": 2, "notCounted": 2, "refused": [] });
        assert_eq!(send_all(&app, twice.clone()).await, expected);
        assert_eq!(used(&app).await, 5);
        assert_eq!(app.stored()["events"].len(), 2);
    }
    // Another source has ids of its own.
    let other = event_with("a", json!({ "delta": 6 }));
    let mut other = other.as_object().unwrap().clone();
    other.insert("source".to_owned(), json!("/worker"));
    assert_eq!(send(&app, EVENT, json!(other).to_string()).await, recorded(1));
    assert_eq!(used(&app).await, 11);
}

#[tokio::test]
async fn the_other_environment_has_events_of_its_own() {
    let (app, _) = TestApp::subscribed("basic").await;
    let body = event("a", json!({})).to_string();
    let live = app.keys.live_private.reveal();
    let answer = ask(&app, EVENT, &*body).with(header::AUTHORIZATION, live).send().await.ok();
    assert_eq!(answer["refused"][0]["code"], "NOT_FOUND");
    assert_eq!(used(&app).await, 0);
    let bearer = format!("Bearer {}", app.keys.test_private.reveal());
    let answer = ask(&app, EVENT, &*body).with(header::AUTHORIZATION, bearer).send().await.ok();
    assert_eq!(answer, recorded(1));
}

/// Each event, as it is written, with the id that its refusal has and what is wrong with it.
/// An event's text, its id as far as it can be read, and why it is refused.
type Misfit<'a> = (String, Option<&'a str>, &'a str);

/// Each event is refused with its message, in a batch and as a line, and nothing is stored.
async fn assert_refused(app: &TestApp, misfits: &[Misfit<'_>]) {
    let stored = app.stored();
    for (text, id, message) in misfits {
        for (form, body) in [(BATCH, format!("[{text}]")), (LINES, text.clone())] {
            let mut answer = send(app, form, body).await;
            let refused = answer["refused"][0].take();
            let expected = json!({
                "id": id, "index": 0, "code": "BAD_USER_INPUT", "name": "ValidationError",
                "message": message,
            });
            assert_eq!(refused, expected, "{text}");
            let rest = json!({ "received": 1, "recorded": 0, "notCounted": 0, "refused": [null] });
            assert_eq!(answer, rest, "{text}");
        }
    }
    assert_eq!(app.stored(), stored);
}

#[tokio::test]
async fn what_is_wrong_with_an_event_is_told_by_the_name_of_its_attribute() {
    let (app, _) = TestApp::subscribed("basic").await;
    let with = |more: Value| event("a", more).to_string();
    let instant =
        "time must be an RFC 3339 instant with a time zone, like 2022-08-10T15:07:01.803Z";
    let long = "x".repeat(256);
    let misfits = [
        (with(json!({ "id": null })), None, "id is missing"),
        (with(json!({ "id": "" })), Some(""), "id must not be empty"),
        (with(json!({ "id": 7 })), None, "id must be a string"),
        (with(json!({ "id": "a\u{7}" })), Some("a\u{7}"), "id must not contain control characters"),
        (with(json!({ "source": null })), Some("a"), "source is missing"),
        (with(json!({ "source": "" })), Some("a"), "source must not be empty"),
        (with(json!({ "source": ["x"] })), Some("a"), "source must be a string"),
        (with(json!({ "specversion": null })), Some("a"), "specversion is missing"),
        (with(json!({ "specversion": "0.3" })), Some("a"), "specversion must be 1.0"),
        (with(json!({ "specversion": 1.0 })), Some("a"), "specversion must be a string"),
        (with(json!({ "type": null })), Some("a"), "type is missing"),
        (with(json!({ "type": "" })), Some("a"), "type must not be empty"),
        (with(json!({ "type": true })), Some("a"), "type must be a string"),
        (with(json!({ "subject": null })), Some("a"), "subject is missing"),
        (with(json!({ "subject": "" })), Some("a"), "subject must not be empty"),
        (with(json!({ "subject": 124 })), Some("a"), "subject must be a string"),
        (
            with(json!({ "subject": " 124" })),
            Some("a"),
            "subject must not start or end with a space",
        ),
        (with(json!({ "subject": long })), Some("a"), "subject must have at most 255 characters"),
        (with(json!({ "time": "yesterday" })), Some("a"), instant),
        (with(json!({ "time": 1_705_320_000 })), Some("a"), "time must be a string"),
        (
            with(json!({ "time": "2024-01-15T12:05:00.001Z" })),
            Some("a"),
            "time must not be more than five minutes in the future",
        ),
        (with(json!({ "datacontenttype": "text/xml" })), Some("a"), "datacontenttype must be JSON"),
        (with(json!({ "datacontenttype": 7 })), Some("a"), "datacontenttype must be a string"),
        (
            with(json!({ "data_base64": "e30=" })),
            Some("a"),
            "data_base64 must not stand beside data",
        ),
        ("7".to_owned(), None, "The event is not a JSON object"),
        ("[\"1.0\", \"a\"]".to_owned(), None, "The event is not a JSON object"),
        ("null".to_owned(), None, "The event is not a JSON object"),
    ];
    assert_refused(&app, &misfits).await;
}

#[tokio::test]
async fn what_is_wrong_with_data_is_told_by_the_name_of_its_field() {
    let (app, _) = TestApp::subscribed("basic").await;
    let with = |more: Value| event("a", more).to_string();
    let with_data = |data: Value| event_with("a", data).to_string();
    let whole = "data.delta must be a whole number of 32 bits, -2147483648 to 2147483647";
    let metadata = |text: &str| {
        event("a", json!({}))
            .to_string()
            .replace(r#""featureId""#, &format!(r#""metadata": {text}, "featureId""#))
    };
    let misfits = [
        (with(json!({ "data": null })), Some("a"), "data is missing"),
        (with(json!({ "data": "{}" })), Some("a"), "data must be a JSON object"),
        (with(json!({ "data": [] })), Some("a"), "data must be a JSON object"),
        (with(json!({ "data": {} })), Some("a"), "data.featureId is missing"),
        (with_data(json!({ "featureId": 7 })), Some("a"), "data.featureId must be a string"),
        (with_data(json!({ "featureId": "" })), Some("a"), "data.featureId must not be empty"),
        (with_data(json!({ "delta": 2_147_483_648_i64 })), Some("a"), whole),
        (with_data(json!({ "delta": -2_147_483_649_i64 })), Some("a"), whole),
        (with_data(json!({ "delta": u64::MAX })), Some("a"), whole),
        (with_data(json!({ "delta": 1.5 })), Some("a"), whole),
        (with_data(json!({ "delta": "1" })), Some("a"), whole),
        (with_data(json!({ "delta": {} })), Some("a"), whole),
        (with_data(json!({ "action": "add" })), Some("a"), "data.action must be ADD or SET"),
        (with_data(json!({ "action": 1 })), Some("a"), "data.action must be a string"),
        (
            with_data(json!({ "action": "SET", "delta": -1 })),
            Some("a"),
            "data.delta must not be negative with action SET",
        ),
        (metadata("[]"), Some("a"), "data.metadata must be a JSON object"),
        (
            metadata(&json!({ "x": "x".repeat(16 * 1024) }).to_string()),
            Some("a"),
            "data.metadata must have at most 16384 bytes as JSON",
        ),
        (
            metadata(r#"{"a": [1, {"price": 0.1000000000000000055511151231257827}]}"#),
            Some("a"),
            "data.metadata.a.1.price is the number 0.1000000000000000055511151231257827, which \
             cannot be kept exactly, but only as 0.1: send it as a string",
        ),
        (
            metadata(r#"{"a": 1e999}"#),
            Some("a"),
            "data.metadata.a is the number 1e999, which is out of range: send it as a string",
        ),
    ];
    assert_refused(&app, &misfits).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_its_id_where_that_can_be() {
    let (app, _) = TestApp::subscribed("basic").await;
    let stored = app.stored();
    let good = event("a", json!({})).to_string();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (line, id, start) in [
        (
            event_with("a", json!({ "detla": 5 })).to_string(),
            Some("a"),
            "The event cannot be read: unknown field `detla`, expected one of `featureId`, \
             `delta`, `action`, `metadata` at line 1 column ",
        ),
        (
            good.replace("\"subject\"", "\"subject\": \"x\", \"subject\""),
            Some("a"),
            "The event cannot be read: duplicate field `subject` at line 1 column ",
        ),
        (
            good.replace("{\"featureId\"", "{\"delta\": 1, \"delta\": 2, \"featureId\""),
            Some("a"),
            "The event cannot be read: duplicate field `delta` at line 1 column ",
        ),
        (
            good.replace(
                "{\"featureId\"",
                &format!("{{\"{}\": 1, \"featureId\"", "x".repeat(9000)),
            ),
            Some("a"),
            "The event cannot be read: unknown field `xxx",
        ),
        (
            good.replace("{\"featureId\"", &format!("{{\"metadata\": {deep}, \"featureId\"")),
            Some("a"),
            "data.metadata.0.0.0",
        ),
        (good.replace(':', "="), None, "The event is not valid JSON: "),
        (good[..good.len() - 1].to_owned(), None, "The event is not valid JSON: EOF while parsing"),
        (format!("{good}{good}"), None, "The event is not valid JSON: trailing characters"),
        (format!("\n\u{feff}{good}"), None, "The event is not valid JSON: expected value"),
        ("not JSON".to_owned(), None, "The event is not valid JSON: expected "),
    ] {
        let answer = send(&app, LINES, line.clone()).await;
        let refused = &answer["refused"][0];
        assert_eq!(refused["id"], json!(id), "{line}: {answer}");
        assert_eq!(refused["code"], "BAD_USER_INPUT");
        let message = refused["message"].as_str().unwrap();
        assert!(message.starts_with(start), "{line}: {message}");
        assert!(message.chars().count() <= 400, "{message}");
    }
    let answer = send(&app, LINES, b"{\"id\": \"\xff\"}".to_vec()).await;
    assert_eq!(answer["refused"][0]["message"], "The event is not encoded as UTF-8");
    assert_eq!(app.stored(), stored);
}

#[tokio::test]
async fn a_long_id_is_told_by_its_start() {
    let (app, _) = TestApp::subscribed("basic").await;
    let long = "é".repeat(1000);
    assert_eq!(send_all(&app, json!([event(&long, json!({}))])).await, recorded(1));
    let conflict = send_all(&app, json!([event_with(&long, json!({ "delta": 2 }))])).await;
    assert_eq!(conflict["refused"][0]["code"], "IDEMPOTENCY_CONFLICT");
    assert_eq!(conflict["refused"][0]["id"], "é".repeat(255));
}

#[tokio::test]
async fn escaped_text_is_the_text_that_it_stands_for() {
    let (app, _) = TestApp::subscribed("basic").await;
    let text = event("a", json!({})).to_string();
    let escaped =
        text.replace("124", "\\u0031\\u0032\\u0034").replace("\"data\"", "\"d\\u0061ta\"");
    assert_ne!(escaped, text);
    assert_eq!(send(&app, EVENT, escaped).await, recorded(1));
    // And so it is the same event.
    assert_eq!(send(&app, EVENT, text).await, recorded(1));
    assert_eq!(used(&app).await, 1);
}

#[tokio::test]
async fn json_is_json_by_any_of_its_names() {
    let (app, _) = TestApp::subscribed("basic").await;
    for name in ["application/json", "Application/JSON;charset=utf-8", "text/json", "a/b+json"] {
        let event = event(name, json!({ "datacontenttype": name }));
        assert_eq!(send(&app, EVENT, event.to_string()).await, recorded(1), "{name}");
    }
}

async fn refused_whole(app: &TestApp, ask: Ask<'_>, status: StatusCode) -> String {
    let stored = app.stored();
    let answer = ask.send().await;
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(app.stored(), stored);
    let told = error(&answer);
    told.strip_prefix("BAD_USER_INPUT ValidationError: ").expect(&told).to_owned()
}

#[tokio::test]
async fn a_body_that_is_malformed_as_a_whole_records_nothing_of_it() {
    let (app, _) = TestApp::subscribed("basic").await;
    let good = event("a", json!({})).to_string();
    let invalid = "The request body is not valid JSON: ";
    for (form, body, start) in [
        (EVENT, String::new(), "The request body is empty"),
        (EVENT, good.replace('}', ""), invalid),
        (EVENT, format!("{good}\n{good}"), invalid),
        (EVENT, "\"text\"".to_owned(), "The request body must be a JSON object"),
        (
            EVENT,
            format!("[{good}]"),
            "The request body is a JSON array: send it with the Content-Type \
             application/cloudevents-batch+json",
        ),
        (BATCH, String::new(), "The request body is empty"),
        (BATCH, good.clone(), "The request body must be a JSON array"),
        (BATCH, format!("[{good}"), invalid),
        (BATCH, format!("[{good},]"), invalid),
        (BATCH, format!("[{good}] {good}"), invalid),
        (BATCH, format!("{good}\n{good}"), invalid),
    ] {
        let told = refused_whole(&app, ask(&app, form, &*body), StatusCode::BAD_REQUEST).await;
        assert!(told.starts_with(start), "{body}: {told}");
    }
}

#[tokio::test]
async fn nothing_is_an_answer_to_nothing() {
    let (app, _) = TestApp::subscribed("basic").await;
    assert_eq!(send(&app, BATCH, "[]").await, recorded(0));
    assert_eq!(send(&app, LINES, "").await, recorded(0));
    assert_eq!(send(&app, LINES, "\n \n\r\n").await, recorded(0));
}

#[tokio::test]
async fn other_media_types_are_not_taken() {
    let (app, _) = TestApp::subscribed("basic").await;
    let body = event("a", json!({})).to_string();
    let must = "The Content-Type header must be application/cloudevents+json, \
                application/cloudevents-batch+json or application/x-ndjson, or the event's \
                attributes must be in ce- headers";
    let utf8 = "The request body must be encoded as UTF-8";
    for (content_type, message) in [
        ("application/json", must),
        ("application/cloudevents", must),
        ("application/cloudevents+avro", must),
        ("application/cloudevents+jsonx", must),
        ("text/plain", must),
        ("", must),
        ("application/cloudevents+json; charset=latin1", utf8),
        ("application/x-ndjson;charset=utf-16", utf8),
    ] {
        let ask = ask(&app, content_type, &*body);
        let told = refused_whole(&app, ask, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
        assert_eq!(told, message, "{content_type}");
    }
    let without = ask(&app, "", &*body).without(&header::CONTENT_TYPE);
    let told = refused_whole(&app, without, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    assert_eq!(told, must);
}

#[tokio::test]
async fn only_post_is_allowed() {
    let (app, _) = TestApp::subscribed("basic").await;
    let stored = app.stored();
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE] {
        let body = event("a", json!({})).to_string();
        let ask = app.request(method.clone(), "/events").with(header::CONTENT_TYPE, EVENT);
        let answer = ask.body(body).send().await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.headers[header::ALLOW], "POST");
    }
    assert_eq!(app.stored(), stored);
}

/// The text with spaces after it.
fn padded(text: &str, bytes: usize) -> Vec<u8> {
    format!("{text}{}", " ".repeat(bytes - text.len())).into_bytes()
}

#[tokio::test]
async fn a_body_may_be_so_large_and_no_larger() {
    let (app, _) = TestApp::subscribed("basic").await;
    let one = event("a", json!({})).to_string();
    let batch = format!("[{one}]");
    for (form, text, max, message) in [
        (EVENT, &one, MIB, "The request body is larger than 1 MiB"),
        (
            BATCH,
            &batch,
            4 * MIB,
            "The request body is larger than 4 MiB: send more batches, or the events as lines, \
             with the Content-Type application/x-ndjson",
        ),
    ] {
        for bytes in [max + 1, 3 * max] {
            let too_large = ask(&app, form, padded(text, bytes));
            let told = refused_whole(&app, too_large, StatusCode::PAYLOAD_TOO_LARGE).await;
            assert_eq!(told, message);
            let asks_first =
                ask(&app, form, padded(text, bytes)).with(header::EXPECT, "100-continue");
            let told = refused_whole(&app, asks_first, StatusCode::PAYLOAD_TOO_LARGE).await;
            assert_eq!(told, message);
        }
        assert_eq!(send(&app, form, padded(text, max)).await, recorded(1), "{form}");
    }
}

#[tokio::test]
async fn ten_thousand_events_are_a_batch_and_one_more_are_too_many() {
    let (app, _) = TestApp::subscribed("basic").await;
    let events = |count: usize| -> Value {
        (0..count).map(|number| event(&number.to_string(), json!({}))).collect()
    };
    let too_many = ask(&app, BATCH, events(10_001).to_string());
    let told = refused_whole(&app, too_many, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert!(told.starts_with("The request body has more than 10000 events: "), "{told}");
    assert_eq!(send_all(&app, events(10_000)).await, recorded(10_000));
    assert_eq!(used(&app).await, 10_000);
}

#[tokio::test]
async fn all_that_is_refused_of_a_batch_is_listed() {
    let (app, _) = TestApp::subscribed("basic").await;
    let events: Value = (0..3000)
        .map(|number: usize| {
            let subject = match number % 3 {
                0 => json!("nobody"),
                1 => json!(number),
                _ => json!("124"),
            };
            event(&number.to_string(), json!({ "subject": subject }))
        })
        .collect();
    let answer = send_all(&app, events).await;
    assert_eq!((&answer["received"], &answer["recorded"]), (&json!(3000), &json!(1000)));
    let listed: Vec<usize> = answer["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refused| {
            let index = usize::try_from(refused["index"].as_u64().unwrap()).unwrap();
            assert_eq!(refused["id"], index.to_string());
            let code = if index % 3 == 0 { "NOT_FOUND" } else { "BAD_USER_INPUT" };
            assert_eq!(refused["code"], code);
            index
        })
        .collect();
    assert_eq!(listed, (0..3000).filter(|index| index % 3 != 2).collect::<Vec<_>>());
}
