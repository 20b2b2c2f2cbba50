//! The embedded engine.

use std::sync::Arc;

use kana_store::sqlite::register_functions;
use kana_store::{SqliteStore, Store};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tempfile::TempDir;

use crate::app::Stored;

/// A data directory of a story's own, gone without a trace when it is dropped.
pub(crate) struct Database(TempDir);

impl Database {
    /// The table that usage events are written to.
    pub(crate) const EVENTS: &str = "event_blocks";

    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Opens it as a server does.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open_for_server(self.0.path()).unwrap())
    }

    /// Runs statements past Kana.
    pub(crate) fn run(&self, statements: &str) {
        self.connect().execute_batch(statements).unwrap();
    }

    /// Makes every subscription one that runs, past Kana.
    pub(crate) fn revive_subscriptions(&self) {
        self.run("UPDATE subscriptions SET status = 'ACTIVE', ended_at = NULL");
    }

    /// Every row of every table, as another process would read them.
    pub(crate) fn stored(&self) -> Stored {
        let sqlite = self.connect();
        let tables: Vec<String> = sqlite
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let mut stored: Stored =
            tables.into_iter().map(|table| (table.clone(), rows(&sqlite, &table))).collect();
        stored.remove("event_blocks");
        stored.insert("events".to_owned(), rows(&sqlite, "events"));
        stored
    }

    fn connect(&self) -> Connection {
        let sqlite = Connection::open(self.0.path().join("kana.db")).unwrap();
        register_functions(&sqlite).unwrap();
        sqlite
    }
}

fn rows(sqlite: &Connection, table: &str) -> Vec<Vec<String>> {
    let mut statement = sqlite.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        (0..columns).map(|column| row.get_ref(column).map(text)).collect()
    };
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        other => format!("{other:?}"),
    }
}
