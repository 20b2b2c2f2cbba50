//! Holds (contract: `beyond.md`, g).

use serde_json::{Value, json};

use crate::app::{TestApp, without_ids};

const CREATE: &str = "mutation ($input: CreateHoldInput!) { createHold(input: $input) {
    granted reason reasonCode consumption { used held remaining }
    hold { id userId featureId amount state settledAmount createdAt expiresAt } } }";
const SETTLE: &str = "mutation ($id: String!, $amount: Int) {
    settleHold(userId: \"124\", id: $id, amount: $amount) { id state amount settledAmount } }";
const RELEASE: &str =
    "mutation ($id: String!) { releaseHold(userId: \"124\", id: $id) { id state settledAmount } }";
const EXTEND: &str = "mutation ($id: String!, $ttlSeconds: Int) {
    extendHold(userId: \"124\", id: $id, ttlSeconds: $ttlSeconds) { state createdAt expiresAt } }";
const LIST: &str = "{ holds(userId: \"124\", featureId: \"api-calls\") { id amount state } }";

/// Holds an amount under an id, of a limit of 10.
async fn hold(app: &TestApp, id: &str, amount: i64) -> Value {
    let input = json!({ "userId": "124", "featureId": "api-calls", "amount": amount, "id": id });
    app.data(CREATE, json!({ "input": input })).await["createHold"].clone()
}

/// A user with a limit of 10.
async fn limited() -> TestApp {
    let app = TestApp::shop().await;
    let limit = "mutation { setOverride(input: {
        userId: \"124\", featureId: \"api-calls\", kind: LIMIT, limit: 10}) { id } }";
    app.data(limit, json!({})).await;
    app
}

fn ms(time: &Value) -> i64 {
    kana_core::Timestamp::parse("time", time.as_str().unwrap()).unwrap().as_ms()
}

#[tokio::test]
async fn an_amount_is_held_listed_extended_settled_and_released() {
    let app = limited().await;
    let input = json!({ "userId": "124", "featureId": "api-calls", "amount": 4 });
    let first = app.data(CREATE, json!({ "input": input })).await["createHold"].clone();
    let made = first["hold"].clone();
    assert_eq!(ms(&made["expiresAt"]) - ms(&made["createdAt"]), 900_000);
    let expected = json!({
        "granted": true, "reason": "The usage is within the user's budget.",
        "reasonCode": "WITHIN_LIMIT", "consumption": { "used": 0, "held": 4, "remaining": 6 },
        "hold": { "id": "<id>", "userId": "124", "featureId": "api-calls", "amount": 4,
            "state": "HELD", "settledAmount": null, "createdAt": made["createdAt"],
            "expiresAt": made["expiresAt"] },
    });
    assert_eq!(without_ids(first.clone()), expected);
    let second = hold(&app, "job", 5).await;
    assert_eq!(second["hold"]["id"], "job");
    let again = hold(&app, "job", 5).await;
    assert_eq!((&again["granted"], &again["reasonCode"]), (&json!(true), &json!("HELD")));
    assert_eq!(again["hold"], second["hold"]);
    let refused = hold(&app, "more", 2).await;
    let consumption = json!({ "used": 0, "held": 9, "remaining": 1 });
    assert_eq!(
        refused,
        json!({ "granted": false, "reason": "The usage would go over the user's budget.",
            "reasonCode": "LIMIT_REACHED", "consumption": consumption, "hold": null })
    );
    let listed = json!([
        { "id": made["id"], "amount": 4, "state": "HELD" },
        { "id": "job", "amount": 5, "state": "HELD" },
    ]);
    assert_eq!(app.data(LIST, json!({})).await["holds"], listed);

    let extended = app.data(EXTEND, json!({ "id": "job", "ttlSeconds": 604_800 })).await;
    let extended = &extended["extendHold"];
    assert!(ms(&extended["expiresAt"]) - ms(&extended["createdAt"]) >= 604_800_000);
    let settled = json!({ "id": "job", "state": "SETTLED", "amount": 5, "settledAmount": 3 });
    for _ in 0..2 {
        let answer = app.data(SETTLE, json!({ "id": "job", "amount": 3 })).await;
        assert_eq!(answer["settleHold"], settled);
    }
    let released = json!({ "id": made["id"], "state": "RELEASED", "settledAmount": null });
    for _ in 0..2 {
        let answer = app.data(RELEASE, json!({ "id": made["id"] })).await;
        assert_eq!(answer["releaseHold"], released);
    }
    assert_eq!(app.data(LIST, json!({})).await["holds"], json!([]));
    let query = "{ canUseFeature(userId: \"124\", featureId: \"api-calls\") {
        consumption { used held remaining } } }";
    let expected = json!({ "used": 3, "held": 0, "remaining": 7 });
    assert_eq!(app.data(query, json!({})).await["canUseFeature"]["consumption"], expected);
}

#[tokio::test]
async fn a_balance_lists_what_is_held_on_all_that_draw_on_it() {
    let app = limited().await;
    let drawing = "mutation { createFeature(input: {id: \"images\", name: \"Images\",
        type: CONSUMABLE, drawsOn: \"api-calls\", cost: 3}) { id } }";
    app.data(drawing, json!({})).await;
    let may = "mutation { setOverride(input: {
        userId: \"124\", featureId: \"images\", kind: UNLIMITED}) { id } }";
    app.data(may, json!({})).await;
    hold(&app, "calls", 2).await;
    let input = json!({ "userId": "124", "featureId": "images", "amount": 2, "id": "images" });
    let held = app.data(CREATE, json!({ "input": input })).await["createHold"].clone();
    assert_eq!(held["consumption"], json!({ "used": 0, "held": 8, "remaining": 2 }));
    let list = "query ($id: String!) { holds(userId: \"124\", featureId: $id) { id featureId } }";
    let calls = json!({ "id": "calls", "featureId": "api-calls" });
    let images = json!({ "id": "images", "featureId": "images" });
    for (feature, expected) in [("api-calls", json!([calls, images])), ("images", json!([images]))]
    {
        assert_eq!(app.data(list, json!({ "id": feature })).await["holds"], expected, "{feature}");
    }
    app.data(SETTLE, json!({ "id": "images" })).await;
    let query = "{ canUseFeature(userId: \"124\", featureId: \"images\", delta: 1) {
        reasonCode consumption { used held remaining } } }";
    let expected = json!({ "reasonCode": "LIMIT_REACHED",
        "consumption": { "used": 6, "held": 2, "remaining": 2 } });
    assert_eq!(app.data(query, json!({})).await["canUseFeature"], expected);
}

#[tokio::test]
async fn what_is_wrong_with_a_hold_is_said_and_nothing_is_stored() {
    let app = limited().await;
    hold(&app, "held", 1).await;
    let invalid =
        |field: &str, problem: &str| format!("BAD_USER_INPUT ValidationError: {field} {problem}");
    let new = |user: &str, feature: &str, amount: i64| json!({ "userId": user, "featureId": feature, "amount": amount });
    let with = |mut input: Value, field: &str, value: Value| {
        input[field] = value;
        input
    };
    for (input, expected) in [
        (new("nobody", "nope", 0), invalid("amount", "must be from 1 to 2147483647")),
        (
            with(new("nobody", "nope", 1), "ttlSeconds", json!(0)),
            invalid("ttlSeconds", "must be from 1 to 604800"),
        ),
        (with(new("nobody", "nope", 1), "id", json!("")), invalid("id", "must not be empty")),
        (
            new("nobody", "nope", 1),
            "NOT_FOUND UserNotFoundError: User not found: nobody".to_owned(),
        ),
        (
            new("124", "nope", 1),
            "NOT_FOUND FeatureNotFoundError: Feature not found: nope".to_owned(),
        ),
        (new("124", "sso", 1), invalid("featureId", "does not suit sso, which is BINARY")),
        (
            with(new("124", "api-calls", 2), "id", json!("held")),
            "IDEMPOTENCY_CONFLICT ConflictError: id was already used for a request with other \
             content; a new request needs a new id"
                .to_owned(),
        ),
    ] {
        assert_eq!(app.refused(CREATE, json!({ "input": input })).await, expected);
    }
}

#[tokio::test]
async fn what_a_hold_cannot_become_any_more_is_a_conflict() {
    let app = limited().await;
    for id in ["settled", "released"] {
        hold(&app, id, 1).await;
    }
    app.data(SETTLE, json!({ "id": "settled" })).await;
    app.data(RELEASE, json!({ "id": "released" })).await;
    let not_found = "NOT_FOUND HoldNotFoundError: Hold not found: other";
    for (mutation, variables, expected) in [
        (
            SETTLE,
            json!({ "id": "other", "amount": -1 }),
            "BAD_USER_INPUT ValidationError: amount must not be negative here",
        ),
        (SETTLE, json!({ "id": "other" }), not_found),
        (RELEASE, json!({ "id": "other" }), not_found),
        (EXTEND, json!({ "id": "other" }), not_found),
        (
            EXTEND,
            json!({ "id": "other", "ttlSeconds": 604_801 }),
            "BAD_USER_INPUT ValidationError: ttlSeconds must be from 1 to 604800",
        ),
        (
            SETTLE,
            json!({ "id": "settled", "amount": 2 }),
            "IDEMPOTENCY_CONFLICT ConflictError: The hold was settled before, with the amount 1",
        ),
        (
            RELEASE,
            json!({ "id": "settled" }),
            "CONFLICT ConflictError: A hold that was settled cannot be released",
        ),
        (
            EXTEND,
            json!({ "id": "settled" }),
            "CONFLICT ConflictError: A hold that was settled cannot be extended",
        ),
        (
            SETTLE,
            json!({ "id": "released" }),
            "CONFLICT ConflictError: A hold that was released cannot be settled",
        ),
        (
            EXTEND,
            json!({ "id": "released" }),
            "CONFLICT ConflictError: A hold that was released cannot be extended",
        ),
    ] {
        assert_eq!(app.refused(mutation, variables).await, expected);
    }
}

#[tokio::test]
async fn as_many_holds_are_granted_at_once_as_fit() {
    let app = limited().await;
    let limit = "mutation { setOverride(input: {
        userId: \"124\", featureId: \"api-calls\", kind: LIMIT, limit: 500}) { id } }";
    app.data(limit, json!({})).await;
    let ids: Vec<String> = (0..20).map(|n| format!("job-{n}")).collect();
    let holds = ids.iter().map(|id| hold(&app, id, 75));
    let answers = futures_util::future::join_all(holds).await;
    let granted = answers.iter().filter(|answer| answer["granted"] == true).count();
    assert_eq!(granted, 6);
}
