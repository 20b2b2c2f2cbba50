//! Usage recorded many times in one request: one result per input, each on its own.

use serde_json::{Value, json};

use crate::app::TestApp;

const BATCH: &str = "mutation ($inputs: [CreateUsageEventInput!]!) {
    recordUsageBatch(inputs: $inputs) { recorded reason errorCode } }";

async fn record(app: &TestApp, inputs: Value) -> Value {
    app.data(BATCH, json!({ "inputs": inputs })).await["recordUsageBatch"].take()
}

/// An input of the user `124` for `api-calls`.
fn calls(delta: i32, more: &Value) -> Value {
    let mut input = json!({ "userId": "124", "featureId": "api-calls", "delta": delta });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

async fn used(app: &TestApp) -> Value {
    let query = r#"{ canUseFeature(userId: "124", featureId: "api-calls") {
        consumption { used } } }"#;
    app.data(query, json!({})).await["canUseFeature"]["consumption"]["used"].take()
}

#[tokio::test]
async fn every_input_has_its_result_in_its_place_and_stands_alone() {
    let (app, _) = TestApp::subscribed("basic").await;
    let inputs = json!([
        calls(1, &json!({})),
        { "userId": "nobody", "featureId": "api-calls" },
        calls(10, &json!({ "idempotencyKey": "a" })),
        { "userId": "124", "featureId": "nothing" },
        { "userId": "", "featureId": "api-calls" },
        calls(11, &json!({ "idempotencyKey": "a" })),
        { "userId": "124", "featureId": "sso" },
        calls(100, &json!({})),
    ]);
    let results = record(&app, inputs).await;
    let codes: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["recorded"].as_bool().unwrap(), result["errorCode"].as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            (true, None),
            (false, Some("NOT_FOUND")),
            (true, None),
            (false, Some("NOT_FOUND")),
            (false, Some("BAD_USER_INPUT")),
            (false, Some("IDEMPOTENCY_CONFLICT")),
            (false, None),
            (true, None),
        ]
    );
    assert_eq!(results[0]["reason"], Value::Null);
    assert_eq!(results[1]["reason"], "User not found: nobody");
    assert_eq!(results[3]["reason"], "Feature not found: nothing");
    assert_eq!(results[4]["reason"], "userId must not be empty");
    assert!(results[6]["reason"].is_string(), "why it was not counted");
    assert_eq!(used(&app).await, 111);
}

#[tokio::test]
async fn inputs_take_effect_in_their_order() {
    let (app, _) = TestApp::subscribed("basic").await;
    let set = json!({ "action": "SET" });
    record(&app, json!([calls(5, &json!({})), calls(20, &set), calls(3, &json!({}))])).await;
    assert_eq!(used(&app).await, 23);
}

#[tokio::test]
async fn the_same_key_twice_in_a_batch_records_once_and_so_does_the_batch_again() {
    let (app, _) = TestApp::subscribed("basic").await;
    let input = calls(7, &json!({ "idempotencyKey": "a" }));
    let recorded = json!({ "recorded": true, "reason": null, "errorCode": null });
    for _ in 0..2 {
        let results = record(&app, json!([input, input])).await;
        assert_eq!(results, json!([recorded, recorded]));
        assert_eq!(used(&app).await, 7);
    }
}

#[tokio::test]
async fn a_batch_of_nothing_answers_nothing_and_a_single_object_is_a_batch_of_one() {
    let (app, _) = TestApp::subscribed("basic").await;
    assert_eq!(record(&app, json!([])).await, json!([]));
    let recorded = json!([{ "recorded": true, "reason": null, "errorCode": null }]);
    assert_eq!(record(&app, calls(1, &json!({}))).await, recorded);
}

#[tokio::test]
async fn ten_thousand_inputs_are_taken_and_one_more_is_refused_as_a_whole() {
    let (app, _) = TestApp::subscribed("basic").await;
    let inputs = |count: usize| vec![json!({ "userId": "124", "featureId": "api-calls" }); count];
    assert_eq!(
        app.refused(BATCH, json!({ "inputs": inputs(10_001) })).await,
        "BAD_USER_INPUT ValidationError: inputs must have at most 10000 items"
    );
    let results = record(&app, json!(inputs(10_000))).await;
    assert_eq!(results.as_array().unwrap().len(), 10_000);
    assert_eq!(used(&app).await, 10_000);
}
