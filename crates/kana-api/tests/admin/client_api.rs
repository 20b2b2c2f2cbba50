//! The Client API beside the Admin API that feeds it (contract: `client-api.md`).

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use kana_service::EnvironmentKind;
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
    kana_service::set_simple_mode(app.store.as_ref(), EnvironmentKind::Live, false).await.unwrap();
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
