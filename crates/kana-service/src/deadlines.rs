//! How long callers and load balancers wait. Those of a single call of the database stand in
//! [`kana_store::Deadlines`].

use std::time::Duration;

/// The limits of the writer's lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriterDeadlines {
    /// How long a command waits in the queue, behind those before it. Then it is refused with
    /// [`Error::Unavailable`](crate::Error::Unavailable): nothing has happened.
    pub(crate) queue: Duration,
    /// How long commands that are decided and committed together may be under way, with retries.
    /// Then they are answered with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown), since
    /// they may still be committed.
    pub(crate) batch: Duration,
}

impl WriterDeadlines {
    /// With both, a caller has an answer within 30 seconds.
    pub(crate) const DEFAULT: Self =
        Self { queue: Duration::from_secs(5), batch: Duration::from_secs(24) };
}

/// No retry starts after this time, even if few were made: the caller waits, and so does everything
/// queued behind it.
pub(crate) const RETRY: Duration = Duration::from_secs(3);

/// How long a commit may be under way before the server counts as not ready.
pub(crate) const COMMIT: Duration = Duration::from_secs(5);

/// How long a readiness check waits for the database. A load balancer must get its answer within
/// two seconds, including the time on the network.
pub(crate) const READY: Duration = Duration::from_millis(1500);
