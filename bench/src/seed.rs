//! Fills a database through the store itself, in large transactions, before a server runs on it. The catalog comes later, over the API.

use anyhow::{Context, Result};
use kana_core::Timestamp;
use kana_core::facts::{Change, CounterKey};
use kana_core::id::{FeatureId, PackageId, SubscriptionId, UserId, UserKey};
use kana_core::quantity::Quantities;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::terms::TermsNumber;
use kana_core::timing::Timing;
use kana_core::usage::{LoggedAction, UsageEvent};
use kana_core::user::User;
use kana_service::{Clock, SystemClock};
use kana_store::postgres::Settings;
use kana_store::{EnvironmentId, PostgresStore, SqliteStore, Store};
use uuid::{Builder, Uuid};

use crate::database::Database;
use crate::stop::Stop;

/// The feature that is used, the package that gives it, and how much of it in a month: more than
/// any run can use.
pub(crate) const FEATURE: &str = "api-calls";
pub(crate) const PACKAGE: &str = "pro";
pub(crate) const LIMIT: u32 = 2_000_000_000;

/// All users' ids are of one length, so that requests are too.
pub(crate) const USER_DIGITS: usize = 7;
pub(crate) const USERS_MAX: u32 = 10_000_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Subscriptions start this long ago, one millisecond after the other: within their first month
/// also when the run is over.
const STARTED_AGO_MS: i64 = 20 * DAY_MS;

/// Users and events in one transaction.
const USERS_AT_ONCE: u32 = 5000;
const EVENTS_AT_ONCE: u32 = 20_000;

/// The id of a user.
pub(crate) fn user_id(user: u32) -> String {
    format!("user-{user:0USER_DIGITS$}")
}

/// Writes the digits of a user's id over those of another's.
pub(crate) fn write_user_digits(digits: &mut [u8], mut user: u32) {
    for digit in digits.iter_mut().rev() {
        // What is left after a division by ten is a digit.
        *digit = b'0' + (user % 10) as u8;
        user /= 10;
    }
}

/// Makes an app in the new database, with users who are subscribed, and with events of
/// theirs which are counted. Answers the private key of its test environment.
pub(crate) fn seed(database: &Database, users: u32, events: u32, stop: &Stop) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = open(database).await.context("cannot open a new database")?;
        let store = store.as_ref();
        let keys = kana_service::init(store, &SystemClock, "bench").await?;
        let key = keys.context("the database is not new")?.test_private;
        let found = store.find_key(key.hash()).await?.context("the key is not there")?;
        let seeding = Seeding::new(store, found.environment, users, events)?;
        seeding.write_users(stop).await?;
        seeding.write_events(stop).await?;
        Ok(key.reveal().to_owned())
    })
}

async fn open(database: &Database) -> Result<Box<dyn Store>> {
    Ok(match database {
        Database::Embedded(data_dir) => Box::new(SqliteStore::open(data_dir)?),
        Database::Shared(url) => Box::new(PostgresStore::open(url, Settings::default()).await?),
    })
}

struct Seeding<'a> {
    store: &'a dyn Store,
    environment: EnvironmentId,
    users: u32,
    events: u32,
    feature: FeatureId,
    package: PackageId,
    now: Timestamp,
}

impl<'a> Seeding<'a> {
    fn new(
        store: &'a dyn Store,
        environment: EnvironmentId,
        users: u32,
        events: u32,
    ) -> Result<Self> {
        Ok(Self {
            store,
            environment,
            users,
            events,
            feature: FeatureId::new("feature", FEATURE)?,
            package: PackageId::new("package", PACKAGE)?,
            now: SystemClock.now(),
        })
    }

    async fn write_users(&self, stop: &Stop) -> Result<()> {
        for first in (0..self.users).step_by(USERS_AT_ONCE as usize) {
            stop.check()?;
            let mut changes = Vec::new();
            for user in first..self.users.min(first.saturating_add(USERS_AT_ONCE)) {
                self.add_user(user, &mut changes)?;
            }
            self.write(&changes).await?;
            report("users", first, self.users);
        }
        Ok(())
    }

    async fn write_events(&self, stop: &Stop) -> Result<()> {
        for first in (0..self.events).step_by(EVENTS_AT_ONCE as usize) {
            stop.check()?;
            let last = self.events.min(first.saturating_add(EVENTS_AT_ONCE));
            let changes: Vec<_> = (first..last).map(|event| self.event(event)).collect();
            self.write(&changes).await?;
            report("events", first, self.events);
        }
        Ok(())
    }

    async fn write(&self, changes: &[(UserKey, Change)]) -> Result<()> {
        let mut transaction = self.store.write().await?;
        transaction.change_facts(self.environment, changes).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// A user, the user's subscription, and what it has used: the user's part of all events.
    fn add_user(&self, user: u32, changes: &mut Vec<(UserKey, Change)>) -> Result<()> {
        let key = self.user_key(user);
        let subscription = self.subscription(user);
        let profile = User { key, ..User::named(UserId::new("user", &user_id(user))?) };
        let counter = CounterKey {
            subscription: subscription.id,
            feature: self.feature.clone(),
            terms: TermsNumber::default(),
            period_start: subscription.started_at,
        };
        let share = self.events / self.users + u32::from(user < self.events % self.users);
        changes.push((key, Change::CreateUser(profile)));
        changes.push((key, Change::AddSubscription(subscription)));
        if share > 0 {
            changes.push((key, Change::SetCounter { counter, value: i64::from(share).into() }));
        }
        Ok(())
    }

    /// One event of the user whose turn it is.
    fn event(&self, event: u32) -> (UserKey, Change) {
        let user = event % self.users;
        let at = self.now.saturating_add_ms(i64::from(event) - i64::from(self.events));
        let logged = UsageEvent {
            feature: self.feature.clone(),
            action: LoggedAction::Add,
            delta: 1,
            occurred_at: at,
            recorded_at: at,
            amount: 1,
            drawn: None,
            subscription: Some(self.subscription(user).id),
            idempotency_key: None,
            metadata: None,
        };
        (self.user_key(user), Change::LogEvent(logged))
    }

    fn user_key(&self, user: u32) -> UserKey {
        UserKey(self.id(user, 1))
    }

    fn subscription(&self, user: u32) -> Subscription {
        Subscription {
            id: SubscriptionId(self.id(user, 2)),
            package: self.package.clone(),
            status: SubscriptionStatus::Active,
            started_at: self.created_at(user),
            ended_at: None,
            quantities: Quantities::ONE,
            timing: Timing::NONE,
        }
    }

    fn created_at(&self, user: u32) -> Timestamp {
        self.now.saturating_add_ms(i64::from(user) - STARTED_AGO_MS)
    }

    /// A version 7 UUID of that time, whose random part can be told again without being kept.
    fn id(&self, user: u32, kind: u64) -> Uuid {
        let mut random = [0; 10];
        let seed = u64::from(user) << 2 | kind;
        fastrand::Rng::with_seed(seed).fill(&mut random);
        let ms = u64::try_from(self.created_at(user).as_ms()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
    }
}

/// Says how far it is, on standard error, now and then.
fn report(what: &str, done: u32, all: u32) {
    const EVERY: u32 = 1_000_000;
    if done > 0 && done.is_multiple_of(EVERY) {
        eprintln!("    {done} of {all} {what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_written_over_digits() {
        let mut id = user_id(0).into_bytes();
        let start = id.len() - USER_DIGITS;
        for user in [0, 7, 123, USERS_MAX - 1] {
            write_user_digits(&mut id[start..], user);
            assert_eq!(id, user_id(user).into_bytes());
        }
    }
}
