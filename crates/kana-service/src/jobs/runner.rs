//! Runs the jobs of a node: claims those that are due, a few at a time, and attempts each.

use std::sync::Arc;
use std::time::Duration;

use kana_store::jobs::ClaimedJob;
use kana_store::{LogThrottle, Store, StoreError};
use kana_telemetry::metrics::jobs;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::attempt::{Attempt, Node};
use super::registry::JobKinds;
use crate::access::uses::KeyUses;
use crate::blocking::off_thread;
use crate::clock::Clock;
use crate::kana::Kana;

/// How many jobs a node runs at the same time.
const PLACES: usize = 4;
/// How often an idle node looks for jobs that are due. Those that are scheduled on the node itself
/// are found at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often at least, while the database fails.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(10);
/// How often uses of keys are written.
const USES_EVERY: Duration = Duration::from_secs(60);
/// The pause after each look, so that many jobs that are scheduled one by one are found together.
const PAUSE: Duration = Duration::from_millis(10);
/// How long slices may go on once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long a look may take once the server is told to stop. Jobs that are claimed by one that is
/// dropped wait for the end of their leases.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// How long it may take to give back what was broken off.
const GIVE_BACK_WITHIN: Duration = Duration::from_millis(1500);

/// Runs jobs until it is stopped or dropped.
pub struct JobRunner {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl JobRunner {
    /// Starts to run jobs of these kinds, and schedules those that recur. Must be called within a
    /// Tokio runtime. A panic in the runner itself is reported by [`Kana::lost`].
    #[must_use]
    pub fn start(kana: &Kana, kinds: JobKinds) -> Self {
        kinds.names().for_each(jobs::exists);
        let (stop, stops) = watch::channel(false);
        let needed = kana.threads.watch("kana-jobs");
        let (store, clock) = (Arc::clone(&kana.store), Arc::clone(&kana.clock));
        let uses = Arc::clone(kana.access.uses());
        let running = tokio::spawn(async move {
            let _needed = needed;
            run(Arc::clone(&store), clock, kinds, &uses, stops).await;
            // What is noted later than this is lost, which is at most the last minute of a key.
            let _ = timeout(LAST_LOOK, write_key_uses(&store, &uses)).await;
        });
        Self { stop, running }
    }

    /// Begins no new slices from now on. Those that run may end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops, and waits until no job runs: at most for eight seconds after the first call of
    /// [`stop`](Self::stop). A slice that takes longer is broken off, and its job given back, so that
    /// another node can go on with it at once.
    pub async fn stopped(self) {
        self.stop();
        // It fails only by a panic, which is reported as that of a thread that the server needs.
        let _ = self.running.await;
    }
}

async fn run(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    kinds: JobKinds,
    uses: &KeyUses,
    stops: watch::Receiver<bool>,
) {
    let (break_off, breaks_off) = watch::channel(false);
    let node = Arc::new(Node { store, clock, stops: stops.clone(), breaks_off });
    let mut attempts = JoinSet::new();
    claim_and_attempt(&node, &kinds, &mut attempts, uses, stops).await;
    let ending = async { while attempts.join_next().await.is_some() {} };
    if timeout(GRACE, ending).await.is_err() {
        tracing::warn!(jobs = attempts.len(), "jobs are broken off, to go on elsewhere or later");
        break_off.send_replace(true);
        let giving_back = async { while attempts.join_next().await.is_some() {} };
        let _ = timeout(GIVE_BACK_WITHIN, giving_back).await;
    }
}

/// Claims jobs, and attempts them, until the server stops.
async fn claim_and_attempt(
    node: &Arc<Node>,
    kinds: &JobKinds,
    attempts: &mut JoinSet<()>,
    uses: &KeyUses,
    mut stops: watch::Receiver<bool>,
) {
    let mut uses_written_at = Instant::now();
    let scheduled = node.store.jobs_scheduled();
    let failing = LogThrottle::new();
    let mut are_scheduled = false;
    let mut look_every = LOOK_EVERY;
    loop {
        let looked_at = Instant::now();
        let look = look(node, kinds, PLACES - attempts.len(), &mut are_scheduled);
        let looked = tokio::select! {
            biased;
            looked = look => looked,
            () = too_late(stops.clone()) => return,
        };
        look_every = match looked {
            Ok(claimed) => {
                for job in claimed {
                    attempt(node, kinds, attempts, job, looked_at);
                }
                LOOK_EVERY
            }
            Err(error) => {
                if let Some(times) = failing.count(1) {
                    tracing::warn!(%error, times, "cannot look for jobs; retrying");
                }
                LOOK_EVERY_MAX.min(look_every * 2)
            }
        };
        if uses_written_at.elapsed() >= USES_EVERY {
            uses_written_at = Instant::now();
            tokio::select! {
                biased;
                () = write_key_uses(&node.store, uses) => {}
                () = too_late(stops.clone()) => return,
            }
        }
        sleep_until(looked_at + PAUSE).await;
        let is_full = attempts.len() >= PLACES;
        tokio::select! {
            biased;
            // Also if nobody is left to say so.
            _ = stops.wait_for(|stops| *stops) => return,
            Some(ended) = attempts.join_next() => log_panic(ended),
            () = scheduled.notified(), if !is_full => {}
            () = sleep(look_every), if !is_full => {}
        }
        while let Some(ended) = attempts.try_join_next() {
            log_panic(ended);
        }
    }
}

/// Resolves when the server was told to stop, and has waited for the last look long enough.
async fn too_late(mut stops: watch::Receiver<bool>) {
    // Also if nobody is left to say so.
    let _ = stops.wait_for(|stops| *stops).await;
    sleep(LAST_LOOK).await;
}

/// Claims jobs that are due. The first time, those that recur are scheduled before.
async fn look(
    node: &Node,
    kinds: &JobKinds,
    at_most: usize,
    are_scheduled: &mut bool,
) -> Result<Vec<ClaimedJob>, StoreError> {
    if !*are_scheduled {
        schedule_recurring(node, kinds).await?;
        *are_scheduled = true;
    }
    claim(node, kinds, at_most).await
}

fn attempt(
    node: &Arc<Node>,
    kinds: &JobKinds,
    attempts: &mut JoinSet<()>,
    job: ClaimedJob,
    claimed_at: Instant,
) {
    // There is room, or it would not have been claimed.
    let Some(kind) = kinds.get(&job.kind) else {
        return;
    };
    if let Some(place) = kind.place() {
        let (node, kind) = (Arc::clone(node), Arc::clone(kind));
        attempts.spawn(Attempt { node, kind, job, claimed_at }.run(place));
    }
}

async fn schedule_recurring(node: &Node, kinds: &JobKinds) -> Result<(), StoreError> {
    let (recurring, now) = (kinds.recurring(), node.clock.now());
    if recurring.is_empty() {
        return Ok(());
    }
    off_thread(&node.store, move |store| async move {
        let mut transaction = store.write().await?;
        transaction.schedule_jobs(&recurring, now).await?;
        transaction.commit().await
    })
    .await
}

async fn claim(
    node: &Node,
    kinds: &JobKinds,
    at_most: usize,
) -> Result<Vec<ClaimedJob>, StoreError> {
    let (rooms, now) = (kinds.rooms(), node.clock.now());
    if rooms.is_empty() || at_most == 0 {
        return Ok(Vec::new());
    }
    off_thread(
        &node.store,
        move |store| async move { store.claim_jobs(&rooms, at_most, now).await },
    )
    .await
}

/// Writes when keys were last used. What cannot be written is tried again a minute later.
async fn write_key_uses(store: &Arc<dyn Store>, uses: &KeyUses) {
    let taken = uses.take();
    if taken.is_empty() {
        return;
    }
    let written = taken.clone();
    let writing = off_thread(store, move |store| async move { store.note_key_uses(written).await });
    if let Err(error) = writing.await {
        tracing::debug!(%error, "the uses of keys could not be written; retrying");
        uses.put_back(taken);
    }
}

/// Logs a panic beside a slice. The job's lease will run out.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt at a job panicked, which is a bug");
    }
}
