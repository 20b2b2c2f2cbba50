//! Trying again what failed without having stored anything.

use std::time::Duration;

use kana_store::{LogThrottle, StoreError};
use tokio::time::{Instant, sleep};

use crate::error::Error;

/// How long to wait before each new try, in milliseconds. A conflict is over once the other has
/// committed; a server that restarts or hands over to another takes longer.
const PAUSES_MS: [u64; 9] = [0, 5, 10, 20, 50, 100, 200, 400, 800];

/// No new try starts after this time, however few there were: the caller waits, and so does
/// everything queued behind it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Commands and batches of questions that were given up. One for the process, as the log is.
static REFUSED: LogThrottle = LogThrottle::new();
static UNANSWERED: LogThrottle = LogThrottle::new();

/// Runs `work` until it succeeds, fails for good, or has failed for [`PATIENCE`]. Only
/// [`Error::Unavailable`] is retried: nothing was stored then.
pub(crate) async fn retry<T, F>(work: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut retries = Retries::new();
    loop {
        let outcome = work().await;
        match &outcome {
            Err(error) if retries.wait_after(error).await => {}
            _ => return outcome,
        }
    }
}

/// Like [`retry`], for a batch of so many commands. Logs, at most once a second, how many were given
/// up.
pub(crate) async fn retry_batch<T, F>(commands: usize, work: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let outcome = retry(work).await;
    match &outcome {
        Err(Error::Unavailable(cause)) => {
            if let Some(commands) = REFUSED.count(commands) {
                tracing::warn!(%cause, commands, "commands were refused: nothing was recorded");
            }
        }
        Ok(_) => {
            if let Some(unreported) = REFUSED.end() {
                tracing::info!(unreported, "commands are recorded again");
            }
        }
        Err(_) => {}
    }
    outcome
}

/// Logs, at most once a second, that questions were given up because the database is away.
pub(crate) fn warn_if_unavailable(error: &Error) {
    if let Error::Unavailable(cause) = error
        && let Some(batches) = UNANSWERED.count(1)
    {
        tracing::warn!(%cause, batches, "questions were not answered");
    }
}

/// Returns true if the next try may succeed. Where another process holds the database, the engine
/// has waited already, and a full disk does not end within seconds.
fn may_pass(cause: &StoreError) -> bool {
    !matches!(cause, StoreError::Busy(_) | StoreError::Full { .. })
}

/// The tries that are left, for work that [`retry`] cannot call.
pub(crate) struct Retries {
    since: Instant,
    pauses: std::array::IntoIter<u64, { PAUSES_MS.len() }>,
}

impl Retries {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), pauses: PAUSES_MS.into_iter() }
    }

    /// Returns true, after a pause, if the work that failed with `error` is to be tried again.
    pub(crate) async fn wait_after(&mut self, error: &Error) -> bool {
        match error {
            Error::Unavailable(cause) => {
                let may_pass = may_pass(cause) && self.since.elapsed() < PATIENCE;
                let pause = self.pauses.next().filter(|_| may_pass);
                let Some(pause) = pause else {
                    return false;
                };
                tracing::debug!(%cause, "trying again");
                sleep(Duration::from_millis(pause)).await;
                true
            }
            Error::OutcomeUnknown(cause) => {
                tracing::error!(%cause, "nobody knows whether a commit was made");
                false
            }
            _ => false,
        }
    }
}
