use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Error;

/// How long to wait before each new try, in milliseconds. A conflict is over once the other has
/// committed; a server that restarts or hands over to another takes longer.
const PAUSES_MS: [u64; 9] = [0, 5, 10, 20, 50, 100, 200, 400, 800];

/// Nothing is tried anew after that, however few tries there were: whoever asked waits, and so do
/// all behind.
const PATIENCE: Duration = Duration::from_secs(3);

/// Does `work` until it is done, for as long as it fails without having stored anything because
/// another writer was faster or the database is away; but not for ever.
pub(crate) async fn insist<T>(work: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    let since = Instant::now();
    let mut pauses = PAUSES_MS.into_iter();
    loop {
        let outcome = work().await;
        match &outcome {
            Err(Error::Unavailable(cause)) => {
                if let Some(pause) = pauses.next().filter(|_| since.elapsed() < PATIENCE) {
                    tracing::debug!(%cause, "trying again");
                    sleep(Duration::from_millis(pause)).await;
                    continue;
                }
                tracing::warn!(%cause, "given up for now");
            }
            Err(Error::OutcomeUnknown(cause)) => {
                tracing::error!(%cause, "nobody knows whether a commit was made");
            }
            Ok(_) | Err(_) => {}
        }
        return outcome;
    }
}
