//! Overrides (contract: `beyond.md`, b).

use serde_json::{Value, json};

use crate::app::{TestApp, without_ids};

const SET: &str = "mutation ($input: SetOverrideInput!) { setOverride(input: $input) {
    id userId featureId kind limit resetPeriod resetAnchor overageEnabled startsAt endsAt reason } }";
const LIST: &str = "{ overrides(userId: \"124\") { featureId kind limit } }";

async fn set(app: &TestApp, mut input: Value) -> Value {
    input["userId"] = json!("124");
    app.data(SET, json!({ "input": input })).await["setOverride"].clone()
}

async fn can_use(app: &TestApp, feature: &str) -> Value {
    let query = "query ($id: String!) { canUseFeature(userId: \"124\", featureId: $id) {
        access reasonCode consumption { used budget } } }";
    app.data(query, json!({ "id": feature })).await["canUseFeature"].clone()
}

#[tokio::test]
async fn an_override_is_set_listed_changed_and_removed() {
    let (app, _) = TestApp::subscribed("basic").await;
    let first = set(&app, json!({ "featureId": "api-calls", "kind": "LIMIT", "limit": 5 })).await;
    let expected = json!({
        "id": "<id>", "userId": "124", "featureId": "api-calls", "kind": "LIMIT", "limit": 5,
        "resetPeriod": null, "resetAnchor": null, "overageEnabled": null,
        "startsAt": first["startsAt"], "endsAt": null, "reason": null,
    });
    assert_eq!(without_ids(first.clone()), expected);
    let budget = json!({ "access": true, "reasonCode": "WITHIN_LIMIT",
        "consumption": { "used": 0, "budget": 5 } });
    assert_eq!(can_use(&app, "api-calls").await, budget);

    let weekly = json!({ "featureId": "api-calls", "kind": "LIMIT", "limit": 7,
        "resetPeriod": "WEEK", "resetAnchor": "CALENDAR", "overageEnabled": true,
        "endsAt": "9999-01-01T00:00:00.000Z", "reason": "a favour" });
    let again = set(&app, weekly).await;
    assert_eq!((&again["id"], &again["startsAt"]), (&first["id"], &first["startsAt"]));
    assert_eq!(
        (&again["resetPeriod"], &again["resetAnchor"]),
        (&json!("WEEK"), &json!("CALENDAR"))
    );
    assert_eq!(again["reason"], "a favour");

    set(&app, json!({ "featureId": "sso", "kind": "UNLIMITED" })).await;
    assert_eq!(can_use(&app, "sso").await["reasonCode"], "GRANTED");
    set(&app, json!({ "featureId": "sso", "kind": "DENY" })).await;
    assert_eq!(
        can_use(&app, "sso").await,
        json!({ "access": false, "reasonCode": "DENIED", "consumption": null })
    );
    let listed = app.data(LIST, json!({})).await;
    assert_eq!(
        listed["overrides"],
        json!([
            { "featureId": "api-calls", "kind": "LIMIT", "limit": 7 },
            { "featureId": "sso", "kind": "DENY", "limit": null },
        ])
    );
    let remove = "mutation { removeOverride(userId: \"124\", featureId: \"sso\") }";
    for lived in [true, false] {
        assert_eq!(app.data(remove, json!({})).await["removeOverride"], lived);
    }
    assert_eq!(can_use(&app, "sso").await["reasonCode"], "NOT_GRANTED");
}

#[tokio::test]
async fn usage_of_an_override_outlives_a_new_id_and_is_explained() {
    let app = TestApp::shop().await;
    let known = set(
        &app,
        json!({ "featureId": "api-calls", "kind": "LIMIT", "limit": 5,
        "resetPeriod": "DAY" }),
    )
    .await;
    let used =
        "mutation { useFeature(input: {userId: \"124\", featureId: \"api-calls\", delta: 3}) {
        granted reasonCode consumption { used remaining } } }";
    let twice = [
        json!({ "granted": true, "reasonCode": "WITHIN_LIMIT",
            "consumption": { "used": 3, "remaining": 2 } }),
        json!({ "granted": false, "reasonCode": "LIMIT_REACHED",
            "consumption": { "used": 3, "remaining": 2 } }),
    ];
    for expected in twice {
        assert_eq!(app.data(used, json!({})).await["useFeature"], expected);
    }
    app.data("mutation { updateUser(id: \"124\", input: {id: \"125\"}) { id } }", json!({})).await;
    let explain = "{ explainFeature(userId: \"125\", featureId: \"api-calls\") {
        source sourceId consumption { used } parts { kind id amount } } }";
    assert_eq!(
        app.data(explain, json!({})).await["explainFeature"],
        json!({ "source": "OVERRIDE", "sourceId": known["id"], "consumption": { "used": 3 },
            "parts": [{ "kind": "ALLOWANCE", "id": known["id"], "amount": 5 }] })
    );
    let shown = "{ showUsage(userId: \"125\", featureId: \"api-calls\") {
        current { consumption { used budget } } } }";
    assert_eq!(
        app.data(shown, json!({})).await["showUsage"]["current"]["consumption"],
        json!({ "used": 3, "budget": 5 })
    );
}

#[tokio::test]
async fn what_is_wrong_with_an_override_is_said_and_nothing_is_stored() {
    let app = TestApp::shop().await;
    for (input, expected) in [
        (
            json!({ "userId": "nobody", "featureId": "nope", "kind": "LIMIT" }),
            "BAD_USER_INPUT ValidationError: limit is needed with the kind LIMIT",
        ),
        (
            json!({ "userId": "nobody", "featureId": "nope", "kind": "DENY", "endsAt": "2020-01-01T00:00:00Z" }),
            "BAD_USER_INPUT ValidationError: endsAt must be in the future",
        ),
        (
            json!({ "userId": "nobody", "featureId": "nope", "kind": "DENY" }),
            "NOT_FOUND UserNotFoundError: User not found: nobody",
        ),
        (
            json!({ "userId": "124", "featureId": "nope", "kind": "DENY" }),
            "NOT_FOUND FeatureNotFoundError: Feature not found: nope",
        ),
        (
            json!({ "userId": "124", "featureId": "sso", "kind": "LIMIT", "limit": 1 }),
            "BAD_USER_INPUT ValidationError: kind does not suit sso, which is BINARY",
        ),
    ] {
        assert_eq!(app.refused(SET, json!({ "input": input })).await, expected);
    }
}
