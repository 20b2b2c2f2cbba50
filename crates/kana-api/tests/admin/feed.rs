//! The changes feed and the audit log (contract: `changes.md`, "The log" and "Admin API";
//! `operations.md`, "Audit log").

use axum::http::{Method, header};
use insta::assert_snapshot;
use kana_service::{Actor, EnvironmentKind, rotate_token_secret, set_simple_mode};
use serde_json::{Value, json};

use crate::app::TestApp;

const CHANGES: &str = "query($after: String, $first: Int, $types: [String!], $userId: String) {
    changes(after: $after, first: $first, types: $types, userId: $userId) {
        nodes { id number type timestamp userId data } endCursor hasNextPage } }";

const AUDIT: &str = "query($first: Int, $after: String, $kind: String, $subject: String,
    $since: DateTime, $until: DateTime) {
    auditLog(first: $first, after: $after, kind: $kind, subject: $subject, since: $since,
        until: $until) {
        edges { cursor node { id at actor action kind subject before after requestId } }
        pageInfo { hasNextPage endCursor } } }";

async fn page(app: &TestApp, variables: Value) -> Value {
    app.data(CHANGES, variables).await["changes"].clone()
}

/// "number type user data" of every change.
async fn changes(app: &TestApp, variables: Value) -> String {
    let page = page(app, variables).await;
    let lines = page["nodes"].as_array().unwrap().iter().map(|change| {
        let part = |name: &str| match &change[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        format!("{} {} {} {}", part("number"), part("type"), part("userId"), part("data"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

async fn audit(app: &TestApp, variables: Value) -> Vec<Value> {
    let log = app.data(AUDIT, variables).await["auditLog"].clone();
    log["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect()
}

async fn mutate(app: &TestApp, mutation: &str) {
    app.data(&format!("mutation {{ {mutation} }}"), json!({})).await;
}

#[tokio::test]
async fn the_feed_tells_what_a_back_end_did_and_no_usage() {
    let app = TestApp::new().await;
    mutate(&app, r#"createFeature(input: {id: "calls", type: CONSUMABLE}) { id }"#).await;
    mutate(
        &app,
        r#"createPackage(input: {id: "pro", features: [
            {id: "calls", entitlement: {limit: 9, resetPeriod: MONTH}}]}) { id }
        publishPackage(id: "pro") { id }"#,
    )
    .await;
    mutate(
        &app,
        r#"createUser(input: {id: "124", email: "a@example.org"}) { id }
        subscribe(packageIds: ["pro"], userId: "124") { id }
        recordUsage(input: {userId: "124", featureId: "calls"}) { recorded }
        useFeature(input: {userId: "124", featureId: "calls"}) { granted }
        updateUser(id: "124", input: {id: "125", email: "b@example.org"}) { id }
        again: updateUser(id: "125", input: {email: "b@example.org"}) { id }"#,
    )
    .await;
    let told = changes(&app, json!({})).await;
    let subscription = app.data("{ subscriptions { id } }", json!({})).await;
    let id = subscription["subscriptions"][0]["id"].as_str().unwrap();
    assert_snapshot!(told.replace(id, "SUBSCRIPTION"), @r#"
    1 feature.created null {"featureId":"calls"}
    2 package.created null {"packageId":"pro"}
    3 package.published null {"packageId":"pro"}
    4 user.created 124 {}
    5 subscription.started 124 {"subscription":{"id":"SUBSCRIPTION","packageId":"pro","status":"ACTIVE","startedAt":"2024-01-15T12:00:00.000Z","endedAt":null}}
    6 entitlement.changed 124 {"features":[{"featureId":"calls","before":null,"after":{"access":true,"budget":"9","overageEnabled":false}}]}
    7 user.updated 125 {"changed":["id","email"],"previousId":"124"}
    "#);
    for secret in ["a@example.org", "b@example.org"] {
        assert!(!told.contains(secret), "{told}");
    }
    let all = page(&app, json!({})).await;
    let first = &all["nodes"][0];
    assert_eq!(first["timestamp"], crate::app::NOW);
    let id = first["id"].as_str().unwrap();
    assert!(
        id.starts_with("chg_")
            && id.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_')
    );
    // The other environment has a feed of its own.
    let live = app.graphql(CHANGES, json!({}));
    let live = live.with(header::AUTHORIZATION, app.keys.live_private.reveal()).send().await.ok();
    let nothing = json!({ "nodes": [], "endCursor": "0", "hasNextPage": false });
    assert_eq!(live["data"]["changes"], nothing);
}

#[tokio::test]
async fn a_file_tells_its_single_changes_and_then_that_it_was_published() {
    let app = TestApp::subscribed("basic").await.0;
    let after = page(&app, json!({ "first": 1000 })).await["endCursor"].clone();
    let pull = async || app.request(Method::GET, "/cli/pull").send().await.ok();
    let publish = async |file: &Value| {
        app.request(Method::POST, "/cli/publish").body(file.to_string()).send().await.ok()
    };
    let mut file = pull().await;
    file["packages"]["published"][0]["features"][0]["limit"] = json!(77);
    file["packages"]["draft"] = json!([]);
    publish(&file).await;
    assert_snapshot!(changes(&app, json!({ "after": after })).await, @r#"
    15 package.updated null {"packageId":"basic","changed":["features"],"activeSubscribers":1}
    16 package.deleted null {"packageId":"draft"}
    17 configuration.published null {"featuresCreated":0,"featuresUpdated":0,"featuresDeleted":0,"packagesCreated":0,"packagesUpdated":1,"packagesPublished":0,"packagesArchived":0,"packagesDeleted":1}
    "#);
    let published = audit(&app, json!({ "first": 1 })).await;
    assert_eq!(published[0]["action"], "publish");
    // Published again, it changes nothing.
    publish(&pull().await).await;
    let types = json!({ "types": ["configuration.*"] });
    assert_eq!(changes(&app, types).await.lines().count(), 1);
}

#[tokio::test]
async fn pages_follow_each_other_and_filters_narrow_them() {
    let (app, _) = TestApp::subscribed("basic").await;
    let whole = changes(&app, json!({ "first": 1000 })).await;
    let (mut after, mut lines) = (json!("0"), Vec::new());
    loop {
        let page = page(&app, json!({ "after": after, "first": 2 })).await;
        let more = changes(&app, json!({ "after": after, "first": 2 })).await;
        lines.extend(more.lines().map(str::to_owned));
        after = page["endCursor"].clone();
        if page["hasNextPage"] == json!(false) {
            break;
        }
    }
    assert_eq!(lines.join("\n"), whole);
    let of = async |variables: Value| changes(&app, variables).await;
    let users = of(json!({ "types": ["user.*", "key.created"] })).await;
    assert!(users.lines().all(|line| line.contains(" user.created ")) && !users.is_empty());
    let own = of(json!({ "userId": "124" })).await;
    assert!(own.lines().count() >= 3 && own.lines().all(|line| line.contains(" 124 ")));
    assert_eq!(of(json!({ "userId": "nobody" })).await, "");
    // From the end on, there is nothing yet.
    let rest = page(&app, json!({ "after": after })).await;
    assert_eq!(rest, json!({ "nodes": [], "endCursor": after, "hasNextPage": false }));
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused_with_what_to_do() {
    let (app, _) = TestApp::subscribed("basic").await;
    let refused = async |variables: Value| app.refused(CHANGES, variables).await;
    let newest = page(&app, json!({ "first": 1000 })).await["endCursor"].clone();
    let newest: i64 = newest.as_str().unwrap().parse().unwrap();
    for after in ["", "-1", "1.5", "1e3", " 1", "a", "99999999999999999999", "٣"] {
        assert_eq!(
            refused(json!({ "after": after })).await,
            "BAD_USER_INPUT ValidationError: after must be the number of a change, like an endCursor",
            "{after}"
        );
    }
    assert_eq!(
        refused(json!({ "after": (newest + 1).to_string() })).await,
        format!(
            "BAD_USER_INPUT ValidationError: after must be at most {newest}, the number of the \
             newest change"
        )
    );
    for first in [0, -1, 1001] {
        let refusal = refused(json!({ "first": first })).await;
        assert_eq!(refusal, "BAD_USER_INPUT ValidationError: first must be 1 to 1000");
    }
    for types in [json!([]), json!(["user"]), json!(["user.*", "nothing.*"])] {
        let refusal = refused(json!({ "types": types })).await;
        assert!(refusal.starts_with("BAD_USER_INPUT ValidationError: types "), "{refusal}");
    }
    // A reader that has slept for too long.
    let key = app.store.find_key(app.keys.test_private.hash()).await.unwrap().unwrap();
    let environment = key.environment;
    let far = kana_core::Timestamp::MAX;
    app.store.forget_changes(environment, far..=far, 100, 3).await.unwrap();
    assert_eq!(
        refused(json!({ "after": "2" })).await,
        "CHANGES_GONE ChangesGoneError: The changes after this number are no longer kept: the \
         oldest that is kept is 4. Read everything anew, and go on with the changes that follow"
    );
    assert_eq!(page(&app, json!({ "after": "3", "first": 1 })).await["nodes"][0]["number"], "4");
    assert_eq!(page(&app, json!({ "first": 1 })).await["nodes"][0]["number"], "4");
}

#[tokio::test]
async fn keys_secrets_and_settings_are_told_with_who_changed_them() {
    let app = TestApp::new().await;
    let (store, clock, kind) = (app.store.as_ref(), app.clock.as_ref(), EnvironmentKind::Test);
    let actor = &Actor::CommandLine;
    let private = kana_service::KeyKind::Private;
    kana_service::create_key(store, clock, actor, kind, private).await.unwrap();
    let public = &app.keys.test_public;
    app.revoke(public).await;
    app.revoke(public).await;
    rotate_token_secret(store, clock, actor, Default::default(), kind, false).await.unwrap();
    for on in [false, false, true] {
        set_simple_mode(store, clock, actor, kind, on).await.unwrap();
    }
    mutate(&app, r#"createFeature(input: {id: "calls", type: BINARY}) { id }"#).await;
    let told = changes(&app, json!({ "types": ["key.*", "token_secret.*"] })).await;
    let new = app.store.keys().await.unwrap().pop().unwrap();
    let told = told.replace(&new.last_four, "NEWK").replace(public.last_four(), "PUBL");
    assert_snapshot!(told, @r#"
    1 key.created null {"keyId":5,"kind":"private","lastFour":"NEWK"}
    2 key.revoked null {"keyId":2,"kind":"public","lastFour":"PUBL"}
    3 token_secret.rotated null {}
    "#);
    let entries = audit(&app, json!({})).await;
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
            let values = format!("{} → {}", entry["before"], entry["after"]);
            format!(
                "{} | {} {} {} {values}",
                text("actor"),
                text("action"),
                text("kind"),
                text("subject")
            )
        })
        .collect();
    let shown = lines.join("\n");
    let shown = shown.replace(&new.last_four, "NEWK").replace(public.last_four(), "PUBL");
    let shown = shown.replace(app.keys.test_private.last_four(), "TEST");
    assert_snapshot!(shown, @r#"
    key 1 (…TEST) | createFeature feature calls null → {"id":"calls","name":"calls","type":"BINARY","unitLabel":null,"unitLabelPlural":null,"metadata":null}
    command line | setSimpleMode setting simpleMode false → true
    command line | setSimpleMode setting simpleMode true → false
    command line | rotateTokenSecret key - null → {"earlierTokensValidUntil":"2024-02-14T12:00:00.000Z"}
    command line | revokeKey key 2 {"name":null,"kind":"public","lastFour":"PUBL","expiresAt":null,"revokedAt":null} → {"name":null,"kind":"public","lastFour":"PUBL","expiresAt":null,"revokedAt":"2024-01-15T12:00:00.000Z"}
    command line | createKey key 5 null → {"name":null,"kind":"private","lastFour":"NEWK","expiresAt":null,"revokedAt":null}
    "#);
    assert!(!shown.contains("secret\":"), "{shown}");
}

#[tokio::test]
async fn the_audit_log_is_read_in_pages_and_by_its_filters() {
    let (app, _) = TestApp::subscribed("basic").await;
    let whole = audit(&app, json!({ "first": 1000 })).await;
    assert!(whole.len() > 5);
    // Users and subscriptions are in the feed alone, as long as keys change them.
    assert!(whole.iter().all(|entry| entry["kind"] != "user"));
    // The router alone gives requests no ids.
    assert!(whole.iter().all(|entry| entry["requestId"] == Value::Null));
    let (mut after, mut entries) = (Value::Null, Vec::new());
    loop {
        let log = app.data(AUDIT, json!({ "after": after, "first": 2 })).await["auditLog"].clone();
        entries.extend(log["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()));
        after = log["pageInfo"]["endCursor"].clone();
        if log["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
    }
    assert_eq!(entries, whole);
    let packages = audit(&app, json!({ "kind": "package", "subject": "basic" })).await;
    assert!(!packages.is_empty());
    assert!(packages.iter().all(|entry| entry["subject"] == "basic"));
    let at = crate::app::NOW;
    assert_eq!(audit(&app, json!({ "since": at })).await.len(), whole.len());
    assert_eq!(audit(&app, json!({ "until": at })).await.len(), 0);
    for (variables, expected) in [
        (json!({ "kind": "subscription" }), "kind must be one of feature, package, key, setting"),
        (json!({ "after": "x" }), "after must be a cursor that a page has answered"),
        (json!({ "first": 0 }), "first must be 1 to 1000"),
    ] {
        let refusal = app.refused(AUDIT, variables).await;
        let refusal = refusal.strip_prefix("BAD_USER_INPUT ValidationError: ").unwrap();
        assert!(refusal.starts_with(expected), "{refusal}");
    }
}
