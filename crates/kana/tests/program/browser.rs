//! What a browser does with the server: the page at `/graphql` in Debian's Chromium, and the client
//! that is published for web pages.

use tempfile::TempDir;

use crate::engines::engines;
use crate::node;
use crate::process::Server;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn a_browser_gets_a_page_that_is_locked_in_and_a_client_gets_json() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    let get = |path: &str, accept: &str| {
        let request = ureq::get(format!("{}{path}", server.url))
            .config()
            .http_status_as_error(false)
            .build()
            .header("Accept", accept)
            .header("Authorization", &key);
        let mut response = request.call().unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        (response, body)
    };
    let header = |response: &ureq::http::Response<ureq::Body>, name: &str| {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };

    let (page, html) = get("/graphql", BROWSER);
    assert_eq!(page.status(), 200);
    assert!(html.starts_with("<!doctype html>"), "{html}");
    let policy = header(&page, "Content-Security-Policy").unwrap();
    let directives: Vec<&str> = policy.split("; ").collect();
    for directive in [
        "default-src 'none'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(directives.contains(&directive), "{directive} is missing: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("Content-Type", "text/html; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Vary", "Accept"),
    ] {
        assert_eq!(header(&page, name).as_deref(), Some(value), "{name}");
    }
    for path in ["/graphql/console.js", "/graphql/console.css"] {
        let (file, _) = get(path, "*/*");
        assert_eq!(file.status(), 200, "{path}");
        assert_eq!(header(&file, "X-Content-Type-Options").as_deref(), Some("nosniff"), "{path}");
    }

    // Whoever asks for JSON, or asks anything at all, never gets the page.
    let (refusal, body) = get("/graphql", "application/json");
    assert_eq!(refusal.status(), 400);
    assert!(body.contains("query is missing"), "{body}");
    assert_eq!(header(&refusal, "Vary").as_deref(), Some("Accept"));
    let (answer, body) = get("/graphql?query=%7B__typename%7D", BROWSER);
    assert_eq!(answer.status(), 200);
    assert_eq!(body, r#"{"data":{"__typename":"Query"}}"#);
}

#[test]
fn a_browser_in_a_closed_network_gets_a_plain_console_that_works() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    let out = node::run("plain_console.mjs", &server, &[("KANA_DEV_KEY", &key)]);
    assert_eq!(out, "the plain console works\n");
}

#[test]
fn a_browser_that_reaches_the_cdn_gets_graphiql() {
    let dir = TempDir::new().unwrap();
    let (server, key) = Server::start_new(&dir);
    let out = node::run("graphiql.mjs", &server, &[("KANA_DEV_KEY", &key)]);
    assert_eq!(out, "GraphiQL works\n");
}

#[test]
fn the_published_client_works_unchanged_in_a_page_of_another_origin() {
    for engine in engines() {
        let (server, keys) = engine.start_with_keys();
        let keys: Vec<(&str, &str)> =
            keys.iter().map(|(name, key)| (name.as_str(), key.as_str())).collect();
        let out = node::run("published_client.mjs", &server, &keys);
        assert_eq!(out, "the published client works\n");
    }
}
