//! Counters that have changed and are not yet in their table.
//!
//! Each is durable in the [counter log](super::counter_log). Readers find here the value as of the
//! commit that their snapshot shows, so that counters and all other facts are of one instant.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;
use kana_core::counter::CounterValue;
use kana_core::facts::CounterKey;
use kana_core::id::UserKey;

use super::counter_log::CounterSet;
use crate::app::EnvironmentId;

/// Changed counters in two generations. The older one is being written to the table; it does not
/// change, and is dropped as a whole once it is written.
#[derive(Default)]
pub(super) struct RecentCounters {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    newer: Counters,
    /// Shared, so that it can be sorted without blocking readers.
    older: Arc<Counters>,
}

type Counters = HashMap<EnvironmentId, HashMap<(UserKey, CounterKey), Recent>>;

/// The values of a counter, in the order of the commits; at least one.
type Recent = Vec<Version>;

/// The value of a counter from a commit on.
#[derive(Debug, Clone)]
struct Version {
    commit: u64,
    /// The value; `None` if the counter was deleted.
    value: Option<CounterValue>,
}

impl RecentCounters {
    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the counter's value right after the commit with the number `as_of`: `Some(None)` if
    /// it was deleted, `None` if it had not changed since it was last written to its table.
    pub(super) fn value(
        &self,
        environment: EnvironmentId,
        counter: &(UserKey, CounterKey),
        as_of: u64,
    ) -> Option<Option<CounterValue>> {
        let generations = self.generations();
        [&generations.newer, &*generations.older].into_iter().find_map(|counters| {
            let recent = counters.get(&environment)?.get(counter)?;
            let version = recent.iter().rfind(|version| version.commit <= as_of)?;
            Some(version.value.clone())
        })
    }

    /// Adds the value of a counter from `commit` on, before that commit is made. Drops values that no
    /// snapshot needs; the oldest snapshot shows the commit `oldest_view`.
    pub(super) fn set(&self, set: &CounterSet, commit: u64, oldest_view: u64) {
        let CounterSet { environment, counter, value } = set;
        let mut generations = self.generations();
        let counters = generations.newer.entry(*environment).or_default();
        let version = Version { commit, value: value.clone() };
        let Some(versions) = counters.get_mut(counter) else {
            counters.insert(counter.clone(), vec![version]);
            return;
        };
        if versions.last().is_some_and(|last| last.commit == commit) {
            versions.pop();
        }
        // Of the values that even the oldest snapshot shows, only the newest is needed.
        let seen_by_all = versions.iter().rposition(|version| version.commit <= oldest_view);
        versions.drain(..seen_by_all.unwrap_or(0));
        versions.push(version);
    }

    /// Removes the value that was added for a commit that failed.
    pub(super) fn unset(&self, set: &CounterSet, commit: u64) {
        let mut generations = self.generations();
        let Some(counters) = generations.newer.get_mut(&set.environment) else {
            return;
        };
        let Some(versions) = counters.get_mut(&set.counter) else {
            return;
        };
        versions.retain(|version| version.commit != commit);
        if versions.is_empty() {
            counters.remove(&set.counter);
        }
    }

    /// Turns all counters into the older generation, which must be empty. Returns them in the table's
    /// order.
    pub(super) fn grow_old(&self) -> Vec<(EnvironmentId, (UserKey, CounterKey))> {
        let mut generations = self.generations();
        debug_assert!(generations.older.is_empty());
        let older = Arc::new(std::mem::take(&mut generations.newer));
        generations.older = Arc::clone(&older);
        drop(generations);
        let mut order: Vec<_> = older
            .iter()
            .flat_map(|(environment, counters)| {
                counters.keys().map(|counter| (*environment, counter.clone()))
            })
            .collect();
        order.sort_unstable();
        order
    }

    /// Drops the older generation.
    pub(super) fn forget_older(&self) {
        let older = std::mem::take(&mut self.generations().older);
        // Outside of the lock, since dropping it takes long.
        drop(older);
    }

    /// Returns the number of counters.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.count(|_| 1)
    }

    #[cfg(test)]
    pub(super) fn versions(&self) -> usize {
        self.count(Vec::len)
    }

    #[cfg(test)]
    fn count(&self, each: impl Fn(&Recent) -> usize) -> usize {
        let generations = self.generations();
        let all = generations.newer.values().chain(generations.older.values());
        all.flat_map(HashMap::values).map(each).sum()
    }
}
