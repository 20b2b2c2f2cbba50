//! Rollover (contract: `beyond.md`, d).

use axum::http::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

const CREATE: &str = "mutation ($entitlement: EntitlementInput!) {
    createPackage(input: { id: \"carrying\",
        features: [{ id: \"api-calls\", entitlement: $entitlement }] }) {
        features { limit rollover { max periods } } } }";
const SUBSCRIBE: &str = "mutation {
    publishPackage(id: \"carrying\") { status }
    subscribe(userId: \"124\", packageIds: [\"carrying\"]) { id } }";
const USE: &str = "mutation ($delta: Int!) {
    useFeature(input: { userId: \"124\", featureId: \"api-calls\", delta: $delta }) {
        granted consumption { used budget allowance carried remaining } } }";
const EXPLAIN: &str = "{ explainFeature(userId: \"124\", featureId: \"api-calls\") {
    consumption { budget carried } parts { kind id amount } } }";

/// Sells 10 calls a day, of which what is left is carried into so many more days, and returns the id of a
/// subscription.
async fn carrying(app: &TestApp, rollover: Value) -> String {
    let entitlement = json!({ "limit": 10, "resetPeriod": "DAY", "rollover": rollover });
    app.data(CREATE, json!({ "entitlement": entitlement })).await;
    let data = app.data(SUBSCRIBE, json!({})).await;
    data["subscribe"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_package_says_what_is_carried() {
    for (rollover, expected) in [
        (json!(null), json!(null)),
        (json!({}), json!({ "max": null, "periods": 1 })),
        (json!({ "max": 500, "periods": 12 }), json!({ "max": 500, "periods": 12 })),
    ] {
        let app = TestApp::shop().await;
        let entitlement = json!({ "limit": 10, "resetPeriod": "DAY", "rollover": rollover });
        let data = app.data(CREATE, json!({ "entitlement": entitlement })).await;
        let features = json!([{ "limit": 10, "rollover": expected }]);
        assert_eq!(data["createPackage"]["features"], features);
        let query = "{ package(id: \"carrying\") { features { limit rollover { max periods } } } }";
        assert_eq!(app.data(query, json!({})).await["package"]["features"], features);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_rollover_is_said() {
    let app = TestApp::shop().await;
    for (limit, rollover, problem) in [
        (json!(null), json!({}), "rollover needs a limit"),
        (json!(10), json!({ "max": 0 }), "rollover.max must be 1 or more, or left out for no cap"),
        (json!(10), json!({ "periods": 13 }), "rollover.periods must be from 1 to 12"),
        (json!(10), json!({ "periods": 0 }), "rollover.periods must be from 1 to 12"),
    ] {
        let entitlement = json!({ "limit": limit, "resetPeriod": "DAY", "rollover": rollover });
        let refused = app.refused(CREATE, json!({ "entitlement": entitlement })).await;
        assert_eq!(refused, format!("BAD_USER_INPUT ValidationError: {problem}"));
    }
}

#[tokio::test]
async fn what_is_left_of_a_day_is_carried_into_the_next() {
    let app = TestApp::shop().await;
    let id = carrying(&app, json!({ "max": 8, "periods": 2 })).await;
    let using =
        async |delta: i32| app.data(USE, json!({ "delta": delta })).await["useFeature"].clone();
    let consumed = |used: i32, carried: i32| {
        json!({ "used": used, "budget": 10 + carried, "allowance": 10, "carried": carried,
            "remaining": 10 + carried - used })
    };
    assert_eq!(using(4).await, json!({ "granted": true, "consumption": consumed(4, 0) }));
    app.set_time("2024-01-16T12:00:00.000Z");
    assert_eq!(using(16).await, json!({ "granted": true, "consumption": consumed(16, 6) }));
    assert_eq!(using(1).await, json!({ "granted": false, "consumption": consumed(16, 6) }));
    app.set_time("2024-01-19T12:00:00.000Z");
    let answer = app.data(EXPLAIN, json!({})).await["explainFeature"].clone();
    let parts = json!([
        { "kind": "ALLOWANCE", "id": id, "amount": 10 },
        { "kind": "CARRIED", "id": id, "amount": 8 },
    ]);
    assert_eq!(answer, json!({ "consumption": { "budget": 18, "carried": 8 }, "parts": parts }));
    let query = "{ showUsage(userId: \"124\", featureId: \"api-calls\") {
        current { consumption { used carried } }
        past { consumption { used budget carried } } } }";
    let shown = app.data(query, json!({})).await["showUsage"].clone();
    assert_eq!(shown["current"]["consumption"], json!({ "used": 0, "carried": 8 }));
    let past: Vec<Value> = shown["past"].as_array().unwrap().clone();
    let line = |period: &Value| {
        let number = |field: &str| period["consumption"][field].as_i64().unwrap();
        [number("used"), number("budget"), number("carried")]
    };
    let lines: Vec<[i64; 3]> = past.iter().map(line).collect();
    assert_eq!(lines, [[0, 18, 8], [0, 10, 0], [16, 16, 6], [4, 10, 0]]);
}

#[tokio::test]
async fn a_published_file_with_rollover_is_an_error_and_comes_back_without_defaults() {
    let (app, _) = TestApp::subscribed("basic").await;
    let mut file = app.request(Method::GET, "/cli/pull").send().await.ok();
    let of_basic = &mut file["packages"]["published"][0]["features"][0];
    assert!(of_basic.get("rollover").is_none(), "{of_basic}");
    of_basic["rollover"] = json!({ "max": 500, "periods": 1 });
    let validated = app.request(Method::POST, "/cli/validate").body(file.to_string());
    let lines = validated.send().await.ok()["data"].to_string();
    let said = "limit 100 per MONTH, carries up to 500 for 1 period";
    assert!(lines.contains("[ERROR]") && lines.contains(said), "{lines}");
    app.request(Method::POST, "/cli/publish").body(file.to_string()).send().await.ok();
    let pulled = app.request(Method::GET, "/cli/pull").send().await.ok();
    let pulled = &pulled["packages"]["published"][0]["features"][0]["rollover"];
    assert_eq!(*pulled, json!({ "max": 500 }));
}

#[tokio::test]
async fn a_cap_of_a_file_that_fits_no_int_is_an_error_of_its_field() {
    let (app, _) = TestApp::subscribed("basic").await;
    let mut file = app.request(Method::GET, "/cli/pull").send().await.ok();
    file["packages"]["published"][0]["features"][0]["rollover"] =
        json!({ "max": 3_000_000_000_i64 });
    app.request(Method::POST, "/cli/publish").body(file.to_string()).send().await.ok();
    let query = "{ package(id: \"basic\") { features { rollover { max } } } }";
    let answer = app.graphql(query, json!({})).send().await.ok();
    assert_eq!(answer["errors"][0]["extensions"]["code"], "VALUE_TOO_LARGE");
}
