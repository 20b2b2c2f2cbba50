//! Thresholds and corrections (contract: `beyond.md`, k and l).

use serde_json::{Value, json};

use crate::app::{TestApp, without_ids};

const CREATE: &str = "mutation ($input: CreateFeatureInput!) { createFeature(input: $input) {
    id thresholds { percent left } } }";
const UPDATE: &str = "mutation ($input: UpdateFeatureInput!) {
    updateFeature(id: \"api-calls\", input: $input) { thresholds { percent left } } }";
const VOID: &str = "mutation ($key: String!) { voidUsage(idempotencyKey: $key) { voided reason } }";
const EVENTS: &str = "query ($user: String, $first: Int, $after: String) {
    thresholdEvents(userId: $user, first: $first, after: $after) {
        edges { cursor node { id userId featureId threshold { percent left } periodStart periodEnd
            consumption { used budget overageEnabled } at } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

async fn record(app: &TestApp, input: Value) -> Value {
    let mut all = json!({ "userId": "124", "featureId": "api-calls" });
    let (Value::Object(all_fields), Value::Object(input)) = (&mut all, input) else { panic!() };
    all_fields.extend(input);
    let query = "mutation ($input: CreateUsageEventInput!) {
        recordUsage(input: $input) { recorded reason } }";
    app.data(query, json!({ "input": all })).await["recordUsage"].clone()
}

async fn used(app: &TestApp) -> Value {
    let query = "{ canUseFeature(userId: \"124\", featureId: \"api-calls\") {
        consumption { used } } }";
    app.data(query, json!({})).await["canUseFeature"]["consumption"]["used"].clone()
}

async fn events(app: &TestApp, variables: Value) -> Value {
    app.data(EVENTS, variables).await["thresholdEvents"].clone()
}

#[tokio::test]
async fn thresholds_are_set_changed_and_cleared() {
    let (app, _) = TestApp::subscribed("basic").await;
    let input = json!({ "id": "seats", "type": "CONSUMABLE",
        "thresholds": [{ "percent": 1000 }, { "left": 0 }] });
    assert_eq!(
        app.data(CREATE, json!({ "input": input })).await["createFeature"],
        json!({ "id": "seats", "thresholds": [
            { "percent": 1000, "left": null }, { "percent": null, "left": 0 } ] })
    );
    let input = json!({ "id": "plain", "type": "BINARY", "thresholds": [] });
    let made = app.data(CREATE, json!({ "input": input })).await;
    assert_eq!(made["createFeature"]["thresholds"], json!([]));
    for (thresholds, after) in [
        (json!([{ "left": 3 }]), json!([{ "percent": null, "left": 3 }])),
        (json!([]), json!([])),
        (json!([{ "percent": 80 }]), json!([{ "percent": 80, "left": null }])),
        (Value::Null, json!([])),
    ] {
        let answer = app.data(UPDATE, json!({ "input": { "thresholds": thresholds } })).await;
        assert_eq!(answer["updateFeature"]["thresholds"], after);
        // Absent, they stay.
        let answer = app.data(UPDATE, json!({ "input": { "name": "Calls" } })).await;
        assert_eq!(answer["updateFeature"]["thresholds"], after);
    }
}

#[tokio::test]
async fn what_is_wrong_with_thresholds_is_said_and_nothing_is_stored() {
    let (app, _) = TestApp::subscribed("basic").await;
    let six: Vec<Value> = (1..=6).map(|percent| json!({ "percent": percent })).collect();
    let either = "must each have either percent or left";
    let percent = "must have a percent from 1 to 1000";
    for (thresholds, problem) in [
        (json!(six), "must be at most 5"),
        (json!([{}]), either),
        (json!([{ "percent": 1, "left": 1 }]), either),
        (json!([{ "percent": 0 }]), percent),
        (json!([{ "percent": 1001 }]), percent),
        (json!([{ "left": -1 }]), "must have a left from 0 to 2147483647"),
        (json!([{ "left": 1 }, { "left": 1 }]), "must be different: 1 left is there twice"),
    ] {
        let expected = format!("BAD_USER_INPUT ValidationError: thresholds {problem}");
        let input = json!({ "id": "seats", "type": "CONSUMABLE", "thresholds": thresholds });
        assert_eq!(app.refused(CREATE, json!({ "input": input })).await, expected);
        let input = json!({ "thresholds": thresholds });
        assert_eq!(app.refused(UPDATE, json!({ "input": input })).await, expected);
    }
    let input = json!({ "id": "beta", "type": "BINARY", "thresholds": [{ "left": 1 }] });
    let expected =
        "BAD_USER_INPUT ValidationError: thresholds must be left out for beta, which is BINARY";
    assert_eq!(app.refused(CREATE, json!({ "input": input })).await, expected);
    let feature = "{ feature(id: \"api-calls\") { thresholds { left } } }";
    assert_eq!(app.data(feature, json!({})).await["feature"]["thresholds"], json!([]));
}

#[tokio::test]
async fn usage_that_reaches_thresholds_is_listed_and_told() {
    let (app, _) = TestApp::subscribed("basic").await;
    let budget = "{ canUseFeature(userId: \"124\", featureId: \"api-calls\") {
        consumption { budget } } }";
    let budget =
        app.data(budget, json!({})).await["canUseFeature"]["consumption"]["budget"].clone();
    let thresholds = json!([{ "left": 0 }, { "percent": 50 }]);
    app.data(UPDATE, json!({ "input": { "thresholds": thresholds } })).await;
    assert_eq!(events(&app, json!({})).await["edges"], json!([]));
    record(&app, json!({ "delta": budget })).await;
    // Once, whatever happens afterwards.
    record(&app, json!({ "action": "SET", "delta": 0 })).await;
    record(&app, json!({ "delta": budget })).await;

    let all = events(&app, json!({ "user": "124" })).await;
    let edges = all["edges"].as_array().unwrap();
    let thresholds: Vec<&Value> = edges.iter().map(|edge| &edge["node"]["threshold"]).collect();
    let percent = json!({ "percent": 50, "left": null });
    let left = json!({ "percent": null, "left": 0 });
    assert_eq!(thresholds, [&percent, &left]);
    let node = without_ids(edges[0]["node"].clone());
    assert_eq!(node["userId"], "124");
    assert_eq!(node["featureId"], "api-calls");
    assert_eq!(node["consumption"]["used"], budget);
    assert_eq!(node["consumption"]["budget"], budget);
    assert!(node["periodStart"].is_string() && node["at"].is_string(), "{node}");

    // In pages.
    let first = events(&app, json!({ "first": 1 })).await;
    assert_eq!(first["edges"], json!([edges[0]]));
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    let second = events(&app, json!({ "first": 1, "after": edges[0]["cursor"] })).await;
    assert_eq!(second["edges"], json!([edges[1]]));
    let page = &second["pageInfo"];
    assert_eq!((&page["hasNextPage"], &page["hasPreviousPage"]), (&json!(false), &json!(true)));

    let feed = "{ changes(types: [\"usage.threshold_reached\"]) { nodes { type userId data } } }";
    let told = app.data(feed, json!({})).await["changes"]["nodes"].clone();
    assert_eq!(told.as_array().unwrap().len(), 2);
    assert_eq!(told[0]["userId"], "124");
    assert_eq!(told[0]["data"]["featureId"], "api-calls");
    assert_eq!(told[0]["data"]["threshold"], json!({ "percent": 50 }));
    assert_eq!(told[1]["data"]["threshold"], json!({ "left": 0 }));
    assert_eq!(told[0]["data"]["used"], json!(budget.to_string()));

    // They follow the user to another id, also to the random one of a user who is deleted.
    app.data("mutation { updateUser(id: \"124\", input: {id: \"125\"}) { id } }", json!({})).await;
    let listed = events(&app, json!({ "user": "125" })).await;
    assert_eq!(listed["edges"][1]["node"]["userId"], "125");
    app.data("mutation { deleteUser(id: \"125\") }", json!({})).await;
    let listed = events(&app, json!({})).await;
    let user = listed["edges"][1]["node"]["userId"].as_str().unwrap();
    assert!(user.starts_with("deleted-"), "{user}");
}

#[tokio::test]
async fn a_bad_page_of_threshold_events_is_refused() {
    let app = TestApp::shop().await;
    for (variables, expected) in [
        (json!({ "first": 0 }), "BAD_USER_INPUT ValidationError: first must be 1 to 1000"),
        (
            json!({ "after": "7" }),
            "BAD_USER_INPUT ValidationError: after must be a cursor that a page has answered",
        ),
        (json!({ "user": "nobody" }), "NOT_FOUND UserNotFoundError: User not found: nobody"),
    ] {
        assert_eq!(app.refused(EVENTS, variables).await, expected);
    }
}

#[tokio::test]
async fn usage_is_taken_back_once_by_its_key() {
    let (app, _) = TestApp::subscribed("basic").await;
    record(&app, json!({ "delta": 2 })).await;
    record(&app, json!({ "delta": 1, "idempotencyKey": "k" })).await;
    assert_eq!(used(&app).await, 3);
    for _ in 0..2 {
        let answer = app.data(VOID, json!({ "key": "k" })).await;
        assert_eq!(answer["voidUsage"], json!({ "voided": true, "reason": null }));
        assert_eq!(used(&app).await, 2);
    }
    // The key stays used.
    let again = record(&app, json!({ "delta": 1, "idempotencyKey": "k" })).await;
    assert_eq!(again, json!({ "recorded": true, "reason": null }));
    assert_eq!(used(&app).await, 2);
}

#[tokio::test]
async fn what_was_recorded_in_bulk_is_taken_back_too() {
    let (app, _) = TestApp::subscribed("basic").await;
    let batch = "mutation ($inputs: [CreateUsageEventInput!]!) {
        recordUsageBatch(inputs: $inputs) { recorded } }";
    let input =
        |key: &str| json!({ "userId": "124", "featureId": "api-calls", "idempotencyKey": key });
    app.data(batch, json!({ "inputs": [input("a"), input("b"), input("c")] })).await;
    assert_eq!(used(&app).await, 3);
    app.data(VOID, json!({ "key": "b" })).await;
    assert_eq!(used(&app).await, 2);
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_said() {
    let (app, _) = TestApp::subscribed("basic").await;
    record(&app, json!({ "action": "SET", "delta": 1, "idempotencyKey": "set" })).await;
    record(&app, json!({ "occurredAt": "2001-01-01T00:00:00Z", "idempotencyKey": "early" })).await;
    let set = "BAD_USER_INPUT ValidationError: \
               idempotencyKey names usage that was SET, which is corrected by another SET";
    assert_eq!(app.refused(VOID, json!({ "key": "set" })).await, set);
    let unknown = "NOT_FOUND UsageNotFoundError: Usage not found: nothing that is still known was \
                   recorded under the idempotency key nobody's";
    assert_eq!(app.refused(VOID, json!({ "key": "nobody's" })).await, unknown);
    let empty = "BAD_USER_INPUT ValidationError: idempotencyKey must not be empty";
    assert_eq!(app.refused(VOID, json!({ "key": "" })).await, empty);
    let answer = app.data(VOID, json!({ "key": "early" })).await;
    let reason = "The usage was not counted, so there is nothing to take back.";
    assert_eq!(answer["voidUsage"], json!({ "voided": false, "reason": reason }));
}
