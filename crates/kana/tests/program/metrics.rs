//! `/metrics` as Prometheus reads it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::engines::{Engine, engines};
use crate::process::{Server, init, kana, text};

const MODEL: &str = r#"mutation {
    calls: createFeature(input: { id: "calls", type: CONSUMABLE }) { id }
    other: createFeature(input: { id: "other", type: CONSUMABLE }) { id }
    createPackage(input: { id: "pro", features: { id: "calls" } }) { id }
    publishPackage(id: "pro") { id }
    createUser(input: { id: "u" }) { id }
    subscribe(packageIds: "pro", userId: "u") { id }
}"#;
/// What a busy server has counted.
const COUNTED: [(&str, f64); 23] = [
    ("kana_operations_total{operation=\"other\",environment=\"none\",outcome=\"refused\"}", 1.0),
    ("kana_operation_duration_seconds_count{operation=\"canUseFeature\"}", 8.0),
    (
        "kana_decisions_total{operation=\"canUseFeature\",environment=\"test\",result=\"granted\",rule=\"unlimited\"}",
        4.0,
    ),
    (
        "kana_decisions_total{operation=\"canUseFeature\",environment=\"test\",result=\"denied\",rule=\"not_granted\"}",
        4.0,
    ),
    (
        "kana_decisions_total{operation=\"useFeature\",environment=\"test\",result=\"granted\",rule=\"unlimited\"}",
        1.0,
    ),
    ("kana_usage_events_total{environment=\"test\",result=\"counted\"}", 2.0),
    ("kana_usage_events_total{environment=\"test\",result=\"kept\"}", 1.0),
    ("kana_usage_events_total{environment=\"test\",result=\"replayed\"}", 4.0),
    ("kana_usage_events_total{environment=\"test\",result=\"refused\"}", 1.0),
    ("kana_usage_events_total{environment=\"live\",result=\"counted\"}", 0.0),
    ("kana_errors_total{code=\"UNAUTHENTICATED\"}", 1.0),
    ("kana_errors_total{code=\"NOT_FOUND\"}", 1.0),
    ("kana_errors_total{code=\"INTERNAL_SERVER_ERROR\"}", 0.0),
    ("kana_authentications_total{surface=\"admin\",result=\"unknown\"}", 1.0),
    ("kana_http_requests_total{surface=\"other\",status=\"400\"}", 1.0),
    ("kana_http_requests_total{surface=\"health\",status=\"200\"}", 1.0),
    ("kana_audit_entries_total{kind=\"feature\"}", 2.0),
    ("kana_database_up", 1.0),
    ("kana_panics_total", 0.0),
    ("kana_log_lines_dropped_total", 0.0),
    ("kana_trace_spans_total{result=\"exported\"}", 0.0),
    ("kana_http_body_bytes_held", 0.0),
    ("kana_connections_max", 10_000.0),
];
/// What a busy server has at all.
const POSITIVE: [&str; 16] = [
    "kana_writer_commit_duration_seconds_count",
    "kana_writer_wait_seconds_count",
    "kana_writer_batch_commands_count",
    "kana_cache_requests_total{cache=\"plan\",result=\"hit\"}",
    "kana_cache_requests_total{cache=\"document\",result=\"miss\"}",
    "kana_cache_requests_total{cache=\"key\",result=\"hit\"}",
    "kana_cache_requests_total{cache=\"catalog\",result=\"hit\"}",
    "kana_log_lines_total{level=\"info\"}",
    "kana_schema_version",
    "kana_connections_open",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
    "process_threads",
];

pub(crate) fn scrape(url: &str, accept: &str) -> (String, String) {
    let mut response = ureq::get(format!("{url}/metrics")).header("Accept", accept).call().unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    (content_type, response.body_mut().read_to_string().unwrap())
}

/// Runs `promtool` with this on its standard input.
pub(crate) fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut tool = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool is missing: {error}; ./test installs it"));
    // It may end before it has read everything.
    let _ = tool.stdin.take().unwrap().write_all(input.as_bytes());
    tool.wait_with_output().unwrap()
}

fn assert_well_formed(metrics: &str) {
    let checked = promtool(&["check", "metrics"], metrics);
    let said = text(&checked.stderr);
    assert!(checked.status.success() && said.is_empty(), "{said}{}", text(&checked.stdout));
}

/// Returns the value of a series, which must be there.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is missing in {metrics}")).parse().unwrap()
}

/// Starts a server and does something of everything that is counted.
pub(crate) fn busy(engine: &Engine) -> (Server, String) {
    let (server, key) = engine.start();
    server.data(&key, MODEL);
    for _ in 0..4 {
        server.data(&key, r#"{ canUseFeature(userId: "u", featureId: "calls") { access } }"#);
        server.data(&key, r#"{ canUseFeature(userId: "u", featureId: "other") { access } }"#);
    }
    for feature in ["calls", "other"] {
        let usage = format!(
            r#"input: {{ userId: "u", featureId: "{feature}", delta: 1, idempotencyKey: "{feature}" }}"#
        );
        for _ in 0..3 {
            server.data(&key, &format!("mutation {{ createUsageEvent({usage}) }}"));
        }
    }
    server.data(
        &key,
        r#"mutation { useFeature(input: { userId: "u", featureId: "calls" }) { granted } }"#,
    );
    server.ask(&key, r#"mutation { createUsageEvent(input: { userId: "nobody", featureId: "calls", delta: 1 }) }"#, &json!({}));
    server.ask("prv_test_wrong", "{ __typename }", &json!({}));
    assert_eq!(ureq::get(format!("{}/readyz", server.url)).call().unwrap().status(), 200);
    let mut nonsense = server.connect();
    nonsense.write_all(b"nonsense\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut nonsense, &mut answer).unwrap();
    assert!(answer.contains("x-request-id"), "{answer}");
    (server, key)
}

#[test]
fn what_is_counted_is_there_in_a_form_that_prometheus_reads() {
    for engine in engines() {
        let (server, _) = busy(&engine);
        // A request counts once its answer was handed over, which its client may see before.
        let of_protocol = "kana_connections_closed_total{reason=\"protocol\"}";
        let metrics = loop {
            let (content_type, metrics) = scrape(&server.url, "text/plain");
            assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
            let unready = "kana_http_requests_in_flight{surface=\"admin\"}";
            if value(&metrics, of_protocol) > 0.0 && value(&metrics, unready) == 0.0 {
                break metrics;
            }
            std::thread::yield_now();
        };
        assert_well_formed(&metrics);
        let operations = |operation: &str, outcome: &str| {
            let labels = format!("environment=\"test\",outcome=\"{outcome}\"");
            value(&metrics, &format!("kana_operations_total{{operation=\"{operation}\",{labels}}}"))
        };
        assert_eq!(
            (operations("canUseFeature", "ok"), operations("createFeature", "ok")),
            (8.0, 2.0)
        );
        assert_eq!(operations("createUsageEvent", "ok"), 6.0);
        assert_eq!(operations("createUsageEvent", "refused"), 1.0);
        for (series, expected) in COUNTED {
            assert_eq!(value(&metrics, series), expected, "{series}");
        }
        for positive in POSITIVE {
            assert!(value(&metrics, positive) > 0.0, "{positive}");
        }
        for result in ["hit", "miss"] {
            let facts = format!("kana_cache_requests_total{{cache=\"facts\",result=\"{result}\"}}");
            assert_eq!(value(&metrics, &facts) > 0.0, !engine.is_shared(), "{facts}");
        }
        let series = metrics.lines().filter(|line| !line.starts_with('#')).count();
        assert!(series < 3000, "{series} series");
        for secret in ["calls", "pro\"", "nobody"] {
            assert!(!metrics.contains(&format!("\"{secret}")), "{secret} is a client's");
        }
        let (content_type, open_metrics) = scrape(&server.url, "application/openmetrics-text");
        assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
        assert!(open_metrics.ends_with("# EOF\n"));
    }
}

#[test]
fn metrics_have_an_address_of_their_own_if_they_are_given_one() {
    let dir = TempDir::new().unwrap();
    let key = init(dir.path());
    let mut serve = kana(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::start_with(serve.args(["--metrics-listen", "127.0.0.1:0"]));
    let log = server.log();
    let entries = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut addresses =
        entries.filter_map(|entry| Some(entry["metrics_address"].as_str()?.to_owned()));
    let operators = format!("http://{}", addresses.next_back().unwrap());
    assert!(scrape(&operators, "*/*").1.contains("kana_build_info{version="));
    for path in ["/healthz", "/readyz"] {
        for url in [&server.url, &operators] {
            assert_eq!(ureq::get(format!("{url}{path}")).call().unwrap().status(), 200);
        }
    }
    let status_of = |url: String| {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        agent.get(url).call().unwrap().status().as_u16()
    };
    assert_eq!(status_of(format!("{}/metrics", server.url)), 404);
    assert_eq!(status_of(format!("{operators}/graphql")), 404);
    server.data(&key, "{ __typename }");
    let taken = server.url.strip_prefix("http://").unwrap();
    let other = TempDir::new().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--metrics-listen", taken];
    let failed = crate::process::run(other.path(), &arguments);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(said.contains(taken) && said.contains("--metrics-listen"), "{said}");
    assert!(!other.path().join("kana-data").exists(), "nothing was made");
}
