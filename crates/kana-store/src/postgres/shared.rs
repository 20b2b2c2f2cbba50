use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kana_core::id::FeatureId;
use tokio::sync::Notify;

use super::connections::Connections;
use super::last_change::LastChange;
use super::months::Months;
use crate::app::EnvironmentId;

/// What all transactions of a store have in common.
pub(super) struct Shared {
    pub(super) connections: Connections,
    pub(super) months: Months,
    /// Features of which it is stored that they were used: as many as catalogs have at most.
    used_features: Mutex<HashSet<(EnvironmentId, FeatureId)>>,
    round_trips: AtomicU64,
    pub(super) last_change: LastChange,
    /// Is notified of commits that scheduled jobs.
    pub(super) jobs_scheduled: Arc<Notify>,
}

impl Shared {
    pub(super) fn new(connections: Connections) -> Self {
        Self {
            connections,
            months: Months::default(),
            used_features: Mutex::default(),
            round_trips: AtomicU64::new(0),
            last_change: LastChange::default(),
            jobs_scheduled: Arc::default(),
        }
    }

    /// Returns how often this store has waited for the server's answer.
    pub(super) fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }

    pub(super) fn count_round_trip(&self) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
    }

    fn used_features(&self) -> MutexGuard<'_, HashSet<(EnvironmentId, FeatureId)>> {
        self.used_features.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of the features of which it is not known that it is stored that they were used.
    pub(super) fn not_noted<'a>(
        &self,
        environment: EnvironmentId,
        features: impl IntoIterator<Item = &'a FeatureId>,
    ) -> Vec<FeatureId> {
        let noted = self.used_features();
        let used = |feature: &&FeatureId| !noted.contains(&(environment, (*feature).clone()));
        features.into_iter().filter(used).cloned().collect()
    }

    pub(super) fn note_used(&self, features: impl Iterator<Item = (EnvironmentId, FeatureId)>) {
        self.used_features().extend(features);
    }
}
