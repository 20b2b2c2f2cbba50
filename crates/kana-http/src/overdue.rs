//! The answer to a request that took too long.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// RFC 9457. Nobody knows how far the handler came, so this does not ask to try again at once.
const PROBLEM: &str = r#"{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"The request was not answered in time, and whether it was carried out is not known. Send it again with the same idempotency key.","code":"INTERNAL_SERVER_ERROR"}"#;

pub(crate) fn answer() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::INTERNAL_SERVER_ERROR, headers, PROBLEM).into_response()
}
