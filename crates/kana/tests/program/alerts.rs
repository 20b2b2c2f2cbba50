//! The alerts and the dashboard that are built on `/metrics`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::engines::engines;
use crate::metrics::{busy, promtool, scrape};
use crate::process::text;

/// What only servers with TLS of their own have.
const WITH_TLS: [&str; 2] = ["kana_tls_certificate_not_after_seconds", "kana_tls_reloads_total"];
/// What no server of Kana has, since Prometheus makes it.
const OF_PROMETHEUS: &str = "up";

/// Returns the names of all metrics, without the ends of a histogram's.
fn names(metrics: &str) -> BTreeSet<String> {
    let of_type = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    of_type.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

fn packaged(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(path)
}

/// Returns the names of metrics in an expression, without the ends of a histogram's.
fn named(expression: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let is_of_name = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    let words = expression.split(|sign| !is_of_name(sign));
    let ours = words.filter(|word| word.starts_with("kana_") || word.starts_with("process_"));
    let without_end = ours.map(|word| {
        let ends = ["_bucket", "_sum", "_count"];
        let cut = ends.iter().find_map(|end| word.strip_suffix(end));
        cut.filter(|cut| known.contains(*cut)).unwrap_or(word).to_owned()
    });
    without_end.collect()
}

/// Returns every expression of a dashboard.
fn expressions(dashboard: &Value) -> Vec<String> {
    match dashboard {
        Value::Object(fields) => {
            let own = fields.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(expressions)).collect()
        }
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn alerts_and_the_dashboard_can_be_read_and_name_what_there_is() {
    let known: BTreeSet<String> = engines()
        .flat_map(|engine| names(&scrape(&busy(&engine).0.url, "text/plain").1))
        .chain(WITH_TLS.map(str::to_owned))
        .collect();
    let alerts = std::fs::read_to_string(packaged("prometheus/alerts.yml")).unwrap();
    let checked =
        promtool(&["check", "rules", packaged("prometheus/alerts.yml").to_str().unwrap()], "");
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("14 rules found"), "{}", text(&checked.stdout));
    let of_alerts = named(&alerts, &known);
    assert!(of_alerts.len() > 12, "{of_alerts:?}");

    let dashboard = std::fs::read_to_string(packaged("grafana/kana.json")).unwrap();
    let expressions = expressions(&serde_json::from_str(&dashboard).unwrap());
    assert!(expressions.len() > 40);
    // As Grafana would fill them in.
    let filled = expressions.iter().enumerate().map(|(number, expression)| {
        let expression = expression
            .replace("$__rate_interval", "5m")
            .replace("$job", "kana")
            .replace("$instance", ".+");
        format!("  - record: panel:{number}\n    expr: {}\n", json!(expression))
    });
    let rules = format!("groups:\n- name: panels\n  rules:\n{}", filled.collect::<String>());
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("panels.yml");
    std::fs::write(&file, rules).unwrap();
    let checked = promtool(&["check", "rules", file.to_str().unwrap()], "");
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let of_dashboard = named(&expressions.join(" "), &known);
    let engines_here = if kana_test_postgres::is_here() { "both" } else { "one" };
    for name in of_alerts.union(&of_dashboard) {
        let is_of_postgres =
            name.starts_with("kana_database_connections") || name.starts_with("kana_database_wait");
        assert!(
            known.contains(name) || engines_here == "one" && is_of_postgres,
            "{name} is not in {known:?}"
        );
    }
    assert!(alerts.contains(OF_PROMETHEUS));
}

/// A certificate that cannot be used was forgotten after an hour, and told of twice if it had expired as well.
#[test]
fn the_alert_about_certificates_forgot_bad_files_and_told_of_them_twice() {
    let summary = "The certificate of a ends soon, or another one cannot be used";
    let fires = json!([{
        "exp_labels": { "severity": "warning", "job": "kana", "instance": "a" },
        "exp_annotations": {
            "summary": summary,
            "description": "Renew it. The log says what was wrong with a new one.",
        },
    }]);
    let test = |not_after: &str, failed: &str, expected: &[(&str, bool)]| {
        let checks: Vec<Value> = expected
            .iter()
            .map(|(at, is_firing)| {
                let alerts = if *is_firing { fires.clone() } else { json!([]) };
                json!({ "eval_time": at, "alertname": "KanaCertificateEnds", "exp_alerts": alerts })
            })
            .collect();
        let of = "job=\"kana\",instance=\"a\"";
        json!({
            "interval": "1m",
            "input_series": [
                { "series": format!("kana_tls_certificate_not_after_seconds{{{of}}}"), "values": not_after },
                { "series": format!("kana_tls_reloads_total{{{of},result=\"failed\"}}"), "values": failed },
                { "series": format!("kana_tls_reloads_total{{{of},result=\"ok\"}}"), "values": "0x150" },
            ],
            "alert_rule_test": checks,
        })
    };
    let tests = json!({
        "rule_files": [packaged("prometheus/alerts.yml").canonicalize().unwrap()],
        "evaluation_interval": "1m",
        "tests": [
            // Bad files from the 10th minute to the 90th, counted every five seconds.
            test("2000000000x150", "0x10 12+12x79 960x60", &[
                ("9m", false), ("12m", true), ("85m", true), ("97m", false),
            ]),
            // The certificate in use has expired, and so have the files.
            test("60x150", "0x10 12+12x139", &[("5m", true), ("30m", true), ("120m", true)]),
        ],
    });
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("test.yml");
    std::fs::write(&file, tests.to_string()).unwrap();
    let tested = promtool(&["test", "rules", file.to_str().unwrap()], "");
    assert!(tested.status.success(), "{}{}", text(&tested.stdout), text(&tested.stderr));
}
