use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::catalog::{Catalog, CatalogVersion};
use kana_core::counter::CounterValue;
use kana_core::facts::{CounterKey, UserFacts};
use kana_core::grant::Grant;
use kana_core::hold::Hold;
use kana_core::id::{
    FeatureId, HoldId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey,
};
use kana_core::idempotency::Replay;
use kana_core::overrides::Override;
use kana_core::subscription::Subscription;
use kana_core::threshold::ThresholdEvent;
use kana_core::user::User;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::fate::Mark;
use super::parameters::count;
use super::replays_table::ReplaysTable;
use super::rows::{no_environment, text};
use super::statements as sql;
use super::transaction::{Kind, PostgresTransaction, Question};
use super::{catalog, rows, users};
use crate::app::EnvironmentId;
use crate::columns::counter_value;
use crate::error::StoreError;
use crate::limit_crossings::{CrossedLimit, SCANNED_MAX, newest};
use crate::store::{Facts, Transaction};

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn catalog_version(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<CatalogVersion, StoreError> {
        // A writer that asks for it is about to change the catalog.
        self.claim_catalog(environment).await?;
        let rows = self.ask_one(sql::CATALOG_VERSION, &[&environment.0]).await?;
        let row = rows.first().ok_or_else(no_environment)?;
        Ok(CatalogVersion(row.try_get(0)?))
    }

    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError> {
        catalog::load(self, environment).await
    }

    async fn have_usage(
        &mut self,
        environment: EnvironmentId,
        features: &[FeatureId],
    ) -> Result<Vec<bool>, StoreError> {
        let asked = distinct(features.iter().map(FeatureId::as_str));
        let rows = self.ask_one(sql::HAVE_USAGE, &[&environment.0, &asked]).await?;
        let used: HashSet<&str> =
            rows.iter().map(|row| rows::text(row, 0)).collect::<Result<_, _>>()?;
        Ok(features.iter().map(|id| used.contains(id.as_str())).collect())
    }

    async fn active_subscribers(
        &mut self,
        environment: EnvironmentId,
        packages: &[PackageId],
        now: Timestamp,
    ) -> Result<Vec<u64>, StoreError> {
        let asked = distinct(packages.iter().map(PackageId::as_str));
        let rows =
            self.ask_one(sql::ACTIVE_SUBSCRIBERS, &[&environment.0, &asked, &now.as_ms()]).await?;
        let mut subscribers = HashMap::new();
        for row in &rows {
            let count: i64 = row.try_get(1)?;
            subscribers.insert(rows::text(row, 0)?, count.unsigned_abs());
        }
        let of = |id: &PackageId| subscribers.get(id.as_str()).copied().unwrap_or(0);
        Ok(packages.iter().map(of).collect())
    }

    async fn users(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Vec<Option<User>>, StoreError> {
        let rows = self.ask_one(&users::USERS, &[&environment.0, &texts(ids)]).await?;
        let found: Vec<User> = rows.iter().map(users::read).collect::<Result<_, _>>()?;
        let found = found.into_iter().map(|user| (user.id.clone(), user)).collect();
        Ok(in_order(ids, &found))
    }

    async fn users_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<UserKey>,
        limit: usize,
    ) -> Result<Vec<User>, StoreError> {
        let (environment, limit) = (environment.0, count(limit));
        let rows = match after {
            None => self.ask_one(&users::FIRST_USERS, &[&environment, &limit]).await?,
            Some(after) => {
                self.ask_one(&users::USERS_AFTER, &[&environment, &limit, &after.0]).await?
            }
        };
        rows.iter().map(users::read).collect()
    }

    async fn facts(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Facts, StoreError> {
        let (number, names) = (environment.0, texts(ids));
        let shared = self.shares_catalog(environment);
        let [class, object] = shared.unwrap_or_default();
        let lock: &[&(dyn ToSql + Sync)] = &[&class, &object];
        let of_users: &[&(dyn ToSql + Sync)] = &[&number, &names];
        let facts = match self.kind {
            Kind::Read => (sql::FACTS, of_users),
            Kind::Write => (sql::LOCK_FACTS, of_users),
        };
        // The server begins with the facts once it has the catalog's lock, and so sees the version
        // that the lock protects.
        let questions: Vec<Question<'_>> =
            shared.map(|_| (sql::SHARE_CATALOG, lock)).into_iter().chain([facts]).collect();
        let rows = self.ask(&questions).await?.pop().unwrap_or_default();

        let version = rows.first().ok_or_else(no_environment)?.try_get(0)?;
        if self.kind == Kind::Write
            && let Some(row) = rows.first()
        {
            self.replays_table = Some(ReplaysTable::read(row.try_get(10)?)?);
            self.mark = Some(Mark::read(row, 11)?);
        }
        let mut users = HashMap::with_capacity(rows.len());
        for row in &rows {
            let Some(key) = row.try_get::<_, Option<Uuid>>(2)? else {
                continue;
            };
            let (id, key) = (rows::user_id(row, 1)?, UserKey(key));
            self.recent_counters.insert((environment, key), rows::recent_counters(row, 4)?);
            if self.kind == Kind::Write {
                self.places.insert((environment, key), row.try_get(9)?);
            }
            let facts = UserFacts::new(key, id.clone(), rows::running_subscriptions(row, 3)?)
                .with_overrides(row.try_get(6)?)
                .with_grants(row.try_get(7)?)
                .with_holds(row.try_get(8)?);
            users.insert(id, facts);
        }
        self.check_owners(environment, ids, |id| users.get(id).map(|facts| facts.key))?;
        Ok(Facts { catalog_version: CatalogVersion(version), users: in_order(ids, &users) })
    }

    async fn subscriptions(
        &mut self,
        environment: EnvironmentId,
        ids: &[SubscriptionId],
    ) -> Result<Vec<Option<(UserId, Subscription)>>, StoreError> {
        let keys = distinct(ids.iter().map(|id| id.0));
        let rows = self.ask_one(sql::SUBSCRIPTIONS, &[&environment.0, &keys]).await?;
        let mut found = HashMap::new();
        for row in &rows {
            let (owner, key, subscription) = rows::owned_subscription(row)?;
            if self.kind == Kind::Write {
                self.owners.insert((environment, owner.clone()), key);
            }
            found.insert(subscription.id, (owner, subscription));
        }
        Ok(in_order(ids, &found))
    }

    async fn subscriptions_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<(Timestamp, SubscriptionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, Subscription)>, StoreError> {
        let (environment, limit) = (environment.0, count(limit));
        let rows = match after {
            None => self.ask_one(sql::FIRST_SUBSCRIPTIONS, &[&environment, &limit]).await?,
            Some((start, id)) => {
                let start = start.as_ms();
                self.ask_one(sql::SUBSCRIPTIONS_AFTER, &[&environment, &limit, &start, &id.0])
                    .await?
            }
        };
        let owned = |row: &Row| {
            let (owner, _, subscription) = rows::owned_subscription(row)?;
            Ok((owner, subscription))
        };
        rows.iter().map(owned).collect()
    }

    async fn subscriptions_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError> {
        self.subscriptions_by_user(sql::SUBSCRIPTIONS_OF, environment, users).await
    }

    async fn ended_subscriptions(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError> {
        self.subscriptions_by_user(sql::ENDED_SUBSCRIPTIONS, environment, users).await
    }

    async fn overrides_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Override>>, StoreError> {
        let keys = distinct(users.iter().map(|user| user.0));
        let rows = self.ask_one(sql::OVERRIDES_OF, &[&environment.0, &keys]).await?;
        let mut by_user: HashMap<UserKey, Vec<Override>> = HashMap::new();
        for row in &rows {
            let user = UserKey(row.try_get(11)?);
            by_user.entry(user).or_default().push(rows::override_of_user(row)?);
        }
        Ok(users.iter().map(|user| by_user.get(user).cloned().unwrap_or_default()).collect())
    }

    async fn grants_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Grant>>, StoreError> {
        let keys = distinct(users.iter().map(|user| user.0));
        let rows = self.ask_one(sql::GRANTS_OF, &[&environment.0, &keys]).await?;
        let mut by_user: HashMap<UserKey, Vec<Grant>> = HashMap::new();
        for row in &rows {
            let user = UserKey(row.try_get(11)?);
            by_user.entry(user).or_default().push(rows::grant_of_user(row)?);
        }
        Ok(users.iter().map(|user| by_user.get(user).cloned().unwrap_or_default()).collect())
    }

    async fn living_holds_of(
        &mut self,
        environment: EnvironmentId,
        balances: &[(UserKey, FeatureId)],
        since: Timestamp,
    ) -> Result<Vec<Vec<Hold>>, StoreError> {
        let asked = distinct(balances.iter().map(|(user, balance)| (user.0, balance.as_str())));
        let (keys, names): (Vec<Uuid>, Vec<&str>) = asked.into_iter().unzip();
        let parameters: [&(dyn ToSql + Sync); 4] = [&environment.0, &keys, &names, &since.as_ms()];
        let rows = self.ask_one(sql::LIVING_HOLDS_OF, &parameters).await?;
        let mut found: HashMap<(UserKey, FeatureId), Vec<Hold>> = HashMap::new();
        for row in &rows {
            let (user, hold) = rows::hold(row)?;
            found.entry((user, hold.balance().clone())).or_default().push(hold);
        }
        let on = |balance| found.get(balance).cloned().unwrap_or_default();
        Ok(balances.iter().map(on).collect())
    }

    async fn holds(
        &mut self,
        environment: EnvironmentId,
        ids: &[(UserKey, HoldId)],
    ) -> Result<Vec<Option<Hold>>, StoreError> {
        let (users, names): (Vec<Uuid>, Vec<&str>) =
            ids.iter().map(|(user, id)| (user.0, id.as_str())).unzip();
        let rows = self.ask_one(sql::HOLDS, &[&environment.0, &users, &names]).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let (user, hold) = rows::hold(row)?;
            found.insert((user, hold.id.clone()), hold);
        }
        Ok(in_order(ids, &found))
    }

    async fn counters(
        &mut self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Result<Vec<Option<CounterValue>>, StoreError> {
        let users = counters.iter().map(|(user, _)| *user);
        self.load_recent_counters(environment, users).await?;
        let recent: Vec<Option<Option<CounterValue>>> = counters
            .iter()
            .map(|(user, counter)| self.recent_counters.get(&(environment, *user))?.value(counter))
            .collect();
        let older = counters.iter().zip(&recent).filter(|(_, value)| value.is_none());
        let older: Vec<&(UserKey, CounterKey)> = older.map(|(counter, _)| counter).collect();
        let mut older = self.older_counters(environment, &older).await?.into_iter();
        Ok(recent.into_iter().map(|value| value.or_else(|| older.next()).flatten()).collect())
    }

    async fn counters_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<&(UserKey, CounterKey)>,
        limit: usize,
    ) -> Result<Vec<(UserKey, CounterKey)>, StoreError> {
        let limit = count(limit);
        let rows = match after {
            // No user has the nil key, so this is before the first counter.
            None => {
                let nobody = Uuid::nil();
                self.ask_one(
                    sql::COUNTERS_AFTER,
                    &[&environment.0, &nobody, &nobody, &"", &0_i64, &0_i64, &limit],
                )
                .await?
            }
            Some((user, counter)) => {
                let (terms, start) = (i64::from(counter.terms.0), counter.period_start.as_ms());
                let feature = counter.feature.as_str();
                self.ask_one(
                    sql::COUNTERS_AFTER,
                    &[
                        &environment.0,
                        &user.0,
                        &counter.subscription.0,
                        &feature,
                        &terms,
                        &start,
                        &limit,
                    ],
                )
                .await?
            }
        };
        rows.iter().map(rows::counter_key).collect()
    }

    async fn replays(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<Vec<Option<Replay>>, StoreError> {
        let names = distinct(keys.iter().map(IdempotencyKey::as_str));
        let statement = match self.kind {
            Kind::Read => sql::REPLAYS,
            Kind::Write => self.replays_table(environment).await?.look(),
        };
        let rows = self.ask_one(statement, &[&environment.0, &names]).await?;
        let kept = rows.iter().map(rows::replay).collect::<Result<_, _>>()?;
        Ok(in_order(keys, &kept))
    }

    async fn threshold_events(
        &mut self,
        environment: EnvironmentId,
        user: Option<UserKey>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<(UserId, ThresholdEvent)>, StoreError> {
        // No event has the nil id, so this is before the first one.
        let (after, limit) = (after.unwrap_or_default(), count(limit));
        let rows = match user {
            None => {
                let asked: &[&(dyn ToSql + Sync)] = &[&environment.0, &after, &limit];
                self.ask_one(sql::THRESHOLD_EVENTS_AFTER, asked).await?
            }
            Some(user) => {
                let asked: &[&(dyn ToSql + Sync)] = &[&environment.0, &after, &limit, &user.0];
                self.ask_one(sql::THRESHOLD_EVENTS_OF_USER_AFTER, asked).await?
            }
        };
        let read = |row| Ok((rows::user_id(row, 12)?, rows::threshold_event(row)?));
        rows.iter().map(read).collect()
    }

    async fn limit_crossings(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<CrossedLimit>, StoreError> {
        let (now, scanned) = (now.as_ms(), count(SCANNED_MAX));
        let rows = self.ask_one(sql::LIMIT_CROSSINGS, &[&environment.0, &now, &scanned]).await?;
        let crossed = |row: &Row| {
            Ok(CrossedLimit {
                user: UserId::new("stored user id", text(row, 0)?)?,
                feature: FeatureId::new("stored feature id", text(row, 1)?)?,
            })
        };
        let crossed: Result<_, StoreError> = rows.iter().map(crossed).collect();
        Ok(newest(crossed?, limit))
    }

    async fn keys_kept_before(
        &mut self,
        _environment: EnvironmentId,
        _before: Timestamp,
        _limit: usize,
    ) -> Result<Vec<IdempotencyKey>, StoreError> {
        // PostgreSQL forgets keys a table at a time.
        Ok(Vec::new())
    }
}

impl PostgresTransaction {
    async fn subscriptions_by_user(
        &mut self,
        statement: &'static str,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError> {
        let keys = distinct(users.iter().map(|user| user.0));
        let rows = self.ask_one(statement, &[&environment.0, &keys]).await?;
        let mut by_user: HashMap<UserKey, Vec<Subscription>> = HashMap::new();
        for row in &rows {
            let user = UserKey(row.try_get(7)?);
            by_user.entry(user).or_default().push(rows::subscription(row, 0)?);
        }
        Ok(users.iter().map(|user| by_user.get(user).cloned().unwrap_or_default()).collect())
    }

    /// Looks up the counters in users' rows, unless they came with the facts. A user who does not exist
    /// has none.
    pub(super) async fn load_recent_counters(
        &mut self,
        environment: EnvironmentId,
        users: impl Iterator<Item = UserKey>,
    ) -> Result<(), StoreError> {
        let unknown =
            users.filter(|user| !self.recent_counters.contains_key(&(environment, *user)));
        let unknown = distinct(unknown.map(|user| user.0));
        if unknown.is_empty() {
            return Ok(());
        }
        let rows = self.ask_one(sql::RECENT_COUNTERS, &[&environment.0, &unknown]).await?;
        for row in &rows {
            let user = UserKey(row.try_get(0)?);
            self.recent_counters.insert((environment, user), rows::recent_counters(row, 1)?);
        }
        Ok(())
    }

    /// Reads the table of counters.
    async fn older_counters(
        &mut self,
        environment: EnvironmentId,
        counters: &[&(UserKey, CounterKey)],
    ) -> Result<Vec<Option<CounterValue>>, StoreError> {
        if counters.is_empty() {
            return Ok(Vec::new());
        }
        let users: Vec<Uuid> = counters.iter().map(|(user, _)| user.0).collect();
        let subscriptions: Vec<Uuid> =
            counters.iter().map(|(_, counter)| counter.subscription.0).collect();
        let features: Vec<&str> =
            counters.iter().map(|(_, counter)| counter.feature.as_str()).collect();
        let terms: Vec<i64> = counters.iter().map(|(_, counter)| counter.terms.0.into()).collect();
        let periods: Vec<i64> =
            counters.iter().map(|(_, counter)| counter.period_start.as_ms()).collect();
        let rows = self
            .ask_one(
                sql::COUNTERS,
                &[&environment.0, &users, &subscriptions, &features, &terms, &periods],
            )
            .await?;
        let mut values = vec![None; counters.len()];
        for row in &rows {
            // Positions count from 1.
            let place = usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX);
            if let Some(value) = values.get_mut(place) {
                *value = Some(counter_value(row.try_get(1)?, row.try_get(2)?)?);
            }
        }
        Ok(values)
    }

    /// A writer must not decide on what another can still change: a subscription's owner may have a
    /// new id by now.
    fn check_owners(
        &self,
        environment: EnvironmentId,
        ids: &[UserId],
        found: impl Fn(&UserId) -> Option<UserKey>,
    ) -> Result<(), StoreError> {
        for id in ids {
            let owner = self.owners.get(&(environment, id.clone()));
            if owner.is_some_and(|owner| found(id) != Some(*owner)) {
                return Err(StoreError::Conflict("a user's id has changed meanwhile".into()));
            }
        }
        Ok(())
    }
}

/// Sorts ids and removes duplicates. Users are locked in this order.
fn texts(ids: &[UserId]) -> Vec<&str> {
    distinct(ids.iter().map(UserId::as_str))
}

/// Collects values for an array of a statement.
pub(super) fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// Returns what was found, in the order in which it was asked for.
fn in_order<K: Eq + Hash, V: Clone>(asked: &[K], found: &HashMap<K, V>) -> Vec<Option<V>> {
    asked.iter().map(|key| found.get(key).cloned()).collect()
}
