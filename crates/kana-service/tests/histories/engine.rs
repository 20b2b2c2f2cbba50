use std::sync::Arc;

use kana_service::EnvironmentKind;
use kana_store::{PostgresStore, SqliteStore, Store};
use tempfile::TempDir;

/// An engine under test.
pub(crate) trait Engine: 'static {
    /// How many servers a history runs at the same time on one database.
    const SERVERS: usize = 1;

    /// Plans that are tried where `PROPTEST_CASES` does not say how many.
    const PLANS: u32 = 60;

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

/// PostgreSQL, in a database of a server that all tests share.
pub(crate) struct Postgres;

impl Engine for Postgres {
    const SERVERS: usize = 2;

    // Each takes ten times as long as on the embedded engine.
    const PLANS: u32 = 20;

    type Database = kana_test_postgres::Database;

    async fn empty() -> Self::Database {
        kana_test_postgres::Database::new()
    }

    async fn open(database: &Self::Database) -> Arc<dyn Store> {
        let settings = kana_store::postgres::Settings::default();
        Arc::new(PostgresStore::open(database.url(), settings).await.unwrap())
    }

    async fn events(database: &Self::Database, environment: EnvironmentKind) -> usize {
        let count = format!(
            "SELECT count(*) FROM kana.events v
             JOIN kana.environments e ON e.id = v.environment_id WHERE e.kind = '{environment}'"
        );
        kana_test_postgres::rows(database.url(), &count)[0][0].parse().unwrap()
    }
}
