//! The public audit suite for GraphQL over HTTP.

use tempfile::TempDir;

use crate::node;
use crate::process::Server;

#[test]
fn graphql_over_http_is_as_its_public_audit_suite_wants_it() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    let out = node::run("audit.mjs", &server, &[("KANA_DEV_KEY", &key)]);
    assert_eq!(out, "0 of the required audits failed\n");
}
