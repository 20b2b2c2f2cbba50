//! Who may ask.

use axum::http::{StatusCode, header};
use kana_service::NewSecret;
use serde_json::json;

use crate::app::{Answer, Ask, GRAPHQL_RESPONSE, JSON, TestApp};

const MISSING: &str = "UNAUTHENTICATED AuthenticationError: Unauthenticated: send a private key \
                       in the Authorization header";
const UNKNOWN: &str = "UNAUTHENTICATED AuthenticationError: Unauthenticated: the key in the \
                       Authorization header is unknown or was revoked";
const PUBLIC: &str = "UNAUTHENTICATED AuthenticationError: Unauthenticated: the Admin API needs \
                      a private key, and the Authorization header holds a public one";

fn ask(app: &TestApp) -> Ask<'_> {
    app.graphql(r#"{ user(id: "124") { id } }"#, json!({}))
}

async fn answers(app: &TestApp, authorization: &str) -> Answer {
    ask(app).with(header::AUTHORIZATION, authorization).send().await
}

#[tokio::test]
async fn the_private_key_opens_its_environment_with_bearer_and_without() {
    let app = TestApp::shop().await;
    let key = app.keys.test_private.reveal();
    for authorization in [
        key.to_owned(),
        format!("Bearer {key}"),
        format!("bearer {key}"),
        format!("BEARER  {key}"),
        format!(" {key} "),
    ] {
        let answer = answers(&app, &authorization).await;
        assert_eq!(answer.ok()["data"]["user"]["id"], "124", "{authorization}");
    }
}

#[tokio::test]
async fn the_key_of_the_other_environment_opens_the_other_environment() {
    let app = TestApp::shop().await;
    let answer = answers(&app, app.keys.live_private.reveal()).await.ok();
    assert_eq!(crate::app::only_error(&answer), "NOT_FOUND UserNotFoundError: User not found: 124");
}

async fn refused_both_ways<'a>(app: &'a TestApp, ask: impl Fn() -> Ask<'a>, expected: &str) {
    let stored = app.stored();
    let as_json = ask().send().await;
    assert_eq!((as_json.status, as_json.content_type()), (StatusCode::OK, JSON));
    assert_eq!(as_json.not_executed(), expected);
    let message = as_json.json()["errors"][0]["message"].clone();
    assert!(message.as_str().unwrap().starts_with("Unauthenticated"));

    let with_status = ask().asking_graphql_response().send().await;
    assert_eq!(with_status.status, StatusCode::UNAUTHORIZED);
    assert_eq!(with_status.content_type(), GRAPHQL_RESPONSE);
    assert_eq!(with_status.not_executed(), expected);
    assert_eq!(app.stored(), stored);
}

/// A mutation, so that one could see it if it ran.
fn mutation(app: &TestApp) -> Ask<'_> {
    app.graphql(r#"mutation { createUser(input: {id: "intruder"}) { id } }"#, json!({}))
}

#[tokio::test]
async fn whoever_has_no_valid_private_key_is_told_so_and_nothing_is_done() {
    let app = &TestApp::shop().await;
    refused_both_ways(app, || mutation(app).without(&header::AUTHORIZATION), MISSING).await;

    app.revoke(&app.keys.live_private).await;
    let reveal = NewSecret::reveal;
    for (authorization, expected) in [
        (String::new(), MISSING),
        ("Bearer ".to_owned(), MISSING),
        ("garbage".to_owned(), UNKNOWN),
        ("Bearer garbage".to_owned(), UNKNOWN),
        (format!("Basic {}", reveal(&app.keys.test_private)), UNKNOWN),
        (format!("Bearer Bearer {}", reveal(&app.keys.test_private)), UNKNOWN),
        (format!("prv_test_{}", "a1".repeat(20)), UNKNOWN),
        (reveal(&app.keys.test_private).replace("test", "live"), UNKNOWN),
        (reveal(&app.keys.live_private).to_owned(), UNKNOWN),
        (reveal(&app.keys.test_public).to_owned(), PUBLIC),
        (format!("Bearer {}", reveal(&app.keys.live_public)), PUBLIC),
        ("x".repeat(100_000), UNKNOWN),
    ] {
        let ask = || mutation(app).with(header::AUTHORIZATION, &authorization);
        refused_both_ways(app, ask, expected).await;
    }
    // Not even text.
    let ask = || mutation(app).with(header::AUTHORIZATION, [0xff, 0xfe]);
    refused_both_ways(app, ask, UNKNOWN).await;
}
