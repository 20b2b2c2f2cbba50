//! Checkpoints: copies the WAL into the database file without making commits wait.
//!
//! SQLite would do it in the commit that finds the WAL long, which then takes tens of milliseconds.
//! Here a thread copies often, while the writer goes on, so that the disk never has much to write at
//! once. Under a load without pauses the thread never reaches the end of the WAL. So once the WAL is
//! long, the writer copies the rest between two commits, and the WAL starts again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use kana_telemetry::metrics::database::CHECKPOINTS;

use super::connection::Connection;
use super::health::Health;
use crate::error::StoreError;
use crate::threads::NeededThreads;

/// The number of changed rows after which the WAL is copied.
const CHANGES: usize = 16 * 1024;
/// What a commit counts for beside its changes, since even a small one writes some pages. Without
/// this, single commands would let the WAL grow to hundreds of MiB.
const COMMIT: usize = 16;

/// The number of pages of the WAL from which on the writer helps to start it again.
const PAGES: i64 = 8 * 1024;
/// The copier leaves the rest to the writer once a pass finds fewer new pages than this. The writer
/// then copies them while commands wait.
const LEFT_TO_THE_WRITER: i64 = 64;
const PASSES_MAX: usize = 8;

/// The priority of the copier, as for `nice`: about a tenth of the CPU if others want all of it.
#[cfg(target_os = "linux")]
const PRIORITY: i32 = 10;

/// Copies as much of the WAL as no reader needs, without waiting.
const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";

const NAME: &str = "kana-checkpoint";

/// Decides when the WAL is copied. Belongs to the connection that writes.
pub(super) struct Checkpoints {
    /// Changes since the copier was last asked.
    changes: usize,
    health: Arc<Health>,
    /// Whether the copier has copied what there was when it was asked.
    copied: Arc<AtomicBool>,
    /// `None` once it must end.
    copier: Option<Copier>,
}

struct Copier {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Starts the copier.
    pub(super) fn start(
        file: &Path,
        statements: &Arc<AtomicU64>,
        health: &Arc<Health>,
        threads: &NeededThreads,
    ) -> Result<Self, StoreError> {
        let connection = Connection::open_writer(file, statements)?;
        let copied = Arc::new(AtomicBool::new(false));
        let (wake, woken) = sync_channel(1);
        let needed = threads.watch(NAME);
        let thread = std::thread::Builder::new()
            .name(NAME.into())
            .spawn({
                let (copied, health) = (Arc::clone(&copied), Arc::clone(health));
                move || {
                    let _needed = needed;
                    yield_to_others();
                    run(&connection, &woken, &copied, &health);
                }
            })
            .map_err(|error| StoreError::Engine(Box::new(error)))?;
        let (health, copier) = (Arc::clone(health), Some(Copier { wake, thread }));
        Ok(Self { changes: 0, health, copied, copier })
    }

    /// Must be called by the writer between two commits, with the number of rows that the last one
    /// changed.
    pub(super) fn after_commit(&mut self, writer: &Connection, changes: usize) {
        if self.copied.swap(false, Ordering::Acquire) {
            copy(writer, &self.health);
        }
        self.changes += changes + COMMIT;
        if self.changes >= CHANGES {
            self.changes = 0;
            if let Some(copier) = &self.copier {
                // If the copier is still busy, it will copy these changes, too.
                let _ = copier.wake.try_send(());
            }
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(Copier { wake, thread }) = self.copier.take() {
            drop(wake);
            // The caller may open the same database again right after dropping the store.
            let _ = thread.join();
        }
    }
}

/// Lowers the priority of the copier: a copy takes many milliseconds, and nobody waits for it.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    // On Linux each thread has its own priority. Without the right to change it, it stays.
    let _ = rustix::process::setpriority_process(None, PRIORITY);
}

fn run(connection: &Connection, woken: &Receiver<()>, copied: &AtomicBool, health: &Health) {
    while woken.recv().is_ok() {
        // Each pass copies what was written during the pass before, so it takes less time.
        let mut log = copy(connection, health);
        for _ in 1..PASSES_MAX {
            let before = log;
            log = copy(connection, health);
            if log.copied < before.copied + LEFT_TO_THE_WRITER {
                break;
            }
        }
        if log.pages >= PAGES {
            copied.store(true, Ordering::Release);
        }
    }
}

/// The number of pages of the WAL, and of those that the file has, too.
#[derive(Debug, Default, Clone, Copy)]
struct Log {
    pages: i64,
    copied: i64,
}

/// Copies the WAL. A failure is harmless: what is in the WAL counts, and is copied later.
fn copy(connection: &Connection, health: &Health) -> Log {
    let log = |row: &rusqlite::Row<'_>| Ok(Log { pages: row.get(1)?, copied: row.get(2)? });
    let since = Instant::now();
    let copied = connection.statement(COPY).and_then(|mut copy| copy.query_row([], log));
    CHECKPOINTS.observe(since.elapsed());
    copied.unwrap_or_else(|error| {
        let what = "cannot copy the WAL into the database file; retrying later";
        health.note_in_background(error, what);
        Log::default()
    })
}
