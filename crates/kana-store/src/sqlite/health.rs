//! The health of the database, as the last calls have shown it: whether another process holds it,
//! whether commits fail, and whether a page is damaged.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::errors::{is_io, located};
use crate::deadlines::Deadlines;
use crate::error::StoreError;
use crate::log_throttle::LogThrottle;

/// How often a readiness check tries a commit while commits fail.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// The health of one store's database.
pub(super) struct Health {
    directory: PathBuf,
    /// How long a call waits for another process.
    patience: Duration,
    /// The last read failed because another process holds the database.
    reads_held: AtomicBool,
    /// The last write failed to begin because another process holds the database.
    writes_held: AtomicBool,
    /// The last commit failed.
    commits_fail: AtomicBool,
    known: Mutex<Known>,
    refused_reads: LogThrottle,
    background: LogThrottle,
}

#[derive(Default)]
struct Known {
    /// Why the last commit failed.
    commit: Option<StoreError>,
    /// The first error about a damaged page. It stays until a restart: a page does not heal, but
    /// the file can be replaced.
    damage: Option<StoreError>,
    /// When a readiness check last tried a commit.
    tried_at: Option<Instant>,
}

impl Health {
    pub(super) fn of_server(directory: &Path, limits: Deadlines) -> Self {
        Self::new(directory, limits.held)
    }

    pub(super) fn of_tool(directory: &Path, limits: Deadlines) -> Self {
        Self::new(directory, limits.held_from_tool)
    }

    fn new(directory: &Path, patience: Duration) -> Self {
        Self {
            directory: directory.to_owned(),
            patience,
            reads_held: AtomicBool::new(false),
            writes_held: AtomicBool::new(false),
            commits_fail: AtomicBool::new(false),
            known: Mutex::default(),
            refused_reads: LogThrottle::new(),
            background: LogThrottle::new(),
        }
    }

    /// Returns how long a read waits for another process.
    pub(super) fn patience_to_read(&self) -> Duration {
        self.patience_unless(&self.reads_held)
    }

    /// Returns how long a write waits for another process before it begins.
    pub(super) fn patience_to_write(&self) -> Duration {
        self.patience_unless(&self.writes_held)
    }

    fn patience_unless(&self, held: &AtomicBool) -> Duration {
        if held.load(Ordering::Relaxed) { Duration::ZERO } else { self.patience }
    }

    /// Records the result of a read. Returns it, with the file or directory added to an error.
    pub(super) fn noted_read<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_ok() {
            if self.reads_held.load(Ordering::Relaxed) {
                self.reads_held.store(false, Ordering::Relaxed);
            }
            return result;
        }
        result.map_err(|error| {
            let error = located(error, &self.directory);
            self.note_damage(&error);
            if let StoreError::Busy(_) = error {
                self.reads_held.store(true, Ordering::Relaxed);
                if let Some(reads) = self.refused_reads.count(1) {
                    tracing::warn!(%error, reads, "the database cannot be read");
                }
            }
            error
        })
    }

    /// Records the result of a step of a write. Returns it, with the file or directory added to an
    /// error.
    pub(super) fn noted_write<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.map_err(|error| {
            let error = located(error, &self.directory);
            self.note_damage(&error);
            if keeps_from_committing(&error) {
                self.known().commit = Some(repeated(&error));
                self.commits_fail.store(true, Ordering::Release);
            }
            error
        })
    }

    /// Records whether a write could begin. Returns the result, with the file or directory added to
    /// an error.
    pub(super) fn noted_begin<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let held = matches!(result, Err(StoreError::Busy(_)));
        if held != self.writes_held.load(Ordering::Relaxed) {
            self.writes_held.store(held, Ordering::Relaxed);
        }
        self.noted_write(result)
    }

    /// Records that a commit succeeded.
    pub(super) fn note_commit(&self) {
        if self.commits_fail.load(Ordering::Acquire) {
            self.known().commit = None;
            self.commits_fail.store(false, Ordering::Release);
        }
    }

    /// Logs an error that no caller receives, at most once a second.
    pub(super) fn note_in_background(&self, error: impl Into<StoreError>, what: &str) {
        let error = located(error.into(), &self.directory);
        self.note_damage(&error);
        if let Some(times) = self.background.count(1) {
            tracing::error!(%error, times, "{what}");
        }
    }

    /// Returns the first error about a damaged page, if there was one.
    pub(super) fn damage(&self) -> Option<StoreError> {
        self.known().damage.as_ref().map(repeated)
    }

    /// Returns why commits fail, if the last one did.
    pub(super) fn failure(&self) -> Option<StoreError> {
        self.known().commit.as_ref().map(repeated)
    }

    /// Returns true at most once a second; the caller then tries a commit.
    pub(super) fn may_try(&self) -> bool {
        let mut known = self.known();
        let due = known.tried_at.is_none_or(|at| at.elapsed() >= TRY_EVERY);
        if due {
            known.tried_at = Some(Instant::now());
        }
        due
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn note_damage(&self, error: &StoreError) {
        if let StoreError::Damaged { .. } = error {
            self.known().damage.get_or_insert_with(|| repeated(error));
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if the next commit is likely to fail for the same reason.
fn keeps_from_committing(error: &StoreError) -> bool {
    match error {
        StoreError::Busy(_)
        | StoreError::Full { .. }
        | StoreError::Damaged { .. }
        | StoreError::NotPermitted { .. } => true,
        StoreError::Engine(cause) => is_io(cause),
        _ => false,
    }
}

/// Copies an error, with its cause as text.
fn repeated(error: &StoreError) -> StoreError {
    let again = |source: &crate::error::Cause| source.to_string().into();
    match error {
        StoreError::Busy(source) => StoreError::Busy(again(source)),
        StoreError::Full { place, source } => {
            StoreError::Full { place: place.clone(), source: again(source) }
        }
        StoreError::Damaged { place, source } => {
            StoreError::Damaged { place: place.clone(), source: again(source) }
        }
        StoreError::NotPermitted { place, source } => {
            StoreError::NotPermitted { place: place.clone(), source: again(source) }
        }
        StoreError::Engine(source) => StoreError::Engine(again(source)),
        other => StoreError::Engine(other.to_string().into()),
    }
}
