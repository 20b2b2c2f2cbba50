//! Counters that have changed and are not yet in their table.
//!
//! Each is durable in the [log](super::counter_log). Readers find here what it held in the commit
//! that their view of the database shows, however many have been made since, so that counters and
//! all other facts are of one instant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kana_core::facts::CounterKey;
use kana_core::id::UserKey;

use super::counter_log::CounterSet;
use crate::app::EnvironmentId;

/// The counters of two generations: those that are being written to their table do not change, and
/// go all at once when they are.
#[derive(Default)]
pub(super) struct RecentCounters {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    newer: Counters,
    /// Shared, so that its order is found without holding up readers.
    older: Arc<Counters>,
}

type Counters = HashMap<EnvironmentId, HashMap<(UserKey, CounterKey), Recent>>;

/// What a counter holds, in the order of the commits; at least one.
type Recent = Vec<Version>;

/// What a counter holds from a commit on.
#[derive(Debug, Clone, Copy)]
struct Version {
    commit: u64,
    /// The value; `None` if the counter was deleted.
    used: Option<i64>,
}

impl RecentCounters {
    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the counter's value right after the commit with the number `as_of`: `Some(None)` if
    /// it was deleted, `None` if it had not changed since it was last written to its table.
    pub(super) fn used(
        &self,
        environment: EnvironmentId,
        counter: &(UserKey, CounterKey),
        as_of: u64,
    ) -> Option<Option<i64>> {
        let generations = self.generations();
        [&generations.newer, &*generations.older].into_iter().find_map(|counters| {
            let recent = counters.get(&environment)?.get(counter)?;
            let version = recent.iter().rfind(|version| version.commit <= as_of)?;
            Some(version.used)
        })
    }

    /// Notes what the counter is to hold from `commit` on, which has yet to be made. Nobody who
    /// begins to read asks for anything before `oldest_view` any more.
    pub(super) fn set(&self, set: &CounterSet, commit: u64, oldest_view: u64) {
        let CounterSet { environment, counter, used } = set;
        let mut generations = self.generations();
        let counters = generations.newer.entry(*environment).or_default();
        let version = Version { commit, used: *used };
        let Some(versions) = counters.get_mut(counter) else {
            counters.insert(counter.clone(), vec![version]);
            return;
        };
        if versions.last().is_some_and(|last| last.commit == commit) {
            versions.pop();
        }
        // The newest of those that even the oldest view sees is all that it asks for.
        let seen_by_all = versions.iter().rposition(|version| version.commit <= oldest_view);
        versions.drain(..seen_by_all.unwrap_or(0));
        versions.push(version);
    }

    /// Takes back what was noted last, for a commit that was not made.
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

    /// Makes all counters the older generation, which must be empty, and answers them in the order of
    /// their table.
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

    /// Forgets the older generation.
    pub(super) fn forget_older(&self) {
        let older = std::mem::take(&mut self.generations().older);
        // Outside of the lock, since it takes its time.
        drop(older);
    }

    /// How many counters there are, and how many versions of them.
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
