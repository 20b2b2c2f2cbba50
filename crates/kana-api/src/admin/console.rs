//! What a browser sees at `GET /graphql`: GraphiQL, or a plain console of our own where GraphiQL's
//! files cannot be loaded.
//!
//! The page may run our own script and the three files of GraphiQL at one exact version, which the
//! browser checks by their hashes, and may speak to this server only. To take another version, put
//! its addresses into the page and below, and the SHA-384 of the same files in the npm packages
//! into the page; the tests of the program hold one against the other.

use axum::http::{Method, Request, header};
use axum::response::{IntoResponse, Response};
use kana_graphql::prefers_html;

const PAGE: &str = include_str!("console/page.html");
const SCRIPT: &str = include_str!("console/console.js");
const STYLE: &str = include_str!("console/console.css");

/// GraphiQL brings its fonts within its style sheet. Of the styles that it writes into the page, one
/// is refused, which does nothing here: it locks the page from scrolling under a dialog.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    script-src 'self' \
    https://cdn.jsdelivr.net/npm/react@18.3.1/umd/react.production.min.js \
    https://cdn.jsdelivr.net/npm/react-dom@18.3.1/umd/react-dom.production.min.js \
    https://cdn.jsdelivr.net/npm/graphiql@4.1.2/graphiql.min.js; \
    style-src 'self' \
    https://cdn.jsdelivr.net/npm/graphiql@4.1.2/graphiql.min.css; \
    font-src data:; img-src data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether a browser came to look around, and not a client to ask something.
pub(super) fn is_wanted<Body>(http: &Request<Body>) -> bool {
    let reads = matches!(*http.method(), Method::GET | Method::HEAD);
    let parameters = http.uri().query().unwrap_or_default().split('&');
    let asks =
        parameters.map(|parameter| parameter.split('=').next()).any(|name| name == Some("query"));
    reads && !asks && prefers_html(http.headers())
}

pub(super) fn page() -> Response {
    let policy = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        // The same address answers JSON to whoever asks for that.
        (header::VARY, "Accept"),
    ];
    (policy, file("text/html; charset=utf-8", PAGE)).into_response()
}

/// `/graphql/console.js`.
pub(super) async fn script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", SCRIPT)
}

/// `/graphql/console.css`.
pub(super) async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", STYLE)
}

fn file(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // So that after an update no old script meets a new page.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(target: &str, accept: &str) -> Request<()> {
        Request::get(target).header(header::ACCEPT, accept).body(()).unwrap()
    }

    #[test]
    fn a_browser_that_asks_nothing_gets_the_page_and_a_client_does_not() {
        const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (target, accept, wanted) in [
            ("/graphql", BROWSER, true),
            ("/graphql?", BROWSER, true),
            ("/graphql?from=bookmark", BROWSER, true),
            ("/graphql?query=%7B__typename%7D", BROWSER, false),
            ("/graphql?query", BROWSER, false),
            ("/graphql", "application/json", false),
            ("/graphql", "*/*", false),
            ("/graphql", "", false),
        ] {
            assert_eq!(is_wanted(&get(target, accept)), wanted, "{target} {accept}");
        }
        let post = Request::post("/graphql").header(header::ACCEPT, BROWSER).body(()).unwrap();
        assert!(!is_wanted(&post));
    }

    #[test]
    fn the_policy_allows_the_files_that_the_page_names_and_no_others() {
        let in_page: Vec<&str> =
            PAGE.split('"').filter(|quoted| quoted.starts_with("https://")).collect();
        assert_eq!(in_page.len(), 4);
        let mut in_policy: Vec<&str> = CONTENT_SECURITY_POLICY
            .split([' ', ';'])
            .filter(|source| source.starts_with("https:"))
            .collect();
        // The page has the style sheet first.
        in_policy.rotate_right(1);
        assert_eq!(in_policy, in_page);
        assert_eq!(PAGE.matches("integrity=\"sha384-").count(), in_page.len());
        assert_eq!(PAGE.matches("crossorigin=\"anonymous\"").count(), in_page.len());
    }
}
