//! Deadlines on this side of the connection.
//!
//! The server's own time-outs do not help where the way to it takes bytes and forwards none: nothing
//! of them arrives. They are shorter than the deadlines here, so that a server that is there has
//! ended what it was told, and released its locks, before anyone gives it up.

use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::time::timeout;

use super::connections::{Connections, take};
use crate::error::StoreError;

/// How long to wait for the server before a call fails with
/// [`Unavailable`](StoreError::Unavailable).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a connection to be made, and for one of the pool to be free.
    pub connect: Duration,
    /// For the answer to what was sent together, the wait for a connection included.
    pub answer: Duration,
    /// For what became of a commit that was not answered.
    pub fate: Duration,
    /// For the next bytes of an export or import, whose statements have no other limit.
    pub silence: Duration,
    /// For the check of readiness.
    pub ready: Duration,
}

impl Patience {
    /// What a server wants.
    pub const DEFAULT: Self = Self {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(10),
        fate: Duration::from_secs(10),
        silence: Duration::from_secs(300),
        ready: Duration::from_millis(1200),
    };
}

/// Waits for `work`, and fails once `limit` has passed. The connection that it used is good for
/// nothing then.
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

/// A connection that is closed unless it is given back: what failed or ran out of time is not put
/// before anyone else.
pub(super) struct Leased(Option<Object>);

impl Leased {
    pub(super) async fn take(pool: &Pool) -> Result<Self, StoreError> {
        Ok(Self(Some(take(pool).await?)))
    }

    pub(super) fn get(&mut self) -> Result<&mut Object, StoreError> {
        self.0.as_mut().ok_or_else(|| StoreError::Engine("a connection went astray".into()))
    }

    /// Puts the connection back into its pool.
    pub(super) fn give_back(mut self) {
        self.0 = None;
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

impl Connections {
    /// Closes the connections that nobody uses. After one that fell silent, the others have most
    /// likely done so, too, and each would cost somebody a deadline to find out.
    pub(super) fn forget_idle(&self) {
        for pool in [&self.readers, &self.writers] {
            pool.retain(|_, _| false);
        }
    }
}
