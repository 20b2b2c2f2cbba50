//! Limits on the requests of a key and of a user (contract: `operations.md`, "Limits").

use axum::http::{HeaderName, Method, StatusCode, header};
use kana_api::{RateLimits, Settings};
use serde_json::json;

use crate::app::{Answer, TestApp};

const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const RECORD: &str = r#"mutation { recordUsage(input: {userId: "124", featureId: "api-calls", delta: 1}) { recorded } }"#;

async fn limited(rate_limits: RateLimits) -> TestApp {
    let (app, _) = TestApp::subscribed("basic").await;
    app.with_settings(Settings { rate_limits, ..Settings::default() })
}

fn header_of<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

/// Each surface that a private key opens, with a request that needs no more than the key.
fn requests() -> [(Method, &'static str, &'static str); 3] {
    [
        (Method::POST, "/graphql", r#"{"query": "{ __typename }"}"#),
        (Method::POST, "/events", ""),
        (Method::GET, "/cli/pull", ""),
    ]
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_refused_and_nothing_is_recorded() {
    let app = limited(RateLimits { key: 1, key_burst: Some(2), client: 0 }).await;
    let record = || app.graphql(RECORD, json!({}));
    for left in [1, 0] {
        let answer = record().send().await;
        answer.ok();
        assert_eq!(header_of(&answer, "ratelimit-policy"), Some(r#""key";q=2;w=2"#));
        let shown = header_of(&answer, "ratelimit").unwrap();
        assert!(shown.starts_with(&format!("\"key\";r={left};t=")), "{shown}");
    }
    for answer in [record().send().await, record().asking_graphql_response().send().await] {
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        let error = &answer.json()["errors"][0];
        assert_eq!(error["extensions"]["code"], "RATE_LIMITED");
        assert_eq!(error["extensions"]["exception"]["name"], "RateLimitError");
        assert!(
            error["message"].as_str().unwrap().contains("1 a second, and 2 at once"),
            "{error}"
        );
        assert_eq!(header_of(&answer, "retry-after"), Some("1"));
        assert!(header_of(&answer, "ratelimit").unwrap().starts_with(r#""key";r=0;t="#));
    }
    // Another key of the same environment has a bucket of its own.
    let live = app.keys.live_private.reveal();
    let other = app.graphql("{ __typename }", json!({})).with(header::AUTHORIZATION, live);
    assert_eq!(other.send().await.status, StatusCode::OK);
    let unlimited = app.with_settings(Settings::default());
    let asked = r#"{ user(id: "124") { id } recorded: canUseFeature(userId: "124", featureId: "api-calls", delta: 0) { consumption { used } } }"#;
    let answer = unlimited.graphql(asked, json!({})).send().await;
    assert_eq!(answer.json()["data"]["recorded"]["consumption"]["used"], 2, "{}", answer.json());
    assert!(header_of(&answer, "ratelimit").is_none());
}

#[tokio::test]
async fn all_surfaces_of_a_key_share_its_limit_and_refuse_in_their_own_form() {
    for (method, path, body) in requests() {
        let app = limited(RateLimits { key: 1, key_burst: Some(1), client: 0 }).await;
        app.graphql("{ __typename }", json!({})).send().await.ok();
        let answer = app.request(method, path).body(body).send().await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
        let text = answer.json().to_string();
        assert!(text.contains("RATE_LIMITED") && text.contains("RateLimitError"), "{path} {text}");
        assert!(header_of(&answer, "retry-after").is_some(), "{path}");
    }
}

#[tokio::test]
async fn who_has_no_valid_key_is_refused_as_ever() {
    let app = limited(RateLimits { key: 1, key_burst: Some(1), client: 1 }).await;
    for (method, path, body) in requests() {
        for _ in 0..3 {
            let request =
                app.request(method.clone(), path).with(header::AUTHORIZATION, "prv_test_no");
            let answer = request.asking_graphql_response().body(body).send().await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(header_of(&answer, "ratelimit").is_none(), "{path}");
        }
    }
    let console = app.request(Method::GET, "/graphql").without(&header::AUTHORIZATION);
    let console = console.with(header::ACCEPT, "text/html").send().await;
    assert_eq!(console.status, StatusCode::OK);
}

#[tokio::test]
async fn each_user_of_the_client_api_has_a_limit_though_all_share_a_key() {
    let app = limited(RateLimits { key: 0, key_burst: None, client: 1 }).await;
    let key = app.keys.test_public.reveal().to_owned();
    let ask = async |user: &str| {
        app.request(Method::POST, "/client/graphql")
            .with(header::AUTHORIZATION, &key)
            .with(USER_ID, user)
            .with(header::ORIGIN, "https://app.example.com")
            .body(r#"{"query": "{ __typename }"}"#)
            .send()
            .await
    };
    for user in ["124", "125"] {
        for _ in 0..2 {
            let answer = ask(user).await;
            assert_eq!(answer.status, StatusCode::OK, "{user}");
            assert_eq!(header_of(&answer, "ratelimit-policy"), Some(r#""client";q=2;w=2"#));
        }
        let refused = ask(user).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(header_of(&refused, "access-control-allow-origin"), Some("*"));
    }
}
