//! JSON has one kind of number: `2.0` and `2e0` are the whole number 2, and Ruby, Python and PHP
//! write it so. A number that is not whole or too large is refused, never rounded.

use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::app::{TestApp, only_error};

/// Ways to write whole numbers, with their values.
const WHOLE: [(&str, i64); 8] = [
    ("2.0", 2),
    ("2e0", 2),
    ("2E+0", 2),
    ("20e-1", 2),
    ("0.02e2", 2),
    ("-0.0", 0),
    ("0e999", 0),
    ("2147483647.000", 2_147_483_647),
];

/// Numbers that are not whole or do not fit 32 bits.
const OTHERS: [&str; 7] = [
    "123.5",
    "2147483648.0",
    "-2147483649e0",
    "1e10",
    "2.00000000000000000001",
    "1.99999999999999999999",
    "1e-400",
];

const RECORD: &str =
    "mutation ($input: CreateUsageEventInput!) { createUsageEvent(input: $input) }";
const SET: &str = r#""userId": "124", "featureId": "api-calls", "action": "SET""#;

/// Returns a request with these variables, as an object or as a string that contains one.
fn request(query: &str, variables: &str, as_text: bool) -> String {
    let query = json!(query);
    let variables = if as_text { json!(variables).to_string() } else { variables.to_owned() };
    format!(r#"{{"query": {query}, "variables": {variables}}}"#)
}

async fn used(app: &TestApp) -> i64 {
    let query = r#"{ canUseFeature(userId: "124", featureId: "api-calls") {
        consumption { used } } }"#;
    app.data(query, json!({})).await["canUseFeature"]["consumption"]["used"].as_i64().unwrap()
}

#[tokio::test]
async fn a_whole_number_with_a_point_is_an_int_in_variables() {
    let (app, _) = TestApp::subscribed("basic").await;
    for (written, number) in WHOLE {
        for as_text in [false, true] {
            app.post(request(RECORD, &format!(r#"{{"input": {{{SET}, "delta": 77}}}}"#), false))
                .send()
                .await
                .ok();
            // The general executor may answer the first request, and a plan the second.
            for _ in 0..2 {
                let variables = format!(r#"{{"input": {{{SET}, "delta": {written}}}}}"#);
                let answer = app.post(request(RECORD, &variables, as_text)).send().await.ok();
                assert_eq!(answer, json!({ "data": { "createUsageEvent": true } }), "{written}");
                assert_eq!(used(&app).await, number, "{written}");
            }
        }
    }
    let query = "query ($delta: Int) { canUseFeature(userId: \"124\", featureId: \"api-calls\",
        delta: $delta) { access } }";
    app.data(
        RECORD,
        json!({ "input": { "userId": "124", "featureId": "api-calls", "delta": 99,
        "action": "SET" } }),
    )
    .await;
    for _ in 0..2 {
        for (delta, access) in [("1e0", true), ("2.0", false)] {
            let answer = app.post(request(query, &format!(r#"{{"delta": {delta}}}"#), false));
            let answer = answer.send().await.ok();
            assert_eq!(answer["data"]["canUseFeature"]["access"], access, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_number_that_is_not_whole_or_too_large_is_no_int_in_variables() {
    let (app, _) = TestApp::subscribed("basic").await;
    for written in OTHERS {
        for as_text in [false, true] {
            let variables = format!(r#"{{"input": {{{SET}, "delta": {written}}}}}"#);
            let answer = app.post(request(RECORD, &variables, as_text)).send().await.ok();
            assert_eq!(
                only_error(&answer),
                "GRAPHQL_VALIDATION_FAILED GraphQLError: Variable \"$input\" is invalid: \
                 \"input.delta\" expects type Int and got a number",
                "{written}"
            );
            assert_eq!(answer["errors"][0]["locations"], json!([{ "line": 1, "column": 11 }]));
        }
    }
    let variables = format!(r#"{{"input": {{{SET}, "delta": 1e400}}}}"#);
    let answer = app.post(request(RECORD, &variables, false)).send().await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.not_executed(),
        "BAD_USER_INPUT ValidationError: input.delta is the number 1e400, which is out of range: \
         send it as a string"
    );
    assert_eq!(used(&app).await, 0);
}

#[tokio::test]
async fn a_literal_with_a_point_is_no_int() {
    let app = TestApp::shop().await;
    let told = app
        .refused(
            r#"{ canUseFeature(userId: "124", featureId: "api-calls", delta: 2.0) { access } }"#,
            json!({}),
        )
        .await;
    assert_eq!(
        told,
        "GRAPHQL_VALIDATION_FAILED GraphQLError: Argument \"delta\" is invalid: \"delta\" expects \
         type Int and got a number"
    );
}

#[tokio::test]
async fn a_number_beside_an_int_keeps_its_point() {
    let (app, _) = TestApp::subscribed("basic").await;
    let variables =
        format!(r#"{{"input": {{{SET}, "delta": 2.0, "metadata": {{"price": 2.0}}}}}}"#);
    app.post(request(RECORD, &variables, false)).send().await.ok();
    let kept = &app.stored()["events"][0];
    assert!(kept.iter().any(|column| column == r#"{"price":2.0}"#), "{kept:?}");
}

fn event(id: usize, delta: &str) -> String {
    format!(
        r#"{{"specversion": "1.0", "type": "kana.usage", "source": "/gateway", "id": "{id}",
            "subject": "124", "data": {{"featureId": "api-calls", "action": "SET",
            "metadata": {{"delta": 0.5}}, "delta": {delta}}}}}"#
    )
}

async fn send(app: &TestApp, event: String) -> Value {
    let request = app.request(Method::POST, "/events").body(event);
    request.with(header::CONTENT_TYPE, "application/cloudevents+json").send().await.ok()
}

#[tokio::test]
async fn a_whole_number_with_a_point_is_the_delta_of_an_event() {
    let (app, _) = TestApp::subscribed("basic").await;
    for (id, (written, number)) in WHOLE.into_iter().enumerate() {
        let answer = send(&app, event(id, written)).await;
        assert_eq!(answer["recorded"], 1, "{written}: {answer}");
        assert_eq!(used(&app).await, number, "{written}");
    }
    for written in OTHERS {
        let answer = send(&app, event(100, written)).await;
        assert_eq!(
            answer["refused"][0]["message"],
            "data.delta must be a whole number of 32 bits, -2147483648 to 2147483647",
            "{written}"
        );
    }
    let answer = send(&app, event(100, "1e400")).await;
    let told = answer["refused"][0]["message"].as_str().unwrap();
    assert!(told.contains("data.delta is the number 1e400, which is out of range"), "{told}");
}

fn file(limit: &str) -> String {
    format!(
        r#"{{"version": "1.0.0", "features": [{{"id": "calls", "name": "calls", "type": "CONSUMABLE"}}],
            "packages": {{"draft": [{{"id": "a", "name": "a", "features": [
                {{"id": "calls", "limit": {limit}}}]}}], "published": []}},
            "addons": {{"draft": [], "published": []}}}}"#
    )
}

#[tokio::test]
async fn a_whole_number_with_a_point_is_the_limit_in_a_file() {
    for (written, limit) in WHOLE
        .into_iter()
        .chain([("9223372036854775807.0", i64::MAX), ("9007199254740993e0", 9_007_199_254_740_993)])
    {
        let app = TestApp::new().await;
        let body = file(written);
        let validated = app.request(Method::POST, "/cli/validate").body(body.clone()).send().await;
        assert!(!validated.text.contains("ERROR"), "{written}: {}", validated.text);
        let published = app.request(Method::POST, "/cli/publish").body(body).send().await.ok();
        let kept = &published["packages"]["draft"][0]["features"][0]["limit"];
        assert_eq!(*kept, limit, "{written}");
    }
    let app = TestApp::new().await;
    for written in ["123.5", "9223372036854775808.0", "2.00000000000000000001", "1e-400", "1e400"] {
        let answer = app.request(Method::POST, "/cli/publish").body(file(written)).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{written}: {}", answer.text);
    }
}
