//! Work that is done later, and by one node at a time.
//!
//! A job is a row that says what is to be done (kind, key and environment), when, and how far it
//! is. A node claims jobs that are due. The claim is a lease: it ends unless it is renewed, and
//! then another node may claim the job. Each claim has a larger fence than the one before, and
//! whoever lost a lease is told so ([`LostLease`](StoreError::LostLease)) by every call that
//! depends on it.
//!
//! A job runs at least once, and again after its node was killed. So running it twice must do no
//! harm.
//!
//! Jobs are no part of an export: a server schedules those that it needs when it starts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kana_core::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::app::{EnvironmentId, EnvironmentKind};
use crate::error::StoreError;

/// How long a claim lasts without being renewed. A killed node's jobs go on after that.
pub const LEASE: Duration = Duration::from_secs(20);

/// The longest key of a job in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// The longest state of a job in bytes.
pub const STATE_BYTES_MAX: usize = 16 * 1024;

/// The longest error that is kept of a job in bytes. A longer one is cut.
pub const ERROR_BYTES_MAX: usize = 2000;

/// What is kept as the error of a job whose lease ran out.
pub(crate) const LEASE_RAN_OUT: &str =
    "it did not end: its server was killed, or lost the database";

/// How many waits are mended at once after the clock went back.
pub(crate) const MENDED_AT_ONCE: i64 = 1000;

/// Names a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub(crate) Uuid);

impl JobId {
    /// The id of no job.
    pub const NONE: Self = Self(Uuid::nil());

    /// Returns a new id, larger than those of earlier instants.
    pub(crate) fn new(now: Timestamp) -> Self {
        let ms = u64::try_from(now.as_ms()).unwrap_or_default();
        let nanos = u32::try_from(ms % 1000).unwrap_or_default() * 1_000_000;
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, ms / 1000, nanos)))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// When a job is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At an instant, which passes by the clock of whoever claims.
    At(Timestamp),
    /// After so long. If the clock goes back meanwhile, the wait begins anew at most.
    After(Duration),
}

impl Due {
    /// At once.
    pub const NOW: Self = Self::After(Duration::ZERO);

    /// The columns `due_at` and `waits_since`.
    pub(crate) fn columns(self, now: Timestamp) -> (i64, Option<i64>) {
        match self {
            Self::At(at) => (at.as_ms(), None),
            Self::After(wait) => {
                (now.saturating_add_ms(milliseconds(wait)).as_ms(), Some(now.as_ms()))
            }
        }
    }
}

pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A job to be scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// What is done.
    pub kind: &'static str,
    /// To what it is done, at most [`KEY_BYTES_MAX`] bytes. There is one job for each kind, key and
    /// environment.
    pub key: String,
    /// The environment that the job is about; `None` for all of them.
    pub environment: Option<EnvironmentId>,
    /// When it is due.
    pub due: Due,
}

impl NewJob {
    /// The job of a kind that has only one, due at once.
    #[must_use]
    pub fn only(kind: &'static str) -> Self {
        Self { kind, key: String::new(), environment: None, due: Due::NOW }
    }

    /// What it is unique by, and the order in which rows are locked.
    fn identity(&self) -> (&'static str, &str, Option<EnvironmentId>) {
        (self.kind, &self.key, self.environment)
    }
}

/// Puts jobs in the order in which their rows are locked, and keeps one of those that are the same:
/// the one that is due first.
pub(crate) fn in_order(jobs: &[NewJob], now: Timestamp) -> Vec<&NewJob> {
    let mut jobs: Vec<&NewJob> = jobs.iter().collect();
    jobs.sort_by(|one, other| {
        let due = |job: &NewJob| job.due.columns(now).0;
        one.identity().cmp(&other.identity()).then(due(one).cmp(&due(other)))
    });
    jobs.dedup_by(|one, other| one.identity() == other.identity());
    jobs
}

/// A claim of a job: what the job's node shows to change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub id: JobId,
    /// The number of the claim. Each claim of a job has a larger one than the claim before.
    pub fence: i64,
}

/// How many jobs of a kind a node can run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The kind.
    pub kind: &'static str,
    /// How many.
    pub jobs: usize,
}

/// A job that this node has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// The claim.
    pub lease: Lease,
    /// What is to be done.
    pub kind: String,
    /// To what.
    pub key: String,
    /// In which environment; `None`: in all of them.
    pub environment: Option<EnvironmentId>,
    /// The attempts since the last one that went well, with this one.
    pub attempts: u32,
    /// How far the job is, as JSON; `None`: at its beginning.
    pub state: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Everything is done, and the job is deleted. If it was scheduled during the attempt, it stays
    /// and begins anew when it is due.
    Finished,
    /// It went well, and the job goes on later.
    GoesOn {
        /// When. If the job was scheduled during the attempt for an earlier time, then.
        due: Due,
        /// How far it is.
        state: Option<String>,
    },
    /// It failed. The job stays where it was.
    Failed {
        /// Why.
        error: String,
        /// After how long it is tried again; `None`: never, unless somebody wants it. Scheduled
        /// during the attempt, it is tried again all the same.
        retry: Option<Duration>,
    },
    /// It was broken off, which is nobody's fault. Another node can go on at once.
    GivenBack,
}

/// A job as the one who operates the server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What is done.
    pub kind: String,
    /// To what.
    pub key: String,
    /// In which environment; `None`: in all of them.
    pub environment: Option<EnvironmentKind>,
    /// How it is.
    pub status: JobStatus,
    /// When it is due. While it runs, when its lease ends.
    pub due_at: Timestamp,
    /// The attempts since the last one that went well, with one that runs.
    pub attempts: u32,
    /// Why the last attempt failed. It is forgotten when an attempt goes well.
    pub last_error: Option<String>,
    /// When it was given up.
    pub failed_at: Option<Timestamp>,
    /// When it was scheduled first.
    pub created_at: Timestamp,
    /// When an attempt last went well.
    pub succeeded_at: Option<Timestamp>,
}

/// How a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// It waits until it is due.
    Waiting,
    /// A node runs it.
    Running,
    /// The last attempt failed, and it is tried again when it is due.
    Failing,
    /// It failed too often and is not tried again, unless somebody wants it.
    Dead,
}

impl JobStatus {
    /// The name as it stands on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Failing => "failing",
            Self::Dead => "dead",
        }
    }

    pub(crate) fn of(is_dead: bool, is_running: bool, attempts: u32) -> Self {
        match (is_dead, is_running) {
            (true, _) => Self::Dead,
            (false, true) => Self::Running,
            (false, false) if attempts > 0 => Self::Failing,
            (false, false) => Self::Waiting,
        }
    }
}

/// What became of a wish to try a job again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It is due now, with as many attempts as a new one.
    DueNow,
    /// Nothing: it runs at the moment.
    Runs,
    /// There is no such job.
    Unknown,
}

/// The jobs of a database. Each call is a transaction of its own.
///
/// `now` is the caller's clock. An engine that has a clock of its own, which all nodes share, goes
/// by that instead.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Claims jobs that are due, the first ones first: at most `at_most`, and no more of each kind
    /// than there is room for. Other kinds are left to nodes that know them.
    ///
    /// Jobs whose lease ran out are due, too. A job that is about to be scheduled, by a transaction
    /// that has not ended, is left for later.
    async fn claim_jobs(
        &self,
        rooms: &[Room],
        at_most: usize,
        now: Timestamp,
    ) -> Result<Vec<ClaimedJob>, StoreError>;

    /// Makes the lease last for [`LEASE`] from now on.
    async fn renew_lease(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError>;

    /// Records how an attempt ended, and ends its lease.
    async fn end_attempt(
        &self,
        lease: Lease,
        ended: Ended,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Jobs, at most `at_most`: the dead ones first, then those that fail, then the others, each by
    /// due time.
    async fn jobs(&self, at_most: usize) -> Result<Vec<Job>, StoreError>;

    /// Makes a job due now, and forgets how often it has failed.
    async fn retry_job(&self, id: JobId, now: Timestamp) -> Result<Retried, StoreError>;

    /// Is notified whenever jobs were scheduled or retried through this store, once that is durable.
    fn jobs_scheduled(&self) -> Arc<Notify>;
}

/// What a transaction does about jobs.
#[async_trait]
pub trait JobTransaction: Send {
    /// Schedules jobs, which are there once the transaction is committed.
    ///
    /// Of a job that there is already, no second one is made. It is brought forward if it was due
    /// later, never put off: a job with several due times looks for the next one itself. One that
    /// runs at the moment runs again, since it may have looked before this transaction commits. One
    /// that fails keeps its pause, and a dead one begins anew.
    async fn schedule_jobs(&mut self, jobs: &[NewJob], now: Timestamp) -> Result<(), StoreError>;

    /// Saves how far a job is, together with everything else that this transaction changes. Nobody
    /// can claim the job before the transaction ends.
    async fn save_job(&mut self, lease: Lease, state: &str) -> Result<(), StoreError>;
}

/// Cuts an error to what is kept.
pub(crate) fn cut(error: &str) -> &str {
    &error[..error.floor_char_boundary(ERROR_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(kind: &'static str, key: &str, seconds: u64) -> NewJob {
        let due = Due::After(Duration::from_secs(seconds));
        NewJob { key: key.to_owned(), due, ..NewJob::only(kind) }
    }

    #[test]
    fn of_the_same_job_the_one_that_is_due_first_is_kept() {
        let jobs = [job("b", "", 1), job("a", "2", 3), job("a", "1", 9), job("a", "2", 2)];
        let expected = [job("a", "1", 9), job("a", "2", 2), job("b", "", 1)];
        let now = Timestamp::from_ms(0);
        assert!(in_order(&jobs, now).into_iter().eq(&expected));
        assert!(in_order(&[], now).is_empty());
    }

    #[test]
    fn ids_are_version_7_at_any_time_and_read_back() {
        for ms in [-1, 0, 1_705_320_000_000, i64::MAX] {
            let id = JobId::new(Timestamp::from_ms(ms));
            assert_eq!(id.0.get_version_num(), 7);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert!("1".parse::<JobId>().is_err());
    }

    #[test]
    fn a_long_error_is_cut_between_two_characters() {
        let long = "é".repeat(ERROR_BYTES_MAX);
        assert_eq!(cut(&long).len(), ERROR_BYTES_MAX);
        assert_eq!(cut(&format!("a{long}")).len(), ERROR_BYTES_MAX - 1);
        assert_eq!(cut("short"), "short");
    }
}
