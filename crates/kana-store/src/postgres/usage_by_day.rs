//! The usage by day, with the deltas of commits that are not folded yet. Each answer is one statement,
//! and so of one instant.

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::day::Day;
use kana_core::id::FeatureId;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::parameters::{Parameter, column, count};
use super::rows::text;
use super::statements as sql;
use super::store::PostgresStore;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::usage_statistics::{DailyUsage, FeatureUsage, UsageDeltas, UsageStatistics};

/// Returns the columns of the row that a commit adds to the deltas of an environment.
pub(super) fn columns(deltas: &UsageDeltas) -> Vec<Parameter> {
    let rows: Vec<_> = deltas.rows().collect();
    vec![
        column(&rows, |(day, _, _)| day.number()),
        column(&rows, |(_, feature, _)| feature.as_str().to_owned()),
        column(&rows, |(_, _, totals)| totals.events),
        column(&rows, |(_, _, totals)| totals.amount()),
        column(&rows, |(_, _, totals)| totals.uncounted),
    ]
}

fn daily_usage(row: &Row) -> Result<DailyUsage, StoreError> {
    Ok(DailyUsage {
        day: Day::from_number(row.try_get(0)?),
        events: row.try_get(1)?,
        amount: row.try_get(2)?,
        uncounted: row.try_get(3)?,
    })
}

fn feature_usage(row: &Row) -> Result<FeatureUsage, StoreError> {
    Ok(FeatureUsage {
        feature: FeatureId::new("stored feature id", text(row, 0)?)?,
        events: row.try_get(1)?,
        amount: row.try_get(2)?,
        uncounted: row.try_get(3)?,
    })
}

impl PostgresStore {
    /// Deletes rows of before an instant or a day, at most `at_most`, and returns how many: the statement returns
    /// a row for each.
    async fn forget(
        &self,
        statement: &'static str,
        environment: EnvironmentId,
        before: &(dyn ToSql + Sync),
        at_most: usize,
    ) -> Result<usize, StoreError> {
        let at_most = count(at_most);
        let parameters: &[&(dyn ToSql + Sync)] = &[&environment.0, before, &at_most];
        let mut transaction = self.begin_write();
        let answers = transaction.change(&[(statement, parameters)]).await?;
        transaction.commit_changes().await?;
        Ok(answers.first().map_or(0, Vec::len))
    }
}

#[async_trait]
impl UsageStatistics for PostgresStore {
    async fn usage_by_day(
        &self,
        environment: EnvironmentId,
        feature: Option<&FeatureId>,
        from: Day,
        to: Day,
    ) -> Result<Vec<DailyUsage>, StoreError> {
        let (from, to) = (from.number(), to.number());
        let feature = feature.map(FeatureId::as_str);
        let days: &[&(dyn ToSql + Sync)] = &[&environment.0, &from, &to, &feature];
        let (statement, parameters) = match feature {
            Some(_) => (sql::USAGE_BY_DAY_OF_FEATURE, days),
            None => (sql::USAGE_BY_DAY, &days[..3]),
        };
        let rows = self.begin_read().ask_one(statement, parameters).await?;
        rows.iter().map(daily_usage).collect()
    }

    async fn top_features(
        &self,
        environment: EnvironmentId,
        from: Day,
        to: Day,
        limit: usize,
    ) -> Result<Vec<FeatureUsage>, StoreError> {
        let (from, to, limit) = (from.number(), to.number(), count(limit));
        let parameters: &[&(dyn ToSql + Sync)] = &[&environment.0, &from, &to, &limit];
        let rows = self.begin_read().ask_one(sql::TOP_FEATURES, parameters).await?;
        rows.iter().map(feature_usage).collect()
    }

    async fn usage_since(&self, environment: EnvironmentId) -> Result<Option<Day>, StoreError> {
        let rows = self.begin_read().ask_one(sql::USAGE_SINCE, &[&environment.0]).await?;
        let day = rows.first().map(|row| row.try_get(0)).transpose()?;
        Ok(day.map(Day::from_number))
    }

    async fn fold_usage(
        &self,
        environment: EnvironmentId,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        let parameters: &[&(dyn ToSql + Sync)] = &[&environment.0, &count(at_most)];
        let mut transaction = self.begin_write();
        let answers = transaction.change(&[(sql::FOLD_USAGE, parameters)]).await?;
        transaction.commit_changes().await?;
        let row = answers.first().and_then(|rows| rows.first());
        let folded: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
        Ok(usize::try_from(folded).unwrap_or(0))
    }

    async fn forget_usage_by_day(
        &self,
        environment: EnvironmentId,
        before: Day,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(sql::FORGET_USAGE_BY_DAY, environment, &before.number(), at_most).await
    }

    async fn forget_limit_crossings(
        &self,
        environment: EnvironmentId,
        ended: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(sql::FORGET_LIMIT_CROSSINGS, environment, &ended.as_ms(), at_most).await
    }

    async fn forget_threshold_events(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(sql::FORGET_THRESHOLD_EVENTS, environment, &before.as_ms(), at_most).await
    }

    async fn forget_holds(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(sql::FORGET_HOLDS, environment, &before.as_ms(), at_most).await
    }
}
