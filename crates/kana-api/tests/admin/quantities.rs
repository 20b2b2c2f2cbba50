//! Quantities of subscriptions, and limits that are added (contract: `beyond.md`, f).

use serde_json::{Value, json};

use crate::app::TestApp;

const SUBSCRIBE: &str = "mutation ($packages: [String!]!, $quantities: [Int!]) {
    subscribe(userId: \"124\", packageIds: $packages, quantities: $quantities) {
        id quantity package { id }
    } }";
const UPDATE: &str = "mutation ($id: String!, $input: UpdateSubscriptionInput!) {
    updateSubscription(id: $id, input: $input) { id quantity status } }";
const EXPLAIN: &str = "{ explainFeature(userId: \"124\", featureId: \"api-calls\") {
    consumption { used budget allowance remaining } parts { kind id amount } } }";

async fn explained(app: &TestApp) -> Value {
    app.data(EXPLAIN, json!({})).await["explainFeature"].clone()
}

async fn set_quantity(app: &TestApp, id: &str, quantity: i64) -> Value {
    let variables = json!({ "id": id, "input": { "quantity": quantity } });
    app.data(UPDATE, variables).await["updateSubscription"].clone()
}

/// An add-on whose limit is added.
async fn sell_packs(app: &TestApp) {
    let query = "mutation {
        createPackage(input: { id: \"pack\", isAddon: true, features: [{ id: \"api-calls\",
            entitlement: { limit: 50, resetPeriod: DAY, stacking: ADD } }] }) {
            features { limit stacking } }
        publishPackage(id: \"pack\") { features { stacking } } }";
    let data = app.data(query, json!({})).await;
    assert_eq!(data["createPackage"]["features"], json!([{ "limit": 50, "stacking": "ADD" }]));
    assert_eq!(data["publishPackage"]["features"], json!([{ "stacking": "ADD" }]));
}

#[tokio::test]
async fn a_subscription_has_a_quantity_by_which_its_limits_count() {
    let app = TestApp::shop().await;
    let variables = json!({ "packages": ["basic", "extra"], "quantities": [3, 1] });
    let made = app.data(SUBSCRIBE, variables).await["subscribe"].clone();
    assert_eq!((&made[0]["quantity"], &made[1]["quantity"]), (&json!(3), &json!(1)));
    let (basic, extra) = (made[0]["id"].as_str().unwrap(), made[1]["id"].as_str().unwrap());
    let expected = json!({ "used": 0, "budget": 300, "allowance": 300, "remaining": 300 });
    assert_eq!(explained(&app).await["consumption"], expected);

    let updated = set_quantity(&app, basic, 5).await;
    assert_eq!(updated, json!({ "id": basic, "quantity": 5, "status": "ACTIVE" }));
    let answer = explained(&app).await;
    assert_eq!(answer["consumption"]["budget"], 500);
    assert_eq!(answer["parts"], json!([{ "kind": "ALLOWANCE", "id": basic, "amount": 500 }]));
    // What is absent or null stays as it is.
    for input in [json!({}), json!({ "quantity": null })] {
        let data = app.data(UPDATE, json!({ "id": basic, "input": input })).await;
        assert_eq!(data["updateSubscription"]["quantity"], 5);
    }
    let query = "query ($id: String!) { subscription(id: $id) { quantity }
        subscriptions(userId: \"124\") { id quantity }
        all: subscriptionsConnection { edges { node { id quantity } } }
        user(id: \"124\") { subscriptions { id quantity } } }";
    let data = app.data(query, json!({ "id": basic })).await;
    assert_eq!(data["subscription"]["quantity"], 5);
    let both = json!([{ "id": extra, "quantity": 1 }, { "id": basic, "quantity": 5 }]);
    assert_eq!((&data["subscriptions"], &data["user"]["subscriptions"]), (&both, &both));
    assert_eq!(data["all"]["edges"][1]["node"], both[1]);
}

#[tokio::test]
async fn one_quantity_need_not_be_in_a_list_and_none_is_one() {
    let app = TestApp::shop().await;
    let variables = json!({ "packages": ["basic"], "quantities": 7 });
    let made = app.data(SUBSCRIBE, variables).await;
    assert_eq!(made["subscribe"][0]["quantity"], 7);
    for quantities in [Value::Null, json!([1])] {
        let variables = json!({ "packages": ["extra"], "quantities": quantities });
        let made = app.data(SUBSCRIBE, variables).await["subscribe"][0].clone();
        assert_eq!(made["quantity"], 1);
        let cancel = "mutation ($id: String!) { cancelSubscription(id: $id) { quantity } }";
        app.data(cancel, json!({ "id": made["id"] })).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_quantity_is_said() {
    let app = TestApp::shop().await;
    let range = "must be from 1 to 1000000";
    for (quantities, problem) in [
        (json!([]), "must have one for each package"),
        (json!([1]), "must have one for each package"),
        (json!([1, 1, 1]), "must have one for each package"),
        (json!([1, 0]), range),
        (json!([-1, 1]), range),
        (json!([1, 1_000_001]), range),
    ] {
        let variables = json!({ "packages": ["basic", "nope"], "quantities": quantities });
        let expected = format!("BAD_USER_INPUT ValidationError: quantities {problem}");
        assert_eq!(app.refused(SUBSCRIBE, variables).await, expected);
    }
    let id = app.subscribe("basic").await;
    let nobodys = "0190d3a8-1f2b-7c3d-8e4f-000000000001";
    for (id, quantity, expected) in [
        (nobodys, 0, "BAD_USER_INPUT ValidationError: quantity must be from 1 to 1000000"),
        (&id, 1_000_001, "BAD_USER_INPUT ValidationError: quantity must be from 1 to 1000000"),
        (
            nobodys,
            2,
            "NOT_FOUND SubscriptionNotFoundError: Subscription not found: \
             0190d3a8-1f2b-7c3d-8e4f-000000000001",
        ),
        ("garbage", 0, "BAD_USER_INPUT ValidationError: quantity must be from 1 to 1000000"),
        ("garbage", 2, "NOT_FOUND SubscriptionNotFoundError: Subscription not found: garbage"),
    ] {
        let variables = json!({ "id": id, "input": { "quantity": quantity } });
        assert_eq!(app.refused(UPDATE, variables).await, expected);
    }
    let cancel = "mutation ($id: String!) { cancelSubscription(id: $id) { quantity } }";
    app.data(cancel, json!({ "id": id })).await;
    for input in [json!({}), json!({ "quantity": 2 })] {
        let refused = app.refused(UPDATE, json!({ "id": id, "input": input })).await;
        assert_eq!(refused, "BAD_USER_INPUT SubscriptionError: Subscription has ended");
    }
}

#[tokio::test]
async fn limits_that_are_added_are_parts_of_the_budget() {
    let (app, basic) = TestApp::subscribed("basic").await;
    sell_packs(&app).await;
    let variables = json!({ "packages": ["pack"], "quantities": [2] });
    let made = app.data(SUBSCRIBE, variables).await;
    let pack = made["subscribe"][0]["id"].as_str().unwrap();
    let answer = explained(&app).await;
    assert_eq!(
        answer["consumption"],
        json!({ "used": 0, "budget": 200, "allowance": 200, "remaining": 200 })
    );
    assert_eq!(
        answer["parts"],
        json!([
            { "kind": "ALLOWANCE", "id": basic, "amount": 100 },
            { "kind": "ADDED", "id": pack, "amount": 100 },
        ])
    );
    // What says nothing of it competes.
    let query = "{ package(id: \"basic\") { features { stacking } } }";
    let data = app.data(query, json!({})).await;
    assert_eq!(data["package"]["features"], json!([{ "stacking": "HIGHEST" }]));
}

#[tokio::test]
async fn a_product_that_does_not_fit_an_int_is_told_exactly_elsewhere() {
    let app = TestApp::shop().await;
    let query = "mutation { createPackage(input: { id: \"huge\", features: [{ id: \"api-calls\",
        entitlement: { limit: 2147483647, resetPeriod: DAY } }] }) { id }
        publishPackage(id: \"huge\") { id } }";
    app.data(query, json!({})).await;
    app.data(SUBSCRIBE, json!({ "packages": ["huge"], "quantities": [1_000_000] })).await;
    let exact = "{ canUseFeature(userId: \"124\", featureId: \"api-calls\") {
        access consumption { budgetExact } } }";
    let data = app.data(exact, json!({})).await;
    assert_eq!(
        data["canUseFeature"],
        json!({ "access": true, "consumption": { "budgetExact": "2147483647000000" } })
    );
    let parts = "{ explainFeature(userId: \"124\", featureId: \"api-calls\") {
        parts { kind amountExact } } }";
    let data = app.data(parts, json!({})).await;
    assert_eq!(
        data["explainFeature"]["parts"],
        json!([{ "kind": "ALLOWANCE", "amountExact": "2147483647000000" }])
    );
    for query in [
        "{ canUseFeature(userId: \"124\", featureId: \"api-calls\") { consumption { budget } } }",
        "{ canUseFeature(userId: \"124\", featureId: \"api-calls\") { consumption { allowance } } }",
        "{ explainFeature(userId: \"124\", featureId: \"api-calls\") { parts { amount } } }",
    ] {
        let refused = app.graphql(query, json!({})).send().await.ok();
        assert_eq!(refused["errors"][0]["extensions"]["code"], "VALUE_TOO_LARGE", "{query}");
    }
}

#[tokio::test]
async fn a_published_file_with_stacking_is_an_error_and_comes_back_as_it_was_sent() {
    use axum::http::Method;
    let (app, _) = TestApp::subscribed("basic").await;
    let mut file = app.request(Method::GET, "/cli/pull").send().await.ok();
    let of_basic = &mut file["packages"]["published"][0]["features"][0];
    assert!(of_basic.get("stacking").is_none(), "{of_basic}");
    of_basic["stacking"] = json!("ADD");
    let validated = app.request(Method::POST, "/cli/validate").body(file.to_string());
    let validated = validated.send().await.ok();
    let lines = validated["data"].to_string();
    assert!(lines.contains("[ERROR]") && lines.contains("limit 100 per MONTH, added"), "{lines}");
    app.request(Method::POST, "/cli/publish").body(file.to_string()).send().await.ok();
    let pulled = app.request(Method::GET, "/cli/pull").send().await.ok();
    assert_eq!(pulled["packages"]["published"][0]["features"][0]["stacking"], "ADD");
}

#[tokio::test]
async fn the_feed_tells_of_quantities() {
    let (app, id) = TestApp::subscribed("basic").await;
    set_quantity(&app, &id, 4).await;
    let query = "{ changes(types: [\"subscription.*\"]) { nodes { type data } } }";
    let data = app.data(query, json!({})).await;
    let nodes = data["changes"]["nodes"].as_array().unwrap();
    let told: Vec<(&Value, &Value)> = nodes
        .iter()
        .map(|node| (&node["type"], &node["data"]["subscription"]["quantity"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("subscription.started"), &Value::Null),
            (&json!("subscription.updated"), &json!(4)),
        ]
    );
}
