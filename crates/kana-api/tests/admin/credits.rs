//! Features that draw on the balance of another one (contract: `beyond.md`, h).

use axum::http::{Method, header};
use serde_json::{Value, json};

use crate::app::TestApp;

const CREATE: &str = "mutation ($input: CreateFeatureInput!) {
    createFeature(input: $input) { id drawsOn cost thresholds { left } } }";
const UPDATE: &str = "mutation ($input: UpdateFeatureInput!, $id: String = \"image\") {
    updateFeature(id: $id, input: $input) { drawsOn cost } }";
const RECORD: &str = "mutation ($input: CreateUsageEventInput!) {
    recordUsage(input: $input) { recorded } }";
const USE: &str = "mutation ($input: UseFeatureInput!) {
    useFeature(input: $input) { granted reasonCode consumption { used budget remaining } } }";

/// A shop where the user `124` has 100 credits a month, an image costs 5 of them, and a text one.
async fn shop() -> TestApp {
    let app = TestApp::shop().await;
    for (id, draws_on, cost) in [
        ("credits", Value::Null, Value::Null),
        ("image", json!("credits"), json!(5)),
        ("text", json!("credits"), Value::Null),
    ] {
        let input = json!({ "id": id, "type": "CONSUMABLE", "drawsOn": draws_on, "cost": cost });
        let made = app.data(CREATE, json!({ "input": input })).await["createFeature"].clone();
        let costs = if id == "text" { json!(1) } else { cost };
        let expected = json!({ "id": id, "drawsOn": draws_on, "cost": costs, "thresholds": [] });
        assert_eq!(made, expected);
    }
    let query = "mutation {
        createPackage(input: { id: \"plus\", features: [
            { id: \"image\" }, { id: \"text\" },
            { id: \"credits\", entitlement: { limit: 100, resetPeriod: MONTH } }] }) { id }
        publishPackage(id: \"plus\") { id } }";
    app.data(query, json!({})).await;
    app.subscribe("plus").await;
    app
}

#[tokio::test]
async fn questions_and_recordings_are_those_of_the_balance() {
    let app = shop().await;
    let image = |more: Value| {
        let mut input = json!({ "userId": "124", "featureId": "image" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "input": input })
    };
    let recorded = app.data(RECORD, image(json!({ "delta": 3, "idempotencyKey": "k" }))).await;
    assert_eq!(recorded["recordUsage"]["recorded"], true);
    let used = app.data(USE, image(json!({ "delta": 17 }))).await["useFeature"].clone();
    assert_eq!((&used["granted"], &used["reasonCode"]), (&json!(true), &json!("WITHIN_LIMIT")));
    assert_eq!(used["consumption"], json!({ "used": 100, "budget": 100, "remaining": 0 }));
    let query = "{
        canUseFeature(userId: \"124\", featureId: \"text\") { access reasonCode }
        canUseFeatures(userId: \"124\", requirements: [
            { featureId: \"text\", delta: 0 }, { featureId: \"credits\", delta: 0 }]) { access }
        explainFeature(userId: \"124\", featureId: \"image\", delta: 3) {
            balanceFeatureId amount parts { amount } }
        showUsage(userId: \"124\", featureId: \"image\") { current { consumption { used budget } } }
        feature(id: \"image\") { drawsOn cost entitlement(userId: \"124\") { access } }
    }";
    let data = app.data(query, json!({})).await;
    assert_eq!(data["canUseFeature"], json!({ "access": false, "reasonCode": "LIMIT_REACHED" }));
    assert_eq!(data["canUseFeatures"]["access"], true);
    let explained =
        json!({ "balanceFeatureId": "credits", "amount": 15, "parts": [{ "amount": 100 }] });
    assert_eq!(data["explainFeature"], explained);
    let consumption = &data["showUsage"]["current"]["consumption"];
    assert_eq!(*consumption, json!({ "used": 100, "budget": 100 }));
    let feature = json!({ "drawsOn": "credits", "cost": 5, "entitlement": { "access": false } });
    assert_eq!(data["feature"], feature);
    // Another cost leaves what was counted, and what is taken back is what was added.
    let updated = app.data(UPDATE, json!({ "input": { "cost": 50 } })).await;
    assert_eq!(updated["updateFeature"], json!({ "drawsOn": "credits", "cost": 50 }));
    app.data("mutation { voidUsage(idempotencyKey: \"k\") { voided } }", json!({})).await;
    let data = app.data(query, json!({})).await;
    assert_eq!(data["showUsage"]["current"]["consumption"]["used"], 85);
}

#[tokio::test]
async fn what_suits_no_feature_that_draws_is_refused() {
    let app = shop().await;
    let refused =
        async |query: &str, input: Value| app.refused(query, json!({ "input": input })).await;
    let invalid = |problem: &str| format!("BAD_USER_INPUT ValidationError: {problem}");
    for (input, problem) in [
        (json!({ "drawsOn": "credits", "cost": 0 }), "cost must be from 1 to 1000000"),
        (json!({ "drawsOn": "credits", "cost": 1_000_001 }), "cost must be from 1 to 1000000"),
        (json!({ "cost": 2 }), "cost needs drawsOn"),
        (json!({ "drawsOn": "image" }), "drawsOn names image, which draws on credits itself"),
        (json!({ "drawsOn": "sso" }), "drawsOn names sso, which is BINARY"),
        (
            json!({ "drawsOn": "credits", "type": "BINARY" }),
            "drawsOn must be left out for a BINARY feature",
        ),
        (
            json!({ "drawsOn": "credits", "thresholds": [{ "left": 1 }] }),
            "thresholds must be left out for new, which draws on credits: set it on credits",
        ),
    ] {
        let mut new = json!({ "id": "new", "type": "CONSUMABLE" });
        new.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
        assert_eq!(refused(CREATE, new).await, invalid(problem));
    }
    let unknown = json!({ "id": "new", "type": "CONSUMABLE", "drawsOn": "nope" });
    let not_found = "NOT_FOUND FeatureNotFoundError: Feature not found: nope";
    assert_eq!(refused(CREATE, unknown).await, not_found);
    let cleared = json!({ "cost": Value::Null });
    assert_eq!(refused(UPDATE, cleared).await, invalid("cost cannot be cleared: leave it out"));
    let of_balance = json!({ "id": "credits", "input": { "cost": 2 } });
    assert_eq!(
        app.refused(UPDATE, of_balance).await,
        invalid("cost must be left out for credits, which draws on nothing")
    );
    let set = json!({ "userId": "124", "featureId": "image", "action": "SET", "delta": 3 });
    assert_eq!(
        refused(RECORD, set).await,
        invalid("action must not be SET for image, which draws on credits: SET credits instead")
    );
    let set_override = "mutation ($input: SetOverrideInput!) { setOverride(input: $input) { id } }";
    let limit = json!({ "userId": "124", "featureId": "image", "kind": "LIMIT", "limit": 3 });
    assert_eq!(
        refused(set_override, limit).await,
        invalid("kind does not suit image, which draws on credits: set it on credits")
    );
    let create_package =
        "mutation ($input: CreatePackageInput!) { createPackage(input: $input) { id } }";
    let package = json!({ "id": "p", "features": [{ "id": "image", "entitlement": { "limit": 1, "resetPeriod": "DAY" } }] });
    assert_eq!(
        refused(create_package, package).await,
        invalid(
            "entitlement must be left out for image, which draws on credits: set it on credits"
        )
    );
}

#[tokio::test]
async fn usage_in_bulk_draws_too_and_a_set_is_refused_alone() {
    let app = shop().await;
    let event = |id: &str, action: &str| {
        json!({
            "specversion": "1.0", "type": "kana.usage", "source": "/gateway", "id": id,
            "subject": "124", "data": { "featureId": "image", "delta": 2, "action": action },
        })
    };
    let body = json!([event("1", "ADD"), event("2", "SET"), event("3", "ADD")]);
    let answer = app
        .request(Method::POST, "/events")
        .with(header::CONTENT_TYPE, "application/cloudevents-batch+json")
        .body(body.to_string())
        .send()
        .await;
    let text = answer.json().to_string();
    assert!(
        text.contains("must not be SET for image, which draws on credits: SET credits instead"),
        "{text}"
    );
    let query =
        "{ canUseFeature(userId: \"124\", featureId: \"credits\") { consumption { used } } }";
    let data = app.data(query, json!({})).await;
    assert_eq!(data["canUseFeature"]["consumption"]["used"], 20);
}

#[tokio::test]
async fn the_client_api_shows_what_a_feature_draws_on() {
    let app = shop().await;
    let token = "mutation { generateUserToken(userId: \"124\") { token } }";
    let token = app.data(token, json!({})).await["generateUserToken"]["token"].clone();
    let query = "{ currentUser { subscribedPackages { id features {
        id drawsOn cost entitlement { access consumption { budget } } } } } }";
    let answer = app
        .request(Method::POST, "/client/graphql")
        .without(&header::AUTHORIZATION)
        .with(header::AUTHORIZATION, format!("Bearer {}", token.as_str().unwrap()))
        .body(json!({ "query": query }).to_string())
        .send()
        .await
        .ok();
    let packages = answer["data"]["currentUser"]["subscribedPackages"].as_array().unwrap().clone();
    let plus = packages.iter().find(|package| package["id"] == "plus").unwrap();
    let entitlement = json!({ "access": true, "consumption": { "budget": 100 } });
    assert_eq!(
        plus["features"],
        json!([
            { "id": "image", "drawsOn": "credits", "cost": 5, "entitlement": entitlement },
            { "id": "text", "drawsOn": "credits", "cost": 1, "entitlement": entitlement },
            { "id": "credits", "drawsOn": null, "cost": null, "entitlement": entitlement },
        ])
    );
}

#[tokio::test]
async fn the_feed_and_the_audit_log_tell_of_it() {
    let app = shop().await;
    app.data(UPDATE, json!({ "input": { "cost": 7 } })).await;
    let query = "{ auditLog(first: 1) { edges { node { action before after } } } }";
    let entry = app.data(query, json!({})).await["auditLog"]["edges"][0]["node"].clone();
    assert_eq!(entry["action"], "updateFeature");
    let of = |side: &str| {
        let shown: Value = match &entry[side] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            shown => shown.clone(),
        };
        (shown["drawsOn"].clone(), shown["cost"].clone())
    };
    assert_eq!(of("before"), (json!("credits"), json!(5)));
    assert_eq!(of("after"), (json!("credits"), json!(7)));
}
