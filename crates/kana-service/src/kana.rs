//! A running Kana, and what its process needs to know of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kana_store::{NeededThreads, Store};

use crate::access::Access;
use crate::clock::Clock;
use crate::reader::Reader;
use crate::readiness::NotReady;
use crate::settings::Settings;
use crate::writer::{Finished, Writer};

/// How long a readiness check waits for the database. A load balancer must get its answer within
/// two seconds, including the time on the network.
const READY_WITHIN: Duration = Duration::from_millis(1500);

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
        match tokio::time::timeout(READY_WITHIN, self.store.check_ready()).await {
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
