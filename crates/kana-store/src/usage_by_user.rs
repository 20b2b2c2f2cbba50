//! Reading the usage of an environment again, user by user.

use std::ops::Range;
use std::time::Duration;

use kana_core::Timestamp;
use kana_core::id::{FeatureId, IdempotencyKey, UserKey};
use kana_core::simulation::SimulatedEvent;
use kana_core::usage::{LoggedAction, UsageAction};

use crate::error::StoreError;
use crate::transfer::Batches;
use crate::transfer::batch::{Gone, Sender};

/// How many entries travel together at most.
const ENTRIES_MAX: usize = 512;

/// How far before it was recorded an event can be said to have occurred later. More than is accepted, since clocks
/// can be apart.
pub(crate) const AHEAD_MS: i64 = 60 * 60 * 1000;

/// An entry of the log of usage that simulation looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggedUsage {
    /// The event under this key that occurred then was taken back.
    TakenBack(IdempotencyKey, Timestamp),
    /// An event.
    Event(SimulatedEvent),
}

/// Entries with their users: user by user, of each first what was taken back, and then the events in order of
/// arrival.
pub type UsageByUser = Batches<Vec<(UserKey, LoggedUsage)>>;

/// Which usage is read, and for how long at most.
#[derive(Debug, Clone)]
pub struct UsageWindow {
    /// When it was used.
    pub occurred: Range<Timestamp>,
    /// How long all of it may take.
    pub limit: Duration,
}

/// A row of what is read: the columns of the log.
pub(crate) struct LoggedRow<'a> {
    pub(crate) feature: &'a str,
    pub(crate) action: LoggedAction,
    pub(crate) delta: i64,
    pub(crate) occurred_at: i64,
    pub(crate) key: Option<&'a str>,
}

impl LoggedRow<'_> {
    /// Reads the entry; `None` for one that takes back nothing that has a key.
    fn read(self) -> Result<Option<LoggedUsage>, StoreError> {
        let key = |text| IdempotencyKey::new("stored idempotency key", text);
        let idempotency_key = self.key.map(key).transpose()?;
        let action = match self.action {
            LoggedAction::Add => UsageAction::Add,
            LoggedAction::Set => UsageAction::Set,
            LoggedAction::Void => {
                let at = Timestamp::from_ms(self.occurred_at);
                return Ok(idempotency_key.map(|key| LoggedUsage::TakenBack(key, at)));
            }
        };
        Ok(Some(LoggedUsage::Event(SimulatedEvent {
            feature: FeatureId::new("stored feature id", self.feature)?,
            action,
            delta: self.delta,
            occurred_at: Timestamp::from_ms(self.occurred_at),
            idempotency_key,
        })))
    }
}

/// Gathers entries into batches.
#[derive(Default)]
pub(crate) struct Entries(Vec<(UserKey, LoggedUsage)>);

impl Entries {
    /// Adds a row. Returns the batch once it is full.
    pub(crate) fn add(
        &mut self,
        user: UserKey,
        row: LoggedRow<'_>,
    ) -> Result<Option<Vec<(UserKey, LoggedUsage)>>, StoreError> {
        self.0.extend(row.read()?.map(|entry| (user, entry)));
        Ok((self.0.len() >= ENTRIES_MAX).then(|| std::mem::take(&mut self.0)))
    }

    /// Returns what has been gathered.
    pub(crate) fn rest(self) -> Vec<(UserKey, LoggedUsage)> {
        self.0
    }
}

/// Where the entries go.
pub(crate) type UsageSender = Sender<Vec<(UserKey, LoggedUsage)>>;

/// The error of a reader whose entries are not taken.
pub(crate) fn gone(_: Gone) -> StoreError {
    StoreError::from(Gone)
}
