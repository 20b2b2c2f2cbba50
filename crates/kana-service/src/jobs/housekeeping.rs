use std::sync::Arc;

use super::audit::Audit;
use super::changes::Changes;
use super::counters::Counters;
use super::events::Events;
use super::holds::Holds;
use super::limit_crossings::LimitCrossings;
use super::partitions::Partitions;
use super::people::People;
use super::registry::JobKinds;
use super::replays::Replays;
use super::threshold_events::ThresholdEvents;
use super::usage_by_day::UsageByDay;
use super::user_deletion::UserDeletion;
use super::user_facts::UserFacts;
use super::user_imports::{UserImport, UserImports};
use crate::kana::Kana;

/// The jobs of the service. Those that keep the database from growing without bound are there once for
/// all nodes, and succeed at least once an hour, unless something is wrong; imports and
/// deletions are scheduled one by one.
#[must_use]
pub fn housekeeping(kana: &Arc<Kana>) -> JobKinds {
    let kana = || Arc::clone(kana);
    let kinds = JobKinds::new()
        .with(Audit(kana()))
        .with(Changes(kana()))
        .with(Counters(kana()))
        .with(Events(kana()))
        .with(Holds(kana()))
        .with(LimitCrossings(kana()))
        .with(People(kana()))
        .with(Replays(kana()))
        .with(ThresholdEvents(kana()))
        .with(UsageByDay(kana()))
        .with(UserDeletion(kana()))
        .with(UserFacts(kana()))
        .with(UserImport(kana()))
        .with(UserImports(kana()));
    if !kana().store.needs_upkeep() {
        return kinds;
    }
    kinds.with(Partitions(kana()))
}
