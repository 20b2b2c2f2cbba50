//! Rows on their way, some at a time, so that memory stays flat however many there are.

use tokio::sync::mpsc;

use super::kinds::{KINDS, Kind};
use super::value::Value;
use crate::app::EnvironmentKind;
use crate::error::StoreError;

/// How many rows travel together at most, and about how many bytes.
const ROWS_MAX: usize = 1000;
const BYTES_MAX: usize = 1024 * 1024;

/// How many batches may wait for whoever takes them.
const WAITING_MAX: usize = 2;

/// What is exported, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Whose records, in their order, none twice.
    pub environments: Vec<EnvironmentKind>,
    /// Whether the secrets that sign user tokens are among them.
    pub token_secrets: bool,
}

impl Scope {
    /// The kinds that are in it.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| *kind != Kind::TokenSecret || self.token_secrets)
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

/// Batches that come from a database, in the order of the kinds.
pub struct Batches(mpsc::Receiver<Result<Option<Batch>, StoreError>>);

/// Where a database's batches go.
pub(crate) struct Sender(mpsc::Sender<Result<Option<Batch>, StoreError>>);

/// Nobody takes the batches any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl Batches {
    pub(crate) fn channel() -> (Sender, Self) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Sender(sender), Self(receiver))
    }

    /// The next batch; `None` once all have come.
    pub async fn next(&mut self) -> Result<Option<Batch>, StoreError> {
        match self.0.recv().await {
            Some(next) => next,
            // Whoever sends says when all have come: a stream that is cut is never taken for whole.
            None => Err(StoreError::Engine("reading the database ended too early".into())),
        }
    }
}

impl Sender {
    pub(crate) async fn send(&self, batch: Batch) -> Result<(), Gone> {
        self.0.send(Ok(Some(batch))).await.map_err(|_| Gone)
    }

    pub(crate) fn send_blocking(&self, batch: Batch) -> Result<(), Gone> {
        self.0.blocking_send(Ok(Some(batch))).map_err(|_| Gone)
    }

    /// Says that all batches have come, or why they will not.
    pub(crate) async fn end(self, read: Result<(), StoreError>) {
        let _ = self.0.send(read.map(|()| None)).await;
    }

    /// The same, on a thread that may wait.
    pub(crate) fn end_blocking(self, read: Result<(), StoreError>) {
        let _ = self.0.blocking_send(read.map(|()| None));
    }
}

impl From<Gone> for StoreError {
    fn from(Gone: Gone) -> Self {
        Self::Engine("nobody takes what is read any more".into())
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
