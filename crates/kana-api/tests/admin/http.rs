//! GraphQL over HTTP: methods, media types and statuses.

use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::app::{Answer, GRAPHQL_RESPONSE, JSON, TestApp, error};

const QUERY: &str = "{ user(id: \"124\") { id } }";
const MIB: usize = 1024 * 1024;

fn refusal(message: &str) -> String {
    format!("BAD_USER_INPUT ValidationError: {message}")
}

/// Malformed in both media types.
async fn malformed(app: &TestApp, body: &[u8]) -> String {
    let stored = app.stored();
    let plain = app.post(body).send().await;
    assert_eq!((plain.status, plain.content_type()), (StatusCode::BAD_REQUEST, JSON));
    let newer = app.post(body).asking_graphql_response().send().await;
    assert_eq!((newer.status, newer.content_type()), (StatusCode::BAD_REQUEST, GRAPHQL_RESPONSE));
    assert_eq!(plain.text, newer.text);
    assert_eq!(app.stored(), stored);
    plain.not_executed()
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed() {
    let app = TestApp::shop().await;
    for body in ["{", "{\"query\": ", "query { x }", "{} {}", "\u{feff}\u{feff}{}", "{'query': 1}"]
    {
        let told = malformed(&app, body.as_bytes()).await;
        assert!(told.starts_with(&refusal("The request body is not valid JSON: ")), "{told}");
    }
    let told = malformed(&app, b"{\"query\": \"\xff\"}").await;
    assert!(told.starts_with(&refusal("The request body is not valid JSON: ")), "{told}");
}

#[tokio::test]
async fn a_body_that_is_no_request_is_malformed() {
    let app = TestApp::shop().await;
    for (body, message) in [
        ("", "The request body is empty: send a JSON object with \"query\" and \"variables\""),
        ("[]", "The request body is a JSON array: send one request at a time, as an object"),
        (
            "[{\"query\": \"{ user(id: 1) { id } }\"}]",
            "The request body is a JSON array: send one request at a time, as an object",
        ),
        ("7", "The request body must be a JSON object"),
        ("null", "The request body must be a JSON object"),
        ("\"{ x }\"", "The request body must be a JSON object"),
        ("{}", "query is missing"),
        ("{\"query\": null}", "query is missing"),
        ("{\"Query\": \"{ x }\"}", "query is missing"),
        ("{\"query\": 7}", "query must be a string"),
        ("{\"query\": {\"x\": 1}}", "query must be a string"),
        ("{\"query\": \"{ x }\", \"operationName\": 7}", "operationName must be a string"),
        ("{\"query\": \"{ x }\", \"extensions\": []}", "extensions must be a JSON object"),
    ] {
        assert_eq!(malformed(&app, body.as_bytes()).await, refusal(message), "{body}");
    }
}

#[tokio::test]
async fn unknown_parts_of_a_request_are_ignored() {
    let app = TestApp::shop().await;
    let body = json!({ "query": QUERY, "extensions": { "x": 1 }, "operationName": "", "id": 7 });
    let answer = app.post(body.to_string()).send().await.ok();
    assert_eq!(answer["data"]["user"]["id"], "124");
}

#[tokio::test]
async fn the_content_type_must_be_json_in_utf_8() {
    let app = TestApp::shop().await;
    let body = json!({ "query": QUERY }).to_string();
    for good in [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "Application/JSON",
    ] {
        let answer = app.post(&*body).with(header::CONTENT_TYPE, good).send().await;
        assert_eq!(answer.ok()["data"]["user"]["id"], "124", "{good}");
    }
    let must = "The Content-Type header must be application/json";
    for (bad, message) in [
        ("text/plain", must),
        ("application/graphql", must),
        ("application/graphql-response+json", must),
        ("application/x-www-form-urlencoded", must),
        ("application/jsonx", must),
        ("multipart/form-data; boundary=x", must),
        ("", must),
        ("application/json; charset=latin1", "The request body must be encoded as UTF-8"),
    ] {
        let answer = app.post(&*body).with(header::CONTENT_TYPE, bad).send().await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{bad}");
        assert_eq!(answer.not_executed(), refusal(message), "{bad}");
    }
    let answer = app.post(&*body).without(&header::CONTENT_TYPE).send().await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        answer.not_executed(),
        refusal("The Content-Type header is missing: send application/json")
    );
}

/// A request whose body has exactly so many bytes.
fn body_of(bytes: usize) -> Vec<u8> {
    let mut body = json!({ "query": QUERY }).to_string();
    let padding = " ".repeat(bytes - body.len());
    body.push_str(&padding);
    body.into_bytes()
}

#[tokio::test]
async fn a_body_of_one_mib_is_read_and_one_byte_more_is_too_large() {
    let app = TestApp::shop().await;
    let answer = app.post(body_of(MIB)).send().await;
    assert_eq!(answer.ok()["data"]["user"]["id"], "124");
    for bytes in [MIB + 1, 5 * MIB] {
        let answer = app.post(body_of(bytes)).send().await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.not_executed(), refusal("The request body is larger than 1 MiB"));
        let answer = app.post(body_of(bytes)).asking_graphql_response().send().await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}

async fn by_both(app: &TestApp, query: &str, more: &[(&str, Value)]) -> (Answer, Answer) {
    let mut body = json!({ "query": query });
    for (name, value) in more {
        body[*name] = value.clone();
    }
    let plain = app.post(body.to_string()).send().await;
    let newer = app.post(body.to_string()).asking_graphql_response().send().await;
    assert_eq!(plain.content_type(), JSON);
    assert_eq!(newer.content_type(), GRAPHQL_RESPONSE);
    assert_eq!(plain.text, newer.text);
    (plain, newer)
}

#[tokio::test]
async fn what_succeeds_is_200_in_both_media_types() {
    let app = TestApp::shop().await;
    let (plain, newer) = by_both(&app, QUERY, &[]).await;
    assert_eq!((plain.status, newer.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(plain.text, r#"{"data":{"user":{"id":"124"}}}"#);
}

#[tokio::test]
async fn a_request_that_is_not_executed_has_no_data_and_is_200_or_400_by_media_type() {
    let app = TestApp::shop().await;
    let two = "query a { user(id: \"124\") { id } } query b { user(id: \"124\") { name } }";
    let wanting = "query ($id: String!) { user(id: $id) { id } }";
    for (query, more, code) in [
        ("{", vec![], "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", vec![], "GRAPHQL_VALIDATION_FAILED"),
        (wanting, vec![("variables", json!({ "id": 7 }))], "GRAPHQL_VALIDATION_FAILED"),
        (wanting, vec![], "GRAPHQL_VALIDATION_FAILED"),
        (QUERY, vec![("operationName", json!("missing"))], "GRAPHQL_VALIDATION_FAILED"),
        (two, vec![], "GRAPHQL_VALIDATION_FAILED"),
        (two, vec![("operationName", json!("c"))], "GRAPHQL_VALIDATION_FAILED"),
        ("fragment f on Query { user(id: \"124\") { id } }", vec![], "GRAPHQL_"),
    ] {
        let (plain, newer) = by_both(&app, query, &more).await;
        assert_eq!(plain.status, StatusCode::OK, "{query}");
        assert_eq!(newer.status, StatusCode::BAD_REQUEST, "{query}");
        let told = plain.not_executed();
        assert!(told.starts_with(code), "{query}: {told}");
    }
}

#[tokio::test]
async fn the_operation_is_chosen_by_its_name() {
    let app = TestApp::shop().await;
    let two = "query a { user(id: \"124\") { id } } mutation b { createUser(input: {id: \"125\"}) { id } }";
    let (plain, _) = by_both(&app, two, &[("operationName", json!("a"))]).await;
    assert_eq!(plain.ok()["data"], json!({ "user": { "id": "124" } }));
    // And the other one has not run.
    assert_eq!(app.stored()["users"].len(), 1);
    let one = "query a { user(id: \"124\") { id } }";
    for name in [json!("a"), json!(null), json!("")] {
        let (plain, _) = by_both(&app, one, &[("operationName", name)]).await;
        assert_eq!(plain.ok()["data"], json!({ "user": { "id": "124" } }));
    }
}

#[tokio::test]
async fn an_error_of_a_field_comes_with_data_and_200_in_both_media_types() {
    let app = TestApp::shop().await;
    // Data that is null as a whole is still there: the request was executed.
    let (plain, newer) = by_both(&app, "{ user(id: \"nobody\") { id } }", &[]).await;
    assert_eq!((plain.status, newer.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(newer.json().as_object().unwrap().get("data"), Some(&Value::Null));
}

#[tokio::test]
async fn data_with_an_error_is_200_in_both_media_types() {
    let app = TestApp::shop().await;
    let partial = r#"{ feature(id: "sso") { id entitlement(userId: "nobody") { access } } }"#;
    let (plain, newer) = by_both(&app, partial, &[]).await;
    assert_eq!((plain.status, newer.status), (StatusCode::OK, StatusCode::OK));
    let answer = newer.json();
    assert_eq!(answer["data"], json!({ "feature": { "id": "sso", "entitlement": null } }));
    assert!(error(&answer["errors"][0]).starts_with("NOT_FOUND"));
}

#[tokio::test]
async fn the_accept_header_chooses_the_media_type() {
    let app = TestApp::shop().await;
    let body = json!({ "query": QUERY }).to_string();
    for (accept, expected) in [
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL_RESPONSE),
        ("text/html, application/json;q=0.1", JSON),
    ] {
        let answer = app.post(&*body).with(header::ACCEPT, accept).send().await;
        assert_eq!((answer.status, answer.content_type()), (StatusCode::OK, expected), "{accept}");
    }
    for accept in ["text/html", "application/xml", "application/json;q=0", "image/*"] {
        let stored = app.stored();
        let mutation = json!({ "query": "mutation { createUser(input: {id: \"1\"}) { id } }" });
        let answer = app.post(mutation.to_string()).with(header::ACCEPT, accept).send().await;
        assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{accept}");
        assert!(answer.not_executed().starts_with("BAD_USER_INPUT ValidationError: "), "{accept}");
        assert_eq!(app.stored(), stored);
    }
}

#[tokio::test]
async fn a_query_may_be_sent_with_get() {
    let app = TestApp::shop().await;
    for uri in [
        "/graphql?query=%7B%20user(id%3A%20%22124%22)%20%7B%20id%20%7D%20%7D",
        "/graphql?query=query+($id:String!)%7Buser(id:$id)%7Bid%7D%7D&variables=%7B%22id%22:%22124%22%7D",
        "/graphql?query=query+a%7Buser(id:%22124%22)%7Bid%7D%7D&operationName=a&variables=&extensions=%7B%7D",
    ] {
        let answer = app.request(Method::GET, uri).send().await;
        assert_eq!(answer.ok()["data"], json!({ "user": { "id": "124" } }), "{uri}");
    }
    for (uri, message) in [
        ("/graphql", "query is missing"),
        ("/graphql?query=", "query is missing"),
        (
            "/graphql?query=%7Bx%7D&variables=%5B%5D",
            "variables must be a JSON object or a string that holds one",
        ),
    ] {
        let answer = app.request(Method::GET, uri).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}");
        assert_eq!(answer.not_executed(), refusal(message), "{uri}");
    }
}

#[tokio::test]
async fn a_mutation_sent_with_get_is_not_run() {
    let app = TestApp::shop().await;
    let stored = app.stored();
    let mutation = "mutation+b%7BcreateUser(input:%7Bid:%22125%22%7D)%7Bid%7D%7D";
    for uri in [
        format!("/graphql?query={mutation}"),
        format!("/graphql?query=query+a%7B__typename%7D+{mutation}&operationName=b"),
    ] {
        for ask in [
            app.request(Method::GET, &uri),
            app.request(Method::GET, &uri).asking_graphql_response(),
        ] {
            let answer = ask.send().await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.headers[header::ALLOW], "POST");
            assert_eq!(answer.not_executed(), refusal("A mutation must be sent with POST"));
        }
    }
    assert_eq!(app.stored(), stored);
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let app = TestApp::shop().await;
    let stored = app.stored();
    let body = json!({ "query": "mutation { createUser(input: {id: \"125\"}) { id } }" });
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        let ask = app.request(method.clone(), "/graphql").body(body.to_string());
        let answer = ask.with(header::CONTENT_TYPE, "application/json").send().await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert!(answer.headers.contains_key(header::ALLOW), "{method}");
    }
    assert_eq!(app.stored(), stored);
}

#[tokio::test]
async fn a_head_request_with_a_mutation_in_its_body_runs_nothing() {
    let app = TestApp::shop().await;
    let stored = app.stored();
    let body = json!({ "query": "mutation { createUser(input: {id: \"125\"}) { id } }" });
    let ask = app.request(Method::HEAD, "/graphql").body(body.to_string());
    let answer = ask.with(header::CONTENT_TYPE, "application/json").send().await;
    assert_eq!(app.stored(), stored);
    assert_ne!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_head_request_answers_as_the_get_would_without_its_body() {
    let app = TestApp::shop().await;
    let uri = "/graphql?query=%7Buser(id:%22124%22)%7Bid%7D%7D";
    let get = app.request(Method::GET, uri).send().await;
    let head = app.request(Method::HEAD, uri).send().await;
    assert_eq!(get.status, StatusCode::OK);
    // Either it is a GET without a body, or it is not allowed.
    if head.status != StatusCode::METHOD_NOT_ALLOWED {
        assert_eq!((head.status, &*head.text), (StatusCode::OK, ""));
    }
}
