//! What a server answers while it starts and waits for its database.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use kana_test_postgres::Cluster;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::process::{init_with, kana};

/// How long `/healthz` and `/readyz` may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// How long anything else may take, even on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A server that waits for its database.
struct Waiting {
    server: Child,
    log: BufReader<ChildStderr>,
    /// At the main address, and at that for operators.
    urls: [String; 2],
}

impl Waiting {
    fn start(in_dir: &Path, database_url: &str) -> Self {
        // No line of the log has the address before the server is ready.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = kana(in_dir, &["serve", "--listen", &address]);
        command.args(["--metrics-listen", "127.0.0.1:0", "--database-url", database_url]);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap());
        let operators = next_line(&mut log)["metrics_address"].as_str().unwrap().to_owned();
        let waiting = next_line(&mut log);
        assert!(waiting["message"].as_str().unwrap().contains("waiting up to"), "{waiting}");
        Self { server, log, urls: [address, operators].map(|at| format!("http://{at}")) }
    }

    fn end(mut self) {
        let pid = self.server.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        assert!(self.server.wait().unwrap().success());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn next_line(log: &mut BufReader<ChildStderr>) -> Value {
    let mut line = String::new();
    assert!(log.read_line(&mut line).unwrap() > 0, "it has ended");
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
}

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().new_agent()
}

fn get(agent: &Agent, url: &str) -> (u16, String) {
    let mut response = agent.get(url).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// Posts to a server that starts, and returns the body of the refusal.
fn refused(agent: &Agent, url: &str, media_type: &str) -> Value {
    let mut response = agent.post(url).header("Accept", media_type).send_json(json!({})).unwrap();
    let header = |name| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!((response.status().as_u16(), &*header("Retry-After")), (503, "1"), "{url}");
    response.body_mut().read_json().unwrap()
}

#[test]
fn a_start_that_waited_for_its_database_answered_nobody() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let key = init_with(dir.path(), &["--database-url", &cluster.url()]);
    cluster.kill();
    let mut waiting = Waiting::start(dir.path(), &cluster.url());
    let agent = agent();
    let [main, operators] = waiting.urls.clone();
    for url in [&main, &operators] {
        let since = Instant::now();
        assert_eq!(get(&agent, &format!("{url}/healthz")), (200, "ok\n".to_owned()));
        let (status, body) = get(&agent, &format!("{url}/readyz"));
        let body: Value = serde_json::from_str(&body).unwrap();
        let expected = json!({ "ready": false, "checks": { "database": "unavailable" } });
        assert_eq!((status, body), (503, expected));
        assert!(since.elapsed() < 2 * ANSWERED_WITHIN, "{:?}", since.elapsed());
    }
    let (status, metrics) = get(&agent, &format!("{operators}/metrics"));
    assert_eq!(status, 200);
    let has = |metric: &str| metrics.lines().any(|line| line.starts_with(metric));
    assert!(has("kana_database_up 0") && has("kana_schema_version 0"), "{metrics}");
    assert!(has("kana_build_info{") && !has("kana_last_backup_seconds"), "{metrics}");

    for path in ["/graphql", "/client/graphql"] {
        for media_type in ["application/json", "application/graphql-response+json"] {
            let body = refused(&agent, &format!("{main}{path}"), media_type);
            assert_eq!(body["errors"][0]["extensions"]["code"], "OVERLOADED", "{body}");
        }
    }
    for path in ["/events", "/cli/publish", "/dashboard", "/metrics", "/nothing"] {
        let body = refused(&agent, &format!("{main}{path}"), "*/*");
        assert_eq!(
            (&body["code"], &body["name"]),
            (&json!("OVERLOADED"), &json!("OverloadedError"))
        );
    }

    cluster.begin();
    let since = Instant::now();
    // The connections stay open meanwhile.
    while get(&agent, &format!("{main}/readyz")).0 != 200 {
        assert!(since.elapsed() < SOON);
    }
    assert_eq!(get(&agent, &format!("{operators}/readyz")).0, 200);
    let answer = agent
        .post(format!("{main}/graphql"))
        .header("Authorization", &key)
        .send_json(json!({ "query": "{ users { id } }" }))
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    assert_eq!(answer, r#"{"data":{"users":[]}}"#);
    while !next_line(&mut waiting.log)["message"].as_str().unwrap().contains("ready: listening") {}
    waiting.end();
}

#[test]
fn a_start_that_waits_ends_when_it_is_told_to_although_clients_are_connected() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let dir = TempDir::new().unwrap();
    cluster.kill();
    let waiting = Waiting::start(dir.path(), &cluster.url());
    let agent = agent();
    assert_eq!(get(&agent, &format!("{}/healthz", waiting.urls[0])).0, 200);
    waiting.end();
}
