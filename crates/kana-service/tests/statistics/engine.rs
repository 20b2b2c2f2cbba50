use std::sync::Arc;

use kana_service::EnvironmentKind;
use kana_store::{PostgresStore, SqliteStore, Store};
use tempfile::TempDir;

/// A row of the log of usage: user key, feature, action, delta, the time at which it occurred, and
/// whether something counted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) user: String,
    pub(crate) feature: String,
    pub(crate) is_set: bool,
    pub(crate) delta: i64,
    pub(crate) occurred_at: i64,
    pub(crate) is_counted: bool,
}

/// An engine under test.
pub(crate) trait Engine: 'static {
    /// A database of a story's own, gone without a trace when it is dropped.
    type Database: Send + Sync;

    fn is_here() -> bool {
        true
    }

    /// Makes a database that nobody has opened yet.
    async fn empty() -> Self::Database;

    /// Opens it, as a server does that starts now.
    async fn open(database: &Self::Database) -> Arc<dyn Store>;

    /// Returns the database as it is at this moment, for a server to start on as after `kill -9`. `None`
    /// where nothing of it is in the files of a server.
    fn left_by_a_crash(_database: &Self::Database) -> Option<Self::Database> {
        None
    }

    /// Reads the log of the test environment in its order, past Kana.
    fn log(database: &Self::Database) -> Vec<Logged>;
}

/// Reads the log of the environment `$1`. What was recorded in the same millisecond is in the order
/// in which it lies.
fn query(key: &str, order: &str, schema: &str) -> String {
    format!(
        "SELECT {key}, v.feature_id, v.action, v.delta, v.occurred_at,
            CASE WHEN v.subscription_id IS NULL THEN 'no' ELSE 'yes' END
         FROM {schema}events v JOIN {schema}environments e ON e.id = v.environment_id
         WHERE e.kind = '{}' ORDER BY v.recorded_at, {order}",
        EnvironmentKind::Test
    )
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

    fn left_by_a_crash(database: &TempDir) -> Option<TempDir> {
        let copy = tempfile::tempdir().unwrap();
        // In this order: what is copied to the database meanwhile is still in its WAL. SQLite makes the
        // index of the WAL anew.
        for file in ["kana.db", "kana.db-wal"] {
            std::fs::copy(database.path().join(file), copy.path().join(file)).unwrap();
        }
        Some(copy)
    }

    fn log(database: &TempDir) -> Vec<Logged> {
        let sqlite = rusqlite::Connection::open(database.path().join("kana.db")).unwrap();
        kana_store::sqlite::register_functions(&sqlite).unwrap();
        let mut log = sqlite.prepare(&query("hex(v.user_key)", "v.id", "")).unwrap();
        let logged = |row: &rusqlite::Row<'_>| {
            Ok(Logged {
                user: row.get(0)?,
                feature: row.get(1)?,
                is_set: row.get::<_, String>(2)? == "SET",
                delta: row.get(3)?,
                occurred_at: row.get(4)?,
                is_counted: row.get::<_, String>(5)? == "yes",
            })
        };
        log.query_map([], logged).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

/// PostgreSQL, in a database of a server that all tests share.
pub(crate) struct Postgres;

impl Engine for Postgres {
    type Database = kana_test_postgres::Database;

    fn is_here() -> bool {
        kana_test_postgres::is_here()
    }

    async fn empty() -> Self::Database {
        kana_test_postgres::Database::new()
    }

    async fn open(database: &Self::Database) -> Arc<dyn Store> {
        let settings = kana_store::postgres::Settings::default();
        Arc::new(PostgresStore::open(database.url(), settings).await.unwrap())
    }

    fn log(database: &Self::Database) -> Vec<Logged> {
        let query = query("v.user_key", "v.tableoid, v.ctid", "kana.");
        let logged = |row: Vec<String>| Logged {
            user: row[0].clone(),
            feature: row[1].clone(),
            is_set: row[2] == "SET",
            delta: row[3].parse().unwrap(),
            occurred_at: row[4].parse().unwrap(),
            is_counted: row[5] == "yes",
        };
        kana_test_postgres::rows(database.url(), &query).into_iter().map(logged).collect()
    }
}
