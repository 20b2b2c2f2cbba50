//! Subscriptions that are changed to another package (contract: `beyond.md`, e).

use serde_json::{Value, json};

use crate::app::TestApp;

const CHANGE: &str = "mutation ($input: ChangePackageInput!) { changePackage(input: $input) {
    id status startedAt cancelAt quantity package { id } } }";

async fn subscribed(app: &TestApp, packages: &str, package: &str) -> Value {
    let query = format!(
        "mutation {{ subscribe(userId: \"124\", packageIds: {packages}, quantities: [3]) {{
            id package {{ id }} }} }}"
    );
    let made = app.data(&query, json!({})).await["subscribe"].clone();
    let made = made.as_array().unwrap();
    made.iter().find(|one| one["package"]["id"] == package).unwrap()["id"].clone()
}

async fn shown(app: &TestApp) -> Vec<String> {
    let query =
        "{ subscriptions(userId: \"124\") { status startedAt endedAt cancelAt package { id } } }";
    let data = app.data(query, json!({})).await;
    let line = |one: &Value| {
        let [start, end] = ["startedAt", "endedAt"].map(|key| one[key].as_str().unwrap_or("-"));
        let ahead = one["cancelAt"].as_str().unwrap_or("-");
        format!("{} {} {start} {end} {ahead}", one["package"]["id"], one["status"])
            .replace(".000Z", "Z")
            .replace('"', "")
    };
    data["subscriptions"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn a_package_changes_at_once() {
    let app = TestApp::shop().await;
    let old = subscribed(&app, "[\"basic\"]", "basic").await;
    let input = json!({ "subscriptionId": old, "packageId": "pro" });
    let new = app.data(CHANGE, json!({ "input": input })).await["changePackage"].clone();
    assert_ne!(new["id"], old);
    assert_eq!((&new["status"], &new["quantity"]), (&json!("ACTIVE"), &json!(3)));
    assert_eq!(
        shown(&app).await,
        [
            "pro ACTIVE 2024-01-15T12:00:00Z - -",
            "basic CANCELLED 2024-01-15T12:00:00Z 2024-01-15T12:00:00Z -",
        ]
    );
    let query = "{ changes(first: 100) { nodes { type } } }";
    let data = app.data(query, json!({})).await;
    let types: Vec<&str> = data["changes"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["type"].as_str().unwrap())
        .collect();
    let last = ["subscription.started", "subscription.ended", "entitlement.changed"];
    assert!(types.ends_with(&last), "{types:?}");
}

#[tokio::test]
async fn a_package_changes_at_a_time_and_at_the_end_of_a_period() {
    let month = "2024-02-15T12:00:00Z";
    for (when, at) in [("at", month), ("atEndOf", "MONTH")] {
        let app = TestApp::shop().await;
        let old = subscribed(&app, "[\"basic\"]", "basic").await;
        let mut input = json!({ "subscriptionId": old, "packageId": "pro", "quantity": 2 });
        input[when] = json!(at);
        let new = app.data(CHANGE, json!({ "input": input })).await["changePackage"].clone();
        assert_eq!((&new["status"], &new["quantity"]), (&json!("INCOMPLETE"), &json!(2)));
        assert_eq!(
            shown(&app).await,
            [
                format!("pro INCOMPLETE {month} - -"),
                format!("basic ACTIVE 2024-01-15T12:00:00Z - {month}"),
            ]
        );
        app.set_time(month);
        assert_eq!(
            shown(&app).await,
            [
                format!("pro ACTIVE {month} - -"),
                format!("basic CANCELLED 2024-01-15T12:00:00Z {month} -"),
            ]
        );
    }
}

#[tokio::test]
async fn usage_comes_along_if_that_is_asked_for() {
    let app = TestApp::shop().await;
    let old = subscribed(&app, "[\"basic\"]", "basic").await;
    app.data(
        "mutation { recordUsage(input: {userId: \"124\", featureId: \"api-calls\", delta: 2}) { recorded } }",
        json!({}),
    )
    .await;
    app.set_time("2024-01-20T00:00:00Z");
    let ahead =
        json!({ "subscriptionId": old, "packageId": "pro", "atEndOf": "DAY", "carryUsage": true });
    assert_eq!(
        app.refused(CHANGE, json!({ "input": ahead })).await,
        "BAD_USER_INPUT ValidationError: carryUsage moves the usage of now and cannot be given together with \
         at or atEndOf"
    );
    let input = json!({ "subscriptionId": old, "packageId": "pro", "carryUsage": true });
    app.data(CHANGE, json!({ "input": input })).await;
    let query = "{ showUsage(userId: \"124\", featureId: \"api-calls\") {
        current { periodStart periodEnd consumption { used budget } }
        past { periodEnd consumption { used } } } }";
    let used = json!({
        "current": { "periodStart": "2024-01-20T00:00:00.000Z", "periodEnd": "2024-02-15T12:00:00.000Z",
            "consumption": { "used": 2, "budget": 3000 } },
        "past": [{ "periodEnd": "2024-01-20T00:00:00.000Z", "consumption": { "used": 2 } }],
    });
    assert_eq!(app.data(query, json!({})).await["showUsage"], used);
}

#[tokio::test]
async fn what_is_wrong_with_a_change_is_said() {
    let app = TestApp::shop().await;
    let old = subscribed(&app, "[\"basic\"]", "basic").await;
    let nobody = "00000000-0000-7000-8000-000000000000";
    for (input, expected) in [
        (
            json!({ "subscriptionId": nobody, "packageId": "nope", "quantity": 0 }),
            "BAD_USER_INPUT ValidationError: quantity must be from 1 to 1000000".to_owned(),
        ),
        (
            json!({ "subscriptionId": nobody, "packageId": "nope", "at": "2024-01-15T12:00:00Z" }),
            "BAD_USER_INPUT ValidationError: at must be in the future".to_owned(),
        ),
        (
            json!({ "subscriptionId": nobody, "packageId": "nope", "at": "2024-03-01T00:00:00Z",
                "atEndOf": "DAY" }),
            "BAD_USER_INPUT ValidationError: atEndOf cannot be given together with at".to_owned(),
        ),
        (
            json!({ "subscriptionId": nobody, "packageId": "nope" }),
            format!("NOT_FOUND SubscriptionNotFoundError: Subscription not found: {nobody}"),
        ),
        (
            json!({ "subscriptionId": old, "packageId": "extra" }),
            "BAD_USER_INPUT SubscriptionError: A base changes to a base, an add-on to an add-on"
                .to_owned(),
        ),
        (
            json!({ "subscriptionId": old, "packageId": "basic" }),
            "BAD_USER_INPUT SubscriptionError: The user is already subscribed to package basic"
                .to_owned(),
        ),
    ] {
        assert_eq!(app.refused(CHANGE, json!({ "input": input })).await, expected);
    }
    let unknown = json!({ "subscriptionId": old, "packageId": "nope" });
    let refused = app.refused(CHANGE, json!({ "input": unknown })).await;
    assert!(refused.starts_with("BAD_USER_INPUT PackageNotFoundError: "), "{refused}");
    let ahead = json!({ "subscriptionId": old, "packageId": "pro", "at": "2024-03-01T00:00:00Z" });
    let new = app.data(CHANGE, json!({ "input": ahead })).await["changePackage"]["id"].clone();
    let late = json!({ "subscriptionId": old, "packageId": "pro", "at": "2024-03-02T00:00:00Z" });
    let waiting = json!({ "subscriptionId": new, "packageId": "basic" });
    for (input, expected) in
        [(late, "Subscription ends before the change"), (waiting, "Subscription has not started")]
    {
        let refused = app.refused(CHANGE, json!({ "input": input })).await;
        assert_eq!(refused, format!("BAD_USER_INPUT SubscriptionError: {expected}"));
    }
    app.set_time("2024-03-01T00:00:00Z");
    let over = json!({ "subscriptionId": old, "packageId": "pro" });
    let refused = app.refused(CHANGE, json!({ "input": over })).await;
    assert_eq!(refused, "BAD_USER_INPUT SubscriptionError: Subscription has ended");
}
