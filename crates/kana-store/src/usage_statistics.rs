//! Usage per day and feature (contract: `dashboard.md`, "Data that the service does not have yet").
//!
//! A commit that records usage adds one row of *deltas* for what it recorded, in its own transaction.
//! Such rows are only appended, so no writer waits for another. Later they are *folded*: added to the
//! table `usage_by_day` and gone, in one transaction. Reading adds the deltas that are not folded yet,
//! so it is exact at once.
//!
//! An amount is exact as long as it fits into 64 bits. Beyond, it stays at the smallest or largest
//! number; nothing fails.

use std::collections::BTreeMap;

use async_trait::async_trait;
use foldhash::HashMap;
use kana_core::Timestamp;
use kana_core::day::Day;
use kana_core::id::FeatureId;
use kana_core::usage::{LoggedAction, UsageEvent};

use crate::app::EnvironmentId;
use crate::error::StoreError;

/// The usage of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyUsage {
    /// The day in which it occurred.
    pub day: Day,
    /// The number of usage events, 0 or more, with those that nothing counted.
    pub events: i64,
    /// The amount by which the events changed usage, in the feature's unit; negative if more was taken
    /// back than added. `None` for all features together, whose units differ.
    pub amount: Option<i64>,
    /// The number of usage events that nothing counted, 0 or more.
    pub uncounted: i64,
}

/// The usage of a feature in some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureUsage {
    /// The feature.
    pub feature: FeatureId,
    /// The number of usage events, 0 or more, with those that nothing counted.
    pub events: i64,
    /// The amount by which the events changed usage, in the feature's unit.
    pub amount: i64,
    /// The number of usage events that nothing counted, 0 or more.
    pub uncounted: i64,
}

/// Reads, folds and shortens the usage by day, and deletes crossings of limits and threshold events. All
/// are written with the events, by [`change_facts`](crate::store::WriteTransaction::change_facts).
#[async_trait]
pub trait UsageStatistics: Send + Sync {
    /// Returns the usage of a feature, or of all features, on each day from `from` to `to` on which
    /// there was any, in order.
    async fn usage_by_day(
        &self,
        environment: EnvironmentId,
        feature: Option<&FeatureId>,
        from: Day,
        to: Day,
    ) -> Result<Vec<DailyUsage>, StoreError>;

    /// Returns the features with the most usage events in the days from `from` to `to`, the most
    /// first, at most `limit`. Those with equally many are in the order of their ids.
    async fn top_features(
        &self,
        environment: EnvironmentId,
        from: Day,
        to: Day,
        limit: usize,
    ) -> Result<Vec<FeatureUsage>, StoreError>;

    /// Returns the first day of which all usage is in the usage by day; `None` if that is so of every
    /// day. A database that an older release has recorded usage in does not know the days before.
    async fn usage_since(&self, environment: EnvironmentId) -> Result<Option<Day>, StoreError>;

    /// Folds the deltas of at most `at_most` commits. Returns of how many; 0 if the engine folds
    /// by itself, while it commits.
    async fn fold_usage(
        &self,
        _environment: EnvironmentId,
        _at_most: usize,
    ) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// Deletes the usage of days before `before`, the oldest first, at most `at_most` rows: each is of
    /// one feature on one day. Returns how many it deleted.
    async fn forget_usage_by_day(
        &self,
        environment: EnvironmentId,
        before: Day,
        at_most: usize,
    ) -> Result<usize, StoreError>;

    /// Deletes crossings of limits in periods that had ended at `ended`, at most `at_most`. Returns how
    /// many it deleted.
    async fn forget_limit_crossings(
        &self,
        environment: EnvironmentId,
        ended: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError>;

    /// Deletes threshold events that were recorded before `before`, among the oldest `at_most`. Returns
    /// how many it deleted.
    async fn forget_threshold_events(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError>;

    /// Deletes holds that were over before `before`, at most `at_most`. Returns how many it deleted.
    async fn forget_holds(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError>;
}

/// What usage events add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) events: i64,
    /// Wider than what is stored, so that amounts that cancel each other out do not overflow.
    amount: i128,
    pub(crate) uncounted: i64,
}

impl Totals {
    /// Creates totals from stored values.
    pub(crate) fn stored(events: i64, amount: i64, uncounted: i64) -> Self {
        Self { events, amount: amount.into(), uncounted }
    }

    /// Creates totals whose amount may not fit into 64 bits.
    pub(crate) fn wide(events: i64, amount: i128, uncounted: i64) -> Self {
        Self { events, amount, uncounted }
    }

    /// Returns the totals of one event. What takes another one back is no event of its own: it changes
    /// the amount of that day.
    fn of(event: &UsageEvent) -> Self {
        let events = i64::from(event.action != LoggedAction::Void);
        Self::stored(events, event.amount, event.subscription.is_none().into())
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.events = self.events.saturating_add(other.events);
        self.amount = self.amount.saturating_add(other.amount);
        self.uncounted = self.uncounted.saturating_add(other.uncounted);
    }

    /// Returns the amount as it is stored and read.
    pub(crate) fn amount(&self) -> i64 {
        let nearest = if self.amount < 0 { i64::MIN } else { i64::MAX };
        i64::try_from(self.amount).unwrap_or(nearest)
    }

    pub(crate) fn of_day(&self, day: Day) -> DailyUsage {
        let amount = Some(self.amount());
        DailyUsage { day, events: self.events, amount, uncounted: self.uncounted }
    }

    pub(crate) fn of_feature(&self, feature: FeatureId) -> FeatureUsage {
        let amount = self.amount();
        FeatureUsage { feature, events: self.events, amount, uncounted: self.uncounted }
    }
}

/// What usage events of an environment add to the usage by day.
#[derive(Debug, Default)]
pub(crate) struct UsageDeltas {
    /// By feature first, which so is looked up without making a key.
    features: HashMap<FeatureId, BTreeMap<Day, Totals>>,
    len: usize,
}

impl UsageDeltas {
    /// Adds an event.
    pub(crate) fn add_event(&mut self, event: &UsageEvent) {
        let day = Day::of(event.occurred_at);
        self.add(&event.feature, day, Totals::of(event));
        // The balance that was drawn on has the amount, and the feature that was used has the event.
        if let Some(drawn) = event.drawn.as_ref().filter(|drawn| drawn.amount != 0) {
            self.add(&drawn.balance, day, Totals::stored(0, drawn.amount, 0));
        }
    }

    /// Adds totals of a feature and day.
    pub(crate) fn add(&mut self, feature: &FeatureId, day: Day, totals: Totals) {
        let days = match self.features.get_mut(feature) {
            Some(days) => days,
            None => self.features.entry(feature.clone()).or_default(),
        };
        let known = days.entry(day).or_insert_with(|| {
            self.len += 1;
            Totals::default()
        });
        known.add(totals);
    }

    /// Adds everything of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (day, feature, totals) in other.rows() {
            self.add(feature, day, totals);
        }
    }

    /// Returns the number of rows.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns a row for each feature and day, in no order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Day, &FeatureId, Totals)> {
        self.features
            .iter()
            .flat_map(|(feature, days)| days.iter().map(move |(day, all)| (*day, feature, *all)))
    }

    /// Returns a row for each feature and day, in the order of the table.
    pub(crate) fn sorted(&self) -> Vec<(Day, &FeatureId, Totals)> {
        let mut rows: Vec<_> = self.rows().collect();
        rows.sort_unstable_by_key(|(day, feature, _)| (*day, *feature));
        rows
    }
}

/// Puts features with the most events first and drops those beyond `limit`.
pub(crate) fn top(mut features: Vec<FeatureUsage>, limit: usize) -> Vec<FeatureUsage> {
    features.sort_unstable_by(|one, other| {
        other.events.cmp(&one.events).then_with(|| one.feature.cmp(&other.feature))
    });
    features.truncate(limit);
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_stays_at_the_largest_number_unless_something_takes_it_back() {
        let mut totals = Totals::default();
        for amount in [i64::MAX, 1] {
            totals.add(Totals::stored(1, amount, 0));
        }
        assert_eq!((totals.events, totals.amount()), (2, i64::MAX));
        totals.add(Totals::stored(1, -2, 0));
        assert_eq!(totals.amount(), i64::MAX - 1);
        for _ in 0..3 {
            totals.add(Totals::stored(1, i64::MIN, 1));
        }
        assert_eq!((totals.amount(), totals.uncounted), (i64::MIN, 3));
    }
}
