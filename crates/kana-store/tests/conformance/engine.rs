use std::sync::Arc;

use kana_store::sqlite::FactsCacheLimits;
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

    /// Lets time pass, or go back, for the jobs of an engine that has a clock of its own. For others,
    /// a story says what time it is.
    fn pass_time(_database: &Self::Database, _milliseconds: i64) {}
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

/// The embedded engine of a server that keeps the facts of three users in memory.
pub(crate) struct SqliteOfThreeUsers;

impl Engine for SqliteOfThreeUsers {
    type Database = TempDir;

    async fn empty() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    async fn open(database: &TempDir) -> Arc<dyn Store> {
        let store = SqliteStore::open_for_server(&database.path().join("data")).unwrap();
        let limits = FactsCacheLimits { users: 3, ..FactsCacheLimits::default() };
        Arc::new(store.with_facts_cache(limits))
    }
}

/// PostgreSQL, in a database of a server that all tests share.
pub(crate) struct Postgres;

/// PostgreSQL through a pooler, with another session for each transaction.
pub(crate) struct PooledPostgres;

impl Engine for PooledPostgres {
    type Database = (kana_test_postgres::Pooler, kana_test_postgres::Database);

    fn is_here() -> bool {
        kana_test_postgres::is_here() && start_pooler().is_some()
    }

    async fn empty() -> Self::Database {
        (start_pooler().unwrap(), kana_test_postgres::Database::new())
    }

    async fn open((pooler, database): &Self::Database) -> Arc<dyn Store> {
        let settings = kana_store::postgres::Settings {
            connections_max: CONNECTIONS_MAX,
            pooler: kana_store::postgres::Pooler::Transaction,
            ..Default::default()
        };
        let url = pooler.url(database.name());
        Arc::new(PostgresStore::open(&url, settings).await.unwrap())
    }

    fn pass_time((_, database): &Self::Database, milliseconds: i64) {
        <Postgres as Engine>::pass_time(database, milliseconds);
    }
}

/// As many sessions as the transactions that a story has open at once.
fn start_pooler() -> Option<kana_test_postgres::Pooler> {
    let server = std::env::var("KANA_TEST_POSTGRES_URL").unwrap();
    kana_test_postgres::Pooler::start(&server, CONNECTIONS_MAX)
}

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

    fn pass_time(database: &Self::Database, milliseconds: i64) {
        // To jobs it is the same whether the clock is set forward or all that they remember back.
        let earlier = format!(
            "UPDATE kana.jobs SET due_at = due_at - {milliseconds},
                waits_since = waits_since - {milliseconds}, again_at = again_at - {milliseconds},
                failed_at = failed_at - {milliseconds}, created_at = created_at - {milliseconds},
                succeeded_at = succeeded_at - {milliseconds}"
        );
        kana_test_postgres::run(database.url(), &earlier);
    }
}
