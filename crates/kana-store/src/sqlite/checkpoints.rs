//! Moving what the log holds into the database file, without keeping anybody waiting.
//!
//! SQLite would do it in the commit that finds the log long, which then takes tens of milliseconds.
//! Here a thread of its own copies while the writer goes on, often, so that the disk never has much
//! to write at once beside what a commit waits for. Under a load that never pauses it can never catch
//! up with the log's end, and the log would grow for ever; so once that is long, the writer copies
//! the little that is left, between two commits, and the log begins anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::connection::Connection;
use super::health::Health;
use crate::error::StoreError;
use crate::threads::NeededThreads;

/// After how many changes of rows the log is copied.
const CHANGES: usize = 16 * 1024;
/// What a commit counts for beside its changes: however few they are, it writes some pages. Without
/// this, commands that come alone would let the log grow to hundreds of MiB.
const COMMIT: usize = 16;

/// How many pages the log must have for the writer to wait until it can begin anew.
const PAGES: i64 = 8 * 1024;
/// How many pages of the log a pass of the copier may find new, for it to leave what has come since
/// to the writer, which must copy them and wait for the disk while commands wait.
const LEFT_TO_THE_WRITER: i64 = 64;
const PASSES_MAX: usize = 8;

/// As `nice` counts it: a tenth of what others get, where they want all there is.
#[cfg(target_os = "linux")]
const PRIORITY: i32 = 10;

/// Copies as much of the log as nobody still reads past, and waits for nobody.
const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";

const NAME: &str = "kana-checkpoint";

/// Decides when the log is copied, for the one connection that writes.
pub(super) struct Checkpoints {
    /// Changes since the copier was last asked.
    changes: usize,
    health: Arc<Health>,
    /// Whether the copier has copied what there was when it was asked.
    copied: Arc<AtomicBool>,
    /// `None` once it is to end.
    copier: Option<Copier>,
}

struct Copier {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Starts the copier, for a writer that does not copy by itself.
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

    /// Called by the writer between two commits, with how many rows the last one changed.
    pub(super) fn after_commit(&mut self, writer: &Connection, changes: usize) {
        if self.copied.swap(false, Ordering::Acquire) {
            copy(writer, &self.health);
        }
        self.changes += changes + COMMIT;
        if self.changes >= CHANGES {
            self.changes = 0;
            if let Some(copier) = &self.copier {
                // A copier that has not come to it yet will copy these changes, too.
                let _ = copier.wake.try_send(());
            }
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(Copier { wake, thread }) = self.copier.take() {
            drop(wake);
            // Whoever drops the store may be about to open the same database again.
            let _ = thread.join();
        }
    }
}

/// Lets the threads that answer go first: copying is work of many milliseconds, and nobody waits
/// for it.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    // There each thread has a priority of its own. Without the right to change it, it stays.
    let _ = rustix::process::setpriority_process(None, PRIORITY);
}

fn run(connection: &Connection, woken: &Receiver<()>, copied: &AtomicBool, health: &Health) {
    while woken.recv().is_ok() {
        // Each pass copies what was written during the one before, and so takes less time.
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

/// How many pages the log has, and how many of them are in the file, too.
#[derive(Debug, Default, Clone, Copy)]
struct Log {
    pages: i64,
    copied: i64,
}

/// Copies the log. A failure harms nothing: what is in the log counts, and is copied another time.
fn copy(connection: &Connection, health: &Health) -> Log {
    let log = |row: &rusqlite::Row<'_>| Ok(Log { pages: row.get(1)?, copied: row.get(2)? });
    let copied = connection.statement(COPY).and_then(|mut copy| copy.query_row([], log));
    copied.unwrap_or_else(|error| {
        let what = "cannot copy the WAL into the database file; retrying later";
        health.note_in_background(error, what);
        Log::default()
    })
}
