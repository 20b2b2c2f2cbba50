//! Authorisation, shown complete: every operation of both APIs and every route of the server. An
//! operation or a route that is not in the tables below fails these tests, so that nobody can add
//! one without saying who may call it.

use axum::http::{HeaderName, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp, only_error};

/// Each operation of the Admin API, asked so that it would touch or tell what the test environment
/// has. `$subscription` stands for a subscription's id.
const ADMIN: &[(&str, &str)] = &[
    ("feature", r#"{ feature(id: "api-calls") { name entitlement(userId: "124") { access } } }"#),
    ("features", "{ features { id } }"),
    ("canUseFeature", r#"{ canUseFeature(userId: "124", featureId: "api-calls") { access } }"#),
    (
        "canUseFeatures",
        r#"{ canUseFeatures(userId: "124", requirements: [{featureId: "api-calls"}]) { access } }"#,
    ),
    (
        "explainFeature",
        r#"{ explainFeature(userId: "124", featureId: "api-calls") { sourceId parts { id } } }"#,
    ),
    ("overrides", r#"{ overrides(userId: "124") { id reason } }"#),
    (
        "setOverride",
        r#"mutation { setOverride(input: {userId: "124", featureId: "sso", kind: DENY}) { id } }"#,
    ),
    ("grants", r#"{ grants(userId: "124", featureId: "api-calls") { id reason } }"#),
    (
        "createGrant",
        r#"mutation { createGrant(input: {id: "g", userId: "124", featureId: "api-calls", amount: 1}) { id } }"#,
    ),
    ("voidGrant", r#"mutation { voidGrant(userId: "124", id: "g") { id } }"#),
    (
        "createHold",
        r#"mutation { createHold(input: {id: "h", userId: "124", featureId: "api-calls", amount: 1}) { granted } }"#,
    ),
    ("holds", r#"{ holds(userId: "124", featureId: "api-calls") { id } }"#),
    ("extendHold", r#"mutation { extendHold(userId: "124", id: "h") { id } }"#),
    ("settleHold", r#"mutation { settleHold(userId: "124", id: "h") { id } }"#),
    ("releaseHold", r#"mutation { releaseHold(userId: "124", id: "other") { id } }"#),
    ("thresholdEvents", r#"{ thresholdEvents { edges { node { id userId } } } }"#),
    ("voidUsage", r#"mutation { voidUsage(idempotencyKey: "k") { voided } }"#),
    ("removeOverride", r#"mutation { removeOverride(userId: "124", featureId: "sso") }"#),
    (
        "showUsage",
        r#"{ showUsage(userId: "124", featureId: "api-calls") { past { periodStart } } }"#,
    ),
    ("package", r#"{ package(id: "basic") { name } }"#),
    ("packages", r#"{ packages(status: "ALL") { id } }"#),
    ("user", r#"{ user(id: "124") { name } }"#),
    ("users", "{ users { id } }"),
    ("subscription", r#"{ subscription(id: "$subscription") { userId } }"#),
    ("subscriptions", "{ subscriptions { userId } }"),
    ("usersConnection", "{ usersConnection { edges { node { id } } } }"),
    ("changes", "{ changes { nodes { userId data } } }"),
    ("auditLog", "{ auditLog { edges { node { subject before after } } } }"),
    ("subscriptionsConnection", "{ subscriptionsConnection { edges { node { userId } } } }"),
    ("createFeature", r#"mutation { createFeature(input: {id: "new", type: BINARY}) { id } }"#),
    ("updateFeature", r#"mutation { updateFeature(id: "sso", input: {name: "x"}) { name } }"#),
    ("createPackage", r#"mutation { createPackage(input: {id: "new", features: []}) { id } }"#),
    ("updatePackage", r#"mutation { updatePackage(id: "pro", input: {metadata: {}}) { name } }"#),
    ("createUser", r#"mutation { createUser(input: {id: "new"}) { id } }"#),
    ("updateUser", r#"mutation { updateUser(id: "124", input: {name: "x"}) { name } }"#),
    ("deleteUser", r#"mutation { deleteUser(id: "124") }"#),
    ("subscribe", r#"mutation { subscribe(packageIds: ["extra"], userId: "124") { userId } }"#),
    (
        "recordUsage",
        r#"mutation { recordUsage(input: {userId: "124", featureId: "api-calls"}) { recorded } }"#,
    ),
    (
        "createUsageEvent",
        r#"mutation { createUsageEvent(input: {userId: "124", featureId: "api-calls"}) }"#,
    ),
    (
        "generateSubscriptionLink",
        r#"mutation { generateSubscriptionLink(templateId: "t", successUrl: "s", cancelUrl: "c") { url } }"#,
    ),
    ("generateUserToken", r#"mutation { generateUserToken(userId: "124") { token } }"#),
    ("publishPackage", r#"mutation { publishPackage(id: "draft") { status } }"#),
    ("archivePackage", r#"mutation { archivePackage(id: "pro") { status } }"#),
    (
        "updateSubscription",
        r#"mutation { updateSubscription(id: "$subscription", input: {quantity: 2}) { quantity } }"#,
    ),
    (
        "changePackage",
        r#"mutation { changePackage(input: {subscriptionId: "$subscription", packageId: "draft"}) { quantity } }"#,
    ),
    ("cancelSubscription", r#"mutation { cancelSubscription(id: "$subscription") { status } }"#),
    (
        "useFeature",
        r#"mutation { useFeature(input: {userId: "124", featureId: "api-calls"}) { granted } }"#,
    ),
    (
        "recordUsageBatch",
        r#"mutation { recordUsageBatch(inputs: [{userId: "124", featureId: "api-calls"}]) { recorded } }"#,
    ),
];

/// Each operation of the Client API.
const CLIENT: &[(&str, &str)] =
    &[("currentUser", "{ currentUser { id subscribedPackages { id features { id } } } }")];

/// What the test environment has, as its own key sees it.
const EVERYTHING: &str = r#"{
    features { id name metadata } packages(status: "ALL") { id name status metadata }
    users { id name email subscriptions { id status endedAt } }
    showUsage(userId: "124", featureId: "api-calls") { current { consumption { used } } }
}"#;

/// The routes, and whether they need a key. What needs none must tell nothing of any environment.
const ROUTES: &[(&str, bool)] = &[
    ("/cli/publish", true),
    ("/cli/pull", true),
    ("/cli/simulate", true),
    ("/cli/validate", true),
    ("/graphql", true),
    ("/client/graphql", true),
    ("/events", true),
    ("/graphql/console.js", false),
    ("/graphql/console.css", false),
    ("/healthz", false),
    ("/metrics", false),
    ("/readyz", false),
];

const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// The root fields of a schema, as its text lists them.
fn operations(sdl: &str) -> Vec<String> {
    let document = async_graphql::parser::parse_schema(sdl).unwrap();
    let mut names = Vec::new();
    for definition in document.definitions {
        use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        if !matches!(definition.node.name.node.as_str(), "Query" | "Mutation") {
            continue;
        }
        if let TypeKind::Object(root) = definition.node.kind {
            names.extend(root.fields.iter().map(|field| field.node.name.node.to_string()));
        }
    }
    names
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

#[test]
fn every_operation_is_in_the_tables() {
    for (sdl, table) in [(kana_api::admin::sdl(), ADMIN), (kana_api::client::sdl(), CLIENT)] {
        let known = table.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(sorted(operations(&sdl)), sorted(known));
    }
}

/// The shop, its user subscribed and with some usage, a live environment beside it, and a token of
/// the user.
async fn shop() -> (TestApp, String, String) {
    let (app, subscription) = TestApp::subscribed("basic").await;
    app.data(
        r#"mutation { recordUsage(input: {userId: "124", featureId: "api-calls", delta: 7}) {
            recorded } }"#,
        json!({}),
    )
    .await;
    let token = app.data(r#"mutation { generateUserToken(userId: "124") { token } }"#, json!({}));
    let token = token.await["generateUserToken"]["token"].as_str().unwrap().to_owned();
    (app, subscription, token)
}

async fn ask(app: &TestApp, uri: &str, query: &str, headers: &[(HeaderName, &str)]) -> Answer {
    let mut ask = app.request(Method::POST, uri).without(&header::AUTHORIZATION);
    for (name, value) in headers {
        ask = ask.with(name.clone(), value);
    }
    ask.body(json!({ "query": query, "variables": {} }).to_string()).send().await
}

fn assert_unauthenticated(answer: &Answer, what: &str) {
    let answer = answer.ok();
    assert_eq!(answer.get("data"), None, "{what}: {answer}");
    let error = only_error(&answer);
    assert!(
        error.starts_with("UNAUTHENTICATED AuthenticationError: Unauthenticated"),
        "{what}: {error}"
    );
}

#[tokio::test]
async fn no_operation_of_the_admin_api_answers_without_a_private_key() {
    let (app, subscription, token) = shop().await;
    let bearer = format!("Bearer {token}");
    let unknown = format!("prv_test_{}", "a1".repeat(20));
    let stored = app.stored();
    for (name, query) in ADMIN {
        let query = query.replace("$subscription", &subscription);
        assert_unauthenticated(&ask(&app, "/graphql", &query, &[]).await, name);
        for key in [
            unknown.as_str(),
            app.keys.test_public.reveal(),
            app.keys.live_public.reveal(),
            &token,
            &bearer,
        ] {
            let with_user = [(header::AUTHORIZATION, key), (USER_ID, "124")];
            assert_unauthenticated(&ask(&app, "/graphql", &query, &with_user).await, name);
        }
    }
    assert_eq!(app.stored(), stored, "nothing was done");
}

#[tokio::test]
async fn no_operation_of_the_admin_api_reaches_another_environment() {
    let (app, subscription, _) = shop().await;
    let before = app.data(EVERYTHING, json!({})).await;
    let live = app.keys.live_private.reveal();
    for (name, query) in ADMIN {
        let query = query.replace("$subscription", &subscription);
        let answer = ask(&app, "/graphql", &query, &[(header::AUTHORIZATION, live)]).await.ok();
        // What is there to be found is not found, and what is listed are empty lists. Only what is
        // new can be made, and is made in the other environment.
        let makes = matches!(*name, "createFeature" | "createPackage" | "createUser");
        let data = answer["data"].to_string();
        let told = ["124", "api-calls", "basic", "ACTIVE", "true"];
        assert!(makes || told.iter().all(|told| !data.contains(told)), "{name}: {answer}");
        assert_eq!(app.data(EVERYTHING, json!({})).await, before, "{name}");
    }
}

#[tokio::test]
async fn no_operation_of_the_client_api_answers_without_a_token_or_a_public_key() {
    let (app, _, token) = shop().await;
    let bearer = format!("Bearer {token}");
    let forged = format!("{}x", &token[..token.len() - 1]);
    let user = (USER_ID, "124");
    for (name, query) in CLIENT {
        let mut refused = vec![vec![], vec![user.clone()]];
        for key in
            [app.keys.test_private.reveal(), app.keys.live_private.reveal(), &forged, "garbage"]
        {
            refused.push(vec![(header::AUTHORIZATION, key), user.clone()]);
        }
        refused.push(vec![(header::AUTHORIZATION, app.keys.test_public.reveal())]);
        for headers in refused {
            assert_unauthenticated(&ask(&app, "/client/graphql", query, &headers).await, name);
        }
        // Another environment's public key knows nobody here.
        let other = [(header::AUTHORIZATION, app.keys.live_public.reveal()), user.clone()];
        let answer = ask(&app, "/client/graphql", query, &other).await.ok();
        assert_eq!(only_error(&answer), "NOT_FOUND UserNotFoundError: User not found: 124");
        // And these two do answer, so that the refusals above mean something.
        for headers in [
            vec![(header::AUTHORIZATION, bearer.as_str())],
            vec![(header::AUTHORIZATION, app.keys.test_public.reveal()), user.clone()],
        ] {
            let answer = ask(&app, "/client/graphql", query, &headers).await.ok();
            assert_eq!(answer["data"]["currentUser"]["id"], "124", "{name}: {answer}");
        }
    }
}

#[tokio::test]
async fn no_events_are_taken_without_a_private_key_or_into_another_environment() {
    let (app, _, token) = shop().await;
    let before = app.data(EVERYTHING, json!({})).await;
    let event = json!({
        "specversion": "1.0", "type": "t", "source": "s", "id": "1", "subject": "124",
        "data": { "featureId": "api-calls" },
    });
    let stored = app.stored();
    for (form, body) in [
        ("application/cloudevents+json", event.to_string()),
        ("application/cloudevents-batch+json", json!([event]).to_string()),
        ("application/x-ndjson", event.to_string()),
        ("application/json", event.to_string()),
    ] {
        let ask = || {
            let ask = app.request(Method::POST, "/events").body(body.clone());
            ask.with(header::CONTENT_TYPE, form)
        };
        let refused = |answer: &Answer, what: &str| {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{form} {what}");
            assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
            let answer = answer.json();
            assert_eq!(answer["received"], json!(null), "{answer}");
            assert_eq!(answer["code"], "UNAUTHENTICATED");
            assert_eq!(answer["name"], "AuthenticationError");
            let message = answer["detail"].as_str().unwrap();
            assert!(message.starts_with("Unauthenticated"), "{message}");
        };
        refused(&ask().without(&header::AUTHORIZATION).send().await, "no key");
        for key in [
            &format!("prv_test_{}", "a1".repeat(20)),
            app.keys.test_public.reveal(),
            app.keys.live_public.reveal(),
            &token,
            &format!("Bearer {token}"),
            "Bearer ",
            "",
        ] {
            let ask = ask().with(header::AUTHORIZATION, key).with(USER_ID, "124");
            refused(&ask.send().await, key);
        }
    }
    assert_eq!(app.stored(), stored, "nothing was done");

    // The other environment has neither the user nor the feature.
    let live = app.keys.live_private.reveal();
    let ask = app.request(Method::POST, "/events").with(header::AUTHORIZATION, live);
    let ask = ask.with(header::CONTENT_TYPE, "application/cloudevents+json");
    let answer = ask.body(event.to_string()).send().await.ok();
    assert_eq!(answer["refused"][0]["code"], "NOT_FOUND", "{answer}");
    assert_eq!(app.data(EVERYTHING, json!({})).await, before);
}

/// What stands in `.route("…"` anywhere in the sources, but for the routes of a server that starts: it has
/// nothing to tell.
fn routes_in(directory: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("starting.rs")
        {
            let text = std::fs::read_to_string(path).unwrap();
            let routes = text.split(".route(").skip(1);
            found.extend(routes.filter_map(|rest| {
                let route = rest.trim_start().strip_prefix('"')?;
                route.split_once('"').map(|(route, _)| route.to_owned())
            }));
        }
    }
}

/// What an answer tells. The numbers of metrics change all the time and tell nothing of an environment; their
/// names and labels would.
fn told(route: &str, text: &str) -> String {
    if route != "/metrics" {
        return text.to_owned();
    }
    let series = text.lines().map(|line| line.rsplit_once(' ').map_or(line, |(series, _)| series));
    series.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_route_is_in_the_table_and_tells_nothing_without_a_key_unless_it_says_so() {
    let mut found = Vec::new();
    routes_in(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let known: Vec<String> = ROUTES.iter().map(|(route, _)| (*route).to_owned()).collect();
    assert_eq!(sorted(found), sorted(known));

    let (app, _, _) = shop().await;
    let stored = app.stored();
    let query = "?query=%7Busers%7Bid%7D%20currentUser%7Bid%7D%7D";
    let body = json!({ "query": "{ users { id } }" }).to_string();
    for (route, needs_key) in ROUTES {
        for method in [
            Method::GET,
            Method::POST,
            Method::HEAD,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ] {
            let ask = || app.request(method.clone(), &format!("{route}{query}")).body(body.clone());
            let without = ask().without(&header::AUTHORIZATION).send().await;
            assert!(!told(route, &without.text).contains("124"), "{method} {route}");
            if *needs_key {
                assert!(!without.text.contains("\"data\""), "{method} {route}: {}", without.text);
            } else {
                let with = ask().send().await;
                let (with, without) = (told(route, &with.text), told(route, &without.text));
                assert_eq!(with, without, "{method} {route} looks at the key");
            }
        }
    }
    assert_eq!(app.stored(), stored);
    let _: Value = app.data("{ __typename }", json!({})).await;
}
