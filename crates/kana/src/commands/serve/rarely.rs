use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the log is silent about what it has just said.
const SILENCE: Duration = Duration::from_secs(60);

/// Says when something that happens again and again is worth a line of the log.
#[derive(Debug, Default)]
pub(super) struct Rarely(Mutex<Option<Instant>>);

impl Rarely {
    /// Whether it has not been said for a minute. Whoever asks must then say it.
    pub(super) fn is_due(&self) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = said.is_none_or(|at| at.elapsed() >= SILENCE);
        if due {
            *said = Some(Instant::now());
        }
        due
    }
}
