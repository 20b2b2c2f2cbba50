//! How long the calls of a store wait, by what they wait for. Both engines take every limit from
//! here.
//!
//! A call that gives up fails with an error that says whether anything happened. Except for
//! [`commit`](Deadlines::commit) with [`fate`](Deadlines::fate), nothing has.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::StoreError;

/// The longest time that a call waits, for each kind of wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// A readiness check, on both engines. Shorter than the 1.5 seconds after which `/readyz`
    /// answers by itself. [`Unavailable`](StoreError::Unavailable).
    pub ready: Duration,
    /// The next rows of an export or import, and for an export that somebody takes the ones before
    /// them, on both engines. The statements have no other limit, since they take as long as the
    /// file is large. [`Unavailable`](StoreError::Unavailable).
    pub transfer: Duration,

    /// PostgreSQL: a new connection, and a connection of the pool that others use.
    /// [`Unavailable`](StoreError::Unavailable).
    pub connect: Duration,
    /// PostgreSQL: all questions of one read transaction, from the first one on, including the
    /// connection. [`Unavailable`](StoreError::Unavailable).
    pub read: Duration,
    /// PostgreSQL: statements of a write transaction that are sent together, including the
    /// connection. [`Unavailable`](StoreError::Unavailable): the transaction is rolled back.
    pub answer: Duration,
    /// PostgreSQL: a commit. Then the server is asked what became of it.
    pub commit: Duration,
    /// PostgreSQL: to find out whether a commit that got no answer took effect.
    /// [`OutcomeUnknown`](StoreError::OutcomeUnknown).
    pub fate: Duration,
    /// PostgreSQL: how long recording waits for the partition of its month. Then the event goes to
    /// the default partition, and the call goes on.
    pub partition: Duration,
    /// PostgreSQL: migrating, including the wait for another node that migrates.
    /// [`Unavailable`](StoreError::Unavailable): nothing was migrated.
    pub migration: Duration,
    /// PostgreSQL, kept by the server: for a lock of another transaction.
    /// [`Conflict`](StoreError::Conflict).
    pub lock: Duration,
    /// PostgreSQL, kept by the server: one statement. [`Unavailable`](StoreError::Unavailable).
    pub statement: Duration,
    /// PostgreSQL, kept by the server: how long a transaction may do nothing while others wait for
    /// its locks. The next call fails with [`Unavailable`](StoreError::Unavailable).
    pub idle: Duration,

    /// SQLite: for the write before this one, in the same process.
    /// [`Unavailable`](StoreError::Unavailable).
    pub writer: Duration,
    /// SQLite: for another process to open or migrate the database.
    /// [`Busy`](StoreError::Busy).
    pub turn: Duration,
    /// SQLite: how long a server waits for another process to release the database. Once a call
    /// has waited in vain, further calls fail at once until one succeeds, so that a caller waits at
    /// most twice as long. Short, because reads wait on the threads that also answer `/healthz`.
    /// [`Busy`](StoreError::Busy).
    pub held: Duration,
    /// SQLite: the same for a command like `kana keys`, and for every connection while it is
    /// opened.
    pub held_from_tool: Duration,
}

impl Deadlines {
    /// The deadlines of a server.
    ///
    /// Those of PostgreSQL's server are shorter than ours, so that a server that can be reached has
    /// ended a statement and released its locks before the caller gives up. Ours are for a network
    /// that accepts bytes and delivers none.
    pub const DEFAULT: Self = Self {
        ready: Duration::from_millis(1200),
        transfer: Duration::from_secs(300),
        connect: Duration::from_secs(5),
        read: Duration::from_secs(8),
        answer: Duration::from_secs(10),
        commit: Duration::from_secs(10),
        fate: Duration::from_secs(10),
        partition: Duration::from_secs(1),
        migration: Duration::from_secs(30 * 60),
        lock: Duration::from_secs(5),
        statement: Duration::from_secs(7),
        idle: Duration::from_secs(5),
        writer: Duration::from_secs(5),
        turn: Duration::from_secs(30),
        held: Duration::from_millis(1500),
        held_from_tool: Duration::from_secs(5),
    };
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Waits for `work`, and fails with [`Unavailable`](StoreError::Unavailable) once `limit` has
/// passed. A connection that `work` used must then be closed, since it may still receive the answer.
pub(crate) async fn within<T, E: Into<StoreError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    match timeout_at(Instant::now() + limit, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(no_answer(limit)),
    }
}

/// Returns the error of a database that did not answer within `limit`.
pub(crate) fn no_answer(limit: Duration) -> StoreError {
    StoreError::Unavailable(format!("it did not answer within {limit:?}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_set_and_those_within_others_are_shorter() {
        // A new field does not compile here until it is held against the others.
        let Deadlines {
            ready,
            transfer,
            connect,
            read,
            answer,
            commit,
            fate,
            partition,
            migration,
            lock,
            statement,
            idle,
            writer,
            turn,
            held,
            held_from_tool,
        } = Deadlines::DEFAULT;
        // In rising order: each ends, and says why, before the next one does.
        for rising in [
            &[lock, statement, read, answer][..],
            &[idle, read],
            &[partition, answer],
            &[connect, read],
            // A caller of the service gets its answer within 30 seconds.
            &[commit + fate, Duration::from_secs(30)],
            &[held, held_from_tool, turn],
            &[2 * held, writer, Duration::from_secs(30)],
            &[ready, Duration::from_millis(1500)],
            &[answer, transfer, migration],
        ] {
            assert!(rising.is_sorted_by(|one, next| one < next), "{rising:?}");
            assert!(rising.iter().all(|limit| !limit.is_zero()), "{rising:?}");
        }
    }
}
