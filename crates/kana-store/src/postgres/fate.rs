//! What became of a transaction whose connection broke while it committed.

use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Error, Row};

use super::connections::take;
use super::errors::cause;
use super::statements as sql;
use crate::error::StoreError;

/// How long the database may be away before nobody waits for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(50);

/// By which the server knows a transaction.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    number: String,
    /// A standby that took over counts on from what it had seen: only on the same timeline is a
    /// number the same transaction.
    pub(super) timeline: String,
}

impl Mark {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { number: row.try_get(0)?, timeline: row.try_get(1)? })
    }
}

/// Asks whether a transaction was committed, until the server is there to say so: `Ok` if it was.
pub(super) async fn ask(pool: &Pool, mark: &Mark, why: Error) -> Result<(), StoreError> {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        match ask_once(pool, mark).await {
            Ok(Some(fate)) if fate == "committed" => return Ok(()),
            Ok(Some(fate)) if fate == "aborted" => {
                return Err(StoreError::Unavailable(cause(&why)));
            }
            // It still commits, on a connection that only the server believes in.
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(StoreError::Unavailable(_) | StoreError::ReadOnly) => {}
            Err(error) => {
                tracing::error!(%error, "cannot ask what became of a transaction");
                break;
            }
        }
        sleep(AGAIN).await;
    }
    Err(StoreError::OutcomeUnknown(cause(&why)))
}

/// `None` where the server cannot know.
async fn ask_once(pool: &Pool, mark: &Mark) -> Result<Option<String>, StoreError> {
    let connection = take(pool).await?;
    let statement = connection.prepare_cached(sql::FATE_OF_TRANSACTION).await?;
    let row = connection.query_one(&statement, &[&mark.number, &mark.timeline]).await?;
    Ok(row.try_get(0)?)
}
