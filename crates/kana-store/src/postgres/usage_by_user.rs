//! Reads the usage of an environment again, user by user. The server sorts it.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use kana_core::id::UserKey;
use kana_core::usage::LoggedAction;
use tokio_postgres::types::{ToSql, Type};

use super::asking::{only, query};
use super::inspected::Connection;
use super::shared::Shared;
use super::transfer::begin;
use super::{locks, statements as sql};
use crate::app::EnvironmentId;
use crate::columns::Named as _;
use crate::deadlines::within;
use crate::error::StoreError;
use crate::transfer::Batches;
use crate::usage_by_user::{
    AHEAD_MS, Entries, LoggedRow, UsageByUser, UsageSender, UsageWindow, gone,
};

/// Sessions are set for statements that find few rows. This one reads many, and sorts them.
const WHOLE: &str = "SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; \
    SET LOCAL max_parallel_workers_per_gather = 0";

/// How often the server looks whether the connection is still there, in milliseconds. PostgreSQL 13 does not.
const WATCH: &str = "SELECT set_config(name, '1000', true) FROM pg_settings \
    WHERE name = 'client_connection_check_interval'";

/// Begins to read on a connection of its own. Returns `None` while another node reads the usage of this
/// environment. The reader holds an advisory lock until its transaction ends, so that a node that goes away leaves
/// none behind.
pub(super) async fn usage_by_user(
    shared: &Shared,
    environment: EnvironmentId,
    window: UsageWindow,
) -> Result<Option<UsageByUser>, StoreError> {
    let connections = &shared.connections;
    let connection = begin(shared, &connections.session.begin_read).await?;
    let answer = connections.deadlines.answer;
    let limit =
        format!("SET LOCAL statement_timeout = {}; {WHOLE}; {WATCH}", window.limit.as_millis());
    within(answer, connection.batch_execute(&limit)).await?;
    let [class, object] = locks::simulations(environment);
    let parameters: [&(dyn ToSql + Sync); 2] = [&class, &object];
    let locked = within(answer, query(&connection, sql::TRY_SIMULATION, &parameters)).await?;
    if !only(&locked)?.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let (sender, batches) = Batches::channel(window.limit);
    tokio::spawn(async move {
        let read = tokio::select! {
            read = read(&connection, environment, &window, &sender) => read,
            // The server sees that the connection is closed, also while it sorts.
            () = sender.closed() => Ok(()),
        };
        // Release the connection and its lock before the end is reported.
        drop(connection);
        sender.end(read).await;
    });
    Ok(Some(batches))
}

async fn read(
    connection: &Connection,
    environment: EnvironmentId,
    window: &UsageWindow,
    sender: &UsageSender,
) -> Result<(), StoreError> {
    let (from, to) = (window.occurred.start.as_ms(), window.occurred.end.as_ms());
    let recorded = from.saturating_sub(AHEAD_MS);
    let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
        (&environment.0, Type::INT8),
        (&recorded, Type::INT8),
        (&from, Type::INT8),
        (&to, Type::INT8),
    ];
    let asked = connection.query_typed_raw(sql::USAGE_BY_USER, parameters);
    let rows = within(window.limit, asked).await?;
    let mut rows = pin!(rows);
    let mut entries = Entries::default();
    while let Some(row) = within(window.limit, rows.try_next()).await? {
        let logged = LoggedRow {
            feature: row.try_get(1)?,
            action: LoggedAction::from_name(row.try_get(2)?)?,
            delta: row.try_get(3)?,
            occurred_at: row.try_get(4)?,
            key: row.try_get(5)?,
        };
        if let Some(batch) = entries.add(UserKey(row.try_get(0)?), logged)? {
            sender.send(batch).await.map_err(gone)?;
        }
    }
    sender.send(entries.rest()).await.map_err(gone)
}
