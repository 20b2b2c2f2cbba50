//! Grants (contract: `beyond.md`, c).

use serde_json::{Value, json};

use crate::app::{TestApp, without_ids};

const CREATE: &str = "mutation ($input: CreateGrantInput!) { createGrant(input: $input) {
    id userId featureId amount used remaining priority startsAt expiresAt voidedAt reason createdAt } }";
const VOID: &str = "mutation ($id: String!) { voidGrant(userId: \"124\", id: $id) {
    id remaining voidedAt } }";
const LIST: &str = "{ grants(userId: \"124\", featureId: \"api-calls\") { id used remaining } }";

async fn create(app: &TestApp, mut input: Value) -> Value {
    input["userId"] = json!("124");
    app.data(CREATE, json!({ "input": input })).await["createGrant"].clone()
}

async fn use_of(app: &TestApp, delta: i64) -> Value {
    let query = "mutation ($delta: Int!) {
        useFeature(input: {userId: \"124\", featureId: \"api-calls\", delta: $delta}) {
            granted reasonCode consumption { used budget allowance granted remaining } } }";
    app.data(query, json!({ "delta": delta })).await["useFeature"].clone()
}

#[tokio::test]
async fn a_grant_is_created_drawn_explained_listed_and_voided() {
    let (app, subscription) = TestApp::subscribed("basic").await;
    let first = create(&app, json!({ "featureId": "api-calls", "amount": 5 })).await;
    let expected = json!({
        "id": "<id>", "userId": "124", "featureId": "api-calls", "amount": 5, "used": 0,
        "remaining": 5, "priority": 0, "startsAt": first["createdAt"], "expiresAt": null,
        "voidedAt": null, "reason": null, "createdAt": first["createdAt"],
    });
    assert_eq!(without_ids(first.clone()), expected);
    let named = json!({ "featureId": "api-calls", "amount": 2, "id": "welcome", "priority": -1,
        "startsAt": "2020-01-01T00:00:00.000Z", "expiresAt": "9999-01-01T00:00:00.000Z",
        "reason": "a favour" });
    let second = create(&app, named.clone()).await;
    assert_eq!((&second["id"], &second["reason"]), (&json!("welcome"), &json!("a favour")));
    assert_eq!(create(&app, named).await, second, "the same request again");

    let limit = app.data("{ package(id: \"basic\") { features { id limit } } }", json!({})).await;
    let limit = limit["package"]["features"].as_array().unwrap().iter();
    let mut limit = limit.filter(|feature| feature["id"] == "api-calls");
    let limit = limit.next().unwrap()["limit"].as_i64().unwrap();
    assert_eq!(
        use_of(&app, limit + 4).await,
        json!({ "granted": true, "reasonCode": "WITHIN_LIMIT", "consumption": {
            "used": limit + 4, "budget": limit + 7, "allowance": limit, "granted": 7, "remaining": 3 } })
    );
    assert_eq!(use_of(&app, 4).await["granted"], false);
    let listed = json!([
        { "id": "welcome", "used": 2, "remaining": 0 },
        { "id": first["id"], "used": 2, "remaining": 3 },
    ]);
    assert_eq!(app.data(LIST, json!({})).await["grants"], listed);
    let explain = "{ explainFeature(userId: \"124\", featureId: \"api-calls\") {
        source sourceId parts { kind id amount } } }";
    assert_eq!(
        app.data(explain, json!({})).await["explainFeature"],
        json!({ "source": "SUBSCRIPTION", "sourceId": subscription, "parts": [
            { "kind": "ALLOWANCE", "id": subscription, "amount": limit },
            { "kind": "GRANT", "id": "welcome", "amount": 2 },
            { "kind": "GRANT", "id": first["id"], "amount": 5 } ] })
    );
    let voided = app.data(VOID, json!({ "id": first["id"] })).await["voidGrant"].clone();
    assert_eq!((&voided["id"], &voided["remaining"]), (&first["id"], &json!(0)));
    assert_ne!(voided["voidedAt"], Value::Null);
    assert_eq!(app.data(VOID, json!({ "id": first["id"] })).await["voidGrant"], voided);
    assert_eq!(use_of(&app, 1).await["granted"], false);
}

#[tokio::test]
async fn a_grant_alone_is_the_source() {
    let app = TestApp::shop().await;
    create(&app, json!({ "featureId": "api-calls", "amount": 3, "id": "g" })).await;
    assert_eq!(use_of(&app, 2).await["consumption"]["allowance"], 0);
    let explain = "{ explainFeature(userId: \"124\", featureId: \"api-calls\") {
        access source sourceId periodEnd parts { kind id amount } } }";
    assert_eq!(
        app.data(explain, json!({})).await["explainFeature"],
        json!({ "access": true, "source": "GRANTS", "sourceId": null, "periodEnd": null,
            "parts": [{ "kind": "GRANT", "id": "g", "amount": 3 }] })
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_grant_is_said_and_nothing_is_stored() {
    let app = TestApp::shop().await;
    create(&app, json!({ "featureId": "api-calls", "amount": 3, "id": "g" })).await;
    let invalid =
        |field: &str, problem: &str| format!("BAD_USER_INPUT ValidationError: {field} {problem}");
    for (input, expected) in [
        (
            json!({ "userId": "nobody", "featureId": "nope", "amount": 0 }),
            invalid("amount", "must be from 1 to 2147483647"),
        ),
        (
            json!({ "userId": "nobody", "featureId": "nope", "amount": 1, "priority": 101 }),
            invalid("priority", "must be from -100 to 100"),
        ),
        (
            json!({ "userId": "nobody", "featureId": "nope", "amount": 1, "expiresAt": "2020-01-01T00:00:00Z" }),
            invalid("expiresAt", "must be after now and after startsAt"),
        ),
        (
            json!({ "userId": "nobody", "featureId": "nope", "amount": 1, "id": " " }),
            invalid("id", "must not start or end with a space"),
        ),
        (
            json!({ "userId": "nobody", "featureId": "nope", "amount": 1 }),
            "NOT_FOUND UserNotFoundError: User not found: nobody".to_owned(),
        ),
        (
            json!({ "userId": "124", "featureId": "nope", "amount": 1 }),
            "NOT_FOUND FeatureNotFoundError: Feature not found: nope".to_owned(),
        ),
        (
            json!({ "userId": "124", "featureId": "sso", "amount": 1 }),
            invalid("featureId", "does not suit sso, which is BINARY"),
        ),
        (
            json!({ "userId": "124", "featureId": "api-calls", "amount": 4, "id": "g" }),
            "IDEMPOTENCY_CONFLICT ConflictError: id was already used for a request with other \
             content; a new request needs a new id"
                .to_owned(),
        ),
    ] {
        assert_eq!(app.refused(CREATE, json!({ "input": input })).await, expected);
    }
    assert_eq!(
        app.refused(VOID, json!({ "id": "other" })).await,
        "NOT_FOUND GrantNotFoundError: Grant not found: other"
    );
    for n in 1..20 {
        let id = format!("g{n}");
        create(&app, json!({ "featureId": "api-calls", "amount": 1, "id": id })).await;
    }
    let one_more = json!({ "userId": "124", "featureId": "api-calls", "amount": 1 });
    assert_eq!(
        app.refused(CREATE, json!({ "input": one_more })).await,
        invalid(
            "userId",
            "has 20 grants of this feature already, none of which has ended: void one first"
        )
    );
}

#[tokio::test]
async fn users_who_have_nothing_but_grants_are_counted_apart_in_one_batch() {
    let app = TestApp::shop().await;
    let user = "mutation { createUser(input: {id: \"125\"}) { id } }";
    app.data(user, json!({})).await;
    for user in ["124", "125"] {
        let input = json!({ "userId": user, "featureId": "api-calls", "amount": 100 });
        app.data(CREATE, json!({ "input": input })).await;
    }
    let batch = "mutation { recordUsageBatch(inputs: [
        {userId: \"124\", featureId: \"api-calls\", delta: 5},
        {userId: \"125\", featureId: \"api-calls\", delta: 7}]) { recorded } }";
    app.data(batch, json!({})).await;
    for (user, used) in [("124", 5), ("125", 7)] {
        let query =
            "query ($user: String!) { canUseFeature(userId: $user, featureId: \"api-calls\") {
            consumption { used budget } } }";
        let answer = app.data(query, json!({ "user": user })).await;
        let expected = json!({ "used": used, "budget": 100 });
        assert_eq!(answer["canUseFeature"]["consumption"], expected, "{user}");
    }
}
