//! Retries work that failed without storing anything.

use std::time::Duration;

use kana_store::{LogThrottle, StoreError};
use tokio::time::{Instant, sleep};

use crate::database_failures;
use crate::deadlines;
use crate::error::Error;

/// The pause before each retry, in milliseconds. A conflict ends when the other transaction
/// commits; a restart or failover of the database takes longer.
const PAUSES_MS: [u64; 9] = [0, 5, 10, 20, 50, 100, 200, 400, 800];

/// Counts commands that were given up. One for the process, as the log is.
static REFUSED: LogThrottle = LogThrottle::new();
/// Counts batches of questions that were given up.
static UNANSWERED: LogThrottle = LogThrottle::new();

/// Runs `work` until it succeeds, fails permanently, or has failed for [`RETRY`](deadlines::RETRY).
/// Retries only [`Error::Unavailable`], which means that nothing was stored.
pub(crate) async fn retry<T, F>(work: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    retry_noting(work, |_| {}).await
}

/// Like [`retry`]. Calls `note` with the cause before each retry.
async fn retry_noting<T, F>(work: impl Fn() -> F, note: impl Fn(&StoreError)) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut retries = Retries::new();
    loop {
        let outcome = work().await;
        match &outcome {
            Err(error) if retries.wait_after(error).await => {
                if let Error::Unavailable(cause) = error {
                    note(cause);
                }
            }
            _ => return outcome,
        }
    }
}

/// Like [`retry`], for a batch of commands. Logs, at most once a second, how many commands were
/// given up.
pub(crate) async fn retry_batch<T, F>(commands: usize, work: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let outcome = retry_noting(work, database_failures::count_retry).await;
    match &outcome {
        Err(Error::Unavailable(cause)) => warn_refused(cause, commands),
        Ok(_) => {
            if let Some(unreported) = REFUSED.end() {
                tracing::info!(unreported, "commands are recorded again");
            }
        }
        Err(_) => {}
    }
    outcome
}

/// Logs, at most once a second, how many commands were refused because the database is unavailable.
pub(crate) fn warn_refused(cause: &StoreError, commands: usize) {
    if let Some(commands) = REFUSED.count(commands) {
        tracing::warn!(%cause, commands, "commands were refused: nothing was recorded");
    }
}

/// Logs, at most once a second, that questions were given up because the database is unavailable.
pub(crate) fn warn_if_unavailable(error: &Error) {
    if let Error::Unavailable(cause) = error
        && let Some(batches) = UNANSWERED.count(1)
    {
        tracing::warn!(%cause, batches, "questions were not answered");
    }
}

/// Returns true if a retry may succeed. If another process holds the database, the engine has
/// waited already; a full disk stays full, and a password wrong, for longer than a retry takes.
fn may_pass(cause: &StoreError) -> bool {
    !matches!(
        cause,
        StoreError::Busy(_)
            | StoreError::Full { .. }
            | StoreError::AccessDenied(_)
            | StoreError::NoDatabase(_)
    )
}

/// Tracks the retries that are left, for work that [`retry`] cannot call.
pub(crate) struct Retries {
    since: Instant,
    pauses: std::array::IntoIter<u64, { PAUSES_MS.len() }>,
}

impl Retries {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), pauses: PAUSES_MS.into_iter() }
    }

    /// Pauses and returns true if the work that failed with `error` should be retried.
    pub(crate) async fn wait_after(&mut self, error: &Error) -> bool {
        match error {
            Error::Unavailable(cause) => {
                let may_pass = may_pass(cause) && self.since.elapsed() < deadlines::RETRY;
                let pause = self.pauses.next().filter(|_| may_pass);
                let Some(pause) = pause else {
                    return false;
                };
                tracing::debug!(%cause, "retrying");
                sleep(Duration::from_millis(pause)).await;
                true
            }
            Error::OutcomeUnknown(cause) => {
                tracing::error!(%cause, "the outcome of a commit is unknown");
                false
            }
            _ => false,
        }
    }
}
