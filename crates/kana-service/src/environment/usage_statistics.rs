//! How much was used on which day, and who is near a limit (contract: `dashboard.md`, "Pages",
//! Overview).

use kana_core::day::Day;
use kana_core::id::FeatureId;
use kana_core::refusal::InvalidValue;
use kana_store::usage_statistics::{DailyUsage, FeatureUsage};

use super::view::EnvironmentView;
use crate::error::Error;
use crate::reader::NearLimit;
use crate::retry::retry;

/// The maximum number of days that are read at once.
const DAYS_MAX: i64 = 366;

impl EnvironmentView {
    /// Returns the day in UTC that it is now.
    #[must_use]
    pub fn today(&self) -> Day {
        Day::of(self.now())
    }

    /// Returns the usage of a feature, or of all features, on each day from `from` to `to` on which
    /// there was any, in order. A feature that does not exist has none.
    ///
    /// A usage event is in the day in which it occurred, as soon as it is recorded. Fails with
    /// [`Invalid`](kana_core::Refusal::Invalid) for more than 366 days.
    pub async fn usage_by_day(
        &self,
        feature: Option<&FeatureId>,
        from: Day,
        to: Day,
    ) -> Result<Vec<DailyUsage>, Error> {
        check_days(from, to)?;
        let (store, id) = (&self.kana().store, self.id());
        retry(|| async move { Ok(store.usage_by_day(id, feature, from, to).await?) }).await
    }

    /// Returns the features with the most usage events in the last `days` days, today included, the
    /// most first: at most `limit`.
    ///
    /// Fails with [`Invalid`](kana_core::Refusal::Invalid) for more than 366 days.
    pub async fn top_features(&self, days: u32, limit: usize) -> Result<Vec<FeatureUsage>, Error> {
        let to = self.today();
        let from = to.saturating_add(1 - i64::from(days));
        check_days(from, to)?;
        let (store, id) = (&self.kana().store, self.id());
        retry(|| async move { Ok(store.top_features(id, from, to, limit).await?) }).await
    }

    /// Returns the first day of which all usage is in the usage by day. `None` if that is so of every
    /// day, which it is not after an update from a release that did not count by day.
    pub async fn usage_since(&self) -> Result<Option<Day>, Error> {
        let (store, id) = (&self.kana().store, self.id());
        retry(|| async move { Ok(store.usage_since(id).await?) }).await
    }

    /// Returns users who have used 80 % or more of a budget, those first who have come to that last: at
    /// most `limit`.
    ///
    /// Only usage that was recorded makes a user appear here, and not a limit that was lowered. Of the
    /// newest `limit` users and features, those that are no longer near are left out.
    pub async fn near_limits(&self, limit: usize) -> Result<Vec<NearLimit>, Error> {
        self.kana().reader.near_limits(self.id(), limit).await
    }
}

fn check_days(from: Day, to: Day) -> Result<(), InvalidValue> {
    if to.number().saturating_sub(from.number()) >= DAYS_MAX {
        let problem = format!("must be at most {DAYS_MAX} at once");
        return Err(InvalidValue::new("days", problem));
    }
    Ok(())
}
