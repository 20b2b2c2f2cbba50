use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connection::Connection;
use crate::error::StoreError;

/// Connections that wait to be used again. More may be open for a moment, at most one a thread.
const IDLE_READERS_MAX: usize = 16;

/// Whether a view of the database may serve the next reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Views {
    /// Every reader begins a view of its own, since another process may have committed.
    Fresh,
    /// A view serves as long as this process has not committed. To begin and to end one takes the
    /// operating system's locks, which cost as much as what a question reads.
    Kept,
}

/// Connections that only read.
pub(super) struct ReaderPool {
    file: PathBuf,
    statements: Arc<AtomicU64>,
    views: Views,
    idle: Mutex<Vec<Reader>>,
    /// How often this process has committed. It grows before anybody is told of the commit.
    commits: AtomicU64,
}

/// A connection with the view that it has open, if any.
struct Reader {
    connection: Connection,
    /// The number of commits before the view began: it shows those, and perhaps later ones.
    view_after: Option<u64>,
}

impl ReaderPool {
    pub(super) fn new(file: PathBuf, statements: Arc<AtomicU64>, views: Views) -> Self {
        Self { file, statements, views, idle: Mutex::default(), commits: AtomicU64::new(0) }
    }

    pub(super) fn statements_run(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// A connection without a view: each statement shows what is stored then, also by others.
    pub(super) fn take(self: &Arc<Self>) -> Result<ReadLease, StoreError> {
        let mut reader = self.reader()?;
        reader.end_view()?;
        Ok(ReadLease { reader: Some(reader), pool: Arc::clone(self) })
    }

    /// A connection with a view that shows everything that this process has committed.
    pub(super) fn take_view(self: &Arc<Self>) -> Result<ReadLease, StoreError> {
        let mut reader = self.reader()?;
        let commits = self.commits.load(Ordering::Acquire);
        if reader.view_after != Some(commits) {
            reader.end_view()?;
            reader.connection.run("BEGIN DEFERRED")?;
            reader.view_after = Some(commits);
        }
        Ok(ReadLease { reader: Some(reader), pool: Arc::clone(self) })
    }

    /// Sees to it that no view of before a commit serves a reader after it. An old view would also
    /// keep the log from being cut back.
    pub(super) fn note_commit(&self) {
        self.commits.fetch_add(1, Ordering::Release);
        for reader in self.idle().iter_mut() {
            reader.end_view_or_log();
        }
    }

    fn reader(&self) -> Result<Reader, StoreError> {
        let idle = self.idle().pop();
        idle.map_or_else(
            || {
                let connection = Connection::open_reader(&self.file, &self.statements)?;
                Ok(Reader { connection, view_after: None })
            },
            Ok,
        )
    }

    fn give_back(&self, mut reader: Reader) {
        let mut idle = self.idle();
        // Whoever commits counts it before looking for idle readers, and so either finds this one
        // or has let it know.
        let current = reader.view_after == Some(self.commits.load(Ordering::Acquire));
        if self.views == Views::Fresh || !current {
            reader.end_view_or_log();
        }
        if idle.len() < IDLE_READERS_MAX {
            idle.push(reader);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn idle_readers(&self) -> usize {
        self.idle().len()
    }

    #[cfg(test)]
    pub(super) fn open_views(&self) -> usize {
        self.idle().iter().filter(|reader| reader.connection.in_transaction()).count()
    }
}

impl Reader {
    fn end_view(&mut self) -> rusqlite::Result<()> {
        self.view_after = None;
        if self.connection.in_transaction() { self.connection.run("ROLLBACK") } else { Ok(()) }
    }

    /// Ends the view where nobody can be told that it could not be. Whoever takes the connection
    /// next tries again, and is told.
    fn end_view_or_log(&mut self) {
        if let Err(error) = self.end_view() {
            tracing::error!(%error, "a view of the database could not be ended");
        }
    }
}

/// A connection of the pool, which goes back to it.
pub(super) struct ReadLease {
    // Taken only when the lease ends.
    reader: Option<Reader>,
    pool: Arc<ReaderPool>,
}

impl Deref for ReadLease {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "only `drop` takes the reader")]
    fn deref(&self) -> &Connection {
        &self.reader.as_ref().expect("a lease holds its reader until it is dropped").connection
    }
}

impl Drop for ReadLease {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.pool.give_back(reader);
        }
    }
}
