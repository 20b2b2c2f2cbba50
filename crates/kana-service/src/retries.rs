use std::time::Duration;

use kana_store::{LogThrottle, StoreError};
use tokio::time::{Instant, sleep};

use crate::error::Error;

/// How long to wait before each new try, in milliseconds. A conflict is over once the other has
/// committed; a server that restarts or hands over to another takes longer.
const PAUSES_MS: [u64; 9] = [0, 5, 10, 20, 50, 100, 200, 400, 800];

/// Nothing is tried anew after that, however few tries there were: whoever asked waits, and so do
/// all behind.
const PATIENCE: Duration = Duration::from_secs(3);

/// Commands that were refused. One for the process, as the log is.
static REFUSED: LogThrottle = LogThrottle::new();

/// Does `work` until it is done, for as long as it fails without having stored anything because
/// another writer was faster or the database is away; but not for ever. `commands` are what the work
/// consists of, for the log.
pub(crate) async fn insist<T>(
    commands: usize,
    work: impl AsyncFn() -> Result<T, Error>,
) -> Result<T, Error> {
    let since = Instant::now();
    let mut pauses = PAUSES_MS.into_iter();
    loop {
        let outcome = work().await;
        match &outcome {
            Err(Error::Unavailable(cause)) => {
                let may_pass = may_pass(cause) && since.elapsed() < PATIENCE;
                if let Some(pause) = pauses.next().filter(|_| may_pass) {
                    tracing::debug!(%cause, "trying again");
                    sleep(Duration::from_millis(pause)).await;
                    continue;
                }
                if let Some(commands) = REFUSED.count(commands) {
                    tracing::warn!(%cause, commands, "commands were refused: nothing was recorded");
                }
            }
            Err(Error::OutcomeUnknown(cause)) => {
                tracing::error!(%cause, "nobody knows whether a commit was made");
            }
            Ok(_) => {
                if let Some(unreported) = REFUSED.end() {
                    tracing::info!(unreported, "commands are recorded again");
                }
            }
            Err(_) => {}
        }
        return outcome;
    }
}

/// Returns true if the next try may succeed. Where another process holds the database, the engine
/// has waited already, and a full disk does not end within seconds.
fn may_pass(cause: &StoreError) -> bool {
    !matches!(cause, StoreError::Busy(_) | StoreError::Full { .. })
}
