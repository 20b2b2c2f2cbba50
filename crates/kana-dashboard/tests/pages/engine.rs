//! The embedded engine.

use std::sync::Arc;

use kana_store::{SqliteStore, Store};
use tempfile::TempDir;

/// A data directory of a story's own, gone without a trace when it is dropped.
pub(crate) struct Database(TempDir);

impl Database {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Opens it as a server does.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        self.open_embedded()
    }

    pub(crate) fn open_embedded(&self) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open_for_server(self.0.path()).unwrap())
    }
}
