use std::sync::Arc;

use kana_service::EnvironmentKind;
use kana_store::{SqliteStore, Store};
use tempfile::TempDir;

/// An engine under test.
pub(crate) trait Engine: 'static {
    /// A database of a history's own, gone without a trace when it is dropped.
    type Database: Send + Sync;

    /// Makes a database that nobody has opened yet.
    async fn empty() -> Self::Database;

    /// Opens it, as a server does that starts now.
    async fn open(database: &Self::Database) -> Arc<dyn Store>;

    /// How many rows the log of an environment's usage has, as another process would count them.
    async fn events(database: &Self::Database, environment: EnvironmentKind) -> usize;
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

    async fn events(database: &TempDir, environment: EnvironmentKind) -> usize {
        let sqlite = rusqlite::Connection::open(database.path().join("kana.db")).unwrap();
        let count = "SELECT count(*) FROM events
                     JOIN environments ON environments.id = environment_id WHERE kind = ?1";
        let count: i64 = sqlite.query_row(count, [environment.name()], |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    }
}
