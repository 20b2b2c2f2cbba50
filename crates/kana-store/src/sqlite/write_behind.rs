//! Writing counters to their table, some with each commit, seldom and in the table's order: of many
//! changes of a counter, and of many counters on a page, one is written.

use std::sync::Arc;

use kana_core::facts::CounterKey;
use kana_core::id::UserKey;

use super::connection::Connection;
use super::counter_log::CounterSet;
use super::recent_counters::RecentCounters;
use super::{counter_log, facts};
use crate::app::EnvironmentId;
use crate::error::StoreError;

/// When and how fast counters are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// After how many changes they begin to be written. It bounds what a server keeps in memory and
    /// what the log of counters holds, and how long the next start takes to write that.
    pub(super) changes: usize,
    /// How many a commit writes at least, while they are being written. Few, so that no command waits
    /// for long.
    pub(super) step: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { changes: 32 * 1024, step: 128 }
    }
}

/// What the connection that writes knows of the counters that are not in their table.
pub(super) struct WriteBehind {
    pub(super) recent: Arc<RecentCounters>,
    pub(super) pace: Pace,
    /// Of counters, since they began to be written last.
    changes: usize,
    /// The last row of the log.
    last_row: i64,
    stage: Stage,
}

enum Stage {
    Gathering,
    /// The older generation is being written, and then what the log has of it deleted.
    Writing {
        order: Vec<(EnvironmentId, (UserKey, CounterKey))>,
        written: usize,
        /// The last row of the log that holds nothing else.
        through: i64,
    },
    /// Views that began before this commit still look for the older generation.
    Written {
        commit: u64,
    },
}

/// How far a commit takes the writing, if it is made.
pub(super) struct Progress {
    changes: usize,
    last_row: Option<i64>,
    /// How many counters are written with it.
    pub(super) writes: usize,
    forgot: bool,
}

impl WriteBehind {
    pub(super) fn new(recent: Arc<RecentCounters>) -> Self {
        Self { recent, pace: Pace::default(), changes: 0, last_row: 0, stage: Stage::Gathering }
    }

    /// Writes some counters, in a transaction that is about to be committed and that changes
    /// `changes` counters, logged up to `last_row`.
    pub(super) fn write_some(
        &self,
        connection: &Connection,
        changes: usize,
        last_row: Option<i64>,
    ) -> Result<Progress, StoreError> {
        let mut progress = Progress { changes, last_row, writes: 0, forgot: false };
        let Stage::Writing { order, written, through } = &self.stage else {
            return Ok(progress);
        };
        // Faster than others gather.
        let step = self.pace.step.max(2 * changes);
        let (_, left) = order.split_at_checked(*written).unwrap_or_default();
        let now = left.get(..step).unwrap_or(left);
        for (environment, counter) in now {
            if let Some(used) = self.recent.used(*environment, counter, u64::MAX) {
                let set = CounterSet { environment: *environment, counter: counter.clone(), used };
                facts::write(connection, *environment, counter.0, &set.into_change())?;
            }
        }
        progress.writes = now.len();
        if now.is_empty() {
            // All at once: pages that become free one by one are used again in no order, and the disk
            // then writes each by itself.
            counter_log::forget(connection, *through)?;
            progress.forgot = true;
        }
        Ok(progress)
    }

    /// Takes note of a commit that was made. Every view shows all commits up to `shown_by_all`.
    pub(super) fn after_commit(&mut self, progress: &Progress, commit: u64, shown_by_all: u64) {
        self.changes += progress.changes;
        self.last_row = progress.last_row.unwrap_or(self.last_row);
        match &mut self.stage {
            Stage::Gathering if self.changes >= self.pace.changes => {
                self.changes = 0;
                self.stage = Stage::Writing {
                    order: self.recent.grow_old(),
                    written: 0,
                    through: self.last_row,
                };
            }
            Stage::Gathering => {}
            Stage::Writing { .. } if progress.forgot => self.stage = Stage::Written { commit },
            Stage::Writing { written, .. } => *written += progress.writes,
            Stage::Written { commit } if *commit <= shown_by_all => {
                self.recent.forget_older();
                self.stage = Stage::Gathering;
            }
            Stage::Written { .. } => {}
        }
    }
}
