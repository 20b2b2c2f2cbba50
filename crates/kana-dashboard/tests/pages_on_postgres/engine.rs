//! PostgreSQL.

use std::sync::Arc;

use kana_store::postgres::Settings;
use kana_store::{PostgresStore, Store};
use kana_test_postgres::is_here;

/// Enough for what a story does at once. They are opened when they are needed.
const CONNECTIONS_MAX: usize = 8;

/// A database of a story's own, gone without a trace when it is dropped.
pub(crate) struct Database(kana_test_postgres::Database);

impl Database {
    pub(crate) fn new() -> Self {
        if !is_here() {
            // Every test of this program needs one, and so it ends as a whole.
            std::process::exit(0);
        }
        Self(kana_test_postgres::Database::new())
    }

    /// Opens it as a server does.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        let settings = Settings { connections_max: CONNECTIONS_MAX, ..Settings::default() };
        Arc::new(PostgresStore::open(self.0.url(), settings).await.unwrap())
    }
}
