//! Sorts SQLite's errors by what the caller can do about them.

use std::io::{self, Write as _};
use std::path::Path;

use rusqlite::{Error as SqliteError, ErrorCode};

use super::file_names::DATABASE_FILE;
use crate::error::{Cause, StoreError};

/// The size of a trial write. More than SQLite needs at once to open a database: its shared memory
/// grows by 32 KiB.
const WRITTEN_TO_ASK: usize = 64 * 1024;

/// What to do about a damaged database.
const ADVICE: &str =
    "kana check shows what is damaged, and kana restore puts a backup in its place";

/// `ENFILE` and `EMFILE`, on every Unix that Kana runs on.
const TOO_MANY_OPEN_FILES: [i32; 2] = [23, 24];

// The place is not known here; `located` adds it.
impl From<SqliteError> for StoreError {
    fn from(error: SqliteError) -> Self {
        let place = DATABASE_FILE.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Busy(Box::new(error))
            }
            Some(ErrorCode::DiskFull) => Self::Full { place, source: Box::new(error) },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { place, source: Box::new(error) }
            }
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::CannotOpen
                | ErrorCode::AuthorizationForStatementDenied,
            ) => Self::NotPermitted { place, source: Box::new(error) },
            _ => Self::Engine(Box::new(error)),
        }
    }
}

/// Returns true if SQLite failed to read or write a file and does not say why.
pub(super) fn is_io(cause: &Cause) -> bool {
    code(cause) == Some(ErrorCode::SystemIoFailure)
}

fn code(cause: &Cause) -> Option<ErrorCode> {
    cause.downcast_ref::<SqliteError>().and_then(SqliteError::sqlite_error_code)
}

/// Adds to an error the directory or file that it is about. If SQLite does not report the reason (a
/// quota, a disk mounted read-only, too many open files), a small write finds out.
pub(super) fn located(error: StoreError, directory: &Path) -> StoreError {
    let here = || directory.display().to_string();
    let file = || directory.join(DATABASE_FILE).display().to_string();
    match error {
        StoreError::Full { source, .. } => StoreError::Full { place: here(), source },
        // It is not known yet which file: the advice is not there yet either.
        StoreError::Damaged { place, source } if place == DATABASE_FILE => {
            StoreError::Damaged { place: file(), source: format!("{source}; {ADVICE}").into() }
        }
        StoreError::NotPermitted { source, .. } if code(&source) == Some(ErrorCode::CannotOpen) => {
            asked(directory, source)
                .unwrap_or_else(|source| StoreError::NotPermitted { place: file(), source })
        }
        StoreError::NotPermitted { source, .. } => {
            StoreError::NotPermitted { place: file(), source }
        }
        StoreError::Engine(source) if is_io(&source) => {
            asked(directory, source).unwrap_or_else(StoreError::Engine)
        }
        other => other,
    }
}

/// Tries a small write to the directory, and returns the kind of error that it fails with. Returns
/// `source` unchanged if the write succeeds or its error has no kind of its own.
fn asked(directory: &Path, source: Cause) -> Result<StoreError, Cause> {
    let Err(error) = write_some(directory) else {
        return Err(source);
    };
    let place = directory.display().to_string();
    if is_full(&error) {
        Ok(StoreError::Full { place, source })
    } else if is_forbidden(&error) {
        Ok(StoreError::NotPermitted { place, source: Box::new(error) })
    } else if error.raw_os_error().is_some_and(|code| TOO_MANY_OPEN_FILES.contains(&code)) {
        Ok(StoreError::Unavailable(Box::new(error)))
    } else {
        Err(source)
    }
}

/// Returns true if the disk or the user's quota is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Writes [`WRITTEN_TO_ASK`] bytes to a temporary file in the directory, which is deleted at once.
pub(super) fn write_some(directory: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(directory)?;
    file.write_all(&[0; WRITTEN_TO_ASK])
}
