use std::sync::Arc;

use kana_store::{PostgresStore, SqliteStore, Store};
use tempfile::TempDir;

/// An engine under test.
pub(crate) trait Engine: 'static {
    /// A database of a story's own, gone without a trace when it is dropped.
    type Database: Send + Sync;

    /// Makes a database that nobody has opened yet.
    async fn empty() -> Self::Database;

    /// Opens it, as a server does that starts now.
    async fn open(database: &Self::Database) -> Arc<dyn Store>;
}

/// The embedded engine, in a directory.
pub(crate) struct Sqlite;

impl Engine for Sqlite {
    type Database = TempDir;

    async fn empty() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    async fn open(database: &TempDir) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open_for_server(database.path()).unwrap())
    }
}

/// PostgreSQL, in a database of a server that all tests share.
pub(crate) struct Postgres;

impl Engine for Postgres {
    type Database = kana_test_postgres::Database;

    async fn empty() -> Self::Database {
        kana_test_postgres::Database::new()
    }

    async fn open(database: &Self::Database) -> Arc<dyn Store> {
        let settings = kana_store::postgres::Settings::default();
        Arc::new(PostgresStore::open(database.url(), settings).await.unwrap())
    }
}
