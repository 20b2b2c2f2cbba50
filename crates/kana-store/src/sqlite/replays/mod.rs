//! Idempotency records (contract: `entitlements.md`, "Recording usage").
//!
//! A record in a table of its own rows would be at a random place, and cost a page in the WAL and another
//! one when that is copied. So records are gathered in a log, a row for each commit; a log of some
//! thousand becomes a *run*: blocks of records, sorted by a hash of the key. Runs are merged into larger
//! ones, some blocks with each commit, and deleted as a whole when their records have expired. A filter
//! in memory says of most runs that a key is not in them.

mod block;
mod bulk;
mod by_hash;
mod cursor;
mod filter;
mod hash;
mod in_use;
mod log;
mod merge;
mod merge_plan;
mod record;
mod run;
mod run_writer;
pub(super) mod sql_function;
mod statements;
mod stored;
mod twice;
mod upkeep;

pub(super) use bulk::{BulkReplays, take_over};
pub(super) use in_use::ReplaysInUse;
pub(super) use record::Columns;
pub(super) use stored::{Pace, ReplayOptions, StoredReplays};

/// Every statement by its name.
#[cfg(test)]
pub(super) fn all_statements() -> &'static [(&'static str, &'static str)] {
    statements::ALL
}
