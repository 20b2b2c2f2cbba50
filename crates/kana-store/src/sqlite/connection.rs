use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, OpenFlags};

use super::views::register_functions;
use crate::deadlines::Deadlines;
use crate::error::StoreError;

/// The number of prepared statements that a connection keeps: more than there are.
const PREPARED_STATEMENTS_MAX: usize = 256;

/// How much of the file is mapped into memory: all of it. A page is then read where the operating
/// system keeps it, without a call or a copy.
const MAPPED_BYTES_MAX: i64 = 1 << 40;

/// The page cache of the connection that writes, in KiB. It keeps pages that were changed, and those
/// that are newer in the WAL than in the file.
const WRITER_CACHE_KIB: i64 = 64 * 1024;

/// A connection that prepares each statement once and counts the statements it runs.
pub(super) struct Connection {
    sqlite: rusqlite::Connection,
    statements: Arc<AtomicU64>,
    /// How long a statement waits for another process to release the database.
    patience: Cell<Duration>,
}

impl Connection {
    pub(super) fn open_writer(
        file: &Path,
        statements: &Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = Self::open(file, flags, statements)?;
        connection.sqlite.pragma_update(None, "journal_mode", "WAL")?;
        connection.prepare_to_write()?;
        Ok(connection)
    }

    /// Opens a connection that writes to an existing database, without changing its settings. The
    /// database is in WAL mode since it was created.
    pub(super) fn open_existing(
        file: &Path,
        statements: &Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let connection = Self::open(file, OpenFlags::SQLITE_OPEN_READ_WRITE, statements)?;
        connection.prepare_to_write()?;
        Ok(connection)
    }

    fn prepare_to_write(&self) -> rusqlite::Result<()> {
        self.sqlite.execute_batch(
            // FULL makes the WAL durable at every commit; a WAL that has grown is cut back. What is
            // deleted is overwritten where that writes no more pages.
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = FAST;",
        )?;
        self.sqlite.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)
    }

    /// Does work in which whatever is deleted is overwritten, also in pages that are free afterwards, so
    /// that nothing of a user who is deleted stays in the file (contract: `operations.md`, "A user's own
    /// data"). That writes more pages.
    pub(super) fn overwriting<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.sqlite.pragma_update(None, "secure_delete", "ON")?;
        let done = work(self);
        self.sqlite.pragma_update(None, "secure_delete", "FAST")?;
        done
    }

    pub(super) fn open_reader(
        file: &Path,
        statements: &Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        // Opened for writing, since a reader must be able to recover the WAL of a server that was
        // killed; `query_only` then forbids writing.
        let connection = Self::open(file, OpenFlags::SQLITE_OPEN_READ_WRITE, statements)?;
        connection.sqlite.execute_batch("PRAGMA query_only = ON;")?;
        Ok(connection)
    }

    fn open(
        file: &Path,
        flags: OpenFlags,
        statements: &Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let patience = Deadlines::DEFAULT.held_from_tool;
        let sqlite =
            rusqlite::Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        register_functions(&sqlite)?;
        sqlite.busy_timeout(patience)?;
        // Without this, SQLite compiles a statement again for every bound value, in case another plan
        // suits that value: several times the work of running it.
        sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        sqlite.pragma_update(None, "mmap_size", MAPPED_BYTES_MAX)?;
        sqlite.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS_MAX);
        let patience = Cell::new(patience);
        Ok(Self { sqlite, statements: Arc::clone(statements), patience })
    }

    /// Sets how long a statement waits for another process to release the database.
    pub(super) fn set_patience(&self, patience: Duration) -> rusqlite::Result<()> {
        if self.patience.get() != patience {
            self.sqlite.busy_timeout(patience)?;
            self.patience.set(patience);
        }
        Ok(())
    }

    /// Never copies the WAL into the file, however long it gets.
    pub(super) fn never_checkpoint_by_itself(&self) -> rusqlite::Result<()> {
        self.sqlite.pragma_update(None, "wal_autocheckpoint", 0)
    }

    /// Reads pages through a small cache instead of the map, for callers that read the whole file. So
    /// the process takes as little memory for a large database as for a small one.
    pub(super) fn read_without_map(&self) -> rusqlite::Result<()> {
        self.sqlite.pragma_update(None, "mmap_size", 0)
    }

    /// Returns a prepared statement, and counts it as run once.
    pub(super) fn statement(&self, sql: &'static str) -> rusqlite::Result<CachedStatement<'_>> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.sqlite.prepare_cached(sql)
    }

    /// Runs a statement without parameters and results.
    pub(super) fn run(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.statement(sql)?.execute([]).map(|_| ())
    }

    /// Rewrites the first page of the database unchanged, in the open transaction.
    pub(super) fn write_one_page(&self) -> Result<(), StoreError> {
        let version =
            self.sqlite.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?;
        Ok(self.sqlite.pragma_update(None, "user_version", version)?)
    }

    /// Commits the first page of the database unchanged.
    pub(super) fn commit_one_page(&self) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE")?;
        let written = self.write_one_page().and_then(|()| Ok(self.run("COMMIT")?));
        if written.is_err() && self.in_transaction() {
            self.run("ROLLBACK")?;
        }
        written
    }

    /// Returns true if a transaction is open.
    pub(super) fn in_transaction(&self) -> bool {
        !self.sqlite.is_autocommit()
    }

    /// Returns the underlying connection, for what is not in [`statements`](super::statements).
    pub(super) fn sqlite(&mut self) -> &mut rusqlite::Connection {
        &mut self.sqlite
    }
}
