use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time in which at most one line is due.
const INTERVAL: Duration = Duration::from_secs(60);

/// Limits the log of something that happens again and again to one line a minute.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle(Mutex<Option<Instant>>);

impl LogThrottle {
    /// Returns true at most once a minute; the caller then logs.
    pub(crate) fn is_due(&self) -> bool {
        let mut logged_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = logged_at.is_none_or(|at| at.elapsed() >= INTERVAL);
        if due {
            *logged_at = Some(Instant::now());
        }
        due
    }
}
