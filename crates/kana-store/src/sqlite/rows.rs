//! Rows as the rules know them. Columns are checked as they are read. A value out of bounds was not
//! written by Kana.

use kana_core::Timestamp;
use kana_core::id::{PackageId, SubscriptionId, UserId};
use kana_core::metadata::{Label, Metadata};
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::threshold::Thresholds;
use rusqlite::Row;

use crate::columns::Named;
use crate::error::StoreError;
use crate::quantities_column::quantities_from_text;
use crate::timing_column::timing_from_text;

/// Converts the length of a page to SQLite's type.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Reads the text of a column.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, StoreError> {
    Ok(row.get_ref(column)?.as_str()?)
}

/// Reads a nullable column with `read`.
pub(super) fn optional<T>(
    row: &Row<'_>,
    column: usize,
    read: impl FnOnce(&str) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    row.get_ref(column)?.as_str_or_null()?.map(read).transpose()
}

pub(super) fn label(text: &str) -> Result<Label, StoreError> {
    Ok(Label::new("stored label", text)?)
}

/// Reads the thresholds of a feature.
pub(super) fn thresholds(text: &str) -> Result<Thresholds, StoreError> {
    Ok(Thresholds::read(text)?)
}

pub(super) fn metadata(text: &str) -> Result<Metadata, StoreError> {
    Ok(Metadata::new("stored metadata", kana_json::parse(text)?)?)
}

pub(super) fn instant(row: &Row<'_>, column: usize) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_ms(row.get(column)?))
}

pub(super) fn optional_instant(
    row: &Row<'_>,
    column: usize,
) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_ms))
}

/// `id, package_id, status, started_at, ended_at, quantities, timing`, from column `first` on.
pub(super) fn read_subscription(row: &Row<'_>, first: usize) -> Result<Subscription, StoreError> {
    Ok(Subscription {
        id: SubscriptionId(row.get(first)?),
        package: PackageId::new("stored package id", text(row, first + 1)?)?,
        status: SubscriptionStatus::from_name(text(row, first + 2)?)?,
        started_at: instant(row, first + 3)?,
        ended_at: optional_instant(row, first + 4)?,
        quantities: quantities_from_text(row.get_ref(first + 5)?.as_str_or_null()?)?,
        timing: timing_from_text(row.get_ref(first + 6)?.as_str_or_null()?)?,
    })
}

/// The columns of [`read_subscription`], then the id of its user.
pub(super) fn read_owned_subscription(row: &Row<'_>) -> Result<(UserId, Subscription), StoreError> {
    Ok((UserId::new("stored user id", text(row, 7)?)?, read_subscription(row, 0)?))
}
