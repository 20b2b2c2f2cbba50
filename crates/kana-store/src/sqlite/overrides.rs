use kana_core::id::{FeatureId, UserKey};
use kana_core::overrides::Override;
use rusqlite::params;

use super::connection::Connection;
use super::rows::text;
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::override_row::OverrideRow;

pub(super) fn of_user(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
) -> Result<Vec<Override>, StoreError> {
    let mut statement = connection.statement(sql::OVERRIDES_OF)?;
    let mut rows = statement.query(params![environment.0, user.0])?;
    let mut overrides = Vec::new();
    while let Some(row) = rows.next()? {
        let optional = |column| Ok::<_, StoreError>(row.get_ref(column)?.as_str_or_null()?);
        let stored = OverrideRow {
            feature: text(row, 0)?,
            id: row.get(1)?,
            kind: text(row, 2)?,
            limit: row.get(3)?,
            reset_period: optional(4)?,
            reset_anchor: optional(5)?,
            overage_enabled: row.get(6)?,
            starts_at: row.get(7)?,
            ends_at: row.get(8)?,
            reason: optional(9)?,
            history: row.get(10)?,
        };
        overrides.push(stored.read()?);
    }
    Ok(overrides)
}

pub(super) fn put(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    new: &Override,
) -> Result<(), StoreError> {
    let row = OverrideRow::of(new)?;
    connection.statement(sql::PUT_OVERRIDE)?.execute(params![
        environment.0,
        user.0,
        row.feature,
        row.id,
        row.kind,
        row.limit,
        row.reset_period,
        row.reset_anchor,
        row.overage_enabled,
        row.starts_at,
        row.ends_at,
        row.reason,
        row.history,
    ])?;
    Ok(())
}

pub(super) fn delete(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    feature: &FeatureId,
) -> Result<(), StoreError> {
    let key = params![environment.0, user.0, feature.as_str()];
    connection.statement(sql::DELETE_OVERRIDE)?.execute(key)?;
    Ok(())
}

/// Deletes all overrides of a user, and with them what they say of the user.
pub(super) fn delete_all(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
) -> Result<(), StoreError> {
    connection.statement(sql::DELETE_OVERRIDES_OF)?.execute(params![environment.0, user.0])?;
    Ok(())
}
