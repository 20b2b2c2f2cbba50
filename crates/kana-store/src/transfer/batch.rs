//! Rows on their way, some at a time, so that memory stays flat however many there are.

use std::time::{Duration, Instant};

use kana_core::id::UserKey;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;

use super::kinds::{KINDS, Kind};
use super::value::Value;
use crate::app::EnvironmentKind;
use crate::deadlines::no_answer;
use crate::error::StoreError;

/// How many rows travel together at most, and about how many bytes.
const ROWS_MAX: usize = 1000;
const BYTES_MAX: usize = 1024 * 1024;

/// How many batches may wait for whoever takes them.
const WAITING_MAX: usize = 2;

/// The pause between two looks for a place. Shorter than it takes to write the batches that wait.
const PAUSE: Duration = Duration::from_millis(1);

/// What is exported, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Whose records, in their order, none twice.
    pub environments: Vec<EnvironmentKind>,
    /// Whether the secrets that sign user tokens are among them.
    pub token_secrets: bool,
    /// The only user whose records are in it, and nothing but these; `None` for everything.
    pub user: Option<UserKey>,
}

impl Scope {
    /// The kinds that are in it.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        let is_in = |kind: &Kind| match self.user {
            Some(_) => kind.key_of_user().is_some(),
            None => *kind != Kind::TokenSecret || self.token_secrets,
        };
        Kind::ALL.into_iter().filter(is_in)
    }
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Whose it is; `None` for the app's.
    pub(crate) environment: Option<EnvironmentKind>,
    /// A value for each column of the kind.
    pub(crate) values: Vec<Value>,
}

impl Row {
    /// Checks every value; the problem is a sentence that names the column.
    pub(crate) fn check(&self, kind: Kind) -> Result<(), String> {
        for (column, value) in kind.columns().iter().zip(&self.values) {
            let checked = match value {
                Value::Null if column.nullable => Ok(()),
                Value::Null => Err("is missing".to_owned()),
                value => column.form.check(value),
            };
            checked.map_err(|problem| format!("{} {problem}", column.name))?;
        }
        Ok(())
    }
}

/// Rows of a kind.
#[derive(Debug)]
pub struct Batch {
    pub(crate) kind: Kind,
    pub(crate) rows: Vec<Row>,
}

impl Batch {
    /// How many rows these are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Gathers rows of a kind into batches.
pub(crate) struct Gathering {
    batch: Batch,
    bytes: usize,
}

impl Gathering {
    pub(crate) fn of(kind: Kind) -> Self {
        Self { batch: Batch { kind, rows: Vec::new() }, bytes: 0 }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.batch.kind
    }

    /// Adds a row; answers the batch once it is full.
    pub(crate) fn add(&mut self, row: Row) -> Option<Batch> {
        self.bytes += row.values.iter().map(Value::bytes).sum::<usize>();
        self.batch.rows.push(row);
        let full = self.batch.rows.len() >= ROWS_MAX || self.bytes >= BYTES_MAX;
        if full { self.take() } else { None }
    }

    /// What has been gathered, unless that is nothing.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        self.bytes = 0;
        let empty = Batch { kind: self.batch.kind, rows: Vec::new() };
        Some(std::mem::replace(&mut self.batch, empty)).filter(|batch| !batch.is_empty())
    }
}

/// A batch, the end of all batches, or why they end early.
type Sent<T> = Result<Option<T>, StoreError>;

/// Batches that come from a database, in their order.
pub struct Batches<T = Batch> {
    batches: mpsc::Receiver<Sent<T>>,
    limit: Duration,
}

/// Where a database's batches go.
pub(crate) struct Sender<T = Batch> {
    batches: mpsc::Sender<Sent<T>>,
    limit: Duration,
}

/// The batches are not taken any more, or not in time.
#[derive(Debug)]
pub(crate) struct Gone;

impl<T> Batches<T> {
    /// Creates both ends. Each waits for the other no longer than `limit`.
    pub(crate) fn channel(limit: Duration) -> (Sender<T>, Self) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Sender { batches: sender, limit }, Self { batches: receiver, limit })
    }

    /// Returns the next batch; `None` once all have come. Fails with
    /// [`Unavailable`](StoreError::Unavailable) if none comes in time: within
    /// [`transfer`](crate::Deadlines::transfer) for an export.
    pub async fn next(&mut self) -> Result<Option<T>, StoreError> {
        let next = match self.batches.try_recv() {
            Ok(next) => Some(next),
            Err(_) => match timeout(self.limit, self.batches.recv()).await {
                Ok(next) => next,
                Err(_) => return Err(no_answer(self.limit)),
            },
        };
        // The sender reports when all have come, so that a stream that is cut is never taken for whole.
        next.unwrap_or_else(|| {
            Err(StoreError::Engine("reading the database ended too early".into()))
        })
    }
}

impl<T: Send> Sender<T> {
    pub(crate) async fn send(&self, batch: T) -> Result<(), Gone> {
        self.send_any(Ok(Some(batch))).await
    }

    async fn send_any(&self, sent: Sent<T>) -> Result<(), Gone> {
        match self.batches.try_send(sent) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Gone),
            Err(TrySendError::Full(sent)) => {
                self.batches.send_timeout(sent, self.limit).await.map_err(|_| Gone)
            }
        }
    }

    /// Like [`send`](Self::send), on a thread that may wait.
    pub(crate) fn send_blocking(&self, batch: T) -> Result<(), Gone> {
        self.send_any_blocking(Ok(Some(batch)))
    }

    fn send_any_blocking(&self, mut sent: Sent<T>) -> Result<(), Gone> {
        let since = Instant::now();
        loop {
            sent = match self.batches.try_send(sent) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(sent)) if since.elapsed() < self.limit => sent,
                Err(_) => return Err(Gone),
            };
            // A thread can wait for a place, but not for a limited time.
            std::thread::sleep(PAUSE);
        }
    }

    /// Resolves once nobody takes them any more.
    pub(crate) async fn closed(&self) {
        self.batches.closed().await;
    }

    /// Whether nobody takes them any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.batches.is_closed()
    }

    /// Reports that all batches have come, or why they will not.
    pub(crate) async fn end(self, read: Result<(), StoreError>) {
        let _ = self.send_any(read.map(|()| None)).await;
    }

    /// Like [`end`](Self::end), on a thread that may wait.
    pub(crate) fn end_blocking(self, read: Result<(), StoreError>) {
        let _ = self.send_any_blocking(read.map(|()| None));
    }
}

impl From<Gone> for StoreError {
    fn from(Gone: Gone) -> Self {
        Self::Engine("what was read is not taken any more".into())
    }
}

/// How many records there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; KINDS]);

impl Counts {
    /// How many there are of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or(0)
    }

    /// How many there are of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every kind with how many there are.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.into_iter().zip(self.0)
    }

    pub(crate) fn add(&mut self, kind: Kind, more: u64) {
        if let Some(count) = self.0.get_mut(kind as usize) {
            *count = count.saturating_add(more);
        }
    }
}

/// An export that has begun: everything in it is of one instant.
pub struct Export {
    /// About how many records will come, for whoever shows how far it is.
    pub expected: Counts,
    /// The records.
    pub batches: Batches,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);

    fn batch() -> Batch {
        Batch { kind: Kind::User, rows: Vec::new() }
    }

    #[tokio::test]
    async fn batches_that_do_not_come_are_not_waited_for_without_end() {
        let (sender, mut batches) = Batches::channel(LIMIT);
        let next = batches.next().await;
        assert!(matches!(next, Err(StoreError::Unavailable(_))), "{next:?}");
        sender.send(batch()).await.unwrap();
        assert!(batches.next().await.unwrap().is_some());
        sender.end(Ok(())).await;
        assert!(batches.next().await.unwrap().is_none());
        let next = batches.next().await;
        assert!(matches!(next, Err(StoreError::Engine(_))), "{next:?}");
    }

    #[tokio::test]
    async fn batches_that_nobody_takes_end_the_reading() {
        let (sender, batches) = Batches::channel(LIMIT);
        for _ in 0..WAITING_MAX {
            sender.send(batch()).await.unwrap();
        }
        sender.send(batch()).await.unwrap_err();
        sender.send_blocking(batch()).unwrap_err();
        drop(batches);
        sender.send(batch()).await.unwrap_err();
        sender.send_blocking(batch()).unwrap_err();
    }
}
