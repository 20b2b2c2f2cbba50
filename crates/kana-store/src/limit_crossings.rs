//! Crossings of limits as they are stored.

use std::collections::HashSet;

use kana_core::Timestamp;
use kana_core::id::{FeatureId, UserId};
use kana_core::near_limit::LimitCrossing;

/// The number of crossings, the newest first, that are looked at. More are passed over only after many
/// periods have ended at the same time, until their crossings are deleted.
pub(crate) const SCANNED_MAX: usize = 1000;

/// A user's usage of a feature that has come near a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CrossedLimit {
    /// The user.
    pub user: UserId,
    /// The feature.
    pub feature: FeatureId,
}

/// Returns the column `period_end`: the latest instant for a period that never ends.
pub(crate) fn period_end(crossing: &LimitCrossing) -> i64 {
    crossing.period_end.unwrap_or(Timestamp::MAX).as_ms()
}

/// Keeps one crossing of each user and feature, the newest; they come newest first. At most `limit`.
pub(crate) fn newest(crossed: Vec<CrossedLimit>, limit: usize) -> Vec<CrossedLimit> {
    let mut known = HashSet::new();
    crossed.into_iter().filter(|crossed| known.insert(crossed.clone())).take(limit).collect()
}
