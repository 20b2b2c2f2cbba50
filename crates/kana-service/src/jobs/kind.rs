//! What a kind of job is.

use std::time::Duration;

use kana_store::EnvironmentId;
use kana_store::jobs::{Due, JobId, Lease};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::backoff::Backoff;

/// Why an attempt failed. It is shown to the one who operates the server (`kana jobs list`).
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long a slice should take. A long job goes on with another slice, so that others have a turn,
/// and that a server can stop.
const SLICE: Duration = Duration::from_secs(2);

/// A kind of job.
///
/// A job is run in slices of a few seconds. It runs at least once: a slice whose server was killed is
/// run again, from where the job was before it. So what a slice does twice must do no harm.
pub trait JobKind: Send + Sync + 'static {
    /// The name in the table of jobs, on the command line and in metrics.
    const NAME: &'static str;

    /// How far a job is. A new job begins with the default.
    type State: Serialize + DeserializeOwned + Default + Send;

    /// How jobs of this kind are run.
    fn policy(&self) -> Policy;

    /// Runs one slice, on a thread that may wait for the disk.
    ///
    /// What it makes of `state` is saved if it succeeds. The future is dropped at an await if it
    /// takes longer than [`Policy::slice_max`], if another node has claimed the job, or if the server
    /// stops and cannot wait any longer.
    fn run(
        &self,
        slice: &Slice,
        state: &mut Self::State,
    ) -> impl Future<Output = Result<Progress, Failure>> + Send;
}

/// How far a slice has brought its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Everything is done. A job that recurs is due again after its interval.
    Done,
    /// There is more to do.
    GoOn {
        /// When.
        due: Due,
    },
}

/// How jobs of a kind are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// For the one job of a kind that recurs: how long after it is done it is due again. A server that
    /// starts makes it due at once, and creates it if there is none.
    pub every: Option<Duration>,
    /// After how many failed attempts in a row a job is given up; `None`: never.
    pub attempts_max: Option<u32>,
    /// The pauses after failed attempts.
    pub backoff: Backoff,
    /// How many jobs of the kind a node runs at the same time.
    pub at_once: usize,
    /// After what time a slice counts as hung.
    pub slice_max: Duration,
}

impl Policy {
    /// For jobs that are scheduled one by one.
    pub const ONE_OFF: Self = Self {
        every: None,
        attempts_max: Some(10),
        backoff: Backoff { first: Duration::from_secs(1), max: Duration::from_secs(3600) },
        at_once: 1,
        slice_max: Duration::from_secs(15),
    };

    /// For a job that recurs. It is never given up, but tried again at least as often as it recurs.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        let backoff = Backoff { first: Duration::from_secs(5), max: interval };
        Self { every: Some(interval), attempts_max: None, backoff, ..Self::ONE_OFF }
    }
}

/// A slice of a job that is being run.
#[derive(Debug)]
pub struct Slice {
    pub(super) lease: Lease,
    pub(super) key: String,
    pub(super) environment: Option<EnvironmentId>,
    pub(super) attempts: u32,
    pub(super) begun_at: Instant,
    pub(super) stops: watch::Receiver<bool>,
}

impl Slice {
    /// A slice of no job in the table.
    pub(super) fn detached(stops: watch::Receiver<bool>) -> Self {
        Self {
            lease: Lease { id: JobId::NONE, fence: 0 },
            key: String::new(),
            environment: None,
            attempts: 1,
            begun_at: Instant::now(),
            stops,
        }
    }

    /// The key that the job was scheduled with.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The environment that the job was scheduled for.
    #[must_use]
    pub fn environment(&self) -> Option<EnvironmentId> {
        self.environment
    }

    /// The attempts since the last slice that went well, with this one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The claim of the job, under which a slice can save how far it is together with what it
    /// changes ([`save_job`](kana_store::jobs::JobTransaction::save_job)).
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// Returns true if the slice should end with what it is doing now: it has had its time, or the
    /// server stops.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.begun_at.elapsed() >= SLICE || *self.stops.borrow()
    }

    /// Waits for so long, or until the server stops.
    pub async fn pause(&self, pause: Duration) {
        let mut stops = self.stops.clone();
        // If the runner is gone, there is nothing to wait for either.
        let _ = timeout(pause, stops.wait_for(|stops| *stops)).await;
    }
}
