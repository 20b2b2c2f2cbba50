//! Serving while the server starts.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use kana_telemetry::metrics::database;
use tokio::time::timeout;

/// How long a start may leave connections waiting. Most are over sooner, and then nobody is refused.
const UNANSWERED_MAX: Duration = Duration::from_millis(500);

/// Starts, and serves meanwhile if that takes longer than [`UNANSWERED_MAX`]. Serving is to be gone on with
/// afterwards.
pub(super) async fn serve<T>(
    start: impl Future<Output = T>,
    serving: Pin<&mut impl Future<Output = bool>>,
) -> T {
    let mut start = pin!(start);
    if let Ok(started) = timeout(UNANSWERED_MAX, &mut start).await {
        return started;
    }
    database::UP.set(0);
    tokio::select! {
        started = &mut start => return started,
        // Nobody has told it to end yet.
        _ = serving => {}
    }
    start.await
}
