//! An answer is refused while it is built once it is larger than 32 MiB, and all answers share a
//! limit.

use std::fmt::Write as _;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::app::{Answer, TestApp, error, only_error};
use crate::events_streamed::Shop;

const MIB: usize = 1024 * 1024;
const TOO_LARGE: &str = "ANSWER_TOO_LARGE AnswerTooLargeError: The answer is larger than 32 MiB: ask \
                         for pages, or for fewer fields";

/// Metadata of nearly 16 KiB.
fn metadata() -> Value {
    json!({ "x": "x".repeat(16_000) })
}

/// A request that creates users with large metadata.
fn creating_users(count: usize) -> String {
    let users = (0..count).fold(String::new(), |mut users, id| {
        write!(users, "u{id}: createUser(input: {{id: \"{id}\", metadata: $metadata}}) {{ id }} ")
            .unwrap();
        users
    });
    let query = format!("mutation ($metadata: JSON) {{ {users} }}");
    json!({ "query": query, "variables": { "metadata": metadata() } }).to_string()
}

/// Selects the field `count` times, under different names.
fn aliases(count: usize, field: &str) -> String {
    (0..count).fold(String::new(), |mut fields, index| {
        write!(fields, " a{index}: {field}").unwrap();
        fields
    })
}

async fn ask(app: &TestApp, query: &str) -> Answer {
    app.graphql(query, json!({})).send().await
}

#[tokio::test]
async fn an_answer_over_32_mib_is_refused() {
    let app = TestApp::new().await;
    app.post(creating_users(3)).send().await.ok();
    let fields = aliases(990, "metadata");
    let page = |first: usize| {
        format!("{{ usersConnection(first: {first}) {{ edges {{ node {{ {fields} }} }} }} }}")
    };
    let answer = ask(&app, &page(2)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.len() > 30 * MIB && answer.text.ends_with("}}]}}}"));

    let list = format!("{{ users {{ id {fields} }} }}");
    let answer = ask(&app, &list).await.ok();
    assert_eq!(answer["data"], Value::Null);
    assert_eq!(only_error(&answer), TOO_LARGE);
    assert_eq!(answer["errors"][0]["path"], json!(["users"]));
    assert_eq!(answer["errors"][0]["locations"], json!([{ "line": 1, "column": 3 }]));
}

#[tokio::test]
async fn an_answer_that_no_list_alone_makes_too_large_is_refused() {
    let app = TestApp::new().await;
    app.post(creating_users(3)).send().await.ok();
    // The list stays below the limit; the fields after it exceed it.
    let list = format!("users {{ {} }}", aliases(690, "metadata"));
    let single = format!("user(id: \"0\") {{ {} }}", aliases(290, "metadata"));
    let answer = ask(&app, &format!("{{ {list} {single} }}")).await.ok();
    assert_eq!(answer["data"], Value::Null);
    assert_eq!(only_error(&answer), TOO_LARGE);
}

#[tokio::test]
async fn lists_within_lists_are_counted_once() {
    let app = TestApp::new().await;
    let packages = (0..40).fold(String::new(), |mut packages, id| {
        write!(
            packages,
            "p{id}: createPackage(input: {{id: \"{id}\", features: [{{id: \"f\"}}]}}) {{ id }} "
        )
        .unwrap();
        packages
    });
    let query = format!(
        "mutation ($metadata: JSON) {{
            createFeature(input: {{id: \"f\", type: BINARY, metadata: $metadata}}) {{ id }}
            {packages} }}"
    );
    app.data(&query, json!({ "metadata": metadata() })).await;
    let field = "packages(status: \"ALL\") { features { metadata } }";
    let answer = ask(&app, &format!("{{ {} }}", aliases(50, field))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.len() > 30 * MIB, "{}", answer.text.len());
}

#[tokio::test]
async fn an_answer_of_the_client_api_over_32_mib_is_refused() {
    let (app, _) = TestApp::subscribed("pro").await;
    app.subscribe("extra").await;
    app.data(
        "mutation ($metadata: JSON) {
            a: updateFeature(id: \"sso\", input: {metadata: $metadata}) { id }
            b: updateFeature(id: \"api-calls\", input: {metadata: $metadata}) { id }
        }",
        json!({ "metadata": metadata() }),
    )
    .await;
    // Three features in two packages.
    let query = format!(
        "{{ currentUser {{ subscribedPackages {{ features {{ {} }} }} }} }}",
        aliases(900, "metadata")
    );
    let request = app
        .request(Method::POST, "/client/graphql")
        .with(header::AUTHORIZATION, app.keys.test_public.reveal())
        .with("x-user-id".parse().unwrap(), "124")
        .body(json!({ "query": query }).to_string());
    assert_eq!(only_error(&request.send().await.ok()), TOO_LARGE);
}

#[tokio::test]
async fn a_mutation_whose_answer_is_too_large_says_what_was_recorded() {
    let app = TestApp::shop().await;
    app.data(
        "mutation ($metadata: JSON) {
            a: updatePackage(id: \"pro\", input: {metadata: $metadata}) { id }
            b: updatePackage(id: \"boost\", input: {metadata: $metadata}) { id }
            c: updatePackage(id: \"extra\", input: {metadata: $metadata}) { id }
        }",
        json!({ "metadata": metadata() }),
    )
    .await;
    let query = format!(
        "mutation {{
            before: createUser(input: {{id: \"before\"}}) {{ id }}
            all: subscribe(userId: \"124\", packageIds: [\"pro\", \"boost\", \"extra\"]) {{
                package {{ {} }} }}
            after: createUser(input: {{id: \"after\"}}) {{ id }}
        }}",
        aliases(900, "metadata")
    );
    let answer = ask(&app, &query).await.ok();
    assert_eq!(answer["data"], Value::Null);
    assert_eq!(
        only_error(&answer),
        "ANSWER_TOO_LARGE AnswerTooLargeError: The answer is larger than 32 MiB. The mutation all \
         was executed, and so were those before it: what they did is recorded. Those after it were \
         not executed. Select fewer fields of it"
    );
    assert_eq!(answer["errors"][0]["path"], json!(["all"]));
    let stored = app.data("{ users { id } subscriptions { package { id } } }", json!({})).await;
    assert_eq!(stored["users"], json!([{ "id": "124" }, { "id": "before" }]));
    assert_eq!(stored["subscriptions"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_list_that_is_selected_twice_is_merged() {
    let (app, _) = TestApp::subscribed("pro").await;
    app.data("mutation { createUser(input: {id: \"125\"}) { id } }", json!({})).await;
    for (twice, once) in [
        ("users { id } users { name }", "users { id name }"),
        ("users { id } ...more ... { users { __typename } }", "users { id name __typename }"),
        ("users { id } users @skip(if: $yes) { name }", "users { id }"),
        ("users { id } users @include(if: $yes) { name }", "users { id name }"),
        ("users { id } users @include(if: $no) { name }", "users { id }"),
        ("users { id } ...more @skip(if: $default)", "users { id }"),
        ("users @skip(if: $yes) { id } users @skip(if: true) { name }", ""),
        (
            "usersConnection(first: 1) { edges { cursor } }
             usersConnection(first: 1) { edges { node { id } } pageInfo { hasNextPage } }",
            "usersConnection(first: 1) { edges { cursor node { id } } pageInfo { hasNextPage } }",
        ),
        (
            "packages { id features { id } } packages { features { type limit } basePackages { id } }",
            "packages { id features { id type limit } basePackages { id } }",
        ),
        (
            "subscriptions { package { features { id } } } subscriptions { package { features { name } } }",
            "subscriptions { package { features { id name } } }",
        ),
    ] {
        let ask = async |fields: &str| {
            let query = format!(
                "query ($yes: Boolean!, $no: Boolean!, $default: Boolean = true) {{
                    __typename a: __typename @skip(if: $yes) b: __typename @skip(if: $no)
                    {fields} ...used
                    z: packages(includeFeatures: $default) {{ id }}
                }}
                fragment more on Query {{ users {{ name }} }}
                fragment used on Query {{ d: __typename ...more @include(if: false) }}"
            );
            let variables = json!({ "yes": true, "no": false });
            let answer = app.graphql(&query, variables).send().await;
            assert_eq!(answer.ok().get("errors"), None, "{query}: {}", answer.text);
            answer.text
        };
        assert_eq!(ask(twice).await, ask(once).await, "{twice}");
    }
}

/// A request need not name the only operation of its document.
#[tokio::test]
async fn lists_are_merged_in_an_operation_that_has_a_name() {
    let (app, _) = TestApp::subscribed("pro").await;
    let query = "query Named { user(id: \"124\") { subscriptions { status } } ...more }
        fragment more on Query { user(id: \"124\") { subscriptions { package { id } } } }";
    let data = app.data(query, json!({})).await;
    let subscriptions = json!([{ "status": "ACTIVE", "package": { "id": "pro" } }]);
    assert_eq!(data["user"]["subscriptions"], subscriptions);
    let ask = json!({ "query": query, "operationName": "Named" });
    let answer = app.post(ask.to_string()).send().await.ok();
    assert_eq!(answer["data"]["user"]["subscriptions"], subscriptions);
}

#[tokio::test]
async fn answers_that_nobody_reads_have_a_bound_together() {
    let shop = Shop::open().await;
    let ask = async |body: String| {
        let request = Request::post("/graphql")
            .header(header::AUTHORIZATION, shop.key())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .unwrap();
        shop.router().oneshot(request).await.unwrap()
    };
    ask(creating_users(5)).await;
    let large = json!({ "query": "{ users { metadata } }" }).to_string();
    // Each takes the smallest part of the budget.
    let mut held = Vec::new();
    for _ in 0..128 {
        let response = ask(large.clone()).await;
        assert_eq!(response.status(), StatusCode::OK);
        held.push(response);
    }
    tokio::time::pause();
    let refused = ask(large.clone()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    let body = to_bytes(refused.into_body(), MIB).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert!(error(&answer["errors"][0]).starts_with("OVERLOADED OverloadedError: "), "{answer}");

    // A mutation with a list in its answer is refused before it takes effect.
    let subscribe = |list: &str| {
        let query = format!(
            "mutation {{ subscribe(userId: \"0\", packageIds: [\"basic\"]) {{
            package {{ {list} }} }} }}"
        );
        json!({ "query": query }).to_string()
    };
    assert_eq!(ask(subscribe("id")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    tokio::time::resume();
    // Small answers and answers without a list are sent meanwhile.
    let small = r#"{"query": "{ user(id: \"0\") { id } usersConnection(first: 2) { edges { node { id } } } }"}"#;
    assert_eq!(ask(small.to_owned()).await.status(), StatusCode::OK);

    held.pop();
    let subscribed = to_bytes(ask(subscribe("id")).await.into_body(), MIB).await.unwrap();
    assert_eq!(subscribed, r#"{"data":{"subscribe":[{"package":{"id":"basic"}}]}}"#);
    assert_eq!(ask(large).await.status(), StatusCode::OK);
}
