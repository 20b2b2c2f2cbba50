//! Backups: a copy of the database, of one instant, in a file of its own (contract: `operations.md`,
//! "Backup, restore, check, doctor").

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection as Sqlite, OpenFlags};

use super::connection::Connection;
use super::file_names::DATABASE_FILE;
use super::{SqliteStore, errors, store};
use crate::error::StoreError;
use crate::migration_files::SQLITE;

/// How many pages are copied between two looks whether somebody has interrupted: a few megabytes.
const PAGES_AT_ONCE: i32 = 1024;

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupContents {
    /// Usage events that are kept.
    pub events: u64,
    /// Users, of both environments.
    pub users: u64,
    /// How many migrations the database has.
    pub schema_version: usize,
}

impl SqliteStore {
    /// Copies the database in `data_dir` into `to`, an empty file that nobody else uses, and checks the
    /// copy. It is of one instant, also while a server runs and writes. `progress` is told how many pages
    /// of how many are copied; if it breaks, nothing more is, and the result is `None`.
    ///
    /// The file is not made durable here. Fails with [`NoDatabaseIn`](StoreError::NoDatabaseIn) if there
    /// is no database, with [`Full`](StoreError::Full) if there is no room for the copy, and with
    /// [`Damaged`](StoreError::Damaged) if the copy is not sound.
    pub fn back_up(
        data_dir: &Path,
        to: &Path,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Option<BackupContents>, StoreError> {
        let source = open_source(data_dir).map_err(|error| errors::located(error, data_dir))?;
        match copy(source, to, progress).map_err(|error| about(error, to))? {
            ControlFlow::Continue(()) => Self::check_backup(to).map(Some),
            ControlFlow::Break(()) => Ok(None),
        }
    }

    /// Checks a backup, and says what is in it. Writes nothing, not even beside the file.
    ///
    /// Fails with [`Damaged`](StoreError::Damaged) if it is not sound or no database of Kana, and with
    /// [`NewerSchema`](StoreError::NewerSchema) if a newer release made it.
    pub fn check_backup(file: &Path) -> Result<BackupContents, StoreError> {
        check(file).map_err(|error| about(error, file))
    }
}

/// Opens the database to read all of it once, in a transaction that has begun.
fn open_source(data_dir: &Path) -> Result<Connection, StoreError> {
    let _turn = store::find(data_dir)?;
    let statements = Arc::new(AtomicU64::new(0));
    let mut source = Connection::open_reader(&data_dir.join(DATABASE_FILE), &statements)?;
    source.read_without_map()?;
    // What is committed later is not seen, so the copy need not begin again.
    let begun = "BEGIN; SELECT count(*) FROM sqlite_schema;";
    source.sqlite().execute_batch(begun)?;
    Ok(source)
}

fn copy(
    mut source: Connection,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Sqlite::open_with_flags(to, flags)?;
    // If it fails, the file is thrown away.
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    let backup = Backup::new(source.sqlite(), &mut copy)?;
    loop {
        let step = backup.step(PAGES_AT_ONCE)?;
        let pages = |count: i32| u64::try_from(count).unwrap_or(0);
        let now = backup.progress();
        let (all, left) = (pages(now.pagecount), pages(now.remaining));
        if progress(all.saturating_sub(left), all).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        match step {
            StepResult::Done => return Ok(ControlFlow::Continue(())),
            StepResult::More => {}
            _ => return Err(StoreError::Busy("the database is held".into())),
        }
    }
}

fn check(file: &Path) -> Result<BackupContents, StoreError> {
    let damaged = |problem: String| StoreError::Damaged {
        place: file.display().to_string(),
        source: problem.into(),
    };
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).metadata().is_ok_and(|log| log.len() > 0) {
        return Err(damaged(
            "a log lies beside it, so it is no backup but a database in use".into(),
        ));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let backup = Sqlite::open_with_flags(unchanging(file), flags)?;
    let found: String = backup.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(damaged(found));
    }
    let version: i64 = backup.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let schema_version = usize::try_from(version).unwrap_or(usize::MAX);
    if schema_version == 0 || !has_app(&backup)? {
        return Err(damaged("it holds no app of Kana".into()));
    }
    if schema_version > SQLITE.len() {
        return Err(StoreError::NewerSchema { found: schema_version, known: SQLITE.len() });
    }
    let count = |table: &str| {
        let counted = backup
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
        counted.map(i64::unsigned_abs)
    };
    let has_blocks = backup.table_exists(None, "event_blocks")?;
    let events = if has_blocks { sum_of_blocks(&backup)? } else { count("events")? };
    Ok(BackupContents { events, users: count("users")?, schema_version })
}

fn sum_of_blocks(backup: &Sqlite) -> rusqlite::Result<u64> {
    let sum = "SELECT coalesce(sum(events), 0) FROM event_blocks";
    backup.query_row(sum, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
}

fn has_app(backup: &Sqlite) -> rusqlite::Result<bool> {
    // Releases up to schema version 16 have a table of events.
    let tables = "SELECT count(*) = 3 FROM sqlite_schema
        WHERE type = 'table' AND name IN ('environments', 'users', 'events', 'event_blocks')";
    let has_tables: bool = backup.query_row(tables, [], |row| row.get(0))?;
    if !has_tables {
        return Ok(false);
    }
    backup.query_row("SELECT count(*) > 0 FROM environments", [], |row| row.get(0))
}

/// Returns the URI of a file that nobody changes: SQLite then makes no file beside it.
fn unchanging(file: &Path) -> String {
    let mut uri = "file:".to_owned();
    // A path of its own begins with a slash, else what comes before the first could be a host.
    if !file.is_absolute() {
        uri.push_str("./");
    }
    for byte in file.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// Names the file that an error is about.
fn about(error: StoreError, file: &Path) -> StoreError {
    let place = file.display().to_string();
    match error {
        StoreError::Full { source, .. } => StoreError::Full { place, source },
        StoreError::Damaged { source, .. } => StoreError::Damaged { place, source },
        StoreError::NotPermitted { source, .. } => StoreError::NotPermitted { place, source },
        other => other,
    }
}
