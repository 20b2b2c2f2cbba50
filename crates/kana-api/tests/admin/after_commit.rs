//! A mutation that was committed is answered with its result: a failure after the commit does not
//! turn it into an error.

use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::app::{TestApp, error, without_ids};
use crate::failing_store::FailingStore;

/// Sends a mutation, and fails all reads from its first write on.
async fn without_reads(app: &TestApp, store: &FailingStore, mutation: &str) -> Value {
    store.fail_reads_after_write();
    let answer = app.graphql(mutation, json!({})).send().await.ok();
    store.recover();
    answer
}

#[tokio::test]
async fn a_subscription_is_answered_though_nothing_can_be_read_after_its_commit() {
    let (app, store) = TestApp::failing_shop().await;
    let subscribe = r#"mutation { subscribe(userId: "124", packageIds: ["basic"]) {
        id userId status package { id features { id limit } } } }"#;
    let answer = without_reads(&app, &store, subscribe).await;
    let id = answer["data"]["subscribe"][0]["id"].as_str().unwrap().to_owned();
    let package = json!({ "id": "basic", "features": [{ "id": "api-calls", "limit": 100 }] });
    let subscribed =
        json!({ "id": "<id>", "userId": "124", "status": "ACTIVE", "package": package });
    assert_eq!(without_ids(answer), json!({ "data": { "subscribe": [subscribed] } }));

    let cancel = format!(
        r#"mutation {{ cancelSubscription(id: "{id}") {{ userId status package {{ id }} }} }}"#
    );
    let cancelled = json!({ "userId": "124", "status": "CANCELLED", "package": { "id": "basic" } });
    for _ in 0..2 {
        let answer = without_reads(&app, &store, &cancel).await;
        assert_eq!(answer, json!({ "data": { "cancelSubscription": cancelled } }));
    }
}

#[tokio::test]
async fn every_mutation_is_answered_though_nothing_can_be_read_after_its_commit() {
    let (app, store) = TestApp::failing_shop().await;
    let new_feature = r#"createFeature(input: {id: "f", type: CONSUMABLE}) {
        id packages { id features { id } } }"#;
    let new_package = r#"createPackage(input: {id: "p", isAddon: true, basePackageIds: ["basic"],
        features: [{id: "f"}]}) { id features { id name } basePackages { id } }"#;
    let package = r#"{ id status features { id } basePackages { id } }"#;
    let with_subscriptions = r#"{ id subscriptions { id package { id } } }"#;
    for mutation in [
        new_feature,
        new_package,
        r#"updateFeature(id: "f", input: {name: "F"}) { name packages { id } }"#,
        &format!(r#"updatePackage(id: "p", input: {{metadata: {{a: 1}}}}) {package}"#),
        &format!(r#"publishPackage(id: "p") {package}"#),
        &format!(r#"archivePackage(id: "p") {package}"#),
        &format!(r#"createUser(input: {{id: "new"}}) {with_subscriptions}"#),
        r#"subscribe(userId: "124", packageIds: ["pro"]) { id package { id } }"#,
        &format!(r#"updateUser(id: "124", input: {{name: "Ada"}}) {with_subscriptions}"#),
        r#"recordUsage(input: {userId: "124", featureId: "api-calls"}) { recorded }"#,
        r#"createUsageEvent(input: {userId: "124", featureId: "api-calls"})"#,
        r#"useFeature(input: {userId: "124", featureId: "api-calls"}) { consumption { used } }"#,
        r#"recordUsageBatch(inputs: [{userId: "124", featureId: "api-calls"}]) { recorded }"#,
        r#"generateUserToken(userId: "124") { token }"#,
    ] {
        let answer = without_reads(&app, &store, &format!("mutation {{ it: {mutation} }}")).await;
        assert_eq!(answer.get("errors"), None, "{mutation}: {answer}");
        assert!(!answer["data"]["it"].is_null(), "{mutation}: {answer}");
    }
}

#[tokio::test]
async fn a_user_who_was_changed_is_answered_with_the_subscriptions() {
    let (app, store) = TestApp::failing_shop().await;
    app.subscribe("pro").await;
    let update = r#"mutation { updateUser(id: "124", input: {id: "125"}) {
        id subscriptions { userId package { id } } } }"#;
    let answer = without_reads(&app, &store, update).await;
    let subscriptions = json!([{ "userId": "125", "package": { "id": "pro" } }]);
    let updated = json!({ "id": "125", "subscriptions": subscriptions });
    assert_eq!(answer, json!({ "data": { "updateUser": updated } }));
}

#[tokio::test]
async fn a_publish_is_answered_though_nothing_can_be_read_after_its_commit() {
    let (app, store) = TestApp::failing_shop().await;
    let mut file = app.request(Method::GET, "/cli/pull").send().await.ok();
    file["features"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "id": "new", "name": "New", "type": "BINARY" }));
    store.fail_reads_after_write();
    let published = app.request(Method::POST, "/cli/publish").body(file.to_string()).send().await;
    store.recover();
    assert_eq!(published.status, StatusCode::OK, "{}", published.text);
    assert_eq!(published.json()["app"], "story");
    let pulled = app.request(Method::GET, "/cli/pull").send().await;
    assert_eq!(published.text, pulled.text);
    assert_eq!(published.headers[header::ETAG], pulled.headers[header::ETAG]);
}

#[tokio::test]
async fn a_question_below_a_mutation_that_fails_leaves_the_mutation_answered() {
    let (app, store) = TestApp::failing_shop().await;
    store.fail_reads_after_write();
    let mutation = r#"mutation { createFeature(input: {id: "f", type: BINARY}) {
        id entitlement(userId: "124") { access } } }"#;
    let answer = app.graphql(mutation, json!({})).send().await.ok();
    assert_eq!(answer["data"], json!({ "createFeature": { "id": "f", "entitlement": null } }));
    assert_eq!(answer["errors"][0]["path"], json!(["createFeature", "entitlement"]));
    assert_eq!(
        error(&answer["errors"][0]),
        "OVERLOADED OverloadedError: this field cannot be read at the moment; ask for it again"
    );
}

#[tokio::test]
async fn a_request_of_which_a_part_was_recorded_is_not_to_be_sent_again_as_a_whole() {
    let (app, store) = TestApp::failing_shop().await;
    // The second field reads before it writes, so it fails.
    let mutation = r#"mutation {
        first: createUser(input: {id: "new"}) { id }
        second: updateUser(id: "124", input: {name: "Ada"}) { subscriptions { id } }
    }"#;
    store.fail_reads_after_write();
    let answer = app.graphql(mutation, json!({})).send().await;
    store.recover();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers.get(header::RETRY_AFTER), None);
    let answer = answer.json();
    assert_eq!(answer["errors"][0]["path"], json!(["second"]));
    let found =
        app.data(r#"{ new: user(id: "new") { id } old: user(id: "124") { name } }"#, json!({}));
    assert_eq!(found.await, json!({ "new": { "id": "new" }, "old": { "name": null } }));
}
