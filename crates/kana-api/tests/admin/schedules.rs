//! Starts, ends and trials that are set ahead of time (contract: `beyond.md`, e).

use serde_json::{Value, json};

use crate::app::TestApp;

const FIELDS: &str = "status startedAt endedAt cancelAt trialEndsAt package { id }";

async fn subscribe(app: &TestApp, arguments: &str) -> Value {
    let query = format!("mutation {{ subscribe(userId: \"124\", {arguments}) {{ id {FIELDS} }} }}");
    app.data(&query, json!({})).await["subscribe"].clone()
}

async fn update(app: &TestApp, id: &Value, input: Value) -> Value {
    let query = format!(
        "mutation ($id: String!, $input: UpdateSubscriptionInput!) {{
            updateSubscription(id: $id, input: $input) {{ {FIELDS} }} }}"
    );
    let variables = json!({ "id": id, "input": input });
    app.data(&query, variables).await["updateSubscription"].clone()
}

async fn all(app: &TestApp) -> Value {
    let query = format!(
        "{{ subscriptions(userId: \"124\") {{ {FIELDS} }}
            one: user(id: \"124\") {{ subscriptions {{ {FIELDS} }} }}
            pages: subscriptionsConnection {{ edges {{ node {{ {FIELDS} }} }} }}
            users {{ subscriptions {{ {FIELDS} }} }} }}"
    );
    let data = app.data(&query, json!({})).await;
    let subscriptions = data["subscriptions"].clone();
    assert_eq!(data["one"]["subscriptions"], subscriptions);
    assert_eq!(data["users"][0]["subscriptions"], subscriptions);
    let edges = data["pages"]["edges"].as_array().unwrap();
    let nodes: Vec<&Value> = edges.iter().map(|edge| &edge["node"]).collect();
    assert_eq!(json!(nodes), subscriptions);
    subscriptions
}

async fn may_use(app: &TestApp) -> bool {
    let query = "{ canUseFeature(userId: \"124\", featureId: \"api-calls\") { access } }";
    app.data(query, json!({})).await["canUseFeature"]["access"].as_bool().unwrap()
}

#[tokio::test]
async fn a_subscription_begins_and_ends_as_it_was_set_to() {
    let app = TestApp::shop().await;
    let arguments = "packageIds: [\"basic\", \"extra\"], startsAt: \"2024-02-01T00:00:00Z\",
        trialDays: 14, cancelAtTrialEnd: true";
    let made = subscribe(&app, arguments).await;
    let shown = |package: &str, status: &str, ended_at: Value, cancel_at: Value| {
        json!({ "status": status, "startedAt": "2024-02-01T00:00:00.000Z", "endedAt": ended_at,
            "cancelAt": cancel_at, "trialEndsAt": "2024-02-15T00:00:00.000Z",
            "package": { "id": package } })
    };
    let end = json!("2024-02-15T00:00:00.000Z");
    for (at, status, access) in [
        ("2024-01-31T23:59:59.999Z", "INCOMPLETE", false),
        ("2024-02-01T00:00:00.000Z", "TRIALING", true),
        ("2024-02-14T23:59:59.999Z", "TRIALING", true),
        ("2024-02-15T00:00:00.000Z", "CANCELLED", false),
    ] {
        app.set_time(at);
        let (ended, ahead) = match status {
            "CANCELLED" => (end.clone(), Value::Null),
            _ => (Value::Null, end.clone()),
        };
        let expected = ["extra", "basic"].map(|id| shown(id, status, ended.clone(), ahead.clone()));
        assert_eq!(all(&app).await, json!(expected), "{at}");
        assert_eq!(may_use(&app).await, access, "{at}");
    }
    let query = "mutation ($id: String!) { cancelSubscription(id: $id) { status endedAt } }";
    let cancelled = app.data(query, json!({ "id": made[0]["id"] })).await;
    assert_eq!(cancelled["cancelSubscription"], json!({ "status": "CANCELLED", "endedAt": end }));
}

#[tokio::test]
async fn an_end_is_set_moved_and_taken_back_and_add_ons_end_with_it() {
    let app = TestApp::shop().await;
    let made = subscribe(&app, "packageIds: [\"basic\", \"extra\"]").await;
    let (basic, extra) = (&made[0]["id"], &made[1]["id"]);
    let ends = async || {
        let all = all(&app).await;
        [all[1]["cancelAt"].clone(), all[0]["cancelAt"].clone()]
    };
    let (march, april) = ("2024-03-01T00:00:00.000Z", "2024-04-01T00:00:00.000Z");
    update(&app, extra, json!({ "cancelAt": april })).await;
    assert_eq!(ends().await, [Value::Null, json!(april)]);
    assert_eq!(update(&app, basic, json!({ "cancelAt": march })).await["cancelAt"], march);
    assert_eq!(ends().await, [march, march]);
    // What is absent stays as it is.
    update(&app, basic, json!({ "quantity": 2 })).await;
    update(&app, basic, json!({ "quantity": null, "cancelAtEndOf": null })).await;
    assert_eq!(ends().await, [march, march]);
    update(&app, basic, json!({ "cancelAtEndOf": "YEAR" })).await;
    assert_eq!(ends().await, ["2025-01-15T12:00:00.000Z", april]);
    update(&app, basic, json!({ "cancelAt": null })).await;
    assert_eq!(ends().await, [Value::Null, json!(april)]);
    let trial = update(&app, basic, json!({ "trialEndsAt": march })).await;
    assert_eq!(trial["status"], "TRIALING");
    let over = update(&app, basic, json!({ "trialEndsAt": null })).await;
    assert_eq!((&over["status"], &over["trialEndsAt"]), (&json!("ACTIVE"), &Value::Null));
}

#[tokio::test]
async fn what_is_wrong_with_a_start_or_an_end_is_said() {
    let app = TestApp::shop().await;
    let made = subscribe(&app, "packageIds: [\"basic\"], trialDays: 1").await;
    let refused = async |arguments: &str| {
        let query = format!("mutation {{ subscribe(userId: \"124\", {arguments}) {{ id }} }}");
        app.refused(&query, json!({})).await
    };
    for (arguments, expected) in [
        (
            "packageIds: [\"nope\"], startsAt: \"2024-01-15T12:00:00Z\"",
            "ValidationError: startsAt must be in the future",
        ),
        (
            "packageIds: [\"nope\"], trialDays: 731",
            "ValidationError: trialDays must be from 1 to 730",
        ),
        (
            "packageIds: [\"nope\"], cancelAtTrialEnd: true",
            "ValidationError: cancelAtTrialEnd needs trialDays",
        ),
        (
            "packageIds: [\"pro\"], startsAt: \"2025-01-01T00:00:00Z\"",
            "SubscriptionError: Cannot subscribe to multiple tiers",
        ),
    ] {
        assert_eq!(refused(arguments).await, format!("BAD_USER_INPUT {expected}"));
    }
    let query = "mutation ($id: String!, $input: UpdateSubscriptionInput!) {
        updateSubscription(id: $id, input: $input) { id } }";
    for (input, expected) in [
        (json!({ "cancelAt": "2024-01-15T12:00:00Z" }), "cancelAt must be in the future"),
        (
            json!({ "cancelAt": null, "cancelAtEndOf": "DAY" }),
            "cancelAtEndOf cannot be given together with cancelAt",
        ),
    ] {
        let variables = json!({ "id": made[0]["id"], "input": input });
        let refused = app.refused(query, variables).await;
        assert_eq!(refused, format!("BAD_USER_INPUT ValidationError: {expected}"));
    }
}

#[tokio::test]
async fn the_feed_has_the_ends_that_lie_ahead() {
    let app = TestApp::shop().await;
    let made = subscribe(&app, "packageIds: [\"basic\"], startsAt: \"2024-02-01T00:00:00Z\"").await;
    update(&app, &made[0]["id"], json!({ "cancelAt": "2024-03-01T00:00:00Z" })).await;
    app.set_time("2024-06-01T00:00:00Z");
    let query = "{ changes(first: 100) { nodes { type data } } }";
    let data = app.data(query, json!({})).await;
    let nodes = data["changes"]["nodes"].as_array().unwrap();
    let told: Vec<String> = nodes
        .iter()
        .filter(|node| node["type"].as_str().unwrap().starts_with("subscription"))
        .map(|node| {
            let told = &node["data"]["subscription"];
            format!("{} {} {}", node["type"], told["status"], told["cancelAt"])
        })
        .collect();
    assert_eq!(
        told,
        [
            r#""subscription.started" "INCOMPLETE" null"#,
            r#""subscription.updated" "INCOMPLETE" "2024-03-01T00:00:00.000Z""#
        ]
    );
}
