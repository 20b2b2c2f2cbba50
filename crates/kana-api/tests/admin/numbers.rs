//! Numbers in metadata come back as they were sent, or are refused (contract: `admin-api.md`,
//! "Values").

use axum::http::StatusCode;
use serde_json::json;

use crate::app::{TestApp, only_error};

const CREATE: &str =
    "mutation ($input: CreateUserInput!) { createUser(input: $input) { metadata } }";

/// A request that creates a user with this metadata, which is sent as it is written here.
fn as_object(query: &str, metadata: &str) -> String {
    let query = json!(query);
    format!(
        r#"{{"query": {query}, "variables": {{"input": {{"id": "n", "metadata": {metadata}}}}}}}"#
    )
}

/// The same, its variables in a string.
fn as_text(query: &str, metadata: &str) -> String {
    let variables = format!(r#"{{"input": {{"id": "n", "metadata": {metadata}}}}}"#);
    json!({ "query": query, "variables": variables }).to_string()
}

/// The same, without variables.
fn as_literal(metadata: &str) -> String {
    let query =
        format!(r#"mutation {{ createUser(input: {{id: "n", metadata: {metadata}}}) {{ id }} }}"#);
    json!({ "query": query }).to_string()
}

#[tokio::test]
async fn numbers_come_back_with_the_value_that_was_sent() {
    let numbers = [
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9007199254740993", "9007199254740993"),
        ("0.1", "0.1"),
        ("0.10", "0.1"),
        ("1e2", "100.0"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("\"12345678901234567890123\"", "\"12345678901234567890123\""),
    ];
    let sent = numbers.map(|(sent, _)| sent).join(", ");
    let kept = numbers.map(|(_, kept)| kept).join(",");
    for body in [
        as_object(CREATE, &format!("{{\"a\": [{sent}]}}")),
        as_text(CREATE, &format!("{{\"a\": [{sent}]}}")),
        as_literal(&format!("{{a: [{sent}]}}")),
    ] {
        let app = TestApp::new().await;
        let answer = app.post(body).send().await.ok();
        assert_eq!(answer.get("errors"), None, "{answer}");
        let found = app.data("{ user(id: \"n\") { metadata } }", json!({})).await;
        assert_eq!(found["user"]["metadata"].to_string(), format!("{{\"a\":[{kept}]}}"));
    }
}

#[tokio::test]
async fn a_number_that_would_come_back_changed_is_refused_by_the_name_of_its_place() {
    let app = TestApp::new().await;
    let stored = app.stored();
    for (sent, kept) in [
        ("12345678901234567890123", "1.2345678901234568e+22"),
        ("0.1000000000000000055511151231257827", "0.1"),
        ("-18446744073709551616", "-1.8446744073709552e+19"),
        ("1e-999", "0.0"),
    ] {
        let told = |place: &str| {
            format!(
                "BAD_USER_INPUT ValidationError: {place} is the number {sent}, which cannot be \
                 kept exactly, but only as {kept}: send it as a string"
            )
        };
        let metadata = format!("{{\"a\": [1, {{\"price\": {sent}}}]}}");
        for (body, place) in [
            (as_object(CREATE, &metadata), "input.metadata.a.1.price"),
            (as_text(CREATE, &metadata), "input.metadata.a.1.price"),
            (as_literal(&format!("{{a: [1, {{price: {sent}}}]}}")), "price"),
        ] {
            let answer = app.post(body.clone()).send().await.ok();
            assert_eq!(answer.get("data"), None);
            assert_eq!(only_error(&answer), told(place));
            let newer = app.post(body).asking_graphql_response().send().await;
            assert_eq!(newer.status, StatusCode::BAD_REQUEST);
        }
    }
    assert_eq!(app.stored(), stored);
}

#[tokio::test]
async fn a_number_that_is_out_of_range_is_not_called_invalid_json() {
    let app = TestApp::new().await;
    for body in [as_object(CREATE, "{\"a\": 1e999}"), as_text(CREATE, "{\"a\": 1e999}")] {
        let answer = app.post(body).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            answer.not_executed(),
            "BAD_USER_INPUT ValidationError: input.metadata.a is the number 1e999, which is out \
             of range: send it as a string"
        );
    }
    let told = app.post(as_literal("{a: 1e999}")).send().await.not_executed();
    assert!(told.ends_with("a is the number 1e999, which is out of range: send it as a string"));
}

#[tokio::test]
async fn a_number_of_another_type_is_still_refused_by_that_type() {
    let app = TestApp::shop().await;
    let query = "query ($delta: Int) {
        canUseFeature(userId: \"124\", featureId: \"api-calls\", delta: $delta) { access } }";
    for number in ["12345678901234567890123", "1.00000000000000000001"] {
        let expected = "\"delta\" expects type Int and got a number";
        let query = json!(query);
        let body = format!(r#"{{"query": {query}, "variables": {{"delta": {number}}}}}"#);
        let told = app.post(body).send().await.not_executed();
        assert!(
            told.starts_with("GRAPHQL_VALIDATION_FAILED") && told.ends_with(expected),
            "{told}"
        );
        let literal = format!(
            r#"{{ canUseFeature(userId: "124", featureId: "api-calls", delta: {number}) {{ access }} }}"#
        );
        let told = app.graphql(&literal, json!({})).send().await.not_executed();
        assert!(
            told.starts_with("GRAPHQL_VALIDATION_FAILED") && told.ends_with(expected),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_number_that_nobody_reads_may_be_any() {
    let app = TestApp::shop().await;
    let number = "0.1000000000000000055511151231257827";
    let body = format!(
        r#"{{"query": "{{ user(id: \"124\") {{ id }} }} # {number}",
            "variables": {{"undeclared": {number}}}, "extensions": {{"at": {number}}}}}"#
    );
    let answer = app.post(body).send().await.ok();
    assert_eq!(answer, json!({ "data": { "user": { "id": "124" } } }));
    // Names and strings have digits, too.
    let query = format!(
        r#"mutation {{ a1e999: createUser(input: {{id: "m", name: "{number}"}}) {{ id }} }}"#
    );
    assert_eq!(app.data(&query, json!({})).await, json!({ "a1e999": { "id": "m" } }));
}

#[tokio::test]
async fn a_literal_that_would_come_back_changed_is_pointed_at() {
    let app = TestApp::new().await;
    let query = "mutation {\n  createUser(input: {id: \"é\", metadata: {a: 1e-999}}) { id }\n}";
    let answer = app.graphql(query, json!({})).send().await.ok();
    assert_eq!(answer["errors"][0]["locations"], json!([{ "line": 2, "column": 45 }]));
}

/// What stood there was read as JSON of its own, deeper than any reader goes, and could not be read again.
#[tokio::test]
async fn metadata_is_kept_as_it_was_sent_whatever_its_keys_are() {
    let private = "$serde_json::private::RawValue";
    let metadata = format!(r#"{{"a":{{"{private}":"[1,2]"}},"b":{{"{private}":5}}}}"#);
    for body in [as_object(CREATE, &metadata), as_text(CREATE, &metadata)] {
        let app = TestApp::new().await;
        // As text, since serde_json would read the answer in its own way.
        let answer = app.post(body).send().await.text;
        let expected = format!(r#"{{"data":{{"createUser":{{"metadata":{metadata}}}}}}}"#);
        assert_eq!(answer, expected);
        let found = app.graphql("{ user(id: \"n\") { metadata } }", json!({})).send().await.text;
        assert_eq!(found, format!(r#"{{"data":{{"user":{{"metadata":{metadata}}}}}}}"#));
    }
    let app = TestApp::new().await;
    let nested = format!(r#"{{"a":{}1{}}}"#, "[".repeat(120), "]".repeat(120));
    let answer = app.post(as_object(CREATE, &nested)).send().await.ok();
    let said = "BAD_USER_INPUT ValidationError: metadata must nest at most 120 levels";
    assert_eq!(only_error(&answer), said);
    // A body is what it says, too.
    let body = json!({ private: json!({ "query": "{ __typename }" }).to_string() }).to_string();
    assert_eq!(app.post(body).send().await.status, StatusCode::BAD_REQUEST);
}
