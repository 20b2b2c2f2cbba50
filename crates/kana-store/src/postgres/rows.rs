//! Converts rows to the types of the rules. Columns are checked as they are read: a value out of bounds
//! was not written by Kana.

use std::borrow::Cow;
use std::fmt;

use kana_core::Timestamp;
use kana_core::entitlement::Extras;
use kana_core::facts::CounterKey;
use kana_core::grant::Grant;
use kana_core::hold::Hold;
use kana_core::id::{FeatureId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey};
use kana_core::idempotency::{Content, Replay, WrittenAnswer};
use kana_core::metadata::{Label, Metadata};
use kana_core::overrides::Override;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::terms::TermsNumber;
use kana_core::threshold::{ThresholdEvent, Thresholds};
use kana_core::usage::UsageAction;
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use tokio_postgres::Row;
use uuid::Uuid;

use super::recent_counters::RecentCounters;
use crate::columns::Named;
use crate::error::StoreError;
use crate::grant_row::GrantRow;
use crate::hold_row::HoldRow;
use crate::override_row::OverrideRow;
use crate::quantities_column::{StoredQuantities, quantities_from, quantities_from_text};
use crate::threshold_event_row::ThresholdEventRow;
use crate::timing_column::{StoredTiming, timing_from, timing_from_text};

/// Reads the text of a column.
pub(super) fn text(row: &Row, column: usize) -> Result<&str, StoreError> {
    Ok(row.try_get(column)?)
}

pub(super) fn no_environment() -> StoreError {
    StoreError::Unreadable("the environment is gone".to_owned())
}

/// Reads a nullable column with `read`.
pub(super) fn optional<T>(
    row: &Row,
    column: usize,
    read: impl FnOnce(&str) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    row.try_get::<_, Option<&str>>(column)?.map(read).transpose()
}

pub(super) fn label(text: &str) -> Result<Label, StoreError> {
    Ok(Label::new("stored label", text)?)
}

pub(super) fn metadata(text: &str) -> Result<Metadata, StoreError> {
    Ok(Metadata::new("stored metadata", kana_json::parse(text)?)?)
}

pub(super) fn instant(row: &Row, column: usize) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_ms(row.try_get(column)?))
}

pub(super) fn optional_instant(row: &Row, column: usize) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(Timestamp::from_ms))
}

pub(super) fn user_id(row: &Row, column: usize) -> Result<UserId, StoreError> {
    Ok(UserId::new("stored user id", text(row, column)?)?)
}

pub(super) fn idempotency_key(row: &Row, column: usize) -> Result<IdempotencyKey, StoreError> {
    Ok(IdempotencyKey::new("stored idempotency key", text(row, column)?)?)
}

/// `id, package_id, status, started_at, ended_at, quantities, timing`, from column `first` on.
pub(super) fn subscription(row: &Row, first: usize) -> Result<Subscription, StoreError> {
    Ok(Subscription {
        id: SubscriptionId(row.try_get(first)?),
        package: PackageId::new("stored package id", text(row, first + 1)?)?,
        status: SubscriptionStatus::from_name(text(row, first + 2)?)?,
        started_at: instant(row, first + 3)?,
        ended_at: optional_instant(row, first + 4)?,
        quantities: quantities_from_text(row.try_get(first + 5)?)?,
        timing: timing_from_text(row.try_get(first + 6)?)?,
    })
}

/// Reads the running subscriptions in their user's row.
pub(super) fn running_subscriptions(
    row: &Row,
    column: usize,
) -> Result<Vec<Subscription>, StoreError> {
    let Some(text) = row.try_get::<_, Option<&str>>(column)? else {
        return Ok(Vec::new());
    };
    let running: Vec<Running<'_>> = serde_json::from_str(text)?;
    running.into_iter().map(Running::read).collect()
}

/// A subscription in its user's row: `[id, package_id, status, started_at]`, `quantities` as a fifth value unless
/// it was always one, and `timing` as a sixth where there is one.
struct Running<'a> {
    id: Uuid,
    package: Cow<'a, str>,
    status: Cow<'a, str>,
    started_at: i64,
    quantities: Option<StoredQuantities>,
    timing: Option<StoredTiming>,
}

impl Running<'_> {
    fn read(self) -> Result<Subscription, StoreError> {
        let quantities = self.quantities.map(quantities_from).transpose()?;
        let timing = self.timing.map(timing_from).transpose()?;
        Ok(Subscription {
            id: SubscriptionId(self.id),
            package: PackageId::new("stored package id", &self.package)?,
            status: SubscriptionStatus::from_name(&self.status)?,
            started_at: Timestamp::from_ms(self.started_at),
            ended_at: None,
            quantities: quantities.unwrap_or_default(),
            timing: timing.unwrap_or_default(),
        })
    }
}

impl<'de> Deserialize<'de> for Running<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = Running<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a running subscription")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
                let missing = |n| A::Error::invalid_length(n, &self);
                Ok(Running {
                    id: values.next_element()?.ok_or_else(|| missing(0))?,
                    package: values.next_element()?.ok_or_else(|| missing(1))?,
                    status: values.next_element()?.ok_or_else(|| missing(2))?,
                    started_at: values.next_element()?.ok_or_else(|| missing(3))?,
                    quantities: values.next_element::<Option<_>>()?.flatten(),
                    timing: values.next_element()?,
                })
            }
        }

        from.deserialize_seq(Values)
    }
}

/// The columns of an override, without its user.
pub(super) fn override_of_user(row: &Row) -> Result<Override, StoreError> {
    let stored = OverrideRow {
        feature: text(row, 0)?,
        id: row.try_get(1)?,
        kind: text(row, 2)?,
        limit: row.try_get(3)?,
        reset_period: row.try_get(4)?,
        reset_anchor: row.try_get(5)?,
        overage_enabled: row.try_get(6)?,
        starts_at: row.try_get(7)?,
        ends_at: row.try_get(8)?,
        reason: row.try_get(9)?,
        history: row.try_get(10)?,
    };
    stored.read()
}

/// The columns of a grant, without its user.
pub(super) fn grant_of_user(row: &Row) -> Result<Grant, StoreError> {
    let stored = GrantRow {
        key: row.try_get(0)?,
        id: text(row, 1)?,
        feature: text(row, 2)?,
        amount: row.try_get(3)?,
        drawn: row.try_get(4)?,
        priority: row.try_get(5)?,
        starts_at: row.try_get(6)?,
        expires_at: row.try_get(7)?,
        voided_at: row.try_get(8)?,
        reason: row.try_get(9)?,
        created_at: row.try_get(10)?,
    };
    stored.read()
}

/// The columns of a hold, then the key of its user.
pub(super) fn hold(row: &Row) -> Result<(UserKey, Hold), StoreError> {
    let stored = HoldRow {
        id: text(row, 0)?,
        feature: text(row, 1)?,
        amount: row.try_get(2)?,
        cost: row.try_get(3)?,
        balance: text(row, 4)?,
        subscription: row.try_get(5)?,
        terms: terms_number(row, 6)?,
        period_start: row.try_get(7)?,
        created_at: row.try_get(8)?,
        expires_at: row.try_get(9)?,
        ended_at: row.try_get(10)?,
        settled: row.try_get(11)?,
    };
    Ok((UserKey(row.try_get(12)?), stored.read()?))
}

/// The columns of a threshold event, without its user.
pub(super) fn threshold_event(row: &Row) -> Result<ThresholdEvent, StoreError> {
    let stored = ThresholdEventRow {
        id: row.try_get(0)?,
        feature: text(row, 1)?,
        threshold: row.try_get(2)?,
        period_start: row.try_get(3)?,
        period_end: row.try_get(4)?,
        used: row.try_get(5)?,
        budget: row.try_get(6)?,
        overage_enabled: row.try_get(7)?,
        at: row.try_get(8)?,
        extras: Extras {
            carried: row.try_get(9)?,
            granted: row.try_get(10)?,
            held: row.try_get(11)?,
        },
    };
    stored.read()
}

/// Reads the thresholds of a feature.
pub(super) fn thresholds(text: &str) -> Result<Thresholds, StoreError> {
    Ok(Thresholds::read(text)?)
}

/// `recent_counters, has_older_counters`, from column `first` on.
pub(super) fn recent_counters(row: &Row, first: usize) -> Result<RecentCounters, StoreError> {
    RecentCounters::read(row.try_get(first)?, row.try_get(first + 1)?)
}

/// Reads the columns `user_key, subscription_id, feature_id, terms, period_start`.
pub(super) fn counter_key(row: &Row) -> Result<(UserKey, CounterKey), StoreError> {
    let counter = CounterKey {
        subscription: SubscriptionId(row.try_get(1)?),
        feature: FeatureId::new("stored feature id", text(row, 2)?)?,
        terms: terms_number(row, 3)?,
        period_start: instant(row, 4)?,
    };
    Ok((UserKey(row.try_get(0)?), counter))
}

pub(super) fn terms_number(row: &Row, column: usize) -> Result<TermsNumber, StoreError> {
    let number: i64 = row.try_get(column)?;
    let out_of_range = |_| StoreError::Unreadable(format!("terms {number}"));
    u32::try_from(number).map(TermsNumber).map_err(out_of_range)
}

/// The columns of [`subscription`], then the id and the key of its user.
pub(super) fn owned_subscription(row: &Row) -> Result<(UserId, UserKey, Subscription), StoreError> {
    Ok((user_id(row, 7)?, UserKey(row.try_get(8)?), subscription(row, 0)?))
}

/// `idempotency_key, user_key, feature_id, action, delta, occurred_at, answer, kept_at`.
pub(super) fn replay(row: &Row) -> Result<(IdempotencyKey, Replay), StoreError> {
    let WrittenAnswer { answer, counted } = WrittenAnswer::read(text(row, 6)?)?;
    let replay = Replay {
        content: Content {
            user: UserKey(row.try_get(1)?),
            feature: FeatureId::new("stored feature id", text(row, 2)?)?,
            action: UsageAction::from_name(text(row, 3)?)?,
            delta: row.try_get(4)?,
            occurred_at: optional_instant(row, 5)?,
        },
        answer,
        counted,
        kept_at: instant(row, 7)?,
    };
    Ok((idempotency_key(row, 0)?, replay))
}
