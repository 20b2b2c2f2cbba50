//! Updates and archiving: what is absent stays, null clears, a value is set.

use serde_json::{Value, json};

use crate::app::TestApp;

const UPDATE_FEATURE: &str = "mutation ($id: String!, $input: UpdateFeatureInput!) {
    updateFeature(id: $id, input: $input) { id name type unitLabel unitLabelPlural metadata } }";
const UPDATE_PACKAGE: &str = "mutation ($id: String!, $input: UpdatePackageInput!) {
    updatePackage(id: $id, input: $input) { id status metadata updatedAt } }";
const UPDATE_USER: &str = "mutation ($id: String!, $input: UpdateUserInput!) {
    updateUser(id: $id, input: $input) { id billingId name email metadata } }";
const ARCHIVE: &str = "mutation ($id: String!) {
    archivePackage(id: $id) { id status updatedAt } }";

async fn update(app: &TestApp, query: &str, id: &str, input: &Value) -> Value {
    let data = app.data(query, json!({ "id": id, "input": input })).await;
    data.as_object().unwrap().values().next().unwrap().clone()
}

/// One edit after another, each with the fields that it is to change; all others stay.
async fn edits(app: &TestApp, query: &str, mut state: Value, inputs: &[Value]) {
    let id = state["id"].as_str().unwrap().to_owned();
    for input in inputs {
        for (field, value) in input.as_object().unwrap() {
            state[field] = value.clone();
        }
        assert_eq!(update(app, query, &id, input).await, state, "{input}");
    }
}

#[tokio::test]
async fn an_update_of_a_feature_sets_clears_and_keeps_each_field() {
    let app = TestApp::shop().await;
    let state = json!({ "id": "api-calls", "name": "api-calls", "type": "CONSUMABLE",
        "unitLabel": null, "unitLabelPlural": null, "metadata": null });
    let inputs = [
        json!({}),
        json!({ "name": "API calls" }),
        json!({ "unitLabel": "call" }),
        json!({ "unitLabelPlural": "calls" }),
        json!({ "metadata": { "a": 1 } }),
        json!({}),
        json!({ "unitLabel": null }),
        json!({ "unitLabelPlural": null }),
        json!({ "metadata": null }),
    ];
    edits(&app, UPDATE_FEATURE, state, &inputs).await;
}

#[tokio::test]
async fn labels_for_a_switch_are_accepted_and_not_kept() {
    let app = TestApp::shop().await;
    let input = json!({ "name": "SSO", "unitLabel": "x", "unitLabelPlural": "y" });
    let updated = update(&app, UPDATE_FEATURE, "sso", &input).await;
    let kept = json!({ "id": "sso", "name": "SSO", "type": "BINARY",
        "unitLabel": null, "unitLabelPlural": null, "metadata": null });
    assert_eq!(updated, kept);
}

#[tokio::test]
async fn an_update_of_a_user_sets_clears_and_keeps_each_field() {
    let app = TestApp::shop().await;
    let state = json!({ "id": "124", "billingId": null, "name": null, "email": null,
        "metadata": null });
    let inputs = [
        json!({}),
        json!({ "name": "Ada" }),
        json!({ "email": "ada@example.com" }),
        json!({ "billingId": "cus_1" }),
        json!({ "metadata": { "a": 1 } }),
        json!({ "id": "124" }),
        json!({}),
        json!({ "name": null }),
        json!({ "email": null }),
        json!({ "billingId": null }),
        json!({ "metadata": null }),
    ];
    edits(&app, UPDATE_USER, state, &inputs).await;
}

#[tokio::test]
async fn a_new_id_keeps_what_is_the_users_and_frees_the_old_one() {
    let (app, subscription) = TestApp::subscribed("basic").await;
    let record = r#"mutation { recordUsage(input: {
        userId: "124", featureId: "api-calls", delta: 7}) { recorded } }"#;
    app.data(record, json!({})).await;
    update(&app, UPDATE_USER, "124", &json!({ "id": "new" })).await;
    let query = r#"{
        user(id: "new") { subscriptions { id userId } }
        canUseFeature(userId: "new", featureId: "api-calls") { consumption { used } }
    }"#;
    let data = app.data(query, json!({})).await;
    let kept = json!([{ "id": subscription, "userId": "new" }]);
    assert_eq!(data["user"]["subscriptions"], kept);
    assert_eq!(data["canUseFeature"]["consumption"]["used"], 7);
    assert_eq!(
        app.refused(r#"{ user(id: "124") { id } }"#, json!({})).await,
        "NOT_FOUND UserNotFoundError: User not found: 124"
    );
    let again = r#"mutation { createUser(input: {id: "124"}) { subscriptions { id } } }"#;
    assert_eq!(app.data(again, json!({})).await["createUser"]["subscriptions"], json!([]));
}

#[tokio::test]
async fn updates_refuse_bad_values_taken_ids_and_what_they_do_not_know() {
    let app = TestApp::shop().await;
    app.data(r#"mutation { createUser(input: {id: "125"}) { id } }"#, json!({})).await;
    let long = "é".repeat(256);
    let invalid = |problem: &str| format!("BAD_USER_INPUT ValidationError: {problem}");
    let no_object = invalid("metadata must be a JSON object");
    for (query, id, input, expected) in [
        (
            UPDATE_FEATURE,
            "sso",
            json!({ "name": null }),
            invalid("name cannot be cleared: leave it out"),
        ),
        (
            UPDATE_FEATURE,
            "sso",
            json!({ "name": long }),
            invalid("name must have at most 255 characters"),
        ),
        (UPDATE_FEATURE, "sso", json!({ "metadata": [] }), no_object.clone()),
        (
            UPDATE_FEATURE,
            "nothing",
            json!({}),
            "NOT_FOUND FeatureNotFoundError: Feature not found: nothing".to_owned(),
        ),
        (UPDATE_PACKAGE, "pro", json!({ "metadata": 1 }), no_object.clone()),
        (
            UPDATE_PACKAGE,
            "nothing",
            json!({}),
            "NOT_FOUND PackageNotFoundError: Package not found: nothing".to_owned(),
        ),
        (UPDATE_USER, "124", json!({ "id": null }), invalid("id cannot be cleared: leave it out")),
        (UPDATE_USER, "124", json!({ "id": "" }), invalid("id must not be empty")),
        (UPDATE_USER, "124", json!({ "metadata": "{}" }), no_object),
        (
            UPDATE_USER,
            "124",
            json!({ "id": "125", "name": "not kept" }),
            "CONFLICT ConflictError: A user with the id 125 exists already".to_owned(),
        ),
        (
            UPDATE_USER,
            "nobody",
            json!({}),
            "NOT_FOUND UserNotFoundError: User not found: nobody".to_owned(),
        ),
    ] {
        let refused = app.refused(query, json!({ "id": id, "input": input })).await;
        assert_eq!(refused, expected, "{id} {input}");
    }
}

#[tokio::test]
async fn a_package_says_when_it_changed_and_an_update_to_the_same_is_no_change() {
    let app = TestApp::shop().await;
    let metadata = json!({ "tier": 2 });
    for (day, input, kept, changed) in [
        (16, json!({}), Value::Null, 15),
        (17, json!({ "metadata": metadata }), metadata.clone(), 17),
        (18, json!({ "metadata": metadata }), metadata.clone(), 17),
        (19, json!({}), metadata.clone(), 17),
        (20, json!({ "metadata": null }), Value::Null, 20),
        (21, json!({ "metadata": null }), Value::Null, 20),
    ] {
        app.set_time(&format!("2024-01-{day}T12:00:00.000Z"));
        let expected = json!({ "id": "pro", "status": "PUBLISHED", "metadata": kept,
            "updatedAt": format!("2024-01-{changed}T12:00:00.000Z") });
        assert_eq!(update(&app, UPDATE_PACKAGE, "pro", &input).await, expected, "{day}");
    }
}

#[tokio::test]
async fn an_archived_package_takes_nobody_new_and_keeps_granting() {
    let (app, _) = TestApp::subscribed("basic").await;
    app.set_time("2024-01-16T12:00:00.000Z");
    let archived = app.data(ARCHIVE, json!({ "id": "basic" })).await;
    let expected = json!({ "id": "basic", "status": "ARCHIVED",
        "updatedAt": "2024-01-16T12:00:00.000Z" });
    assert_eq!(archived["archivePackage"], expected);
    // Later, so that a change would show in `updatedAt`.
    app.set_time("2024-01-17T12:00:00.000Z");
    assert_eq!(app.data(ARCHIVE, json!({ "id": "basic" })).await, archived);

    let query = r#"{ canUseFeature(userId: "124", featureId: "api-calls") { access } }"#;
    assert_eq!(app.data(query, json!({})).await["canUseFeature"]["access"], true);
    app.data(r#"mutation { createUser(input: {id: "125"}) { id } }"#, json!({})).await;
    let query = r#"mutation { subscribe(userId: "125", packageIds: ["basic"]) { id } }"#;
    assert_eq!(
        app.refused(query, json!({})).await,
        "BAD_USER_INPUT SubscriptionError: Package basic is ARCHIVED: only a PUBLISHED package \
         can be subscribed to"
    );
}

#[tokio::test]
async fn a_draft_and_a_package_that_does_not_exist_cannot_be_archived() {
    let app = TestApp::shop().await;
    for (id, expected) in [
        (
            "draft",
            "BAD_USER_INPUT ValidationError: id names draft, which is a DRAFT: only a published \
             package is archived",
        ),
        ("nothing", "NOT_FOUND PackageNotFoundError: Package not found: nothing"),
    ] {
        assert_eq!(app.refused(ARCHIVE, json!({ "id": id })).await, expected);
    }
}
