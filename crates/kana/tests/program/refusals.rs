//! A refusal that is sent before the body was read reaches clients that send the whole body first.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Server, text};

const MIB: usize = 1024 * 1024;

/// Returns requests that are refused by their heads, each with its status.
fn refused(key: &str) -> Vec<(Value, u16)> {
    let request = |method: &str, path: &str, key: &str, content_type: &str, bytes: usize| {
        json!({
            "method": method, "path": path, "bytes": bytes,
            "headers": { "Authorization": key, "Content-Type": content_type },
        })
    };
    let json = "application/json";
    let graphql = "application/graphql-response+json";
    let mut wrong_key = request("POST", "/graphql", "wrong", json, 5 * MIB);
    wrong_key["headers"]["Accept"] = graphql.into();
    vec![
        (request("POST", "/events", "wrong", "application/x-ndjson", 5 * MIB), 401),
        (request("POST", "/events", key, "text/plain", 5 * MIB), 415),
        (request("POST", "/events", key, "application/cloudevents+json", 5 * MIB), 413),
        (request("POST", "/cli/validate", "wrong", json, 5 * MIB), 401),
        (request("POST", "/cli/publish", "wrong", json, 5 * MIB), 401),
        (request("POST", "/cli/publish", key, json, 20 * MIB), 413),
        (request("POST", "/nothing", key, json, 5 * MIB), 404),
        (request("POST", "/graphql/", key, json, 200_000), 404),
        (request("PUT", "/graphql", key, json, 5 * MIB), 405),
        (request("POST", "/graphql", key, json, 5 * MIB), 413),
        (wrong_key, 401),
    ]
}

fn assert_told(program: &str, script: &str) {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    let (requests, statuses): (Vec<Value>, Vec<u16>) = refused(&key).into_iter().unzip();
    let script =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/program/refusals").join(script);
    let mut client = Command::new(program)
        .arg(script)
        .arg(&server.url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is missing: {error}; ./test installs it"));
    let requests = serde_json::to_vec(&requests).unwrap();
    client.stdin.take().unwrap().write_all(&requests).unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: Vec<&str> = text(&output.stdout).lines().collect();
    let expected: Vec<String> =
        statuses.iter().map(|status| format!("{status} {status}")).collect();
    assert_eq!(told, expected);
}

#[test]
fn python_is_told_why_it_is_refused() {
    assert_told("python3", "refused.py");
}

#[test]
fn ruby_is_told_why_it_is_refused() {
    assert_told("ruby", "refused.rb");
}

#[test]
fn node_is_told_why_it_is_refused() {
    assert_told("node", "refused.mjs");
}

#[test]
fn a_raw_client_is_told_why_it_is_refused() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    for (request, status) in refused(&key) {
        for more in ["", "Expect: 100-continue\r\n", "Connection: close\r\n"] {
            let mut connection = server.connect();
            let field = |name: &str| request[name].as_str().unwrap();
            let bytes = usize::try_from(request["bytes"].as_u64().unwrap()).unwrap();
            let mut head = format!(
                "{} {} HTTP/1.1\r\nHost: kana\r\nContent-Length: {bytes}\r\n{more}",
                field("method"),
                field("path")
            );
            for (name, value) in request["headers"].as_object().unwrap() {
                head.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap()));
            }
            connection.write_all(format!("{head}\r\n").as_bytes()).unwrap();
            connection.write_all(&vec![b'x'; bytes]).unwrap();
            let mut answer = [0; 12];
            connection.read_exact(&mut answer).unwrap();
            assert_eq!(text(&answer), format!("HTTP/1.1 {status}"), "{head}");
        }
    }
}
