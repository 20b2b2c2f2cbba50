//! Deadlines on our side of the connection.
//!
//! The server's own timeouts do not help if the network accepts bytes and delivers none. They are
//! shorter than the deadlines here, so that a reachable server has ended a statement and released
//! its locks before the caller gives up.

use std::time::Duration;

use tokio::time::timeout;

use crate::error::StoreError;

/// Deadlines of calls to the server. A call that misses one fails with
/// [`Unavailable`](StoreError::Unavailable).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To connect, and for a connection of the pool to become free.
    pub connect: Duration,
    /// For the answer to statements that are sent together, including the wait for a connection.
    pub answer: Duration,
    /// To find out whether a commit that got no answer took effect.
    pub fate: Duration,
    /// For the next bytes of an export or import, whose statements have no other limit.
    pub silence: Duration,
    /// For a readiness check.
    pub ready: Duration,
}

impl Patience {
    /// The deadlines of a server.
    pub const DEFAULT: Self = Self {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(10),
        fate: Duration::from_secs(10),
        silence: Duration::from_secs(300),
        ready: Duration::from_millis(1200),
    };
}

/// Waits for `work`, and fails once `limit` has passed. The connection that `work` used must then
/// be closed, since it may still receive the answer.
pub(super) async fn within<T, E: Into<StoreError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(no_answer(limit)),
    }
}

pub(super) fn no_answer(limit: Duration) -> StoreError {
    StoreError::Unavailable(format!("it did not answer within {limit:?}").into())
}
