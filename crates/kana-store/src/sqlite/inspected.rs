//! Rows of this engine, as the checks read them.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use super::connection::Connection;
use crate::check::{Cell, Dialect, Row, Snapshot, Visit};
use crate::error::StoreError;

/// A view on a connection of its own.
pub(super) struct Inspection {
    pub(super) connection: Connection,
}

#[async_trait]
impl Snapshot for Inspection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn each(&mut self, sql: &str, visit: Visit<'_>) -> Result<(), StoreError> {
        each(&mut self.connection, sql, visit)
    }
}

/// What an import has written so far.
pub(super) struct Imported(pub(super) Arc<Mutex<Connection>>);

#[async_trait]
impl Snapshot for Imported {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn each(&mut self, sql: &str, visit: Visit<'_>) -> Result<(), StoreError> {
        each(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), sql, visit)
    }
}

fn each(connection: &mut Connection, sql: &str, visit: Visit<'_>) -> Result<(), StoreError> {
    let mut statement = connection.sqlite().prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let cells: Result<_, StoreError> =
            (0..columns).map(|place| cell(row.get_ref(place)?)).collect();
        visit(&Row(cells?))?;
    }
    Ok(())
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
