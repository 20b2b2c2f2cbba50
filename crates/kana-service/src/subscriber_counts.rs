//! Numbers of subscribers that were counted lately.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kana_core::Timestamp;
use kana_core::id::PackageId;
use kana_store::EnvironmentId;

/// How old a number may be, in milliseconds.
pub(crate) const AGE_MAX_MS: i64 = 10_000;
/// From which age on a number is counted again while it is still used, in milliseconds. So whoever
/// looks every few seconds never waits.
pub(crate) const RENEWED_AFTER_MS: i64 = 5_000;
/// How many numbers are kept. Those that are too old are dropped.
const KEPT_MAX: usize = 10_000;

/// Numbers of subscribers that were counted lately. Counting takes as long as there are subscribers.
#[derive(Debug, Default)]
pub(crate) struct SubscriberCounts {
    counted: Mutex<HashMap<(EnvironmentId, PackageId), Counted>>,
    /// Held while somebody counts, so that others wait and do not count the same.
    pub(crate) counting: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    subscribers: u64,
    at: Timestamp,
}

impl Counted {
    /// Returns the age at `now`; the maximum if the clock went back.
    fn age_ms(&self, now: Timestamp) -> i64 {
        match now.as_ms().saturating_sub(self.at.as_ms()) {
            age if age < 0 => i64::MAX,
            age => age,
        }
    }
}

impl SubscriberCounts {
    fn counted(&self) -> MutexGuard<'_, HashMap<(EnvironmentId, PackageId), Counted>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the numbers if each is at most `age_ms` old.
    pub(crate) fn known(
        &self,
        environment: EnvironmentId,
        packages: &[PackageId],
        now: Timestamp,
        age_ms: i64,
    ) -> Option<Vec<u64>> {
        let counted = self.counted();
        let known = packages.iter().map(|package| {
            let counted = counted.get(&(environment, package.clone()))?;
            (counted.age_ms(now) <= age_ms).then_some(counted.subscribers)
        });
        known.collect()
    }

    /// Keeps numbers that were counted at `at` or later.
    pub(crate) fn keep(
        &self,
        environment: EnvironmentId,
        packages: &[PackageId],
        subscribers: &[u64],
        at: Timestamp,
    ) {
        let mut counted = self.counted();
        counted.retain(|_, counted| counted.age_ms(at) <= AGE_MAX_MS);
        for (package, subscribers) in packages.iter().zip(subscribers) {
            if counted.len() < KEPT_MAX {
                let number = Counted { subscribers: *subscribers, at };
                counted.insert((environment, package.clone()), number);
            }
        }
    }
}
