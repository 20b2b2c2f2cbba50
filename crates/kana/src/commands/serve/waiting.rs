//! Waits for the database at the start.

use std::time::Duration;

use kana_api::starting::Starting;
use kana_store::StoreError;
use tokio::time::{Instant, sleep};

/// How long a start waits for a database that is unavailable or has no connection left.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// Opens the database, and retries for [`PATIENCE`] while it cannot be reached, which `/readyz` then says. Fails
/// at once with an error that waiting cannot fix.
pub(super) async fn open_in_time<T>(
    open: impl AsyncFn() -> Result<T, StoreError>,
    starting: &Starting,
) -> Result<T, StoreError> {
    let since = Instant::now();
    let mut is_said = false;
    loop {
        let error = match open().await {
            Err(error @ StoreError::Unavailable(_)) if since.elapsed() + PAUSE < PATIENCE => error,
            opened => return opened,
        };
        starting.set_database_problem(error.summary());
        if !is_said {
            let seconds = PATIENCE.as_secs();
            tracing::warn!(%error, "waiting up to {seconds} seconds for the database");
            is_said = true;
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn away() -> StoreError {
        StoreError::Unavailable("connection refused".into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_comes_within_a_minute_is_opened() {
        let since = Instant::now();
        let open = async || match since.elapsed().as_secs() {
            ..50 => Err(away()),
            _ => Ok("open"),
        };
        assert_eq!(open_in_time(open, &Starting::default()).await.unwrap(), "open");
        assert!(since.elapsed() < Duration::from_secs(51), "{:?}", since.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_does_not_come_is_waited_for_a_minute() {
        let since = Instant::now();
        let opened: Result<(), _> = open_in_time(async || Err(away()), &Starting::default()).await;
        assert!(matches!(opened, Err(StoreError::Unavailable(_))), "{opened:?}");
        let waited = since.elapsed().as_secs();
        assert!((59..=60).contains(&waited), "{waited} s");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waiting_cannot_mend_is_not_waited_for() {
        let errors: [fn() -> StoreError; 7] = [
            || StoreError::SessionDiffers { problem: "search_path is 'public'".to_owned() },
            || StoreError::TlsFailed("unknown authority".into()),
            || StoreError::AccessDenied("wrong password".into()),
            || StoreError::NoDatabase("no such database".into()),
            || StoreError::NewerSchema { found: 9, known: 1 },
            || StoreError::DatabaseUrl { problem: "it names no host".to_owned() },
            || StoreError::ReadOnly,
        ];
        for error in errors {
            let tries = Cell::new(0);
            let open = async || {
                tries.set(tries.get() + 1);
                Err(error())
            };
            let opened: Result<(), _> = open_in_time(open, &Starting::default()).await;
            assert_eq!((opened.unwrap_err().to_string(), tries.get()), (error().to_string(), 1));
        }
    }
}
