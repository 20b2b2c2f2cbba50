//! What the checks read of this engine.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt as _, TryStreamExt as _};
use kana_core::Timestamp;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row as Stored};

use super::PostgresStore;
use super::transfer::{Connection, NOTHING, begin};
use crate::check::{self, Cell, Dialect, Finding, Row, Snapshot, Visit};
use crate::deadlines::within;
use crate::error::StoreError;

/// Sessions are set for statements that find few rows. These read all, and sort them.
const WHOLE: &str = "SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; \
    SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; \
    SET LOCAL plan_cache_mode = auto";

impl PostgresStore {
    /// Checks everything that the database holds, as it is now, also while servers write to it. Passes on
    /// what is wrong with it.
    ///
    /// Fails if the database is away; what it cannot read is a finding.
    pub async fn check(
        &self,
        now: Timestamp,
        found: &mut (dyn FnMut(Finding) + Send),
    ) -> Result<(), StoreError> {
        let connections = &self.shared.connections;
        let connection = begin(&self.shared, &connections.session.begin_read).await?;
        let silence = connections.deadlines.transfer;
        within(silence, connection.batch_execute(WHOLE)).await?;
        check::run(&mut Inspection { connection, silence }, now, found).await
    }
}

/// A view on a connection of its own.
struct Inspection {
    connection: Connection,
    silence: Duration,
}

#[async_trait]
impl Snapshot for Inspection {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn each(&mut self, sql: &str, visit: Visit<'_>) -> Result<(), StoreError> {
        let run = |sql: &'static str| within(self.silence, self.connection.batch_execute(sql));
        run("SAVEPOINT inspection").await?;
        let done = self.read(sql, visit).await;
        // An error ends the transaction, unless one goes back.
        run(if done.is_ok() { "RELEASE inspection" } else { "ROLLBACK TO inspection" }).await?;
        done
    }
}

impl Inspection {
    async fn read(&self, sql: &str, visit: Visit<'_>) -> Result<(), StoreError> {
        // The driver takes rows from the server only as fast as they are taken from it.
        let rows = within(self.silence, self.connection.query_typed_raw(sql, NOTHING)).await?;
        let mut rows = pin!(rows);
        loop {
            // Most rows have arrived already and need no timer.
            let next = match rows.try_next().now_or_never() {
                Some(next) => next?,
                None => within(self.silence, rows.try_next()).await?,
            };
            let Some(stored) = next else { return Ok(()) };
            let cells: Result<_, StoreError> =
                (0..stored.len()).map(|place| cell(&stored, place)).collect();
            visit(&Row(cells?))?;
        }
    }
}

fn cell(row: &Stored, place: usize) -> Result<Cell, StoreError> {
    let kind = row.columns().get(place).map(tokio_postgres::Column::type_);
    let cell: Result<Option<Cell>, Error> = match kind {
        Some(&Type::INT8) => row.try_get::<_, Option<_>>(place).map(|it| it.map(Cell::Integer)),
        Some(&Type::INT4) => {
            row.try_get::<_, Option<i32>>(place).map(|it| it.map(|it| Cell::Integer(it.into())))
        }
        Some(&Type::UUID) => row.try_get::<_, Option<_>>(place).map(|it| it.map(Cell::Id)),
        _ => row.try_get::<_, Option<_>>(place).map(|it| it.map(Cell::Text)),
    };
    Ok(cell?.unwrap_or(Cell::Null))
}
