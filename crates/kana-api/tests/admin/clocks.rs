//! Clocks that are far off.

use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn everything_is_answered_whatever_the_clock_says() {
    for now in [
        "1960-02-29T12:00:00.000Z",
        "0000-01-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z",
    ] {
        let app = TestApp::new().await;
        app.set_time(now);
        let app = app.stocked().await;
        let id = app.subscribe("pro").await;
        let mutation = r#"mutation ($id: String!) {
            new: createUser(input: {id: "new"}) { id subscriptions { id } }
            other: subscribe(userId: "new", packageIds: ["pro"]) { startedAt }
            record: recordUsage(input: {userId: "124", featureId: "api-calls",
                idempotencyKey: "once"}) { recorded }
            use: useFeature(input: {userId: "124", featureId: "api-calls"}) {
                granted consumption { used } }
            update: updateUser(id: "124", input: {name: "Ada"}) { name }
            feature: updateFeature(id: "sso", input: {name: "Sign-on"}) { name }
            token: generateUserToken(userId: "124") { token }
            cancel: cancelSubscription(id: $id) { status endedAt }
        }"#;
        let done = app.data(mutation, json!({ "id": id })).await;
        assert_eq!(done["other"], json!([{ "startedAt": now }]));
        assert_eq!(done["record"], json!({ "recorded": true }), "{now}");
        assert_eq!(done["use"], json!({ "granted": true, "consumption": { "used": 2 } }));
        assert_eq!(done["cancel"], json!({ "status": "CANCELLED", "endedAt": now }));
        let question = r#"{
            can: canUseFeature(userId: "new", featureId: "api-calls") { access }
            usage: showUsage(userId: "new", featureId: "api-calls") { past { periodStart } }
            users { id subscriptions { startedAt } }
        }"#;
        let asked = app.data(question, json!({})).await;
        assert_eq!(asked["can"], json!({ "access": true }), "{now}");
        assert_eq!(asked["users"].as_array().unwrap().len(), 2);
    }
}
