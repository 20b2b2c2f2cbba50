use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, OpenFlags};

use crate::error::StoreError;

/// Prepared statements kept per connection: more than there are, so that each is prepared once.
const PREPARED_STATEMENTS_MAX: usize = 128;

/// How long a statement waits for another process (`kana keys`) to release the database while the
/// connection is opened.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of the file is mapped into memory: all of it, however large it grows. A page is then
/// read where the operating system keeps it, without a call and without a copy.
const MAPPED_BYTES_MAX: i64 = 1 << 40;

/// How much the connection that writes keeps in memory of pages that it has changed or that the
/// log has newer than the file, in KiB.
const WRITER_CACHE_KIB: i64 = 64 * 1024;

/// A connection that prepares each statement once and counts what it runs.
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

    /// Opens a connection that writes to an existing database, without changing how it is set up.
    /// It is in WAL mode since it was created.
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
            // FULL makes the log durable at every commit; the log is cut back when it has grown.
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = 67108864;",
        )?;
        self.sqlite.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)
    }

    pub(super) fn open_reader(
        file: &Path,
        statements: &Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        // Opened for writing, since a reader must be able to mend the log of a server that was
        // killed, but it is told not to write.
        let connection = Self::open(file, OpenFlags::SQLITE_OPEN_READ_WRITE, statements)?;
        connection.sqlite.execute_batch("PRAGMA query_only = ON;")?;
        Ok(connection)
    }

    fn open(
        file: &Path,
        flags: OpenFlags,
        statements: &Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let sqlite =
            rusqlite::Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        rusqlite::vtab::array::load_module(&sqlite)?;
        sqlite.busy_timeout(BUSY_TIMEOUT)?;
        // Without this, SQLite compiles a statement anew for every value that is bound to it, in
        // case another plan would suit that value: several times the work of running it.
        sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        sqlite.pragma_update(None, "mmap_size", MAPPED_BYTES_MAX)?;
        sqlite.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS_MAX);
        let patience = Cell::new(BUSY_TIMEOUT);
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

    /// Leaves it to others to copy the log into the file, however long it gets.
    pub(super) fn never_checkpoint_by_itself(&self) -> rusqlite::Result<()> {
        self.sqlite.pragma_update(None, "wal_autocheckpoint", 0)
    }

    /// Reads pages into a small cache instead of where the file is mapped, for whoever reads all of
    /// it: a process then takes as little memory for a large database as for a small one.
    pub(super) fn read_without_map(&self) -> rusqlite::Result<()> {
        self.sqlite.pragma_update(None, "mmap_size", 0)
    }

    /// A prepared statement, about to be run once.
    pub(super) fn statement(&self, sql: &'static str) -> rusqlite::Result<CachedStatement<'_>> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.sqlite.prepare_cached(sql)
    }

    /// Runs a statement that takes nothing and answers nothing.
    pub(super) fn run(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.statement(sql)?.execute([]).map(|_| ())
    }

    /// Rewrites the first page of the database unchanged, in the open transaction.
    pub(super) fn write_one_page(&self) -> Result<(), StoreError> {
        let version =
            self.sqlite.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?;
        Ok(self.sqlite.pragma_update(None, "user_version", version)?)
    }

    /// Whether a transaction is open.
    pub(super) fn in_transaction(&self) -> bool {
        !self.sqlite.is_autocommit()
    }

    /// The connection itself, for what is not a statement of [`statements`](super::statements).
    pub(super) fn sqlite(&mut self) -> &mut rusqlite::Connection {
        &mut self.sqlite
    }
}
