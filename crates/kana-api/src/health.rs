//! Whether the process runs and the database answers (contract: `server.md`).

use std::error::Error as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use kana_service::Kana;

/// The process runs.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// The database answers.
pub(crate) async fn ready(State(kana): State<Arc<Kana>>) -> (StatusCode, &'static str) {
    match kana.check_ready().await {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(%error, cause, "the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
        }
    }
}
