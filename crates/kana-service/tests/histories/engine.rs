use std::sync::Arc;

use kana_core::Timestamp;
use kana_service::EnvironmentKind;
use kana_store::check::Finding;
use kana_store::sqlite::FactsCacheLimits;
use kana_store::{PostgresStore, SqliteStore, Store, postgres};
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

    /// What a check of the database finds at this instant.
    async fn check(database: &Self::Database, now: Timestamp) -> Vec<Finding>;
}

/// Checks a database of PostgreSQL. That a clock is set to a month without partitions is not its fault.
async fn check_postgres(url: &str, settings: postgres::Settings, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let store = PostgresStore::open_existing(url, settings).await.unwrap();
    store.check(now, &mut |finding| found.push(finding)).await.unwrap();
    found.retain(|finding| finding.check != "partitions");
    found
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
        let count = "SELECT coalesce(sum(events), 0) FROM event_blocks
                     JOIN environments ON environments.id = environment_id WHERE kind = ?1";
        let count: i64 = sqlite.query_row(count, [environment.name()], |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    }

    async fn check(database: &TempDir, now: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        let store = SqliteStore::open_existing(database.path()).unwrap();
        store.check(now, &mut |finding| found.push(finding)).await.unwrap();
        found
    }
}

/// The embedded engine, with the facts of few users in memory.
pub(crate) struct SqliteOfUsers<const USERS: usize>;

impl<const USERS: usize> Engine for SqliteOfUsers<USERS> {
    type Database = TempDir;

    async fn empty() -> TempDir {
        Sqlite::empty().await
    }

    async fn open(database: &TempDir) -> Arc<dyn Store> {
        let limits = FactsCacheLimits { users: USERS, ..FactsCacheLimits::default() };
        let store = SqliteStore::open_for_server(database.path()).unwrap();
        Arc::new(store.with_facts_cache(limits))
    }

    async fn events(database: &TempDir, environment: EnvironmentKind) -> usize {
        Sqlite::events(database, environment).await
    }

    async fn check(database: &TempDir, now: Timestamp) -> Vec<Finding> {
        Sqlite::check(database, now).await
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
        let settings = postgres::Settings::default();
        Arc::new(PostgresStore::open(database.url(), settings).await.unwrap())
    }

    async fn events(database: &Self::Database, environment: EnvironmentKind) -> usize {
        let count = format!(
            "SELECT count(*) FROM kana.events v
             JOIN kana.environments e ON e.id = v.environment_id WHERE e.kind = '{environment}'"
        );
        kana_test_postgres::rows(database.url(), &count)[0][0].parse().unwrap()
    }

    async fn check(database: &Self::Database, now: Timestamp) -> Vec<Finding> {
        check_postgres(database.url(), postgres::Settings::default(), now).await
    }
}

/// PostgreSQL through a pooler with fewer connections than its two servers have together.
pub(crate) struct PooledPostgres;

impl PooledPostgres {
    /// Whether this machine has what it needs; says so if not.
    pub(crate) fn is_here() -> bool {
        kana_test_postgres::is_here() && start_pooler().is_some()
    }
}

fn start_pooler() -> Option<kana_test_postgres::Pooler> {
    let server = std::env::var("KANA_TEST_POSTGRES_URL").unwrap();
    kana_test_postgres::Pooler::start(&server, 3)
}

impl Engine for PooledPostgres {
    const SERVERS: usize = 2;
    const PLANS: u32 = 10;

    type Database = (kana_test_postgres::Pooler, kana_test_postgres::Database);

    async fn empty() -> Self::Database {
        (start_pooler().unwrap(), kana_test_postgres::Database::new())
    }

    async fn open((pooler, database): &Self::Database) -> Arc<dyn Store> {
        let url = pooler.url(database.name());
        Arc::new(PostgresStore::open(&url, pooled()).await.unwrap())
    }

    async fn events((_, database): &Self::Database, environment: EnvironmentKind) -> usize {
        Postgres::events(database, environment).await
    }

    async fn check((pooler, database): &Self::Database, now: Timestamp) -> Vec<Finding> {
        check_postgres(&pooler.url(database.name()), pooled(), now).await
    }
}

fn pooled() -> postgres::Settings {
    postgres::Settings { pooler: postgres::Pooler::Transaction, ..Default::default() }
}
