//! `/metrics` (contract: `operations.md`, "Metrics").

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use kana_http::body;
use kana_service::Kana;
use kana_telemetry::metrics::{self, Format, Snapshot};

/// Answers with all metrics, in the format that the client prefers. Asks no database.
pub(crate) async fn all(State(kana): State<Arc<Kana>>, headers: HeaderMap) -> impl IntoResponse {
    answer(&headers, kana.writer_depths())
}

/// Answers with all metrics before there is a writer.
pub(crate) async fn at_start(headers: HeaderMap) -> impl IntoResponse {
    answer(&headers, (Vec::new(), 0))
}

fn answer(headers: &HeaderMap, (lanes, lane_max): (Vec<u64>, u64)) -> impl IntoResponse + use<> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let (held, max) = body::in_use();
    let snapshot =
        Snapshot { body_bytes_held: held as u64, body_bytes_max: max as u64, lanes, lane_max };
    let headers = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Accept"),
    ];
    (headers, metrics::text(format, &snapshot))
}
