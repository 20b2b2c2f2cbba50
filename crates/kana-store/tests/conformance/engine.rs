use std::sync::Arc;

use kana_store::{PostgresStore, SqliteStore, Store};
use tempfile::TempDir;

/// An engine under test.
pub(crate) trait Engine: 'static {
    /// A database of a story's own, gone without a trace when it is dropped.
    type Database: Send + Sync;

    /// Whether this machine has what the engine needs; says so if not.
    fn is_here() -> bool {
        true
    }

    /// Makes a database that nobody has opened yet.
    async fn empty() -> Self::Database;

    /// Opens it, as a server or a tool would that starts now. It can be open several times.
    async fn open(database: &Self::Database) -> Arc<dyn Store>;
}

/// The embedded engine, in a directory that nobody has claimed.
pub(crate) struct Sqlite;

impl Engine for Sqlite {
    type Database = TempDir;

    async fn empty() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    async fn open(database: &TempDir) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&database.path().join("data")).unwrap())
    }
}

/// The embedded engine, in a directory that is claimed for a server.
pub(crate) struct SqliteOfAServer;

impl Engine for SqliteOfAServer {
    type Database = TempDir;

    async fn empty() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    async fn open(database: &TempDir) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open_for_server(&database.path().join("data")).unwrap())
    }
}

/// PostgreSQL, in a database of a server that all tests share.
pub(crate) struct Postgres;

/// More than any story holds at once. They are opened when they are needed.
const CONNECTIONS_MAX: usize = 60;

impl Engine for Postgres {
    type Database = kana_test_postgres::Database;

    fn is_here() -> bool {
        kana_test_postgres::is_here()
    }

    async fn empty() -> Self::Database {
        kana_test_postgres::Database::new()
    }

    async fn open(database: &Self::Database) -> Arc<dyn Store> {
        let settings = kana_store::postgres::Settings {
            connections_max: CONNECTIONS_MAX,
            ..Default::default()
        };
        Arc::new(PostgresStore::open(database.url(), settings).await.unwrap())
    }
}
