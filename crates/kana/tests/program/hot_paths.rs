//! Which statements the hot paths send to PostgreSQL. `docs/scale.md` lists them, and a test of the store
//! holds those of the list to naming users' rows by key.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;

use crate::collector::Collector;
use crate::engines::{Engine, engines};
use crate::process::Server;

const PAGE: &str = include_str!("../../../../docs/scale.md");

/// A package with a small budget, and one with a counter for each day.
const MODEL: &str = r#"mutation {
    calls: createFeature(input: { id: "calls", type: CONSUMABLE }) { id }
    days: createFeature(input: { id: "days", type: CONSUMABLE }) { id }
    createPackage(input: { id: "pro", features: [
        { id: "calls", entitlement: { limit: 10, resetPeriod: MONTH } }
        { id: "days", entitlement: { limit: 1000, resetPeriod: DAY } }
    ] }) { id }
    publishPackage(id: "pro") { id }
    createUser(input: { id: "u" }) { id }
    subscribe(packageIds: "pro", userId: "u", startedAt: "2024-01-01T00:00:00Z") { id }
}"#;

/// Each with an answer that shows that it did what it is here for.
const REQUESTS: &[(&str, &str)] = &[
    (r#"{ canUseFeature(userId: "u", featureId: "calls") { access } }"#, "true"),
    (r#"{ canUseFeature(userId: "u", featureId: "days") { access } }"#, "true"),
    (
        r#"mutation { recordUsage(input: { userId: "u", featureId: "calls" }) { recorded } }"#,
        "true",
    ),
    // The first time, again, and with other content.
    (
        r#"mutation { recordUsage(input: { userId: "u", featureId: "calls", idempotencyKey: "k",
            metadata: { a: 1 } }) { recorded } }"#,
        "true",
    ),
    (
        r#"mutation { recordUsage(input: { userId: "u", featureId: "calls", idempotencyKey: "k" })
            { recorded } }"#,
        "true",
    ),
    // Past a share of the budget.
    (
        r#"mutation { recordUsage(input: { userId: "u", featureId: "calls", action: SET, delta: 9 })
            { recorded } }"#,
        "true",
    ),
    (
        r#"mutation { useFeature(input: { userId: "u", featureId: "calls", idempotencyKey: "u" })
            { granted } }"#,
        "true",
    ),
    // Past the budget.
    (r#"mutation { useFeature(input: { userId: "u", featureId: "calls" }) { granted } }"#, "false"),
];

/// Returns what the page's list names.
fn listed() -> BTreeSet<&'static str> {
    let title = "The statements of the hot paths";
    let section = PAGE.split("\n## ").find(|section| section.starts_with(title)).unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

/// Usage of more days than there are counters in a user's row, and a user nobody knows.
fn batch() -> String {
    let input = |day: u32, user: &str| {
        format!(
            r#"{{ userId: "{user}", featureId: "days", idempotencyKey: "{user}-{day}",
                occurredAt: "2024-02-{day:02}T12:00:00Z" }}"#
        )
    };
    let inputs = (1..=20).map(|day| input(day, "u")).chain([input(1, "nobody")]);
    let inputs = inputs.collect::<Vec<_>>().join(" ");
    format!("mutation {{ recordUsageBatch(inputs: [{inputs}]) {{ recorded errorCode }} }}")
}

fn send_all(server: &Server, key: &str) {
    for (query, answer) in REQUESTS {
        let data = server.data(key, query).to_string();
        assert!(data.contains(answer), "{query}: {data}");
    }
    for _ in 0..2 {
        let data = server.data(key, &batch())["recordUsageBatch"].take();
        let recorded = data.as_array().unwrap().iter().filter(|it| it["recorded"] == true);
        assert_eq!(recorded.count(), 20, "{data}");
    }
    let event = json!({
        "specversion": "1.0", "type": "kana.usage", "source": "/gateway", "id": "a-1",
        "subject": "u", "data": { "featureId": "days" },
    });
    ureq::post(format!("{}/events", server.url))
        .header("Authorization", key)
        .content_type("application/cloudevents+json")
        .send(event.to_string())
        .unwrap();
}

/// Sends every kind of request of the hot paths to a new server, and returns the statements it sent.
fn statements_sent(engine: &Engine) -> BTreeSet<String> {
    let (mut server, key) = engine.start();
    server.data(&key, MODEL);
    server.signal("TERM");
    assert!(server.wait().0.success(), "{}", server.log());
    let collector = Collector::start();
    let mut serve = engine.kana(&["serve", "--listen", "127.0.0.1:0", "--trace-ratio", "1"]);
    let mut server = Server::start_with(serve.args(["--otlp-endpoint", &collector.url]));
    send_all(&server, &key);
    server.signal("TERM");
    assert!(server.wait().0.success(), "{}", server.log());
    let spans = collector.spans();
    let sent = spans.iter().filter(|span| span.kind == SpanKind::Client as i32);
    sent.map(|span| span.name.clone()).collect()
}

#[test]
fn a_hot_path_sends_only_statements_of_the_list() {
    let Some(engine) = engines().find(Engine::is_shared) else { return };
    let sent = statements_sent(&engine);
    let listed = listed();
    let unknown: Vec<&str> =
        sent.iter().map(String::as_str).filter(|name| !listed.contains(name)).collect();
    assert_eq!(unknown, ["COMMIT"], "of {sent:?}");
    // It went through all that a request can ask for.
    for name in [
        "FACTS",
        "LOCK_FACTS",
        "COUNTERS",
        "SET_COUNTERS",
        "RECORD_USAGE",
        "CROSS_LIMITS",
        "ENDED_SUBSCRIPTIONS",
        "NOTE_USAGE",
    ] {
        assert!(sent.contains(name), "{name} is not in {sent:?}");
    }
    // Which table keeps keys depends on the clock.
    for name in ["REPLAYS_", "KEEP_REPLAYS_"] {
        assert!(sent.iter().any(|sent| sent.starts_with(name)), "{name} is not in {sent:?}");
    }
}
