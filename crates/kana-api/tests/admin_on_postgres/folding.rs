//! Counters that are too old to be listed are folded into one sum. For the embedded engine, which
//! writes counters to their table later, `kana-service` tests this with restarts.

use serde_json::{Value, json};

use crate::app::TestApp;
use crate::changed_terms::{publish, usage};

#[tokio::test]
async fn counters_that_are_listed_no_more_are_folded_into_one_sum() {
    let (app, _) = TestApp::subscribed("basic").await;
    publish(&app, Some(json!({ "limit": 100, "reset_period": "DAY" }))).await;
    // Recorded before the days are old; later, usage of them would go straight to the sum.
    for (now, days) in [("2026-07-15", 0..900), ("2029-01-15", 900..1800)] {
        app.set_time(&format!("{now}T12:00:00.000Z"));
        record_days(&app, days).await;
    }
    let kept = || app.stored()["counters"].len();
    let many = kept();
    let before = usage(&app).await;
    app.fold_old_counters().await;
    assert_eq!(usage(&app).await, before);
    assert!(many > 1750 && kept() < 1550, "{many} became {}", kept());
    publish(&app, Some(json!({ "limit": 2000 }))).await;
    assert_eq!(usage(&app).await.0.unwrap(), "2024-01-15.. 1800/2000");
}

/// Records one unit on each of these days. Day 0 is 2024-01-16.
async fn record_days(app: &TestApp, days: std::ops::Range<i64>) {
    let start = crate::app::time("2024-01-16T12:00:00.000Z");
    let count = days.end - days.start;
    let inputs: Vec<Value> = days
        .map(|day| {
            let at = start.saturating_add_ms(day * 24 * 60 * 60 * 1000);
            json!({ "userId": "124", "featureId": "api-calls", "occurredAt": at.to_string() })
        })
        .collect();
    let query = "mutation ($inputs: [CreateUsageEventInput!]!) {
        recordUsageBatch(inputs: $inputs) { recorded }
    }";
    let answers = app.data(query, json!({ "inputs": inputs })).await["recordUsageBatch"].take();
    let recorded = answers.as_array().unwrap().iter().filter(|one| one["recorded"] == true);
    assert_eq!(i64::try_from(recorded.count()).unwrap(), count);
}
