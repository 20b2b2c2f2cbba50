//! What the checks read of this engine.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use kana_core::Timestamp;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use super::SqliteStore;
use super::connection::Connection;
use crate::check::{self, Cell, Dialect, Finding, Row, Snapshot, Visit};
use crate::error::StoreError;

impl SqliteStore {
    /// Checks everything that the database holds, as it is now, also while a server writes to it. Passes
    /// on what is wrong with it. Reads on the thread that calls it.
    ///
    /// Fails if the database cannot be read at all; a damaged page is a finding.
    pub async fn check(
        &self,
        now: Timestamp,
        found: &mut (dyn FnMut(Finding) + Send),
    ) -> Result<(), StoreError> {
        let health = self.pool.health();
        let statements = Arc::new(AtomicU64::new(0));
        let begin = || {
            let connection = Connection::open_reader(self.pool.file(), &statements)?;
            connection.read_without_map()?;
            connection.run("BEGIN DEFERRED")?;
            Ok(connection)
        };
        let mut inspection = Inspection { connection: health.noted_read(begin())? };
        health.noted_read(check::run(&mut inspection, now, found).await)
    }
}

/// A view on a connection of its own.
struct Inspection {
    connection: Connection,
}

#[async_trait]
impl Snapshot for Inspection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn each(&mut self, sql: &str, visit: Visit<'_>) -> Result<(), StoreError> {
        let mut statement = self.connection.sqlite().prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let cells: Result<_, StoreError> =
                (0..columns).map(|place| cell(row.get_ref(place)?)).collect();
            visit(&Row(cells?))?;
        }
        Ok(())
    }
}

fn cell(value: ValueRef<'_>) -> Result<Cell, StoreError> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Integer(value),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => {
            let id = Uuid::from_slice(bytes);
            Cell::Id(id.map_err(|error| StoreError::Unreadable(error.to_string()))?)
        }
        ValueRef::Real(value) => {
            return Err(StoreError::Unreadable(format!("the number {value}")));
        }
    })
}
