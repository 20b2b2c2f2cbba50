use kana_core::Timestamp;
use kana_core::counter::CounterValue;
use kana_core::facts::{Change, CounterKey, UserFacts};
use kana_core::id::{FeatureId, SubscriptionId, UserId, UserKey};
use kana_core::refusal::InvalidValue;
use kana_core::subscription::Subscription;
use kana_core::terms::TermsNumber;
use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{ToSql, params};
use uuid::Uuid;

use super::connection::Connection;
use super::event_log::UnwrittenEvents;
use super::rows::{instant, limit, read_owned_subscription, read_subscription, text};
use super::{
    earlier_ids, grants, holds, limit_crossings, overrides, statements as sql, threshold_events,
    user_facts, users,
};
use crate::app::EnvironmentId;
use crate::columns::{Named, counter_value};
use crate::error::StoreError;
use crate::quantities_column::quantities_to_text;
use crate::timing_column::timing_to_text;

/// Columns are checked as they are read. A value out of bounds was not written by Kana.
impl From<InvalidValue> for StoreError {
    fn from(invalid: InvalidValue) -> Self {
        Self::Unreadable(invalid.to_string())
    }
}

impl From<FromSqlError> for StoreError {
    fn from(error: FromSqlError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

pub(super) fn facts(
    connection: &Connection,
    environment: EnvironmentId,
    id: &UserId,
) -> Result<Option<UserFacts>, StoreError> {
    match user_facts::facts(connection, environment, id)? {
        Some(facts) => Ok(Some(facts)),
        None => facts_from_tables(connection, environment, id),
    }
}

/// Reads the facts of a user who is not in the table by ids.
pub(super) fn facts_from_tables(
    connection: &Connection,
    environment: EnvironmentId,
    id: &UserId,
) -> Result<Option<UserFacts>, StoreError> {
    let mut statement = connection.statement(sql::FACTS)?;
    let mut rows = statement.query(params![environment.0, id.as_str()])?;
    let mut key = None;
    let mut running = Vec::new();
    let (mut has_overrides, mut has_grants, mut has_holds) = (false, false, false);
    while let Some(row) = rows.next()? {
        key = Some(UserKey(row.get(0)?));
        has_overrides = row.get(8)?;
        has_grants = row.get(9)?;
        has_holds = row.get(10)?;
        if row.get_ref(1)? != ValueRef::Null {
            running.push(read_subscription(row, 1)?);
        }
    }
    Ok(key.map(|key| {
        UserFacts::new(key, id.clone(), running)
            .with_overrides(has_overrides)
            .with_grants(has_grants)
            .with_holds(has_holds)
    }))
}

pub(super) fn subscription(
    connection: &Connection,
    environment: EnvironmentId,
    id: SubscriptionId,
) -> Result<Option<(UserId, Subscription)>, StoreError> {
    let mut statement = connection.statement(sql::SUBSCRIPTION)?;
    let mut rows = statement.query(params![environment.0, id.0])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    read_owned_subscription(row).map(Some)
}

pub(super) fn ended(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
) -> Result<Vec<Subscription>, StoreError> {
    let mut statement = connection.statement(sql::ENDED_SUBSCRIPTIONS)?;
    let mut rows = statement.query(params![environment.0, user.0])?;
    let mut subscriptions = Vec::new();
    while let Some(row) = rows.next()? {
        subscriptions.push(read_subscription(row, 0)?);
    }
    Ok(subscriptions)
}

pub(super) fn counter(
    connection: &Connection,
    environment: EnvironmentId,
    (user, counter): &(UserKey, CounterKey),
) -> Result<Option<CounterValue>, StoreError> {
    let mut statement = connection.statement(sql::COUNTER)?;
    let mut rows = statement.query(params![
        environment.0,
        user.0,
        counter.subscription.0,
        counter.feature.as_str(),
        counter.terms.0,
        counter.period_start.as_ms(),
    ])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    counter_value(row.get(0)?, row.get_ref(1)?.as_str_or_null()?).map(Some)
}

/// Returns the first `at_most` counters of the table after the one at `after`, in the table's
/// order.
pub(super) fn counters_after(
    connection: &Connection,
    environment: EnvironmentId,
    after: Option<&(UserKey, CounterKey)>,
    at_most: usize,
) -> Result<Vec<(UserKey, CounterKey)>, StoreError> {
    let mut statement = connection.statement(sql::COUNTERS_AFTER)?;
    let at_most = limit(at_most);
    let mut rows = match after {
        // No user has the nil key, so this is before the first counter.
        None => {
            statement.query(params![environment.0, Uuid::nil(), Uuid::nil(), "", 0, 0, at_most])?
        }
        Some((user, counter)) => statement.query(params![
            environment.0,
            user.0,
            counter.subscription.0,
            counter.feature.as_str(),
            counter.terms.0,
            counter.period_start.as_ms(),
            at_most,
        ])?,
    };
    let mut counters = Vec::new();
    while let Some(row) = rows.next()? {
        let counter = CounterKey {
            subscription: SubscriptionId(row.get(1)?),
            feature: FeatureId::new("stored feature id", text(row, 2)?)?,
            terms: TermsNumber(row.get(3)?),
            period_start: instant(row, 4)?,
        };
        counters.push((UserKey(row.get(0)?), counter));
    }
    Ok(counters)
}

pub(super) fn write(
    connection: &Connection,
    environment: EnvironmentId,
    user_key: UserKey,
    change: &Change,
) -> Result<(), StoreError> {
    match change {
        Change::CreateUser(user) => {
            return users::create(connection, environment, user_key, user);
        }
        Change::UpdateUser { user, .. } => {
            return connection
                .overwriting(|connection| users::update(connection, environment, user_key, user));
        }
        Change::DeleteUser { user, previous_id } => {
            return connection.overwriting(|connection| {
                users::update(connection, environment, user_key, user)?;
                overrides::delete_all(connection, environment, user_key)?;
                grants::delete_all(connection, environment, user_key)?;
                earlier_ids::forget(connection, environment, previous_id, &user.id)
            });
        }
        Change::AddSubscription(subscription) => {
            add_subscription(connection, environment, user_key, subscription)
        }
        Change::SetQuantities { subscription, quantities } => {
            let text = quantities_to_text(quantities);
            let row = params![environment.0, user_key.0, subscription.0, text];
            connection.statement(sql::SET_QUANTITIES)?.execute(row)
        }
        Change::SetTiming { subscription, timing } => {
            let row = params![environment.0, user_key.0, subscription.0, timing_to_text(timing)];
            connection.statement(sql::SET_TIMING)?.execute(row)
        }
        Change::CancelSubscription { subscription, ended_at } => connection
            .statement(sql::CANCEL_SUBSCRIPTION)?
            .execute(params![environment.0, user_key.0, subscription.0, ended_at.as_ms()]),
        Change::PutOverride(new) => {
            return overrides::put(connection, environment, user_key, new);
        }
        Change::DeleteOverride { feature } => {
            return connection.overwriting(|connection| {
                overrides::delete(connection, environment, user_key, feature)
            });
        }
        Change::PutGrant(new) => grants::put(connection, environment, user_key, new),
        Change::SetDrawn { grant, drawn } => {
            grants::set_drawn(connection, environment, user_key, (*grant, *drawn))
        }
        Change::DeleteGrant { grant } => {
            return connection.overwriting(|connection| {
                grants::delete(connection, environment, user_key, *grant)
            });
        }
        Change::PutHold(new) => holds::put(connection, environment, user_key, new),
        Change::SetCounter { counter, value } => {
            write_counter(connection, environment, user_key, counter, Some(value))
        }
        Change::DeleteCounter { counter } => {
            write_counter(connection, environment, user_key, counter, None)
        }
        Change::LogEvent(event) => {
            let mut events = UnwrittenEvents::default();
            events.record(connection, environment, user_key, event)?;
            return events.write(connection).map(|_| ());
        }
        Change::CrossLimit(crossing) => {
            limit_crossings::write(connection, environment, user_key, crossing)
        }
        Change::ReachThreshold(event) => {
            threshold_events::write(connection, environment, user_key, event)
        }
        // A transaction keeps records itself, all of a commit together.
        Change::KeepReplay { .. } => return Ok(()),
    }?;
    Ok(())
}

fn add_subscription(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    subscription: &Subscription,
) -> rusqlite::Result<usize> {
    connection.statement(sql::ADD_SUBSCRIPTION)?.execute(params![
        environment.0,
        user.0,
        subscription.id.0,
        subscription.package.as_str(),
        subscription.status.to_name(),
        subscription.started_at.as_ms(),
        subscription.ended_at.map(Timestamp::as_ms),
        quantities_to_text(&subscription.quantities),
        timing_to_text(&subscription.timing),
    ])
}

/// Sets a counter, or deletes it if `value` is `None`.
fn write_counter(
    connection: &Connection,
    environment: EnvironmentId,
    user: UserKey,
    counter: &CounterKey,
    value: Option<&CounterValue>,
) -> rusqlite::Result<usize> {
    let (feature, start) = (counter.feature.as_str(), counter.period_start.as_ms());
    let key: [&dyn ToSql; 6] =
        [&environment.0, &user.0, &counter.subscription.0, &feature, &counter.terms.0, &start];
    match value {
        Some(CounterValue { used, marks }) => {
            let [environment, user, subscription, feature, terms, start] = key;
            let marks = marks.to_text();
            let row = [environment, user, subscription, feature, terms, start, used, &marks];
            connection.statement(sql::SET_COUNTER)?.execute(row)
        }
        None => connection.statement(sql::DELETE_COUNTER)?.execute(key),
    }
}
