//! What public tools see of the APIs: the audit suite for GraphQL over HTTP, and introspection as
//! the reference implementation reads it.

use tempfile::TempDir;

use crate::node;
use crate::process::{Server, run, text};

#[test]
fn graphql_over_http_is_as_its_public_audit_suite_wants_it() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    let out = node::run("audit.mjs", &server, &[("KANA_DEV_KEY", &key)]);
    assert_eq!(out, "0 of the required audits failed\n");
}

#[test]
fn introspection_says_what_the_committed_schemas_say() {
    let dir = TempDir::new().unwrap();
    let keys = run(dir.path(), &["init"]);
    let keys: Vec<(&str, &str)> =
        text(&keys.stdout).lines().map(|line| line.split_once('=').unwrap()).collect();
    let server = Server::start(dir.path());
    let out = node::run("introspection.mjs", &server, &keys);
    assert_eq!(out, "introspection says what is committed\n");
}
