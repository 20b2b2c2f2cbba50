//! What the checks read of this engine.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use kana_core::Timestamp;

use super::SqliteStore;
use super::connection::Connection;
use super::inspected::Inspection;
use crate::check::{self, Finding};
use crate::error::StoreError;

impl SqliteStore {
    /// Checks everything that the database holds, as it is now, also while a server writes to it. Passes
    /// on what is wrong with it. Reads on the thread that calls it.
    ///
    /// Fails if the database cannot be read at all; a damaged page is a finding.
    pub async fn check(
        &self,
        now: Timestamp,
        found: &mut (dyn FnMut(Finding) + Send),
    ) -> Result<(), StoreError> {
        let health = self.pool.health();
        let statements = Arc::new(AtomicU64::new(0));
        let begin = || {
            let connection = Connection::open_reader(self.pool.file(), &statements)?;
            connection.read_without_map()?;
            connection.run("BEGIN DEFERRED")?;
            Ok(connection)
        };
        let mut inspection = Inspection { connection: health.noted_read(begin())? };
        health.noted_read(check::run(&mut inspection, now, found).await)
    }
}
