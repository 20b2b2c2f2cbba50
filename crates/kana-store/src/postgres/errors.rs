//! Sorts the errors of PostgreSQL and its driver by what the caller can do about them.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use super::tls::is_failure;
use crate::error::{Cause, StoreError};

/// Another transaction was faster.
const CONFLICTS: &[SqlState] = &[
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::UNIQUE_VIOLATION,
    SqlState::LOCK_NOT_AVAILABLE,
];

/// A page is corrupt, or a table is not as this release created it.
const DAMAGED: &[SqlState] = &[
    SqlState::DATA_CORRUPTED,
    SqlState::INDEX_CORRUPTED,
    SqlState::UNDEFINED_TABLE,
    SqlState::UNDEFINED_COLUMN,
    SqlState::UNDEFINED_FUNCTION,
    SqlState::INVALID_SCHEMA_NAME,
];

/// The server answers, but cannot serve us now.
const AWAY: &[SqlState] = &[
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    // The database is being taken out of service: it allows no connections.
    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
    SqlState::TOO_MANY_CONNECTIONS,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    SqlState::IDLE_SESSION_TIMEOUT,
    // The statement exceeded the `statement_timeout` of our sessions.
    SqlState::QUERY_CANCELED,
    SqlState::OUT_OF_MEMORY,
    SqlState::INSUFFICIENT_RESOURCES,
];

/// What the check of a new session says if the server fell silent; anything else that it says is
/// what is wrong with the session.
pub(super) const NO_ANSWER: &str = "the server did not answer in time";
const NONE_FREE: &str = "all connections of this node were in use, and none came free in time";
const NOT_OPENED: &str = "no connection was opened in time: neither an answer nor a refusal came";

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let Some(state) = error.code().cloned() else {
            return without_code(&error);
        };
        let class = state.code().get(..2).unwrap_or_default();
        if CONFLICTS.contains(&state) || is_about_a_new_partition(&error) {
            Self::Conflict(cause(&error))
        } else if state == SqlState::READ_ONLY_SQL_TRANSACTION {
            // The server took changes when we connected, and takes none now.
            Self::ReadOnly
        } else if is_of_pooler(&error) {
            Self::SessionDiffers { problem: cause(&error).to_string() }
        } else if let Some(refused) = refused_by_pooler(&error) {
            refused
        } else if AWAY.contains(&state) || class == "08" {
            Self::Unavailable(cause(&error))
        } else if state == SqlState::DISK_FULL {
            let place = "the disk of the database's server".to_owned();
            Self::Full { place, source: cause(&error) }
        } else if DAMAGED.contains(&state) {
            Self::Damaged { place: place(&error), source: cause(&error) }
        } else if state == SqlState::DIVISION_BY_ZERO {
            // See `all_were_written` in `statements`.
            Self::Engine("the row of a user has moved".into())
        } else if state == SqlState::INSUFFICIENT_PRIVILEGE {
            Self::NotPermitted { place: place(&error), source: cause(&error) }
        } else if class == "28" {
            Self::AccessDenied(cause(&error))
        } else if state == SqlState::INVALID_CATALOG_NAME {
            Self::NoDatabase(cause(&error))
        } else {
            Self::Engine(cause(&error))
        }
    }
}

/// Sorts an error of the driver or the network.
fn without_code(error: &Error) -> StoreError {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match io {
        Some(_) if is_standby(error) => StoreError::ReadOnly,
        _ if is_failure(error) => StoreError::TlsFailed(cause(error)),
        Some(_) => StoreError::Unavailable(cause(error)),
        None if error.is_closed() || is_timeout(error) => StoreError::Unavailable(cause(error)),
        // A missing password, or an authentication method that the driver does not know.
        None if is_about_access(error) => StoreError::AccessDenied(cause(error)),
        None => StoreError::Engine(cause(error)),
    }
}

/// Returns true if the driver refused a server because it accepts no changes. The driver reports
/// that as `PermissionDenied`.
pub(super) fn is_standby(error: &Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied)
}

// The driver tells the kinds of its errors only by their text.
fn is_timeout(error: &Error) -> bool {
    error.to_string().starts_with("timeout")
}

fn is_about_access(error: &Error) -> bool {
    let text = error.to_string();
    text.starts_with("invalid configuration") || text.starts_with("authentication error")
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                error.into()
            }
            PoolError::PostCreateHook(HookError::Message(problem)) if problem != NO_ANSWER => {
                Self::SessionDiffers { problem: problem.into_owned() }
            }
            PoolError::Timeout(TimeoutType::Wait) => Self::Unavailable(NONE_FREE.into()),
            PoolError::Timeout(_) => Self::Unavailable(NOT_OPENED.into()),
            PoolError::PostCreateHook(HookError::Message(problem)) => {
                Self::Unavailable(problem.into())
            }
            other => Self::Unavailable(Box::new(other)),
        }
    }
}

/// Returns true if an error shows a pooler that Kana was not told of: it refuses the settings that a
/// session begins with, or gives us sessions without our prepared statements, or with those of others.
fn is_of_pooler(error: &Error) -> bool {
    let Some(said) = error.as_db_error() else { return false };
    let (code, text) = (said.code(), said.message());
    text.contains("unsupported startup parameter")
        || *code == SqlState::INVALID_SQL_STATEMENT_NAME
        || *code == SqlState::DUPLICATE_PSTATEMENT
        || *code == SqlState::PROTOCOL_VIOLATION && text.contains("prepared statement")
}

/// Returns the error of a wrong user, password or database that a pooler reports. PgBouncer before
/// 1.19 has one code for all that it says itself.
fn refused_by_pooler(error: &Error) -> Option<StoreError> {
    let said = error.as_db_error().filter(|said| *said.code() == SqlState::PROTOCOL_VIOLATION)?;
    let text = said.message();
    let is_about = |what: &[&str]| what.iter().any(|what| text.contains(what));
    if is_about(&["authentication failed", "auth failed", "no such user", "login rejected"]) {
        Some(StoreError::AccessDenied(cause(error)))
    } else if text.starts_with("no such database")
        || text.starts_with("database ") && text.ends_with(" does not exist")
    {
        Some(StoreError::NoDatabase(cause(error)))
    } else {
        None
    }
}

/// Returns true if an event went to the default partition while its month got a partition of its
/// own. Unlike this one, our own check constraints have names.
fn is_about_a_new_partition(error: &Error) -> bool {
    let refused = error.as_db_error().filter(|said| *said.code() == SqlState::CHECK_VIOLATION);
    refused.is_some_and(|said| said.constraint().is_none())
}

/// Returns the table that an error is about, if the server names it.
fn place(error: &Error) -> String {
    match error.as_db_error().and_then(DbError::table) {
        Some(table) => format!("the table {table}"),
        None => "the database of the database URL".to_owned(),
    }
}

/// Returns true if an error proves that a commit did not happen: the server reported the failure, and
/// the connection goes on.
pub(super) fn says_it_was_not_committed(error: &Error) -> bool {
    error.as_db_error().and_then(DbError::parsed_severity) == Some(Severity::Error)
}

/// Writes an error with its sources in one line. The driver's own text has only the kind. What the server
/// adds as `DETAIL` is left out: it quotes the row, with the names and e-mails in it.
pub(super) fn cause(error: &Error) -> Cause {
    if let Some(said) = error.as_db_error() {
        let (severity, message, code) = (said.severity(), said.message(), said.code().code());
        return format!("{severity}: {message} (SQLSTATE {code})").into();
    }
    if error.is_closed() {
        return "the server, or a pooler in between, closed the connection without a word".into();
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {more}");
        }
        source = error.source();
    }
    text.into()
}
