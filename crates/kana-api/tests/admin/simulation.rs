//! `/cli/simulate` (contract: `beyond.md`, m).

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::TestApp;

/// A file in which `basic` gives 5 calls a month, and `draft` is `pro` with 8.
fn file() -> Value {
    let calls = |limit: i64, overage: bool| json!({ "id": "api-calls", "limit": limit, "reset_period": "MONTH", "overage_enabled": overage });
    json!({
        "version": "1.0.0",
        "app": "acme",
        "features": [{ "id": "api-calls", "name": "API Calls", "type": "CONSUMABLE" }],
        "packages": {
            "draft": [{ "id": "pro", "name": "Pro", "features": [calls(8, true)] }],
            "published": [{ "id": "basic", "name": "Basic", "features": [calls(5, false)] }],
        },
        "addons": { "draft": [], "published": [] },
    })
}

fn body(from: &str, to: &str) -> Value {
    json!({ "from": from, "to": to, "configuration": file() })
}

async fn asked(app: &TestApp, body: impl ToString) -> (StatusCode, Value) {
    let answer = app.request(Method::POST, "/cli/simulate").body(body.to_string()).send().await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn recorded_usage_is_counted_again_under_a_file() {
    let (app, _) = TestApp::subscribed("basic").await;
    app.data(
        r#"mutation {
            a: createUser(input: { id: "200" }) { id }
            b: createUser(input: { id: "300" }) { id }
            c: subscribe(userId: "200", packageIds: ["pro"]) { id }
            d: recordUsage(input: { userId: "124", featureId: "api-calls", delta: 4 }) { recorded }
            e: recordUsage(input: { userId: "124", featureId: "api-calls", delta: 3, idempotencyKey: "k" }) { recorded }
            f: recordUsage(input: { userId: "200", featureId: "api-calls", delta: 11 }) { recorded }
            g: recordUsage(input: { userId: "200", featureId: "sso", delta: 1 }) { recorded }
            h: recordUsage(input: { userId: "300", featureId: "api-calls", delta: 9 }) { recorded }
        }"#,
        json!({}),
    )
    .await;
    let row = |package: &str, over: u64, used: i64, refused: i64, overage: i64| {
        json!({ "package": package, "feature": "api-calls", "users": 1, "users_over_limit": over,
            "used": used, "refused": refused, "overage": overage })
    };
    let month = body("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z");
    assert_eq!(
        asked(&app, &month).await,
        (
            StatusCode::OK,
            json!({ "rows": [row("basic", 1, 4, 3, 0), row("pro", 1, 11, 0, 3)],
                "not_granted": 9, "events": 4 })
        )
    );
    // What was taken back is left out, and nothing was changed.
    app.data(r#"mutation { voidUsage(idempotencyKey: "k") { voided } }"#, json!({})).await;
    let (_, answer) = asked(&app, &month).await;
    assert_eq!((&answer["rows"][0], &answer["events"]), (&row("basic", 0, 4, 0, 0), &json!(3)));
    let query = r#"{ canUseFeature(userId: "124", featureId: "api-calls") { consumption { used budget } } }"#;
    let now = app.data(query, json!({})).await;
    assert_eq!(now["canUseFeature"]["consumption"], json!({ "used": 4, "budget": 100 }));
    let other = body("2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z");
    let nothing = json!({ "rows": [], "not_granted": 0, "events": 0 });
    assert_eq!(asked(&app, &other).await, (StatusCode::OK, nothing));
}

#[tokio::test]
async fn what_is_wrong_with_a_simulation_is_said() {
    let app = TestApp::shop().await;
    let format = "must be an RFC 3339 instant with a time zone, like 2022-08-10T15:07:01.803Z";
    let (from, to) = ("2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
    let without = |field: &str| {
        let mut body = body(from, to);
        body.as_object_mut().unwrap().remove(field);
        body.to_string()
    };
    let bad = [
        ("{".to_owned(), "is no JSON that can be read"),
        ("[]".to_owned(), format),
        (without("from"), format),
        (without("to"), format),
        (without("configuration"), "must be a configuration"),
        (body("yesterday", to).to_string(), format),
        (body(to, from).to_string(), "from must be before to"),
        (body(from, from).to_string(), "from must be before to"),
        (
            body(from, "2025-01-01T00:00:00.001Z").to_string(),
            "to must be at most 366 days after from",
        ),
        (
            json!({ "from": from, "to": to, "configuration": { "version": "9.0.0" } }).to_string(),
            "version",
        ),
    ];
    for (text, expected) in bad {
        let (status, answer) = asked(&app, &text).await;
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{text}: {answer}"));
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}: {error}");
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[tokio::test]
async fn one_simulation_of_an_environment_runs_at_a_time() {
    let (app, _) = TestApp::subscribed("basic").await;
    app.data(
        r#"mutation { recordUsage(input: { userId: "124", featureId: "api-calls" }) { recorded } }"#,
        json!({}),
    )
    .await;
    let month = body("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z");
    let (one, other) = tokio::join!(asked(&app, &month), asked(&app, &month));
    let statuses = [one.0, other.0];
    assert!(
        statuses.contains(&StatusCode::OK) && statuses.contains(&StatusCode::CONFLICT),
        "{statuses:?}"
    );
    let refused = if one.0 == StatusCode::OK { other.1 } else { one.1 };
    let error = "Another simulation of this environment is running: try again once it has ended";
    assert_eq!(refused, json!({ "error": error, "code": "CONFLICT", "name": "ConflictError" }));
    assert_eq!(asked(&app, &month).await.0, StatusCode::OK, "it has ended");
}

#[tokio::test]
async fn a_simulation_ends_with_the_server() {
    let (app, _) = TestApp::subscribed("basic").await;
    let usage = r#"mutation { recordUsage(input: { userId: "124", featureId: "api-calls" }) { recorded } }"#;
    app.data(usage, json!({})).await;
    app.kana.begin_stopping();
    let (status, answer) = asked(&app, &body("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer["error"].as_str().unwrap().contains("shutting down"), "{answer}");
}
