//! The answers of the API after a file changed the terms of packages with subscribers (contract:
//! `entitlements.md`, "When a published file changes terms").

use axum::http::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

/// Publishes a file in which `basic` gives `api-calls` on these terms; `None` takes the feature
/// out.
pub(crate) async fn publish(app: &TestApp, gives: Option<Value>) {
    let mut file = app.request(Method::GET, "/cli/pull").send().await.ok();
    let mut features = vec![json!({ "id": "sso" })];
    if let Some(Value::Object(mut terms)) = gives {
        terms.insert("id".to_owned(), json!("api-calls"));
        features.push(Value::Object(terms));
    }
    for package in file["packages"]["published"].as_array_mut().unwrap() {
        if package["id"] == "basic" {
            package["features"] = json!(features);
        }
    }
    app.request(Method::POST, "/cli/publish").body(file.to_string()).send().await.ok();
}

async fn record(app: &TestApp, delta: i64) {
    let query = r#"mutation ($delta: Int!) {
        recordUsage(input: {userId: "124", featureId: "api-calls", delta: $delta}) { recorded }
    }"#;
    assert_eq!(app.data(query, json!({ "delta": delta })).await["recordUsage"]["recorded"], true);
}

/// Returns the current period and the past ones, each as "from..to used/budget".
pub(crate) async fn usage(app: &TestApp) -> (Option<String>, Vec<String>) {
    let query = r#"{ showUsage(userId: "124", featureId: "api-calls") {
        current { periodStart periodEnd consumption { used budget } }
        past { periodStart periodEnd consumption { used budget } }
    } }"#;
    let usage = app.data(query, json!({})).await["showUsage"].take();
    let line = |period: &Value| {
        let instant = |at: &Value| at.as_str().unwrap_or("").replace("T12:00:00.000Z", "");
        let (from, to) = (instant(&period["periodStart"]), instant(&period["periodEnd"]));
        let consumption = &period["consumption"];
        format!("{from}..{to} {}/{}", consumption["used"], consumption["budget"])
    };
    let current = Some(&usage["current"]).filter(|current| !current.is_null()).map(line);
    (current, usage["past"].as_array().unwrap().iter().map(line).collect())
}

#[tokio::test]
async fn past_budgets_stay_what_they_were_when_a_file_changes_the_limit() {
    let (app, _) = TestApp::subscribed("basic").await;
    record(&app, 10).await;
    app.set_time("2024-02-20T12:00:00.000Z");
    record(&app, 20).await;
    app.set_time("2024-03-20T12:00:00.000Z");
    publish(&app, Some(json!({ "limit": 1000, "reset_period": "MONTH" }))).await;
    let (current, past) = usage(&app).await;
    assert_eq!(current.unwrap(), "2024-03-15..2024-04-15 0/1000");
    assert_eq!(past, ["2024-02-15..2024-03-15 20/100", "2024-01-15..2024-02-15 10/100"]);
}

#[tokio::test]
async fn usage_of_the_days_is_not_granted_again_by_the_month() {
    let (app, _) = TestApp::subscribed("basic").await;
    publish(&app, Some(json!({ "limit": 100, "reset_period": "DAY" }))).await;
    for day in ["2024-02-15", "2024-02-16", "2024-02-17"] {
        app.set_time(&format!("{day}T13:00:00.000Z"));
        record(&app, 30).await;
    }
    publish(&app, Some(json!({ "limit": 100, "reset_period": "MONTH" }))).await;
    let query = r#"mutation {
        useFeature(input: {userId: "124", featureId: "api-calls", delta: 50}) {
            granted consumption { used budget }
        }
    }"#;
    let used = app.data(query, json!({})).await;
    let consumption = json!({ "used": 90, "budget": 100 });
    assert_eq!(used["useFeature"], json!({ "granted": false, "consumption": consumption }));
    record(&app, 5).await;
    assert_eq!(usage(&app).await.0.unwrap(), "2024-02-15..2024-03-15 95/100");
}

#[tokio::test]
async fn the_counter_of_the_first_month_does_not_come_back_without_a_reset_period() {
    let (app, _) = TestApp::subscribed("basic").await;
    for (month, used) in [("01", 900), ("02", 500), ("03", 7)] {
        app.set_time(&format!("2024-{month}-20T12:00:00.000Z"));
        record(&app, used).await;
    }
    publish(&app, Some(json!({ "limit": 2000 }))).await;
    let (current, past) = usage(&app).await;
    assert_eq!(current.unwrap(), "2024-01-15.. 1407/2000");
    assert!(past.is_empty(), "{past:?}");
    // Usage recorded afterwards counts in the new period.
    record(&app, 3).await;
    assert_eq!(usage(&app).await.0.unwrap(), "2024-01-15.. 1410/2000");
}

#[tokio::test]
async fn a_feature_taken_out_of_the_package_keeps_its_past() {
    let (app, _) = TestApp::subscribed("basic").await;
    record(&app, 10).await;
    app.set_time("2024-02-20T12:00:00.000Z");
    record(&app, 20).await;
    publish(&app, None).await;
    let (current, past) = usage(&app).await;
    assert_eq!(current, None);
    let ended = "2024-02-15..2024-02-20T12:00:00.001Z 20/100";
    assert_eq!(past, [ended, "2024-01-15..2024-02-15 10/100"]);
    publish(&app, Some(json!({ "limit": 100, "reset_period": "MONTH" }))).await;
    assert_eq!(usage(&app).await.0.unwrap(), "2024-02-15..2024-03-15 20/100");
}
