//! Counts failures of the database (contract: `operations.md`, "Metrics").

use kana_store::StoreError;
use kana_telemetry::metrics::database::{self, Failure};
use kana_telemetry::metrics::writer::{self, Retry};

/// Counts a batch that is tried again.
pub(crate) fn count_retry(cause: &StoreError) {
    writer::retried(match cause {
        StoreError::Conflict(_) if cause.is_deadlock() => Retry::Deadlock,
        StoreError::Conflict(_) => Retry::Conflict,
        _ => Retry::Connection,
    });
}

/// Counts a call of the database that failed. What another writer or the caller has caused is none.
pub(crate) fn count(error: &StoreError) {
    database::failed(match error {
        StoreError::Conflict(_)
        | StoreError::LostLease
        | StoreError::StaleCatalog
        | StoreError::NotEmpty => return,
        StoreError::Unavailable(_)
        | StoreError::TlsFailed(_)
        | StoreError::SessionDiffers { .. }
        | StoreError::NoDatabase(_)
        | StoreError::OutcomeUnknown(_) => Failure::Unavailable,
        StoreError::Busy(_) => Failure::Timeout,
        StoreError::Full { .. } => Failure::Full,
        StoreError::Damaged { .. } | StoreError::DatabaseLost { .. } => Failure::Damaged,
        StoreError::NotPermitted { .. } | StoreError::AccessDenied(_) | StoreError::ReadOnly => {
            Failure::Permission
        }
        _ => Failure::Other,
    });
}
