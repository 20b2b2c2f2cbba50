use std::sync::Arc;

use super::audit::Audit;
use super::changes::Changes;
use super::counters::Counters;
use super::events::Events;
use super::partitions::Partitions;
use super::registry::JobKinds;
use super::replays::Replays;
use crate::kana::Kana;

/// The jobs that keep the database from growing without bound. Each is there once for all nodes, and
/// succeeds at least once an hour, unless something is wrong.
#[must_use]
pub fn housekeeping(kana: &Arc<Kana>) -> JobKinds {
    let kana = || Arc::clone(kana);
    let kinds = JobKinds::new()
        .with(Audit(kana()))
        .with(Changes(kana()))
        .with(Counters(kana()))
        .with(Events(kana()));
    if !kana().store.needs_upkeep() {
        return kinds;
    }
    kinds.with(Partitions(kana())).with(Replays(kana()))
}
