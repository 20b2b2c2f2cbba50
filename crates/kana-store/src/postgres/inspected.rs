//! Rows of this engine, as the checks read them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use futures_util::{FutureExt as _, TryStreamExt as _};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row as Stored};

use crate::check::{Cell, Dialect, Row, Snapshot, Visit};
use crate::deadlines::within;
use crate::error::StoreError;

/// A connection with a transaction, which ends with it. It never goes back to the pool.
pub(super) type Connection = Arc<ClientWrapper>;

/// The parameters of a statement without any.
pub(super) const NOTHING: [(i64, Type); 0] = [];

/// A view on a connection of its own.
pub(super) struct Inspection {
    pub(super) connection: Connection,
    pub(super) silence: Duration,
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
