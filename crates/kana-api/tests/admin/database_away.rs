//! A database that is away: every surface answers 503 with `Retry-After`, whatever the media type.

use axum::http::{Method, StatusCode, header};
use futures_util::future::join_all;
use serde_json::json;

use crate::app::{Answer, Ask, TestApp};

const EVENT: &str = r#"{"specversion": "1.0", "id": "1", "source": "s", "type": "api-calls",
    "subject": "124"}"#;

fn assert_is_away(answer: &Answer, of: &str) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{of}: {}", answer.text);
    assert_eq!(answer.headers[header::RETRY_AFTER], "1", "{of}");
    assert!(answer.text.contains("OVERLOADED"), "{of}: {}", answer.text);
}

/// Returns a request to each surface. Each first looks up the key in the store.
fn to_each_surface(app: &TestApp) -> Vec<(&'static str, Ask<'_>)> {
    let query = json!({ "query": "{ users { id } }" }).to_string();
    let of_client = json!({ "query": "{ currentUser { id } }" }).to_string();
    let client = || app.request(Method::POST, "/client/graphql").body(of_client.clone());
    let public =
        || client().with(header::AUTHORIZATION, app.keys.test_public.reveal()).with_user("124");
    let event = || app.request(Method::POST, "/events").body(EVENT);
    let of_file = |path: &str| app.request(Method::POST, path).body("{}");
    vec![
        ("graphql", app.post(query.clone())),
        ("graphql, with statuses", app.post(query).asking_graphql_response()),
        ("client", public()),
        ("client, with statuses", public().asking_graphql_response()),
        ("events", event().with(header::CONTENT_TYPE, "application/cloudevents+json")),
        ("pull", app.request(Method::GET, "/cli/pull")),
        ("validate", of_file("/cli/validate")),
        ("publish", of_file("/cli/publish")),
    ]
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_up_is_answered_503_with_retry_after_everywhere() {
    let (mut app, store) = TestApp::failing_shop().await;
    app.forget_keys();
    store.fail_everything();
    let answers = to_each_surface(&app).into_iter().map(async |(of, ask)| (of, ask.send().await));
    for (of, answer) in join_all(answers).await {
        assert_is_away(&answer, of);
    }
}

#[tokio::test]
async fn a_key_is_looked_up_again_when_the_database_is_away_for_a_moment() {
    let (mut app, store) = TestApp::failing_shop().await;
    app.forget_keys();
    store.fail_next(3);
    app.data("{ users { id } }", json!({})).await;
}

/// Returns a request for each question.
fn questions<'a>(app: &'a TestApp, subscription: &str, token: &str) -> Vec<(String, Ask<'a>)> {
    let queries = [
        "features { id }",
        r#"feature(id: "sso") { id }"#,
        r#"canUseFeature(userId: "124", featureId: "api-calls") { access }"#,
        r#"showUsage(userId: "124", featureId: "api-calls") { past { periodStart } }"#,
        r#"package(id: "pro") { id }"#,
        "packages { id }",
        r#"user(id: "124") { id }"#,
        &format!(r#"subscription(id: "{subscription}") {{ id }}"#),
        "users { id subscriptions { id } }",
        "subscriptions { id }",
        r#"subscriptions(userId: "124") { id }"#,
        "usersConnection { edges { node { id } } }",
        "subscriptionsConnection { edges { node { id } } }",
    ];
    let mut questions: Vec<(String, Ask<'a>)> = queries
        .map(|query| (query.to_owned(), app.graphql(&format!("{{ {query} }}"), json!({}))))
        .into();
    questions.push(("pull".to_owned(), app.request(Method::GET, "/cli/pull")));
    let of_client = json!({ "query": "{ currentUser { subscribedPackages { id } } }" });
    let client = app.request(Method::POST, "/client/graphql").body(of_client.to_string());
    questions.push(("client".to_owned(), client.with(header::AUTHORIZATION, token)));
    questions
}

#[tokio::test]
async fn a_question_is_asked_again_and_then_answered_503_with_retry_after() {
    let (app, store) = TestApp::failing_shop().await;
    let id = app.subscribe("pro").await;
    let token = app.data(r#"mutation { generateUserToken(userId: "124") { token } }"#, json!({}));
    let token = token.await["generateUserToken"]["token"].as_str().unwrap().to_owned();
    // These requests cache the keys, so below it is the question that fails.
    for (of, ask) in questions(&app, &id, &token) {
        assert_eq!(ask.send().await.status, StatusCode::OK, "{of}");
    }
    for (of, ask) in questions(&app, &id, &token) {
        store.fail_next(2);
        let answer = ask.send().await;
        assert_eq!(answer.status, StatusCode::OK, "{of}: {}", answer.text);
        assert!(!answer.text.contains("errors"), "{of}: {}", answer.text);
    }
    store.fail_everything();
    let asked = questions(&app, &id, &token).into_iter();
    let answers = asked.map(async |(of, ask)| (of, ask.send().await));
    for (of, answer) in join_all(answers).await {
        assert_is_away(&answer, &of);
    }
}
