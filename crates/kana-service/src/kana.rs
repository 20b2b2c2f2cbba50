//! A running Kana, and what its process needs to know of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use kana_store::{Loss, NeededThreads, Store};
use kana_telemetry::metrics::database;

use crate::access::Access;
use crate::clock::Clock;
use crate::counted;
use crate::deadlines;
use crate::error::Error;
use crate::people::node::PeopleOnNode;
use crate::reader::Reader;
use crate::readiness::NotReady;
use crate::retry::retry;
use crate::settings::Settings;
use crate::simulations::Simulations;
use crate::subscriber_counts::SubscriberCounts;
use crate::writer::{Finished, Writer};

/// A running Kana on one store.
pub struct Kana {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) access: Access,
    pub(crate) people: PeopleOnNode,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) subscribers: SubscriberCounts,
    pub(crate) simulations: Simulations,
    pub(crate) threads: NeededThreads,
    pub(crate) writer_finished: Mutex<Option<Finished>>,
    /// The process has been told to stop.
    pub(crate) is_stopping: AtomicBool,
}

impl Kana {
    /// Has [`check_ready`](Self::check_ready) fail from now on, so that load balancers send requests
    /// elsewhere. Everything else goes on.
    pub fn begin_stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Returns `Ok` if the database answers questions and accepts changes, and the process has not been
    /// told to stop. Always returns within two seconds.
    pub async fn check_ready(&self) -> Result<(), NotReady> {
        let checked = self.check_ready_at(Instant::now()).await;
        database::UP.set(i64::from(checked.is_ok()));
        checked
    }

    /// Returns how many requests wait in each lane of the writer, and how many may.
    #[must_use]
    pub fn writer_depths(&self) -> (Vec<u64>, u64) {
        self.writer.depths()
    }

    /// Looks at what metrics say of the database and has to be asked for: whether it is ready, and how
    /// many keys there are. To be called now and then, so that whoever reads the metrics waits for no
    /// database.
    pub async fn observe(&self) {
        if self.check_ready().await.is_err() {
            return;
        }
        let keys = tokio::time::timeout(deadlines::READY, self.store.keys()).await;
        if let Ok(Ok(keys)) = keys {
            counted::keys(&keys, self.clock.now());
        }
    }

    pub(crate) async fn check_ready_at(&self, now: Instant) -> Result<(), NotReady> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(NotReady::Stopping);
        }
        let commit = self.writer.commit_under_way_for(now);
        if commit >= deadlines::COMMIT {
            return Err(NotReady::CommitHangs(commit));
        }
        match tokio::time::timeout(deadlines::READY, self.store.check_ready()).await {
            Ok(checked) => checked.map_err(NotReady::Database),
            Err(_) => Err(NotReady::NoAnswer),
        }
    }

    /// Returns the app's name. The app must exist.
    pub async fn app_name(&self) -> Result<String, Error> {
        retry(|| async move {
            let app = self.store.app().await?.ok_or(Error::Bug("there is no app"))?;
            Ok(app.name)
        })
        .await
    }

    /// Returns the app's name as it was at most two seconds ago, for pages that anybody may ask for.
    pub async fn recent_app_name(&self) -> Result<String, Error> {
        let remembered = &self.people.app_name;
        if let Some(name) = remembered.get(&()) {
            return Ok(name);
        }
        let asked_at = tokio::time::Instant::now();
        let name = self.app_name().await?;
        remembered.remember((), name.clone(), asked_at);
        Ok(name)
    }

    /// Resolves once a thread or task that this `Kana` needs has panicked, or its database is damaged
    /// where every write needs it. The process should then end, since some requests are no longer
    /// answered. The future does not keep this `Kana` alive.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        self.threads.lost()
    }

    /// Waits until everything that was accepted is written. Call it when nothing else holds this
    /// `Kana`, its jobs included, so that nothing more can be accepted.
    pub async fn finish(self: Arc<Self>) {
        let tally = Arc::clone(&self.people.tally);
        let finished = self.writer_finished.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(self);
        if let Some(mut finished) = finished {
            // Nobody sends anything: it ends with the last lane.
            let _ = finished.recv().await;
        }
        tally.flush().await;
    }
}
