//! The health of the database, as the last calls have shown it: whether another process holds it,
//! whether commits fail, and whether a page is damaged.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::errors::{is_io, located};
use super::room::Room;
use crate::deadlines::Deadlines;
use crate::error::StoreError;
use crate::log_throttle::LogThrottle;
use crate::threads::NeededThreads;

/// How often a readiness check tries a commit while commits fail.
const TRY_EVERY: Duration = Duration::from_secs(1);

struct OfServer {
    room: Room,
    threads: NeededThreads,
}

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
    /// A write has met a damaged page since the writer was last tried.
    write_met_damage: AtomicBool,
    /// Of a server.
    server: Option<OfServer>,
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
    pub(super) fn of_server(directory: &Path, limits: Deadlines, threads: NeededThreads) -> Self {
        let server = Some(OfServer { room: Room::new(), threads });
        Self { server, ..Self::new(directory, limits.held) }
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
            write_met_damage: AtomicBool::new(false),
            server: None,
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
            if let StoreError::Damaged { .. } = error {
                self.write_met_damage.store(true, Ordering::Relaxed);
            }
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

    /// Returns true once after a write that met a damaged page; the caller then tries whether anything can
    /// be written.
    pub(super) fn must_try_writer(&self) -> bool {
        self.write_met_damage.load(Ordering::Relaxed)
            && self.write_met_damage.swap(false, Ordering::Relaxed)
    }

    /// Records the result of a trial after a damaged page. If that met one, too, the server cannot go on.
    pub(super) fn note_trial(&self, tried: Result<(), StoreError>) {
        if let Err(error) = tried
            && let error @ StoreError::Damaged { .. } = located(error, &self.directory)
            && let Some(server) = &self.server
        {
            server.threads.report_damaged(error.to_string());
        }
    }

    /// Fails with [`Full`](StoreError::Full) if a server has too little free space to write.
    pub(super) fn check_room(&self) -> Result<(), StoreError> {
        self.server.as_ref().map_or(Ok(()), |server| server.room.check(&self.directory))
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> Option<&Room> {
        self.server.as_ref().map(|server| &server.room)
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
        let StoreError::Damaged { .. } = error else { return };
        let mut known = self.known();
        if known.damage.is_none() {
            known.damage = Some(repeated(error));
            drop(known);
            tracing::error!(%error, "/readyz answers 503 until the server is restarted");
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
