//! The questions about the usage by day, and what forgets it.

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::day::Day;
use kana_core::id::FeatureId;
use rusqlite::{OptionalExtension as _, params};

use super::rows::limit;
use super::store::SqliteStore;
use super::usage_by_day::{by_feature, of_all_features, of_feature};
use super::{holds, limit_crossings, statements as sql, threshold_events};
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::usage_statistics::{DailyUsage, FeatureUsage, UsageStatistics, top};

#[async_trait]
impl UsageStatistics for SqliteStore {
    async fn usage_by_day(
        &self,
        environment: EnvironmentId,
        feature: Option<&FeatureId>,
        from: Day,
        to: Day,
    ) -> Result<Vec<DailyUsage>, StoreError> {
        self.ask_snapshot(|connection| match feature {
            Some(feature) => of_feature(connection, environment, feature, (from, to)),
            None => of_all_features(connection, environment, (from, to)),
        })
    }

    async fn top_features(
        &self,
        environment: EnvironmentId,
        from: Day,
        to: Day,
        limit: usize,
    ) -> Result<Vec<FeatureUsage>, StoreError> {
        let features =
            self.ask_snapshot(|connection| by_feature(connection, environment, (from, to)))?;
        Ok(top(features, limit))
    }

    async fn usage_since(&self, environment: EnvironmentId) -> Result<Option<Day>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.statement(sql::USAGE_SINCE)?;
            let day = statement.query_row([environment.0], |row| row.get(0)).optional()?;
            Ok(day.map(Day::from_number))
        })
    }

    async fn forget_usage_by_day(
        &self,
        environment: EnvironmentId,
        before: Day,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(|connection| {
            let key = params![environment.0, before.number(), limit(at_most)];
            connection.statement(sql::FORGET_USAGE_TOTALS)?.execute(key)?;
            Ok(connection.statement(sql::FORGET_USAGE_BY_DAY)?.execute(key)?)
        })
        .await
    }

    async fn forget_limit_crossings(
        &self,
        environment: EnvironmentId,
        ended: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(|connection| limit_crossings::forget(connection, environment, ended, at_most))
            .await
    }

    async fn forget_threshold_events(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(|connection| threshold_events::forget(connection, environment, before, at_most))
            .await
    }

    async fn forget_holds(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(|connection| holds::forget(connection, environment, before, at_most)).await
    }
}
