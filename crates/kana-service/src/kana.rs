//! A running Kana, and what its process needs to know of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use kana_store::{NeededThreads, Store};

use crate::access::Access;
use crate::clock::Clock;
use crate::deadlines;
use crate::reader::Reader;
use crate::readiness::NotReady;
use crate::settings::Settings;
use crate::writer::{Finished, Writer};

/// A running Kana on one store.
pub struct Kana {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) access: Access,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) threads: NeededThreads,
    pub(crate) writer_finished: Mutex<Option<Finished>>,
}

impl Kana {
    /// Returns `Ok` if the database answers questions and accepts changes. Always returns within
    /// two seconds.
    pub async fn check_ready(&self) -> Result<(), NotReady> {
        self.check_ready_at(Instant::now()).await
    }

    pub(crate) async fn check_ready_at(&self, now: Instant) -> Result<(), NotReady> {
        let commit = self.writer.commit_under_way_for(now);
        if commit >= deadlines::COMMIT {
            return Err(NotReady::CommitHangs(commit));
        }
        match tokio::time::timeout(deadlines::READY, self.store.check_ready()).await {
            Ok(checked) => checked.map_err(NotReady::Database),
            Err(_) => Err(NotReady::NoAnswer),
        }
    }

    /// Resolves with the name of a thread or task that this `Kana` needs, once one has panicked.
    /// The process should then end, since some requests are no longer answered. The future does not
    /// keep this `Kana` alive.
    pub fn thread_lost(&self) -> impl Future<Output = String> + Send + use<> {
        self.threads.lost()
    }

    /// Waits until everything that was accepted is written. Call it when nothing else holds this
    /// `Kana`, its jobs included, so that nothing more can be accepted.
    pub async fn finish(self: Arc<Self>) {
        let finished = self.writer_finished.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(self);
        if let Some(mut finished) = finished {
            // Nobody sends anything: it ends with the last lane.
            let _ = finished.recv().await;
        }
    }
}
