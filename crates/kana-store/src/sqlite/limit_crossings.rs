use kana_core::Timestamp;
use kana_core::id::{FeatureId, UserId, UserKey};
use kana_core::near_limit::LimitCrossing;
use rusqlite::params;

use super::connection::Connection;
use super::rows::{limit, text};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::limit_crossings::{CrossedLimit, SCANNED_MAX, newest, period_end};

pub(super) fn write(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    crossing: &LimitCrossing,
) -> rusqlite::Result<usize> {
    connection.statement(sql::CROSS_LIMIT)?.execute(params![
        environment.0,
        user.0,
        crossing.feature.as_str(),
        period_end(crossing),
        crossing.share.percent(),
        crossing.crossed_at.as_ms(),
    ])
}

pub(super) fn limit_crossings(
    connection: &Connection,
    environment: EnvironmentId,
    now: Timestamp,
    at_most: usize,
) -> Result<Vec<CrossedLimit>, StoreError> {
    let mut statement = connection.statement(sql::LIMIT_CROSSINGS)?;
    let mut rows = statement.query(params![environment.0, now.as_ms(), limit(SCANNED_MAX)])?;
    let mut crossed = Vec::new();
    while let Some(row) = rows.next()? {
        crossed.push(CrossedLimit {
            user: UserId::new("stored user id", text(row, 0)?)?,
            feature: FeatureId::new("stored feature id", text(row, 1)?)?,
        });
    }
    Ok(newest(crossed, at_most))
}

pub(super) fn forget(
    connection: &Connection,
    environment: EnvironmentId,
    ended: Timestamp,
    at_most: usize,
) -> Result<usize, StoreError> {
    let key = params![environment.0, ended.as_ms(), limit(at_most)];
    Ok(connection.statement(sql::FORGET_LIMIT_CROSSINGS)?.execute(key)?)
}
