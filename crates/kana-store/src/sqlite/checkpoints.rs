//! Moving what the log holds into the database file, without keeping anybody waiting.
//!
//! SQLite would do it in the commit that finds the log long, which then takes tens of milliseconds.
//! Here a thread of its own copies while the writer goes on. Under a load that never pauses it can
//! never catch up with the log's end, and the log would grow for ever; so the writer copies the
//! little that is left after it, between two commits, and the log begins anew.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::connection::Connection;
use crate::error::StoreError;

/// After how many changes of rows the log is copied. Each writes a page or two to the log, of which
/// the same ones often: the more changes, the fewer pages are copied for each.
const CHANGES: usize = 64 * 1024;
/// What a commit counts for beside its changes: however few they are, it writes some pages. Without
/// this, commands that come alone would let the log grow to hundreds of MiB.
const COMMIT: usize = 16;

/// Copies as much of the log as nobody still reads past, and waits for nobody.
const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Decides when the log is copied, for the one connection that writes.
pub(super) struct Checkpoints {
    /// Changes since the copier was last asked.
    changes: AtomicUsize,
    /// Whether the copier has copied what there was when it was asked.
    copied: Arc<AtomicBool>,
    copier: Mutex<Option<Copier>>,
}

struct Copier {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Starts the copier, for a writer that does not copy by itself.
    pub(super) fn start(
        file: &Path,
        statements: &Arc<std::sync::atomic::AtomicU64>,
    ) -> Result<Self, StoreError> {
        let connection = Connection::open_writer(file, statements)?;
        let copied = Arc::new(AtomicBool::new(false));
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("kana-checkpoint".into())
            .spawn({
                let copied = Arc::clone(&copied);
                move || run(&connection, &woken, &copied)
            })
            .map_err(|error| StoreError::Engine(Box::new(error)))?;
        Ok(Self {
            changes: AtomicUsize::new(0),
            copied,
            copier: Mutex::new(Some(Copier { wake, thread })),
        })
    }

    /// Called by the writer between two commits, with how many rows the last one changed.
    pub(super) fn after_commit(&self, writer: &Connection, changes: usize) {
        if self.copied.swap(false, Ordering::Acquire) {
            copy(writer);
        }
        let changes = changes + COMMIT;
        if self.changes.fetch_add(changes, Ordering::Relaxed) + changes >= CHANGES {
            self.changes.store(0, Ordering::Relaxed);
            if let Some(copier) = &*self.copier.lock().unwrap_or_else(PoisonError::into_inner) {
                // A copier that has not come to it yet will copy these changes, too.
                let _ = copier.wake.try_send(());
            }
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        let copier = self.copier.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Copier { wake, thread }) = copier {
            drop(wake);
            // Whoever drops the store may be about to open the same database again.
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>, copied: &AtomicBool) {
    while woken.recv().is_ok() {
        copy(connection);
        copied.store(true, Ordering::Release);
    }
}

/// Copies the log. A failure harms nothing: what is in the log counts, and is copied another time.
fn copy(connection: &Connection) {
    let copied = connection.statement(COPY).and_then(|mut copy| copy.query_row([], |_| Ok(())));
    if let Err(error) = copied {
        tracing::error!(%error, "the log of the database could not be copied into its file");
    }
}
