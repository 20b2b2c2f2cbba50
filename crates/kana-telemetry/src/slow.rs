//! What counts as slow, and statements of the database that are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{failures, request};

/// In nanoseconds. Until it is set, nothing is slow.
static SLOW: AtomicU64 = AtomicU64::new(u64::MAX);

/// Sets how long a statement must take to be logged.
pub fn set(slow: Duration) {
    SLOW.store(nanoseconds(slow), Ordering::Relaxed);
}

/// Logs a statement of the database if it was slow (contract: `operations.md`, "Logs"). `name` is our name
/// for it.
pub fn note_statement(name: impl FnOnce() -> &'static str, took: Duration) {
    if nanoseconds(took) < SLOW.load(Ordering::Relaxed) {
        return;
    }
    let statement = name();
    if failures::is_written(format_args!("slow statement: {statement}")) {
        let request_id = request::current_id();
        let request_id = request_id.as_ref().map(crate::RequestId::as_str);
        tracing::warn!(statement, duration_ms = milliseconds(took), request_id, "slow statement");
    }
}

/// Returns a duration as the log has it, to the microsecond.
#[must_use]
#[expect(clippy::float_arithmetic, reason = "a unit of the log, which nothing is decided on")]
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
