//! The deltas of usage that the writer of a server has logged and not folded.

use super::connection::Connection;
use super::usage_by_day::{self, Deltas};
use crate::error::StoreError;
use crate::usage_statistics::UsageDeltas;

/// The number of commits after which their deltas are folded. Readers read the deltas of as many
/// commits; folding more rarely would write the table hardly less often.
const COMMITS_MAX: usize = 256;
/// The number of features and days after which the deltas are folded, however few commits they are of.
const ROWS_MAX: usize = 1024;

/// The sum of all deltas in the counter log that are not folded. Kept in memory, so that folding does
/// not read them.
#[derive(Default)]
pub(super) struct UnfoldedUsage {
    deltas: Deltas,
    commits: usize,
    /// The last row of the counter log that has such deltas.
    last_row: i64,
}

impl UnfoldedUsage {
    /// Returns true if the deltas are many enough to be folded.
    pub(super) fn is_full(&self) -> bool {
        let rows: usize = self.deltas.values().map(UsageDeltas::len).sum();
        self.commits >= COMMITS_MAX || rows >= ROWS_MAX
    }

    /// Folds the deltas of earlier commits in a transaction that is about to be committed.
    pub(super) fn fold(&self, connection: &Connection) -> Result<(), StoreError> {
        if self.commits == 0 {
            return Ok(());
        }
        usage_by_day::fold(connection, &self.deltas, self.last_row)
    }

    /// Records that a commit was made that folded the earlier deltas or did not, and that logged
    /// `deltas` in its rows up to `last_row`.
    pub(super) fn after_commit(&mut self, has_folded: bool, deltas: Deltas, last_row: Option<i64>) {
        if has_folded {
            *self = Self::default();
        }
        if deltas.is_empty() {
            return;
        }
        for (environment, deltas) in deltas {
            self.deltas.entry(environment).or_default().merge(&deltas);
        }
        self.commits += 1;
        self.last_row = last_row.unwrap_or(self.last_row);
    }
}
