//! The data directory: its files, their permissions, and how a lost database is told from one that
//! was never created.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::errors::is_full;
use super::file_names::{BACKUP_FILE, CLAIM_FILE, DATABASE_FILE, LOG_FILE, OUR_FILES, TURN_FILE};
use crate::deadlines::Deadlines;
use crate::error::StoreError;

/// The content of the turn file once there is a database.
const MADE: &[u8] = b"kana.db was made here\n";

/// The pause between two looks whether another process still opens the database. To open takes
/// milliseconds.
const TURN_PAUSE: Duration = Duration::from_millis(2);

/// Creates the directory, accessible to its owner alone, unless it exists.
pub(super) fn create(directory: &Path) -> Result<(), StoreError> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|source| failed(directory, source))?;
    // The umask may also have removed permissions of the owner.
    set_mode(directory, 0o700).map_err(|source| failed(directory, source))
}

/// A server's claim to its directory. The operating system gives it back when the process ends,
/// however it ends.
pub(super) struct Claim(File);

impl Drop for Claim {
    fn drop(&mut self) {
        // To close the file is not enough: a process that this one is just starting has a copy of it
        // until it runs its own program.
        let _ = self.0.unlock();
    }
}

/// Claims the directory for one server.
pub(super) fn claim(directory: &Path) -> Result<Claim, StoreError> {
    let path = directory.join(CLAIM_FILE);
    let file = private_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Claim(file)),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::DataDirInUse { path: directory.to_path_buf() })
        }
        Err(TryLockError::Error(source)) => Err(failed(&path, source)),
    }
}

/// Waits until no other process opens the database. A new file is put into WAL mode, for which
/// SQLite needs exclusive access and does not wait.
///
/// Fails with [`Busy`](StoreError::Busy) after [`turn`](Deadlines::turn).
pub(super) fn wait_for_turn(directory: &Path, limits: Deadlines) -> Result<File, StoreError> {
    let path = directory.join(TURN_FILE);
    let file = private_file(&path)?;
    lock(&file, &path, limits.turn)?;
    Ok(file)
}

/// Like [`wait_for_turn`], but creates nothing. Returns `None` if no database was ever opened here.
pub(super) fn wait_for_turn_if_any(
    directory: &Path,
    limits: Deadlines,
) -> Result<Option<File>, StoreError> {
    let path = directory.join(TURN_FILE);
    match File::open(&path) {
        Ok(file) => {
            lock(&file, &path, limits.turn)?;
            Ok(Some(file))
        }
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(failed(&path, source)),
    }
}

/// Locks the turn file. The operating system can wait for a lock, but not for a limited time.
fn lock(file: &File, path: &Path, limit: Duration) -> Result<(), StoreError> {
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(failed(path, source)),
            Err(TryLockError::WouldBlock) if since.elapsed() < limit => {
                std::thread::sleep(TURN_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                let why = format!("it has been opening or migrating it for {limit:?}");
                return Err(StoreError::Busy(why.into()));
            }
        }
    }
}

/// The state of the database in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// There is none: there was no start yet, or the first one was killed early.
    Nothing,
    /// A file that is not empty, but may have no tables yet.
    Database {
        /// Whether it is known to have had tables.
        made: bool,
    },
}

/// Looks for the database. Fails with [`DatabaseLost`](StoreError::DatabaseLost) if there was one
/// that is now gone or empty.
///
/// The turn file gets content once the first migration is committed. So a turn file with content
/// and no database means that the database was lost; an empty or missing one means that the first
/// start was interrupted.
///
/// A database of an earlier release has an empty turn file until it is next opened. Until then the
/// WAL is the evidence, since SQLite writes the first page of the database file before it starts a
/// WAL. SQLite would delete a WAL beside an empty file, with all commits in it.
pub(super) fn find_database(directory: &Path, turn: Option<&File>) -> Result<Found, StoreError> {
    let file = directory.join(DATABASE_FILE);
    let bytes = length(&file)?;
    let made = match turn {
        Some(turn) => turn.metadata().map_err(|source| failed(directory, source))?.len() > 0,
        None => false,
    };
    if bytes.is_some_and(|bytes| bytes > 0) {
        return Ok(Found::Database { made });
    }
    let (log, backup) = (directory.join(LOG_FILE), directory.join(BACKUP_FILE));
    let evidence = if made {
        directory.join(TURN_FILE)
    } else if length(&log)?.is_some_and(|bytes| bytes > 0) {
        log
    } else if length(&backup)?.is_some() {
        backup
    } else {
        return Ok(Found::Nothing);
    };
    let problem = if bytes.is_some() { "is empty" } else { "is gone" };
    Err(StoreError::DatabaseLost { file, problem, evidence })
}

/// Returns the error for a directory that never had a database.
pub(super) fn no_database(directory: &Path) -> StoreError {
    StoreError::NoDatabaseIn { place: directory.display().to_string() }
}

/// Returns the error for a database file that has lost its tables.
pub(super) fn without_tables(directory: &Path) -> StoreError {
    let (file, evidence) = (directory.join(DATABASE_FILE), directory.join(TURN_FILE));
    StoreError::DatabaseLost { file, problem: "holds nothing", evidence }
}

/// Creates an empty database file, accessible to its owner alone. SQLite would follow the umask.
pub(super) fn create_database_file(directory: &Path) -> Result<(), StoreError> {
    private_file(&directory.join(DATABASE_FILE)).map(drop)
}

/// Notes in the turn file that there is a database. Only [`find_database`] needs the note, so a
/// start goes on if the disk is full.
pub(super) fn note_made(mut turn: &File) {
    let noted = turn.write_all(MADE).and_then(|()| turn.sync_all());
    if let Err(error) = noted {
        // Any content counts as a note, so a partial one is removed.
        let _ = turn.set_len(0);
        tracing::warn!(%error, "cannot write {TURN_FILE}");
    }
}

/// Removes the permissions of group and others from the directory and its files, and logs one line
/// if it changed any.
///
/// A directory that also holds other files, or that is shared like `/tmp`, keeps its mode: other
/// programs may depend on it, and the files in it are protected anyway.
pub(super) fn close_to_others(directory: &Path) {
    let files = OUR_FILES.iter().map(|name| directory.join(name));
    let mut closed = Vec::new();
    let mut problem = None;
    for path in files.chain(is_ours_alone(directory).then(|| directory.to_owned())) {
        match close(&path) {
            Ok(true) => closed.push(path.display().to_string()),
            Ok(false) => {}
            Err(error) => problem = Some(failed(&path, error)),
        }
    }
    if !closed.is_empty() {
        tracing::info!(
            "could be used by others, and now by the owner alone: {}",
            closed.join(", ")
        );
    }
    if let Some(error) = problem {
        tracing::warn!(%error, "others may use files of the database");
    }
}

fn is_ours_alone(directory: &Path) -> bool {
    let is_ours = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.starts_with("kana.") || name == "lost+found"
    };
    directory.read_dir().is_ok_and(|mut entries| {
        entries.all(|entry| entry.is_ok_and(|entry| is_ours(&entry.file_name())))
    })
}

#[cfg(unix)]
fn close(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;

    const OF_OTHERS: u32 = 0o077;
    const STICKY: u32 = 0o1000;

    let mode = match path.metadata() {
        Ok(metadata) => metadata.permissions().mode(),
        Err(error) if is_absent(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    if mode & OF_OTHERS == 0 || mode & STICKY != 0 {
        return Ok(false);
    }
    set_mode(path, mode & 0o7777 & !OF_OTHERS)?;
    Ok(true)
}

#[cfg(not(unix))]
fn close(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Opens a file for writing. Creates it, accessible to its owner alone, if it does not exist.
fn private_file(path: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    let opened = match opened {
        Err(error) if is_absent(&error) => create_private_file(path),
        opened => opened,
    };
    opened.map_err(|source| failed(path, source))
}

pub(super) fn create_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Another process may have created it meanwhile.
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // The umask may also have removed permissions of the owner.
    set_mode(path, 0o600)?;
    Ok(file)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Returns the length of a file; `None` if it does not exist.
fn length(path: &Path) -> Result<Option<u64>, StoreError> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

pub(super) fn failed(path: &Path, source: io::Error) -> StoreError {
    let path = PathBuf::from(path);
    if is_full(&source) {
        StoreError::Full { place: path.display().to_string(), source: Box::new(source) }
    } else {
        StoreError::DataDir { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starting PostgreSQL beside a store that was opened anew made tests fail now and then.
    #[test]
    fn a_claim_ends_although_another_process_has_a_copy_of_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let first = claim(directory.path()).unwrap();
        assert!(matches!(claim(directory.path()), Err(StoreError::DataDirInUse { .. })));
        let _copy = first.0.try_clone().unwrap();
        drop(first);
        assert!(claim(directory.path()).is_ok());
    }

    #[test]
    fn the_turn_of_a_process_that_never_ends_is_not_waited_for_without_end() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Deadlines { turn: Duration::from_millis(20), ..Deadlines::DEFAULT };
        assert!(matches!(wait_for_turn_if_any(directory.path(), limits), Ok(None)));
        let first = wait_for_turn(directory.path(), limits).unwrap();
        for waited in [
            wait_for_turn(directory.path(), limits).map(drop),
            wait_for_turn_if_any(directory.path(), limits).map(drop),
        ] {
            assert!(matches!(waited, Err(StoreError::Busy(_))), "{waited:?}");
        }
        drop(first);
        wait_for_turn(directory.path(), limits).unwrap();
    }
}
