//! Checks whether this node can answer questions and record usage now.

use std::time::Duration;

use super::asking::{ask_alone, only};
use super::connections::Connections;
use super::last_change::FailureKind;
use super::leased::Leased;
use super::settings::Pooler;
use super::shared::Shared;
use super::statements as sql;
use crate::deadlines::within;
use crate::error::StoreError;

/// How long after a failure for want of space [`TRY_TO_WRITE`] runs.
const AGAIN: Duration = Duration::from_secs(1);

/// How long any other failure counts. No trial can repeat it, so afterwards the node gets another
/// chance.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Needs disk space as a change does, and leaves nothing behind.
const TRY_TO_WRITE: &str = "CREATE TEMPORARY TABLE room_for_a_change ON COMMIT DROP AS
    SELECT repeat(md5(n::text), 60) AS page FROM generate_series(1, 8) n";

/// Fails if there is no connection, a pooler gives us the sessions of others, the server accepts no
/// changes, a table or a right on it is missing, or the last change failed for a reason that lasts.
pub(super) async fn check(shared: &Shared) -> Result<(), StoreError> {
    within(shared.connections.deadlines.ready, check_all(shared)).await
}

async fn check_all(shared: &Shared) -> Result<(), StoreError> {
    let mut connection = Leased::take(&shared.connections.readers).await?;
    shared.count_round_trip();
    let client = connection.get()?;
    let Connections { session, server_sessions, .. } = &shared.connections;
    let asked = ask_alone(client, session, sql::READINESS, &[]).await.map_err(StoreError::from);
    server_sessions.note(&asked);
    let rows = asked?;
    let row = only(&rows)?;
    if session.pooler == Pooler::None {
        server_sessions.look_at(row.try_get(1)?);
        server_sessions.check()?;
    }
    if row.try_get(0)? {
        return Err(StoreError::ReadOnly);
    }
    if let Some(table) = row.try_get::<_, Option<String>>(2)? {
        let place = format!("the table kana.{table}");
        return Err(StoreError::Damaged { place, source: "it is missing".into() });
    }
    if let Some(table) = row.try_get::<_, Option<String>>(3)? {
        let place = format!("the table kana.{table}");
        let source = "the role of the database URL may not read or change it".into();
        return Err(StoreError::NotPermitted { place, source });
    }
    if let Some(failure) = shared.last_change.failure() {
        match failure.kind {
            FailureKind::Full if failure.at.elapsed() >= AGAIN => {
                if let Err(error) = client.batch_execute(TRY_TO_WRITE).await {
                    let error = StoreError::from(error);
                    shared.last_change.failed(&error);
                    return Err(error);
                }
                shared.last_change.succeeded();
            }
            _ if failure.at.elapsed() >= REMEMBERED => shared.last_change.succeeded(),
            _ => {
                connection.give_back();
                return Err(failure.into_error());
            }
        }
    }
    connection.give_back();
    Ok(())
}
