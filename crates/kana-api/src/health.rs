//! `/healthz` and `/readyz` (contract: `server.md`, `operations.md`).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kana_service::{Kana, LogThrottle, NotReady};
use serde_json::json;

const NO_STORE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

/// One for the process, as the log is.
static NOT_READY: LogThrottle = LogThrottle::new();

/// Answers `ok` while the process runs.
pub(crate) async fn alive() -> impl IntoResponse {
    ([NO_STORE], "ok\n")
}

/// Answers `ok` if the database answers questions and accepts changes, and the server has not been told
/// to stop; otherwise 503, with the reason in a few words.
pub(crate) async fn ready(State(kana): State<Arc<Kana>>) -> Response {
    let Err(reason) = kana.check_ready().await else {
        return ([NO_STORE], "ok\n").into_response();
    };
    // To stop is no error, and the log has it already.
    if !matches!(reason, NotReady::Stopping)
        && let Some(times) = NOT_READY.count(1)
    {
        tracing::error!(%reason, times, "not ready");
    }
    not_ready(reason.check())
}

/// Answers that a check has failed, and why in a few words.
pub(crate) fn not_ready((check, problem): (&'static str, &'static str)) -> Response {
    let body = json!({ "ready": false, "checks": { check: problem } });
    let headers = [NO_STORE, (header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, body.to_string()).into_response()
}
