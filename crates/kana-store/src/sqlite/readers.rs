use std::cell::{OnceCell, RefCell};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use kana_core::catalog::CatalogVersion;
use kana_core::counter::CounterValue;
use kana_core::facts::CounterKey;
use kana_core::id::{IdempotencyKey, UserKey};
use kana_core::idempotency::Replay;

use super::connection::Connection;
use super::counter_log::{self, LoggedCounters};
use super::facts_cache::{FactsCache, FactsCacheLimits};
use super::file_names::DATABASE_FILE;
use super::health::Health;
use super::lease::Lease;
use super::recent_counters::RecentCounters;
use super::replays::{ReplayOptions, StoredReplays};
use super::{catalog, facts};
use crate::app::EnvironmentId;
use crate::error::StoreError;

/// The maximum number of idle connections. For a short time more can be open, at most one a thread.
const IDLE_READERS_MAX: usize = 16;

/// Whether a snapshot can serve the next reader, and where that reader finds counters that are not in
/// their table.
pub(super) enum Views {
    /// Every reader begins a snapshot, since another process may have committed.
    Fresh,
    /// A snapshot is kept until this process commits. To begin and to end one takes locks of the
    /// operating system, which cost as much as what a question reads.
    Kept(Arc<RecentCounters>),
}

/// Connections that only read.
pub(super) struct ReaderPool {
    file: PathBuf,
    statements: Arc<AtomicU64>,
    health: Arc<Health>,
    views: Views,
    facts: OnceLock<FactsCache>,
    readers: Mutex<Readers>,
    /// The number of commits of this process. Incremented before a commit is acknowledged.
    commits: AtomicU64,
}

#[derive(Default)]
struct Readers {
    idle: Vec<Reader>,
    /// For each snapshot in use, the number of commits before it.
    views_in_use: Vec<u64>,
}

/// A connection with its snapshot, if it has one open.
struct Reader {
    connection: Connection,
    view: Option<View>,
    /// The versions that were read in this snapshot.
    catalog_versions: RefCell<Vec<(EnvironmentId, CatalogVersion)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct View {
    /// The number of commits before the snapshot began. It shows those, and perhaps later ones.
    after: u64,
    /// The last commit in it that changed counters.
    as_of: u64,
}

impl ReaderPool {
    pub(super) fn new(statements: Arc<AtomicU64>, health: Arc<Health>, views: Views) -> Self {
        let file = health.directory().join(DATABASE_FILE);
        let (readers, commits) = (Mutex::default(), AtomicU64::new(0));
        Self { file, statements, health, views, facts: OnceLock::new(), readers, commits }
    }

    /// Sets how much of users' facts is kept in memory, before anything is read or written.
    pub(super) fn limit_facts_cache(&self, limits: FactsCacheLimits) {
        // It has its default limits if it is in use already.
        let _ = self.facts.set(FactsCache::new(limits));
    }

    /// Returns the facts in memory. Returns `None` if there are none, also where others may change what
    /// is stored.
    pub(super) fn facts_cache(&self) -> Option<&FactsCache> {
        let Views::Kept(_) = self.views else { return None };
        let cache = self.facts.get_or_init(|| FactsCache::new(FactsCacheLimits::DEFAULT));
        Some(cache).filter(|cache| cache.is_on())
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// Returns the file of the database.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the count of statements, for connections outside of the pool.
    pub(super) fn statements(&self) -> &Arc<AtomicU64> {
        &self.statements
    }

    pub(super) fn statements_run(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Takes a connection without a snapshot. Each statement sees what is stored when it runs.
    pub(super) fn take(self: &Arc<Self>) -> Result<ReadLease, StoreError> {
        let taken = self.lease().and_then(|mut lease| {
            lease.reader_mut().end_view()?;
            Ok(lease)
        });
        self.health.noted_read(taken)
    }

    /// Takes a connection with a snapshot that shows everything that this process has committed.
    pub(super) fn take_view(self: &Arc<Self>) -> Result<ReadLease, StoreError> {
        let taken = self.lease().and_then(|mut lease| {
            let commits = self.commits();
            if lease.reader().view.is_none_or(|view| view.after != commits) {
                lease.begin_view(commits)?;
            }
            Ok(lease)
        });
        self.health.noted_read(taken)
    }

    /// Takes a connection with a snapshot that begins now. It shows everything that any snapshot has
    /// shown, also of a commit that is not acknowledged yet.
    pub(super) fn take_new_view(self: &Arc<Self>) -> Result<ReadLease, StoreError> {
        let taken = self.lease().and_then(|mut lease| {
            lease.begin_view(self.commits())?;
            Ok(lease)
        });
        self.health.noted_read(taken)
    }

    /// Returns the number of commits of this process.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Counts a commit and ends idle snapshots, so that none from before the commit serves a later
    /// reader. An old snapshot would also keep the WAL from starting again.
    pub(super) fn note_commit(&self) {
        self.commits.fetch_add(1, Ordering::Release);
        for reader in &mut self.readers().idle {
            reader.end_view_or_log(&self.health);
        }
    }

    /// Returns a number of commits that every snapshot shows, now and later.
    pub(super) fn shown_by_all(&self) -> u64 {
        let readers = self.readers();
        readers.views_in_use.iter().copied().fold(self.commits(), u64::min)
    }

    fn lease(self: &Arc<Self>) -> Result<ReadLease, StoreError> {
        let mut readers = self.readers();
        let idle = readers.idle.pop();
        // Under the lock, so that no counter that the snapshot needs is dropped meanwhile.
        let view_after = match &idle {
            Some(Reader { view: Some(view), .. }) => view.after,
            _ => self.commits(),
        };
        readers.views_in_use.push(view_after);
        drop(readers);
        let mut lease = ReadLease {
            reader: idle,
            view_after,
            logged: OnceCell::new(),
            replays: OnceCell::new(),
            pool: Arc::clone(self),
        };
        if lease.reader.is_none() {
            let connection = Connection::open_reader(&self.file, &self.statements)?;
            lease.reader =
                Some(Reader { connection, view: None, catalog_versions: RefCell::default() });
        }
        lease.reader().connection.set_patience(self.health.patience_to_read())?;
        Ok(lease)
    }

    fn give_back(&self, reader: Option<Reader>, view_after: u64) {
        let mut readers = self.readers();
        if let Some(place) = readers.views_in_use.iter().position(|after| *after == view_after) {
            readers.views_in_use.swap_remove(place);
        }
        let Some(mut reader) = reader else {
            return;
        };
        // A commit is counted before idle readers are looked for. So either this reader is found, or
        // it sees the new count.
        let current = reader.view.is_some_and(|view| view.after == self.commits());
        if matches!(self.views, Views::Fresh) || !current {
            reader.end_view_or_log(&self.health);
        }
        if readers.idle.len() < IDLE_READERS_MAX {
            readers.idle.push(reader);
        }
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn idle_readers(&self) -> usize {
        self.readers().idle.len()
    }

    #[cfg(test)]
    pub(super) fn open_views(&self) -> usize {
        self.readers().idle.iter().filter(|reader| reader.connection.in_transaction()).count()
    }
}

impl Reader {
    fn end_view(&mut self) -> rusqlite::Result<()> {
        self.view = None;
        self.catalog_versions.get_mut().clear();
        if self.connection.in_transaction() { self.connection.run("ROLLBACK") } else { Ok(()) }
    }

    /// Ends the snapshot. Only logs a failure, since no caller can receive it; the next user of the
    /// connection tries again.
    fn end_view_or_log(&mut self, health: &Health) {
        if let Err(error) = self.end_view() {
            health.note_in_background(error, "cannot end a read transaction");
        }
    }
}

/// A connection of the pool. Dropping it returns it to the pool.
pub(super) struct ReadLease {
    // `None` until it is opened, and again once the lease ends.
    reader: Option<Reader>,
    /// The snapshot's number in `views_in_use`.
    view_after: u64,
    /// The counter log in this snapshot, read on first use. A server's readers use memory instead.
    logged: OnceCell<LoggedCounters>,
    /// The idempotency records in this snapshot, read on first use.
    replays: OnceCell<StoredReplays>,
    pool: Arc<ReaderPool>,
}

impl ReadLease {
    #[expect(clippy::expect_used, reason = "only `drop` takes the reader")]
    fn reader(&self) -> &Reader {
        self.reader.as_ref().expect("a lease holds its reader until it is dropped")
    }

    #[expect(clippy::expect_used, reason = "only `drop` takes the reader")]
    fn reader_mut(&mut self) -> &mut Reader {
        self.reader.as_mut().expect("a lease holds its reader until it is dropped")
    }

    /// Returns true if no commit was made since the snapshot began.
    pub(super) fn is_current(&self) -> bool {
        self.reader().view.is_some_and(|view| view.after == self.pool.commits())
    }

    fn begin_view(&mut self, commits: u64) -> Result<(), StoreError> {
        self.reader_mut().end_view()?;
        if commits != self.view_after {
            let mut readers = self.pool.readers();
            let mut in_use = readers.views_in_use.iter_mut();
            if let Some(noted) = in_use.find(|after| **after == self.view_after) {
                *noted = commits;
            }
            drop(readers);
            self.view_after = commits;
        }
        let connection = &self.reader().connection;
        connection.run("BEGIN DEFERRED")?;
        // SQLite's snapshot begins with the first statement that reads.
        let as_of = match self.pool.views {
            Views::Kept(_) => counter_log::last_number(connection)?,
            Views::Fresh => 0,
        };
        self.reader_mut().view = Some(View { after: commits, as_of });
        Ok(())
    }
}

impl Deref for ReadLease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.reader().connection
    }
}

impl Lease for ReadLease {
    fn noted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.pool.health.noted_read(result)
    }

    fn write_events(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn catalog_version(&self, environment: EnvironmentId) -> Result<CatalogVersion, StoreError> {
        let mut versions = self.reader().catalog_versions.borrow_mut();
        if let Some((_, version)) = versions.iter().find(|(of, _)| *of == environment) {
            return Ok(*version);
        }
        let version = catalog::version(self, environment)?;
        versions.push((environment, version));
        Ok(version)
    }

    fn counter(
        &mut self,
        environment: EnvironmentId,
        counter: &(UserKey, CounterKey),
        stored: Option<Option<CounterValue>>,
    ) -> Result<Option<CounterValue>, StoreError> {
        let recent = match &self.pool.views {
            Views::Kept(recent) => {
                let as_of = self.reader().view.map_or(0, |view| view.as_of);
                recent.value(environment, counter, as_of)
            }
            Views::Fresh => {
                let logged = match self.logged.get() {
                    Some(logged) => logged,
                    None => {
                        let logged = counter_log::read(self)?;
                        self.logged.get_or_init(|| logged)
                    }
                };
                logged.get(&environment).and_then(|logged| logged.get(counter)).cloned()
            }
        };
        match recent.or(stored) {
            Some(value) => Ok(value),
            None => facts::counter(self, environment, counter),
        }
    }

    fn replays(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<Vec<Option<Replay>>, StoreError> {
        let stored = match self.replays.get() {
            Some(stored) => stored,
            None => {
                let stored = StoredReplays::load(self, ReplayOptions::without_filters())?;
                self.replays.get_or_init(|| stored)
            }
        };
        stored.replays(self, environment, keys)
    }
}

impl Drop for ReadLease {
    fn drop(&mut self) {
        self.pool.give_back(self.reader.take(), self.view_after);
    }
}
