//! Updates tell "absent" from "null", and what is new keeps what belongs to it.

use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn a_feature_keeps_what_is_absent_and_loses_what_is_null() {
    let app = TestApp::shop().await;
    let query = "mutation ($input: UpdateFeatureInput!) {
        updateFeature(id: \"api-calls\", input: $input) { name unitLabel unitLabelPlural metadata } }";
    let update =
        async |input| app.data(query, json!({ "input": input })).await["updateFeature"].clone();
    let all = json!({ "name": "Calls", "unitLabel": "call", "unitLabelPlural": "calls", "metadata": { "a": 1 } });
    assert_eq!(update(all.clone()).await, all);
    assert_eq!(update(json!({})).await, all);
    let some = json!({ "unitLabel": null, "metadata": null });
    assert_eq!(
        update(some).await,
        json!({ "name": "Calls", "unitLabel": null, "unitLabelPlural": "calls", "metadata": null })
    );
    assert_eq!(
        app.refused(query, json!({ "input": { "name": null } })).await,
        "BAD_USER_INPUT ValidationError: name cannot be cleared: leave it out"
    );
    assert_eq!(
        app.refused(r#"mutation { updateFeature(id: "no", input: {}) { id } }"#, json!({})).await,
        "NOT_FOUND FeatureNotFoundError: Feature not found: no"
    );
    let binary = r#"mutation { updateFeature(id: "sso", input: {unitLabel: "x"}) { unitLabel } }"#;
    assert_eq!(app.data(binary, json!({})).await["updateFeature"]["unitLabel"], json!(null));
}

#[tokio::test]
async fn only_the_metadata_of_a_package_changes_and_so_does_when_it_changed() {
    let app = TestApp::shop().await;
    let query = "mutation ($input: UpdatePackageInput!) {
        updatePackage(id: \"pro\", input: $input) { metadata updatedAt } }";
    let update =
        async |input| app.data(query, json!({ "input": input })).await["updatePackage"].clone();
    let before = update(json!({})).await;
    app.set_time("2024-01-16T12:00:00.000Z");
    assert_eq!(update(json!({})).await, before, "nothing changed");
    let after = update(json!({ "metadata": { "tier": 2 } })).await;
    assert_eq!(after["metadata"], json!({ "tier": 2 }));
    assert_eq!(after["updatedAt"], "2024-01-16T12:00:00.000Z");
    assert_eq!(update(json!({ "metadata": null })).await["metadata"], json!(null));
    assert_eq!(
        app.refused(r#"mutation { updatePackage(id: "no", input: {}) { id } }"#, json!({})).await,
        "NOT_FOUND PackageNotFoundError: Package not found: no"
    );
}

#[tokio::test]
async fn a_user_with_a_new_id_keeps_subscriptions_and_usage() {
    let (app, subscription) = TestApp::subscribed("basic").await;
    app.data(
        r#"mutation {
            recordUsage(input: {userId: "124", featureId: "api-calls", delta: 5}) { recorded }
            updateUser(id: "124", input: {id: "ada"}) { id }
            createUser(input: {id: "124"}) { id }
        }"#,
        json!({}),
    )
    .await;
    let data = app
        .data(
            r#"{
                ada: user(id: "ada") { subscriptions { id userId } }
                usage: canUseFeature(userId: "ada", featureId: "api-calls") { consumption { used } }
                other: user(id: "124") { subscriptions { id } }
            }"#,
            json!({}),
        )
        .await;
    assert_eq!(data["ada"]["subscriptions"], json!([{ "id": subscription, "userId": "ada" }]));
    assert_eq!(data["usage"]["consumption"]["used"], 5);
    assert_eq!(data["other"]["subscriptions"], json!([]));

    let taken = r#"mutation { updateUser(id: "ada", input: {id: "124", name: "x"}) { id } }"#;
    assert_eq!(
        app.refused(taken, json!({})).await,
        "CONFLICT ConflictError: A user with the id 124 exists already"
    );
    let own = r#"mutation { updateUser(id: "ada", input: {id: "ada"}) { id } }"#;
    assert_eq!(app.data(own, json!({})).await["updateUser"]["id"], "ada");
    for (query, refusal) in [
        (
            r#"mutation { updateUser(id: "nobody", input: {}) { id } }"#,
            "NOT_FOUND UserNotFoundError: User not found: nobody",
        ),
        (
            r#"mutation { updateUser(id: "ada", input: {id: null}) { id } }"#,
            "BAD_USER_INPUT ValidationError: id cannot be cleared: leave it out",
        ),
    ] {
        assert_eq!(app.refused(query, json!({})).await, refusal);
    }
}

#[tokio::test]
async fn an_archived_package_takes_nobody_new_and_keeps_granting() {
    let (app, _) = TestApp::subscribed("basic").await;
    let archive = r#"mutation { archivePackage(id: "basic") { status } }"#;
    for _ in 0..2 {
        assert_eq!(app.data(archive, json!({})).await["archivePackage"]["status"], "ARCHIVED");
    }
    let access = r#"{ canUseFeature(userId: "124", featureId: "api-calls") { access } }"#;
    assert_eq!(app.data(access, json!({})).await["canUseFeature"]["access"], true);
    app.data(r#"mutation { createUser(input: {id: "new"}) { id } }"#, json!({})).await;
    let subscribe = r#"mutation { subscribe(packageIds: ["basic"], userId: "new") { id } }"#;
    assert!(app.refused(subscribe, json!({})).await.contains("basic is ARCHIVED"));
    let draft = r#"mutation { archivePackage(id: "draft") { status } }"#;
    assert!(app.refused(draft, json!({})).await.starts_with("BAD_USER_INPUT ValidationError"));
    let publish = r#"mutation { publishPackage(id: "basic") { status } }"#;
    assert!(app.refused(publish, json!({})).await.starts_with("BAD_USER_INPUT ValidationError"));
}

#[tokio::test]
async fn a_link_needs_a_billing_provider() {
    let app = TestApp::shop().await;
    let query = r#"mutation { generateSubscriptionLink(
        userId: "124", templateId: "t", successUrl: "s", cancelUrl: "c") { url } }"#;
    assert!(
        app.refused(query, json!({})).await.starts_with("BAD_USER_INPUT SubscriptionLinkError: ")
    );
    let token = r#"mutation { generateUserToken(userId: "nobody") { token } }"#;
    assert_eq!(
        app.refused(token, json!({})).await,
        "NOT_FOUND UserNotFoundError: User not found: nobody"
    );
}
