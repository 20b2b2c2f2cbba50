//! Traces, as a collector gets them.

use std::process::Command;
use std::time::{Duration, Instant};

use kana_test_postgres::Authority;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::collector::{Answer, Collector, attribute};
use crate::engines::{Engine, engines};
use crate::metrics::scrape;
use crate::process::{Server, kana, run, text};

const MODEL: &str = r#"mutation {
    createFeature(input: { id: "calls", type: CONSUMABLE }) { id }
    createPackage(input: { id: "pro", features: { id: "calls" } }) { id }
    publishPackage(id: "pro") { id }
    createUser(input: { id: "u" }) { id }
    subscribe(packageIds: "pro", userId: "u") { id }
}"#;
const ASK: &str = r#"{ canUseFeature(userId: "u", featureId: "calls") { access } }"#;
const RECORD: &str =
    r#"mutation { createUsageEvent(input: { userId: "u", featureId: "calls", delta: 1 }) }"#;
/// The span of the caller.
const PARENT: &str = "b7ad6b7169203331";
/// No answer that waits for a collector comes this soon: it is given ten seconds.
const SOON: Duration = Duration::from_secs(5);

/// Starts a server on an app, with an endpoint and a ratio.
fn start(engine: &Engine, endpoint: &str, ratio: &str) -> (Server, String) {
    start_with(engine, endpoint, ratio, |serve| serve)
}

fn start_with(
    engine: &Engine,
    endpoint: &str,
    ratio: &str,
    more: impl Fn(&mut Command) -> &mut Command,
) -> (Server, String) {
    let key = engine.start().1;
    (serve(engine, endpoint, ratio, more), key)
}

fn serve(
    engine: &Engine,
    endpoint: &str,
    ratio: &str,
    more: impl Fn(&mut Command) -> &mut Command,
) -> Server {
    let flags = ["serve", "--listen", "127.0.0.1:0", "--trace-ratio", ratio];
    let mut serve = engine.kana(&flags);
    serve.args(["--otlp-endpoint", endpoint]);
    Server::start_with(more(&mut serve))
}

/// Sends a request that belongs to a trace of the caller.
fn ask_within(server: &Server, key: &str, query: &str, trace_parent: &str) {
    let mut answer = ureq::post(format!("{}/graphql", server.url))
        .header("Authorization", key)
        .header("traceparent", trace_parent)
        .send_json(json!({ "query": query }))
        .unwrap();
    let answer: Value = answer.body_mut().read_json().unwrap();
    assert!(answer.get("errors").is_none(), "{answer}");
}

fn stop(server: &mut Server) {
    server.signal("TERM");
    assert!(server.wait().0.success(), "{}", server.log());
}

/// Returns how many spans have this end.
fn counted(server: &Server, result: &str) -> u32 {
    let metrics = scrape(&server.url, "text/plain").1;
    let series = format!("kana_trace_spans_total{{result=\"{result}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the spans of a trace below one of them, by name.
fn below<'a>(spans: &'a [Span], parent: &Span, name: &str) -> Vec<&'a Span> {
    let is_below = |span: &&Span| {
        span.trace_id == parent.trace_id
            && span.parent_span_id == parent.span_id
            && span.name == name
    };
    spans.iter().filter(is_below).collect()
}

fn only<'a>(spans: &'a [Span], parent: &Span, name: &str) -> &'a Span {
    let found = below(spans, parent, name);
    assert_eq!(found.len(), 1, "{name} below {parent:?} in {spans:#?}");
    found[0]
}

/// Returns the statements of PostgreSQL that are directly below a span.
fn statements(spans: &[Span], parent: &Span) -> Vec<String> {
    let client = |span: &&Span| {
        span.parent_span_id == parent.span_id && span.kind == SpanKind::Client as i32
    };
    let name = |span: &Span| {
        assert_eq!(attribute(&span.attributes, "db.system.name").as_deref(), Some("postgresql"));
        assert_eq!(attribute(&span.attributes, "db.query.summary").as_ref(), Some(&span.name));
        span.name.clone()
    };
    spans.iter().filter(client).map(name).collect()
}

/// Checks the span of a request of a trace, and returns the one below it.
fn operation<'a>(spans: &'a [Span], trace: &str, kind: &str, field: &str) -> &'a Span {
    let of_trace: Vec<&Span> = spans.iter().filter(|span| hex(&span.trace_id) == trace).collect();
    let servers = of_trace.iter().filter(|span| span.kind == SpanKind::Server as i32);
    let servers: Vec<&&Span> = servers.collect();
    assert_eq!(servers.len(), 1, "{spans:#?}");
    let server = servers[0];
    assert_eq!(
        (server.name.as_str(), hex(&server.parent_span_id).as_str()),
        ("POST /graphql", PARENT)
    );
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/graphql"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("kana.environment", "test"),
    ] {
        assert_eq!(attribute(&server.attributes, name).as_deref(), Some(value), "{server:?}");
    }
    assert_eq!(server.status, None);
    let operation = only(spans, server, kind);
    assert_eq!(attribute(&operation.attributes, "graphql.operation.type").as_deref(), Some(kind));
    assert_eq!(attribute(&operation.attributes, "kana.operations").as_deref(), Some(field));
    for span in &of_trace {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        // Times are read from two clocks, one after the other.
        let early = server.start_time_unix_nano.saturating_sub(1_000_000);
        assert!((early..).contains(&span.start_time_unix_nano), "{span:?} {server:?}");
        assert!(
            span.end_time_unix_nano <= server.end_time_unix_nano + 1_000_000,
            "{span:?} {server:?}"
        );
    }
    operation
}

#[test]
fn a_question_and_a_recording_are_traced_below_the_span_of_their_caller() {
    for engine in engines() {
        let collector = Collector::start();
        let (mut server, key) = start(&engine, &collector.url, "0");
        server.data(&key, MODEL);
        let trace = |number: u32| format!("0af7651916cd43dd8448eb211c80{number:04x}");
        let parent = |number: u32, flags: &str| format!("00-{}-{PARENT}-{flags}", trace(number));
        // The second time, a plan answers.
        for number in [1, 2] {
            ask_within(&server, &key, ASK, &parent(number, "01"));
            ask_within(&server, &key, RECORD, &parent(10 + number, "01"));
            ask_within(&server, &key, ASK, &parent(20 + number, "00"));
        }
        stop(&mut server);
        let spans = collector.spans();
        let others = spans.iter().filter(|span| hex(&span.trace_id).ends_with("0015"));
        assert_eq!(others.count(), 0, "its caller does not trace it");
        for number in [1, 2] {
            let query = operation(&spans, &trace(number), "query", "canUseFeature");
            let decide = only(&spans, query, "decide");
            let asked = statements(&spans, decide);
            assert_eq!(asked.is_empty(), !engine.is_shared(), "{asked:?}");

            let mutation = operation(&spans, &trace(10 + number), "mutation", "createUsageEvent");
            let decide = only(&spans, mutation, "decide");
            let asked = statements(&spans, decide);
            assert_eq!(asked.is_empty(), !engine.is_shared(), "{asked:?}");
            let commit = only(&spans, mutation, "commit");
            let links: Vec<&[u8]> = commit.links.iter().map(|link| &link.span_id[..]).collect();
            assert_eq!(links, [&mutation.span_id[..]]);
            let asked = statements(&spans, commit);
            assert_eq!(asked.contains(&"COMMIT".to_owned()), engine.is_shared(), "{asked:?}");
        }
    }
}

#[test]
fn a_commit_is_one_for_its_batch_and_linked_to_each_request() {
    for engine in engines() {
        let collector = Collector::start();
        let (mut server, key) = start(&engine, &collector.url, "1");
        server.data(&key, MODEL);
        std::thread::scope(|threads| {
            for _ in 0..16 {
                threads.spawn(|| (0..8).for_each(|_| drop(server.data(&key, RECORD))));
            }
        });
        stop(&mut server);
        let spans = collector.spans();
        let recordings = spans.iter().filter(|span| {
            span.name == "mutation"
                && attribute(&span.attributes, "kana.operations").unwrap() == "createUsageEvent"
        });
        let mut count = 0;
        for recording in recordings {
            only(&spans, recording, "decide");
            let linked = spans.iter().filter(|span| {
                span.name == "commit"
                    && span.links.iter().any(|link| link.span_id == recording.span_id)
            });
            assert_eq!(linked.count(), 1, "{recording:?}");
            count += 1;
        }
        assert_eq!(count, 128);
        let batches = spans.iter().filter(|span| span.name == "commit" && span.links.len() > 1);
        assert!(batches.count() > 0, "no batch had more than one request");
    }
}

#[test]
fn the_line_of_a_request_has_the_trace_that_was_begun_for_it() {
    let (engine, collector) = (Engine::embedded(), Collector::start());
    let (mut server, key) = start(&engine, &collector.url, "1");
    server.data(&key, MODEL);
    server.data(&key, ASK);
    ureq::get(format!("{}/readyz", server.url)).call().unwrap();
    stop(&mut server);
    let log: Vec<Value> =
        server.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<&Value> = log.iter().filter(|line| line["message"] == "request").collect();
    let spans = collector.spans();
    let servers = spans.iter().filter(|span| span.kind == SpanKind::Server as i32);
    let traces: Vec<String> = servers.map(|span| hex(&span.trace_id)).collect();
    assert_eq!((lines.len(), traces.len()), (2, 2), "/readyz has neither: {log:?}");
    for line in lines {
        assert!(traces.iter().any(|trace| line["trace_id"] == *trace), "{line} {traces:?}");
    }
}

#[test]
fn the_status_of_a_failure_is_an_error_and_an_unknown_path_is_not_told() {
    let (engine, collector) = (Engine::embedded(), Collector::start());
    let (mut server, key) = start(&engine, &collector.url, "1");
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    assert_eq!(agent.get(format!("{}/hidden/path", server.url)).call().unwrap().status(), 404);
    stop(&mut server);
    // A server that runs may have the packages in memory.
    engine.execute("DROP TABLE packages");
    let mut server = serve(&engine, &collector.url, "1", |serve| serve);
    let failed =
        agent.get(format!("{}/cli/pull", server.url)).header("Authorization", &key).call().unwrap();
    assert_eq!(failed.status(), 500);
    stop(&mut server);
    let spans = collector.spans();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (unknown, failed) = (named("GET"), named("GET /cli/pull"));
    assert_eq!(attribute(&unknown.attributes, "http.route"), None);
    assert_eq!((unknown.status.as_ref(), unknown.parent_span_id.len()), (None, 0));
    assert_eq!(failed.status.as_ref().unwrap().code, 2);
    assert_eq!(attribute(&failed.attributes, "error.type").as_deref(), Some("500"));
    assert!(collector.received().iter().all(|it| !text_of(&it.body).contains("hidden")));
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_collector_that_hangs_or_is_away_costs_spans_and_nothing_else() {
    let hangs = Collector::start_with(&[Answer::Nothing]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for endpoint in [hangs.url.clone(), format!("http://{nobody}")] {
        let engine = Engine::embedded();
        let (mut server, key) = start(&engine, &endpoint, "1");
        server.data(&key, MODEL);
        for _ in 0..1000 {
            let since = Instant::now();
            server.data(&key, ASK);
            assert!(since.elapsed() < SOON);
        }
        // Three spans for each question, of which 2,048 are held.
        let dropped = counted(&server, "dropped");
        assert!(dropped >= 900, "{dropped}");
        let since = Instant::now();
        stop(&mut server);
        assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
        // Who hangs still does.
        if endpoint != hangs.url {
            let (said, without_room) = dropped_in_log(&server);
            assert!(said >= u64::from(dropped), "{said} of {dropped}: {}", server.log());
            assert!((1..said).contains(&without_room), "{without_room} of {said}");
        }
    }
}

/// Returns how many spans the log says were dropped, and how many of them for want of room.
fn dropped_in_log(server: &Server) -> (u64, u64) {
    let log = server.log();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.filter(|line| line.get("without_room").is_some()).collect();
    let sum = |field: &str| lines.iter().map(|line| line[field].as_u64().unwrap()).sum();
    (sum("spans"), sum("without_room"))
}

#[test]
fn spans_are_sent_again_when_the_collector_asks_for_that_and_dropped_when_it_does_not() {
    let engine = Engine::embedded();
    let later = Answer::Status(503, "Retry-After: 0\r\n");
    let again = Collector::start_with(&[
        later,
        Answer::Status(429, "Retry-After: 0\r\n"),
        Answer::Status(200, ""),
    ]);
    let (mut server, key) = start(&engine, &again.url, "1");
    server.data(&key, "{ __typename }");
    again.await_requests(3);
    stop(&mut server);
    let bodies: Vec<Vec<u8>> = again.received().into_iter().map(|it| it.body).collect();
    assert!(bodies.len() == 3 && bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");

    let refuses = Collector::start_with(&[Answer::Status(400, "")]);
    let mut serve = engine.kana(&["serve", "--listen", "127.0.0.1:0", "--trace-ratio", "1"]);
    let mut server = Server::start_with(serve.args(["--otlp-endpoint", &refuses.url]));
    server.data(&key, "{ __typename }");
    server.await_log("spans of traces were dropped");
    stop(&mut server);
    assert!(server.log().contains("the collector answered 400"), "{}", server.log());
    assert_eq!(refuses.received().len(), 1);
}

#[test]
fn the_variables_of_opentelemetry_count() {
    let (engine, collector) = (Engine::embedded(), Collector::start());
    let key = engine.start().1;
    let mut serve = engine.kana(&["serve", "--listen", "127.0.0.1:0"]);
    let endpoint = collector.url.replace("://", "://kana:hunter2@");
    serve
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hidden%20secret,hidden-nonsense")
        .env("OTEL_SERVICE_NAME", "pricing")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
        .env("KANA_TRACE_RATIO", "1");
    let mut server = Server::start_with(&mut serve);
    server.data(&key, "{ __typename }");
    let since = Instant::now();
    while counted(&server, "exported") < 2 {
        assert!(since.elapsed() < 6 * SOON);
        std::thread::yield_now();
    }
    stop(&mut server);
    let received = collector.received();
    let head = &received[0].head;
    for line in [
        "post /v1/traces http/1.1",
        "content-type: application/x-protobuf",
        "api-key: hidden secret",
        // kana:hunter2
        "authorization: basic a2fuytpodw50zxiy",
    ] {
        assert!(head.lines().any(|read| read == line), "{line}: {head}");
    }
    let resource = collector.exported()[0].resource_spans[0].resource.clone().unwrap();
    for (name, value) in [
        ("service.name", "pricing"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment.name", "staging"),
    ] {
        assert_eq!(attribute(&resource.attributes, name).as_deref(), Some(value));
    }
    let log = server.log();
    let shown = collector.url.replace("://", "://kana:***@");
    assert!(log.contains(&format!("otlp-endpoint={shown} trace-ratio=1")), "{log}");
    assert!(log.contains("entry 2 of OTEL_EXPORTER_OTLP_HEADERS is left out"), "{log}");
    for hidden in ["hunter2", "hidden", "is not known"] {
        assert!(!log.contains(hidden), "{log}");
    }
}

#[test]
fn the_tracestate_of_a_valid_parent_is_in_the_span_of_the_request() {
    let (engine, collector) = (Engine::embedded(), Collector::start());
    let (mut server, key) = start(&engine, &collector.url, "1");
    let parent = |last: u32| format!("00-0af7651916cd43dd8448eb211c80{last:04x}-{PARENT}-01");
    let long = format!("a={},b={}", "x".repeat(255), "y".repeat(255));
    for (number, (trace_parent, state)) in [
        (parent(0), Some("rojo=1 ,congo=t61rcWkgMzE")),
        (parent(1), None),
        (parent(2), Some("no list")),
        (parent(3), Some(long.as_str())),
        ("00-nonsense".to_owned(), Some("rojo=1")),
    ]
    .into_iter()
    .enumerate()
    {
        let mut ask = ureq::get(format!("{}/cli/pull?{number}", server.url))
            .header("Authorization", &key)
            .header("traceparent", &trace_parent);
        if let Some(state) = state {
            ask = ask.header("tracestate", state);
        }
        ask.call().unwrap();
    }
    stop(&mut server);
    let spans = collector.spans();
    let servers = spans.iter().filter(|span| span.kind == SpanKind::Server as i32);
    let mut states: Vec<&str> = servers.map(|span| span.trace_state.as_str()).collect();
    states.sort_unstable();
    assert_eq!(states, ["", "", "", "", "rojo=1 ,congo=t61rcWkgMzE"]);
    let first = spans.iter().find(|span| !span.trace_state.is_empty()).unwrap();
    assert!(hex(&first.trace_id).ends_with("0000"), "{first:?}");
}

#[test]
fn a_scrape_is_not_traced() {
    let (engine, collector) = (Engine::embedded(), Collector::start());
    let (mut server, key) = start(&engine, &collector.url, "1");
    for _ in 0..3 {
        scrape(&server.url, "text/plain");
    }
    server.data(&key, "{ __typename }");
    stop(&mut server);
    let spans = collector.spans();
    let servers = spans.iter().filter(|span| span.kind == SpanKind::Server as i32);
    let names: Vec<&str> = servers.map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["POST /graphql"]);
}

#[test]
fn a_collector_may_speak_tls() {
    let authority = Authority::new("authority");
    let collector = Collector::start_tls(&authority.sign("collector", &["localhost"]));
    let dir = TempDir::new().unwrap();
    let trusted = dir.path().join("authority.pem");
    std::fs::write(&trusted, authority.pem()).unwrap();
    for (trust, is_exported) in [(true, true), (false, false)] {
        let engine = Engine::embedded();
        let (mut server, key) = start_with(&engine, &collector.url, "1", |serve| {
            if trust { serve.env("SSL_CERT_FILE", &trusted) } else { serve }
        });
        let before = collector.received().len();
        server.data(&key, "{ __typename }");
        stop(&mut server);
        assert_eq!(collector.received().len() > before, is_exported, "{}", server.log());
    }
}

#[test]
fn wrong_settings_of_traces_are_named_at_once() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("kana.toml"), "trace_ratio = 1.5").unwrap();
    let wrong = |name: &str| {
        let mut serve = kana(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
        let output = serve.env(name, "grpc://kana:hunter2@collector").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr).to_owned()
    };
    for name in ["KANA_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
        let said = wrong(name);
        for named in [
            format!("'grpc://kana:***@collector' for --otlp-endpoint, from {name}: "),
            "http://127.0.0.1:4318".to_owned(),
            "'1.5' for --trace-ratio, from trace_ratio in kana.toml: must be a number from 0 to 1"
                .to_owned(),
        ] {
            assert!(said.contains(&named), "{named}: {said}");
        }
        assert_eq!(said.lines().count(), 2, "{said}");
    }
    std::fs::write(dir.path().join("kana.toml"), "trace_ratio = 0.25").unwrap();
    let config = run(dir.path(), &["config", "--otlp-endpoint", "https://kana:hunter2@collector"]);
    let config = text(&config.stdout);
    for (name, words) in [
        ("otlp-endpoint", "https://kana:***@collector flag -"),
        ("trace-ratio", "0.25 file kana.toml 0 to 1"),
    ] {
        let line = config.lines().find(|line| line.starts_with(name)).unwrap();
        let shown: Vec<&str> = line.split_whitespace().skip(1).collect();
        assert_eq!(shown.join(" "), words);
    }
}
