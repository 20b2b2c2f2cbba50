//! One attempt to bring a claimed job forward: a slice of it, under a lease that is kept meanwhile.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use kana_store::jobs::{ClaimedJob, Ended, LEASE, Lease};
use kana_store::{Store, StoreError};
use kana_telemetry::metrics::jobs;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::kind::{Failure, Progress, Slice};
use super::registry::Registered;
use crate::blocking::off_thread;
use crate::clock::Clock;

/// How often a lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// After what time a lease counts as lost here that could not be renewed. A little earlier than the
/// store, so that the slice has stopped when another node can claim the job.
const HELD: Duration = LEASE.saturating_sub(Duration::from_secs(2));
/// The pause before a lease is renewed, or the end of an attempt recorded, once more.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a slice has to stop after it was dropped.
const STOPS_WITHIN: Duration = Duration::from_secs(1);

/// What an attempt needs of its runner.
pub(super) struct Node {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether the server stops.
    pub(super) stops: watch::Receiver<bool>,
    /// Whether the server cannot wait for slices any longer.
    pub(super) breaks_off: watch::Receiver<bool>,
}

/// A claimed job that is about to be run.
pub(super) struct Attempt {
    pub(super) node: Arc<Node>,
    pub(super) kind: Arc<Registered>,
    pub(super) job: ClaimedJob,
    /// When the job was about to be claimed.
    pub(super) claimed_at: Instant,
}

/// How a slice ended.
enum SliceEnd {
    Ran(Result<Ran, JoinError>),
    LeaseLost,
    Hung,
    BrokenOff,
}

/// What a slice that was not dropped came to.
type Ran = Option<Result<(Progress, Option<String>), Failure>>;

/// A slice on a thread of its own.
struct Running {
    thread: JoinHandle<Ran>,
    /// Drops the slice at its next await.
    dropping: oneshot::Sender<()>,
}

impl Attempt {
    /// Runs a slice and records how it ended.
    pub(super) async fn run(self, place: OwnedSemaphorePermit) {
        let held_until = watch::Sender::new(self.claimed_at + HELD);
        // What the last attempt did to its node, this one could do to ours, for ever.
        let too_many = self.kind.policy.attempts_max.filter(|max| self.job.attempts > *max);
        let ended = if *self.node.stops.borrow() {
            Some(Ended::GivenBack)
        } else if let Some(max) = too_many {
            let error = format!("given up after {max} attempts, of which the last did not end");
            Some(Ended::Failed { error, retry: None })
        } else {
            let end = self.run_slice(place, &held_until).await;
            self.ended(end)
        };
        let until = *held_until.borrow();
        if let Some(ended) = ended {
            if matches!(ended, Ended::Finished | Ended::GoesOn { .. }) {
                jobs::succeeded(&self.job.kind, self.node.clock.now().as_ms() / 1000);
            }
            self.log(&ended);
            self.record(ended, until).await;
        }
    }

    async fn run_slice(
        &self,
        place: OwnedSemaphorePermit,
        held_until: &watch::Sender<Instant>,
    ) -> SliceEnd {
        let mut running = self.begin(place);
        let mut breaks_off = self.node.breaks_off.clone();
        let end = tokio::select! {
            biased;
            ran = &mut running.thread => return SliceEnd::Ran(ran),
            () = keep(&self.node, self.job.lease, held_until) => SliceEnd::LeaseLost,
            () = sleep(self.kind.policy.slice_max) => SliceEnd::Hung,
            // Also if the runner is gone.
            _ = breaks_off.wait_for(|breaks_off| *breaks_off) => SliceEnd::BrokenOff,
        };
        self.stop(running).await;
        end
    }

    fn begin(&self, place: OwnedSemaphorePermit) -> Running {
        let slice = Slice {
            lease: self.job.lease,
            key: self.job.key.clone(),
            environment: self.job.environment,
            attempts: self.job.attempts,
            begun_at: Instant::now(),
            stops: self.node.stops.clone(),
        };
        let (kind, state) = (Arc::clone(&self.kind), self.job.state.clone());
        let (dropping, dropped) = oneshot::channel::<()>();
        let runtime = Handle::current();
        let thread = spawn_blocking(move || {
            // A slice that does not stop keeps its place, so that they do not grow in number.
            let _place = place;
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = dropped => None,
                    ran = kind.run(&slice, state.as_deref()) => Some(ran),
                }
            })
        });
        Running { thread, dropping }
    }

    async fn stop(&self, Running { thread, dropping }: Running) {
        // If nobody receives it, the slice has ended.
        let _ = dropping.send(());
        if timeout(STOPS_WITHIN, thread).await.is_err() {
            let (job, kind) = (self.job.lease.id, &self.job.kind);
            tracing::error!(%job, %kind, "a job does not stop: its thread is left alone");
        }
    }

    /// What to record. If the lease is lost, that is nothing.
    fn ended(&self, end: SliceEnd) -> Option<Ended> {
        let failed = |error: String| {
            let policy = self.kind.policy;
            let attempts = self.job.attempts;
            let is_last = policy.attempts_max.is_some_and(|max| attempts >= max);
            let retry = (!is_last).then(|| policy.backoff.pause_after(attempts));
            Some(Ended::Failed { error, retry })
        };
        match end {
            SliceEnd::Ran(Ok(Some(Ok((progress, state))))) => {
                let due = self.kind.due_after(progress);
                Some(due.map_or(Ended::Finished, |due| Ended::GoesOn { due, state }))
            }
            SliceEnd::Ran(Ok(Some(Err(failure)))) => failed(described(failure.as_ref())),
            SliceEnd::Ran(Err(panicked)) => failed(format!("it panicked: {}", message(panicked))),
            SliceEnd::Hung => {
                failed(format!("it did not end within {:?}", self.kind.policy.slice_max))
            }
            SliceEnd::Ran(Ok(None)) | SliceEnd::BrokenOff => Some(Ended::GivenBack),
            SliceEnd::LeaseLost => {
                let (job, kind) = (self.job.lease.id, &self.job.kind);
                tracing::warn!(%job, %kind, "a job was stopped: its lease is lost");
                None
            }
        }
    }

    /// Logs a failure. The key is left out, since it may name a user.
    fn log(&self, ended: &Ended) {
        let (job, kind, attempts) = (self.job.lease.id, &self.job.kind, self.job.attempts);
        match ended {
            Ended::Failed { error, retry: Some(pause) } => {
                tracing::warn!(%job, %kind, attempts, error, "a job failed; retrying in {pause:.0?}");
            }
            Ended::Failed { error, retry: None } => {
                let hint = "a job failed too often and is given up; see kana jobs list";
                tracing::error!(%job, %kind, attempts, error, "{hint}");
            }
            _ => {}
        }
    }

    /// Records how the attempt ended, unless the lease ends before that is possible. Then the job is
    /// run again.
    async fn record(&self, ended: Ended, held_until: Instant) {
        let (job, kind) = (self.job.lease.id, &self.job.kind);
        loop {
            let (lease, ended) = (self.job.lease, ended.clone());
            let clock = Arc::clone(&self.node.clock);
            let recording = off_thread(&self.node.store, move |store| async move {
                store.end_attempt(lease, ended, clock.now()).await
            });
            match timeout_at(held_until, recording).await {
                Ok(Ok(())) => return,
                Ok(Err(StoreError::LostLease)) => {
                    tracing::warn!(%job, %kind, "a job had lost its lease when it ended");
                    return;
                }
                Ok(Err(error)) if Instant::now() + AGAIN >= held_until => {
                    tracing::warn!(%job, %kind, %error, "the end of a job could not be stored");
                    return;
                }
                Ok(Err(_)) => sleep(AGAIN).await,
                Err(_) => {
                    tracing::warn!(%job, %kind, "the end of a job could not be stored in time");
                    return;
                }
            }
        }
    }
}

/// Renews a lease, and returns when it is lost: another node has claimed the job, or may do so soon.
async fn keep(node: &Node, lease: Lease, held_until: &watch::Sender<Instant>) {
    let mut next = *held_until.borrow() - HELD + RENEW_EVERY;
    loop {
        let until = *held_until.borrow();
        if timeout_at(until, sleep_until(next)).await.is_err() {
            return;
        }
        let (asked_at, clock) = (Instant::now(), Arc::clone(&node.clock));
        let renewing = off_thread(&node.store, move |store| async move {
            store.renew_lease(lease, clock.now()).await
        });
        match timeout_at(until, renewing).await {
            Ok(Ok(())) => {
                held_until.send_replace(asked_at + HELD);
                next = asked_at + RENEW_EVERY;
            }
            Ok(Err(StoreError::LostLease)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a job's lease could not be renewed; retrying");
                next = Instant::now() + AGAIN;
            }
        }
    }
}

/// An error with its sources, in one line.
fn described(error: &(dyn std::error::Error + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

/// What a panic says.
fn message(panicked: JoinError) -> String {
    match panicked.try_into_panic() {
        Ok(payload) => text_of(payload.as_ref()).to_owned(),
        // The runtime has shut down before the slice began.
        Err(error) => error.to_string(),
    }
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
