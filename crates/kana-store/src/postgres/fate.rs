//! Finds out whether a transaction was committed whose connection broke during the commit.

use std::time::{Duration, SystemTime};

use tokio::time::{sleep, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::asking::{ask_alone, only};
use super::connections::Connections;
use super::leased::Leased;
use super::statements as sql;
use crate::deadlines::within;
use crate::error::StoreError;

/// The minimum number of attempts to ask.
const TRIES_MIN: u32 = 4;
const AGAIN: Duration = Duration::from_millis(50);

/// Identifies a transaction to the server.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) number: String,
    /// The timeline. A standby that took over continues from what it had received, so a number is the
    /// same transaction only on the same timeline.
    pub(super) timeline: String,
    /// When the server was started. After a crash, a number can be that of another transaction.
    started_at: SystemTime,
}

impl Mark {
    /// Reads the number, the timeline and the start of the server, from column `first` on.
    pub(super) fn read(row: &Row, first: usize) -> Result<Self, StoreError> {
        let (number, timeline) = (row.try_get(first)?, row.try_get(first + 1)?);
        Ok(Self { number, timeline, started_at: row.try_get(first + 2)? })
    }
}

/// Asks whether a transaction was committed, until the server answers. Returns `Ok` if it was.
pub(super) async fn ask(
    connections: &Connections,
    mark: &Mark,
    why: StoreError,
) -> Result<(), StoreError> {
    let limit = connections.deadlines.fate;
    match timeout(limit, ask_until_known(connections, mark)).await {
        Ok(Some(Fate::Committed)) => Ok(()),
        Ok(Some(Fate::Aborted)) => Err(why),
        Ok(None) | Err(_) => Err(StoreError::OutcomeUnknown(Box::new(why))),
    }
}

enum Fate {
    Committed,
    Aborted,
}

/// Asks again until the server knows. Returns `None` if no answer is possible.
async fn ask_until_known(connections: &Connections, mark: &Mark) -> Option<Fate> {
    loop {
        match ask_once(connections, mark).await {
            Ok(Some(fate)) if fate == "committed" => return Some(Fate::Committed),
            Ok(Some(fate)) if fate == "aborted" => return Some(Fate::Aborted),
            // It is still committing, on a connection that only the server takes for alive.
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(StoreError::Unavailable(_) | StoreError::ReadOnly) => {}
            Err(error) => {
                tracing::error!(%error, "cannot ask what became of a transaction");
                return None;
            }
        }
        sleep(AGAIN).await;
    }
}

/// Returns `None` if the server cannot know.
async fn ask_once(connections: &Connections, mark: &Mark) -> Result<Option<String>, StoreError> {
    let limit = connections.deadlines.fate / TRIES_MIN;
    let mut connection = Leased::take(&connections.writers).await?;
    let asking = async {
        let connection = connection.get()?;
        let parameters: [&(dyn ToSql + Sync); 3] = [&mark.number, &mark.timeline, &mark.started_at];
        let session = &connections.session;
        let rows = ask_alone(connection, session, sql::FATE_OF_TRANSACTION, &parameters).await?;
        Ok::<_, StoreError>(only(&rows)?.try_get(0)?)
    };
    let fate = within(limit, asking).await?;
    connection.give_back();
    Ok(fate)
}
