//! The Client API beside the Admin API that feeds it (contract: `client-api.md`).

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use kana_service::{Actor, EnvironmentKind, set_simple_mode};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp, only_error};

const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const CURRENT_USER: &str = "{ currentUser { id name email subscribedPackages {
    id name isAddon metadata features {
        id name type unitLabel unitLabelPlural metadata
        entitlement { access reason consumption { budget used overageEnabled } }
    } } } }";

async fn token(app: &TestApp) -> String {
    let data = app.data(r#"mutation { generateUserToken(userId: "124") { token } }"#, json!({}));
    format!("Bearer {}", data.await["generateUserToken"]["token"].as_str().unwrap())
}

async fn ask(app: &TestApp, query: &str, headers: &[(HeaderName, &str)]) -> Answer {
    let mut ask = app.request(Method::POST, "/client/graphql").without(&header::AUTHORIZATION);
    for (name, value) in headers {
        ask = ask.with(name.clone(), value);
    }
    ask.body(json!({ "query": query }).to_string()).send().await
}

async fn by_token(app: &TestApp, token: &str) -> Value {
    ask(app, CURRENT_USER, &[(header::AUTHORIZATION, token)]).await.ok()
}

#[tokio::test]
async fn both_modes_answer_what_the_user_may_do() {
    let (app, _) = TestApp::subscribed("basic").await;
    app.data(
        r#"mutation {
            subscribe(packageIds: ["extra"], userId: "124") { id }
            recordUsage(input: {userId: "124", featureId: "api-calls", delta: 7}) { recorded }
        }"#,
        json!({}),
    )
    .await;
    let answer = by_token(&app, &token(&app).await).await;
    let simple = [(header::AUTHORIZATION, app.keys.test_public.reveal()), (USER_ID, "124")];
    assert_eq!(ask(&app, CURRENT_USER, &simple).await.ok(), answer);

    let user = &answer["data"]["currentUser"];
    assert_eq!(user["id"], "124");
    let packages = user["subscribedPackages"].as_array().unwrap();
    let ids: Vec<_> = packages.iter().map(|package| package["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["basic", "extra"], "each once");
    assert_eq!(packages[1]["isAddon"], true);
    let calls = packages[0]["features"]
        .as_array()
        .unwrap()
        .iter()
        .find(|feature| feature["id"] == "api-calls")
        .unwrap();
    assert_eq!(calls["type"], "CONSUMABLE");
    assert_eq!(calls["entitlement"]["access"], true);
    assert_eq!(
        app.data(
            r#"{ feature(id: "api-calls") { entitlement(userId: "124") {
                access reason consumption { budget used overageEnabled } } } }"#,
            json!({})
        )
        .await["feature"]["entitlement"],
        calls["entitlement"],
        "the same question has the same answer on every surface"
    );
}

#[tokio::test]
async fn what_no_longer_grants_is_gone() {
    let (app, subscription) = TestApp::subscribed("basic").await;
    let token = token(&app).await;
    let cancel = format!(r#"mutation {{ cancelSubscription(id: "{subscription}") {{ status }} }}"#);
    app.data(&cancel, json!({})).await;
    let answer = by_token(&app, &token).await;
    assert_eq!(answer["data"]["currentUser"]["subscribedPackages"], json!([]));
}

#[tokio::test]
async fn what_opens_nothing_is_refused_in_both_media_types() {
    let (app, _) = TestApp::subscribed("basic").await;
    let good = token(&app).await;
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let public = app.keys.test_public.reveal();
    let private = app.keys.test_private.reveal();
    // A header of its own says that the token has no signature.
    let claims = good.split('.').nth(1).unwrap();
    let unsigned = format!("Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    let (store, clock, kind) = (app.store.as_ref(), app.clock.as_ref(), EnvironmentKind::Live);
    set_simple_mode(store, clock, &Actor::CommandLine, kind, false).await.unwrap();
    for (headers, said) in [
        (vec![], "Authorization header"),
        (vec![(header::AUTHORIZATION, "garbage")], "invalid"),
        (vec![(header::AUTHORIZATION, forged.as_str())], "invalid"),
        (vec![(header::AUTHORIZATION, unsigned.as_str())], "invalid"),
        (vec![(header::AUTHORIZATION, private), (USER_ID, "124")], "must not be used in a browser"),
        (vec![(header::AUTHORIZATION, public)], "X-User-ID"),
        (
            vec![(header::AUTHORIZATION, app.keys.live_public.reveal()), (USER_ID, "124")],
            "send a user token",
        ),
    ] {
        let as_json = ask(&app, CURRENT_USER, &headers).await;
        assert_eq!(as_json.status, StatusCode::OK);
        let error = as_json.not_executed();
        assert!(
            error.starts_with("UNAUTHENTICATED AuthenticationError: Unauthenticated"),
            "{error}"
        );
        assert!(error.contains(said), "{error}");
        let media_type = (header::ACCEPT, "application/graphql-response+json");
        let with_status = ask(&app, CURRENT_USER, &[headers, vec![media_type]].concat()).await;
        assert_eq!(with_status.status, StatusCode::UNAUTHORIZED);
        assert_eq!(with_status.not_executed(), error);
    }
}

#[tokio::test]
async fn a_user_id_in_a_header_may_be_utf8_or_latin1() {
    let app = TestApp::shop().await;
    let create = "mutation ($id: String!) { createUser(input: {id: $id}) { id } }";
    for (id, headers) in [
        ("jürgen", vec!["jürgen".as_bytes(), b"j\xFCrgen"]),
        ("Å/é ÿ", vec!["Å/é ÿ".as_bytes(), b"\xC5/\xE9 \xFF"]),
        ("山田", vec!["山田".as_bytes()]),
    ] {
        app.data(create, json!({ "id": id })).await;
        for header in headers {
            let answer = app
                .request(Method::POST, "/client/graphql")
                .with(header::AUTHORIZATION, app.keys.test_public.reveal())
                .with(USER_ID, header)
                .body(json!({ "query": "{ currentUser { id } }" }).to_string())
                .send()
                .await
                .ok();
            assert_eq!(answer, json!({ "data": { "currentUser": { "id": id } } }));
        }
    }
}

#[tokio::test]
async fn a_token_ends_after_thirty_days() {
    let (app, _) = TestApp::subscribed("basic").await;
    let token = token(&app).await;
    app.set_time("2024-02-14T11:59:59.999Z");
    assert_eq!(by_token(&app, &token).await["data"]["currentUser"]["id"], "124");
    app.set_time("2024-02-14T12:00:00.000Z");
    assert_eq!(
        only_error(&by_token(&app, &token).await),
        "UNAUTHENTICATED AuthenticationError: Unauthenticated: the user token has expired"
    );
}

#[tokio::test]
async fn an_expired_token_is_401_where_statuses_mean_something_and_a_page_may_read_why() {
    let (app, _) = TestApp::subscribed("basic").await;
    let token = token(&app).await;
    app.set_time("2025-01-15T12:00:00.000Z");
    let origin = (header::ORIGIN, "https://app.example.com");
    let media_type = (header::ACCEPT, "application/graphql-response+json");
    let headers = [(header::AUTHORIZATION, token.as_str()), origin, media_type];
    let answer = ask(&app, CURRENT_USER, &headers).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.not_executed(),
        "UNAUTHENTICATED AuthenticationError: Unauthenticated: the user token has expired"
    );
    assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
}

#[tokio::test]
async fn a_revoked_public_key_opens_nothing() {
    let (app, _) = TestApp::subscribed("basic").await;
    app.revoke(&app.keys.test_public).await;
    let headers = [(header::AUTHORIZATION, app.keys.test_public.reveal()), (USER_ID, "124")];
    assert_eq!(
        only_error(&ask(&app, CURRENT_USER, &headers).await.ok()),
        "UNAUTHENTICATED AuthenticationError: Unauthenticated: the key in the Authorization \
         header is unknown or was revoked"
    );
    // Tokens are signed with a secret of their own.
    let answer = by_token(&app, &token(&app).await).await;
    assert_eq!(answer["data"]["currentUser"]["id"], "124");
}

#[tokio::test]
async fn a_user_who_never_subscribed_has_no_packages() {
    let app = TestApp::shop().await;
    let answer = by_token(&app, &token(&app).await).await;
    let user = json!({ "id": "124", "name": null, "email": null, "subscribedPackages": [] });
    assert_eq!(answer, json!({ "data": { "currentUser": user } }));
}

/// The budget and the usage of a feature as each of the user's packages shows them, by package.
fn consumptions(answer: &Value, feature: &str) -> Vec<(String, Value, Value)> {
    let packages = answer["data"]["currentUser"]["subscribedPackages"].as_array().unwrap();
    let mut found = Vec::new();
    for package in packages {
        let features = package["features"].as_array().unwrap();
        for shown in features.iter().filter(|shown| shown["id"] == feature) {
            let consumption = &shown["entitlement"]["consumption"];
            found.push((
                package["id"].as_str().unwrap().to_owned(),
                consumption["used"].clone(),
                consumption["budget"].clone(),
            ));
        }
    }
    found
}

#[tokio::test]
async fn a_consumable_feature_of_two_packages_has_one_answer_in_both() {
    let (app, _) = TestApp::subscribed("basic").await;
    app.data(
        r#"mutation {
            createPackage(input: {id: "more", isAddon: true, features: [
                {id: "api-calls", entitlement: {limit: 500, resetPeriod: MONTH}}]}) { id }
            publishPackage(id: "more") { id }
            before: recordUsage(input: {userId: "124", featureId: "api-calls", delta: 3}) { recorded }
            subscribe(packageIds: ["more"], userId: "124") { id }
            after: recordUsage(input: {userId: "124", featureId: "api-calls", delta: 7}) { recorded }
        }"#,
        json!({}),
    )
    .await;
    let answer = by_token(&app, &token(&app).await).await;
    // The subscription with the highest limit counts alone, and starts at 0.
    assert_eq!(
        consumptions(&answer, "api-calls"),
        [("basic".to_owned(), json!(7), json!(500)), ("more".to_owned(), json!(7), json!(500)),]
    );
}

#[tokio::test]
async fn a_package_is_listed_once_however_many_subscriptions_to_it_grant() {
    let (app, subscription) = TestApp::subscribed("basic").await;
    let record = r#"mutation {
        recordUsage(input: {userId: "124", featureId: "api-calls", delta: 3}) { recorded } }"#;
    app.data(record, json!({})).await;
    let cancel = format!(r#"mutation {{ cancelSubscription(id: "{subscription}") {{ status }} }}"#);
    app.data(&cancel, json!({})).await;
    app.set_time("2024-01-16T12:00:00.000Z");
    app.subscribe("basic").await;
    app.revive_subscriptions().await;
    let running = app.data(r#"{ user(id: "124") { id } subscriptions { status } }"#, json!({}));
    let granting = json!([{ "status": "ACTIVE" }, { "status": "ACTIVE" }]);
    assert_eq!(running.await["subscriptions"], granting);
    // Of two with the same limit, the oldest counts.
    assert_eq!(
        consumptions(&by_token(&app, &token(&app).await).await, "api-calls"),
        [("basic".to_owned(), json!(3), json!(100))]
    );
}

#[tokio::test]
async fn a_query_may_be_sent_with_get() {
    let (app, _) = TestApp::subscribed("basic").await;
    let token = token(&app).await;
    let get = |uri: &str| {
        app.request(Method::GET, uri)
            .with(header::AUTHORIZATION, &token)
            .with(header::ORIGIN, "https://app.example.com")
    };
    let answer = get("/client/graphql?query=%7B%20currentUser%20%7B%20id%20%7D%20%7D").send().await;
    assert_eq!(answer.ok(), json!({ "data": { "currentUser": { "id": "124" } } }));
    assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let without = get("/client/graphql").send().await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST);
    assert_eq!(without.not_executed(), "BAD_USER_INPUT ValidationError: query is missing");
}

#[tokio::test]
async fn the_limits_are_those_of_the_admin_api() {
    let app = TestApp::shop().await;
    let token = token(&app).await;
    let nested = |levels: usize| {
        let (open, close) = ("ofType { ".repeat(levels), "} ".repeat(levels));
        format!("{{ __type(name: \"User\") {{ {open} name {close} }} }}")
    };
    let many = |count: usize| {
        let fields: String = (0..count).map(|index| format!("a{index}: __typename ")).collect();
        format!("{{ {fields} }}")
    };
    let headers = [(header::AUTHORIZATION, token.as_str())];
    for fits in [nested(13), many(1000)] {
        assert_eq!(ask(&app, &fits, &headers).await.ok().get("errors"), None);
    }
    for (over, said) in [
        (nested(14), "The document nests fields deeper than 15"),
        (many(1001), "The operation has more than 1000 fields, with fragments expanded"),
    ] {
        let told = ask(&app, &over, &headers).await.not_executed();
        let expected = format!("GRAPHQL_VALIDATION_FAILED GraphQLError: {said}");
        assert!(told.starts_with(&expected), "{told}");
    }
    let large = app.request(Method::POST, "/client/graphql").with(header::AUTHORIZATION, &token);
    let answer = large.body(vec![b' '; 1024 * 1024 + 1]).send().await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn with_narrowed_origins_only_their_pages_may_call() {
    let client_origins = "https://app.example.com, http://localhost:3000".parse().unwrap();
    let app = TestApp::shop()
        .await
        .with_settings(kana_api::Settings { client_origins, ..kana_api::Settings::default() });
    let token = token(&app).await;
    let preflight = |origin: &'static str| {
        app.request(Method::OPTIONS, "/client/graphql")
            .without(&header::AUTHORIZATION)
            .with(header::ORIGIN, origin)
            .with(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .with(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type")
            .send()
    };
    for (origin, is_allowed) in [
        ("https://app.example.com", true),
        ("http://localhost:3000", true),
        ("http://localhost:3001", false),
        ("http://app.example.com", false),
        ("https://app.example.com.evil.example", false),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let expected = is_allowed.then(|| HeaderValue::from_static(origin));
        let headers = |authorization: &'static str| {
            [(header::ORIGIN, origin), (header::AUTHORIZATION, authorization)]
        };
        let good = [(header::ORIGIN, origin), (header::AUTHORIZATION, token.as_str())];
        let media_type = (header::ACCEPT, "application/graphql-response+json");
        let unauthorised = [headers("garbage").as_slice(), &[media_type]].concat();
        let success = ask(&app, CURRENT_USER, &good).await;
        assert_eq!(success.ok().get("errors"), None);
        let refusal = ask(&app, CURRENT_USER, &unauthorised).await;
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
        let malformed = ask(&app, "{", &good).await;
        for answer in [preflight(origin).await, success, refusal, malformed] {
            let allowed = answer.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(allowed, expected.as_ref(), "{origin}");
            // A cache must not give one page what another was answered.
            let vary = answer.headers.get_all(header::VARY).iter();
            let vary: Vec<_> = vary.map(|value| value.to_str().unwrap().to_lowercase()).collect();
            assert!(vary.join(",").contains("origin"), "{origin}: {vary:?}");
        }
    }
    // Who sends no origin is no page: nothing is said about origins, and the answer is the same.
    let answer = ask(&app, CURRENT_USER, &[(header::AUTHORIZATION, token.as_str())]).await;
    assert_eq!(answer.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN), None);
    let vary: Vec<_> = answer.headers.get_all(header::VARY).iter().collect();
    assert!(vary.iter().any(|value| *value == "Accept"), "{vary:?}");
    assert_eq!(answer.ok()["data"]["currentUser"]["id"], "124");
    // The Admin API is not for pages at all.
    let admin = app.graphql("{ users { id } }", json!({})).with(header::ORIGIN, "https://a.co");
    assert_eq!(admin.send().await.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN), None);
}

#[tokio::test]
async fn a_user_who_does_not_exist_is_not_found() {
    let app = TestApp::shop().await;
    let headers = [(header::AUTHORIZATION, app.keys.test_public.reveal()), (USER_ID, "nobody")];
    let answer = ask(&app, CURRENT_USER, &headers).await.ok();
    assert_eq!(only_error(&answer), "NOT_FOUND UserNotFoundError: User not found: nobody");
}

#[tokio::test]
async fn a_page_of_any_origin_may_call_and_nothing_can_be_changed() {
    let (app, _) = TestApp::subscribed("basic").await;
    let origin = (header::ORIGIN, "https://app.example.com");
    let preflight = app
        .request(Method::OPTIONS, "/client/graphql")
        .without(&header::AUTHORIZATION)
        .with(origin.0.clone(), origin.1)
        .with(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .with(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type")
        .send()
        .await;
    assert!(preflight.status.is_success(), "{}", preflight.status);
    let allowed = |name: HeaderName| preflight.headers[name].to_str().unwrap().to_lowercase();
    assert_eq!(allowed(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    assert!(allowed(header::ACCESS_CONTROL_ALLOW_METHODS).contains("post"));
    for name in ["authorization", "content-type", "x-user-id", "x-api-version"] {
        assert!(allowed(header::ACCESS_CONTROL_ALLOW_HEADERS).contains(name), "{name}");
    }
    // A refusal must be readable by the page, too.
    for headers in [vec![origin.clone()], vec![origin, (header::AUTHORIZATION, "garbage")]] {
        let answer = ask(&app, CURRENT_USER, &headers).await;
        let any = HeaderValue::from_static("*");
        assert_eq!(answer.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN), Some(&any));
    }

    let token = token(&app).await;
    let mutation = r#"mutation { createUser(input: {id: "1"}) { id } }"#;
    let answer = ask(&app, mutation, &[(header::AUTHORIZATION, &token)]).await;
    assert!(answer.not_executed().starts_with("GRAPHQL_VALIDATION_FAILED"), "{}", answer.text);
}
