//! The failure of the last change, for as long as it counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::error::StoreError;

/// The failure of the last change, if the next one is likely to fail for the same reason.
#[derive(Default)]
pub(super) struct LastChange(Mutex<Option<Failure>>);

/// A failure that a readiness check repeats.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    text: String,
    pub(super) at: Instant,
}

#[derive(Clone, Copy)]
pub(super) enum FailureKind {
    Full,
    Damaged,
    NotPermitted,
}

impl LastChange {
    /// Returns the failure of the last change, if it failed for a reason that lasts.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.last().clone()
    }

    fn last(&self) -> MutexGuard<'_, Option<Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn succeeded(&self) {
        *self.last() = None;
    }

    pub(super) fn failed(&self, error: &StoreError) {
        let kind = match error {
            StoreError::Full { .. } => FailureKind::Full,
            StoreError::Damaged { .. } => FailureKind::Damaged,
            StoreError::NotPermitted { .. } => FailureKind::NotPermitted,
            _ => return,
        };
        *self.last() = Some(Failure { kind, text: error.to_string(), at: Instant::now() });
    }
}

impl Failure {
    pub(super) fn into_error(self) -> StoreError {
        let (place, source) = ("the last change".to_owned(), self.text.into());
        match self.kind {
            FailureKind::Full => StoreError::Full { place, source },
            FailureKind::Damaged => StoreError::Damaged { place, source },
            FailureKind::NotPermitted => StoreError::NotPermitted { place, source },
        }
    }
}
