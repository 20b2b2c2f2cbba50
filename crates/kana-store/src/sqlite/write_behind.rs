//! Write-back of counters: writes changed counters to their table rarely, some with each commit, in the
//! table's order. So many changes of a counter, and of a page, cost one write.

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
    /// The number of changes after which writing starts. It bounds the memory, the counter log, and the
    /// time that the next start takes to write it.
    pub(super) changes: usize,
    /// The minimum number of counters that a commit writes meanwhile. Small, so that no command waits
    /// long.
    pub(super) step: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { changes: 32 * 1024, step: 128 }
    }
}

/// The state of the write-back. Belongs to the connection that writes.
pub(super) struct WriteBehind {
    pub(super) recent: Arc<RecentCounters>,
    pub(super) pace: Pace,
    /// Changes of counters since the last writing started.
    changes: usize,
    /// The last row of the counter log.
    last_row: i64,
    stage: Stage,
}

enum Stage {
    Gathering,
    /// The older generation is being written; then its rows are deleted from the counter log.
    Writing {
        order: Vec<(EnvironmentId, (UserKey, CounterKey))>,
        written: usize,
        /// The last row of the counter log that has only counters of the older generation.
        through: i64,
    },
    /// Snapshots from before this commit still need the older generation.
    Written {
        commit: u64,
    },
}

/// What a commit writes, to be reported once it is made.
pub(super) struct Progress {
    changes: usize,
    last_row: Option<i64>,
    /// The number of counters that it writes.
    pub(super) writes: usize,
    forgot: bool,
}

impl WriteBehind {
    pub(super) fn new(recent: Arc<RecentCounters>) -> Self {
        Self { recent, pace: Pace::default(), changes: 0, last_row: 0, stage: Stage::Gathering }
    }

    /// Returns true if the next commit deletes rows of the counter log.
    pub(super) fn is_about_to_forget(&self) -> bool {
        matches!(&self.stage, Stage::Writing { order, written, .. } if *written >= order.len())
    }

    /// Writes some counters in a transaction that is about to be committed. The transaction changes
    /// `changes` counters, and `last_row` is their last row in the counter log.
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
        // Faster than new changes arrive.
        let step = self.pace.step.max(2 * changes);
        let (_, left) = order.split_at_checked(*written).unwrap_or_default();
        let now = left.get(..step).unwrap_or(left);
        for (environment, counter) in now {
            if let Some(value) = self.recent.value(*environment, counter, u64::MAX) {
                let set = CounterSet { environment: *environment, counter: counter.clone(), value };
                facts::write(connection, *environment, counter.0, &set.into_change())?;
            }
        }
        progress.writes = now.len();
        if now.is_empty() {
            // All at once: pages that become free one by one are reused in random order, and the disk
            // then writes each separately.
            counter_log::forget(connection, *through)?;
            progress.forgot = true;
        }
        Ok(progress)
    }

    /// Records that a commit was made. Every snapshot shows all commits up to `shown_by_all`.
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
