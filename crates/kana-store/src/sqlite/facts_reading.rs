//! Reads for a question about one user: from memory if everything is there, else from a snapshot of the same
//! instant.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::catalog::{Catalog, CatalogVersion};
use kana_core::counter::CounterValue;
use kana_core::facts::CounterKey;
use kana_core::grant::Grant;
use kana_core::hold::Hold;
use kana_core::id::{
    FeatureId, HoldId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey,
};
use kana_core::idempotency::Replay;
use kana_core::metadata::Label;
use kana_core::overrides::Override;
use kana_core::subscription::Subscription;
use kana_core::threshold::ThresholdEvent;
use kana_core::user::User;
use kana_telemetry::metrics::cache::{self, CacheName};
use uuid::Uuid;

use super::facts_cache::{
    AsOf, COUNTERS_MAX, Counter, FactsCache, Found, KnownUser, LookedUp, Rows,
};
use super::holds;
use super::readers::{ReadLease, ReaderPool};
use super::transaction::SqliteTransaction;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::limit_crossings::CrossedLimit;
use crate::store::{Facts, Transaction};
use crate::usage_events::{EventCursor, EventsOfUser, UsageEvents};
use crate::user_imports::{UserImport, UserImportId, UserImportLine, UserImportName, UserImports};
use crate::user_search::{Match, Prefix, UserSearch};

/// A transaction that begins its snapshot when something is asked for that is not in memory.
pub(super) struct FactsReading {
    pool: Arc<ReaderPool>,
    /// The user whose facts were asked for first.
    about: Option<About>,
    /// Whether a snapshot that is kept may be too old.
    needs_new_snapshot: bool,
    snapshot: Option<SqliteTransaction<ReadLease>>,
}

/// The user whom a question is about.
struct About {
    environment: EnvironmentId,
    id: UserId,
    key: UserKey,
    known: Known,
}

/// Where a user's facts are from.
enum Known {
    /// From memory, as of an instant. All that is read after it must be of the same.
    InMemory(AsOf),
    /// From the snapshot, as far as they were read. They are added to those in memory at the end.
    Read(CatalogVersion, KnownUser),
}

impl FactsReading {
    pub(super) fn new(pool: Arc<ReaderPool>) -> Self {
        Self { pool, about: None, needs_new_snapshot: false, snapshot: None }
    }

    /// Returns the snapshot. Begins it, of the instant of what was found in memory.
    fn snapshot(&mut self) -> Result<&mut SqliteTransaction<ReadLease>, StoreError> {
        let snapshot = match self.snapshot.take() {
            Some(snapshot) => snapshot,
            None => self.begin()?,
        };
        Ok(self.snapshot.insert(snapshot))
    }

    fn begin(&self) -> Result<SqliteTransaction<ReadLease>, StoreError> {
        let snapshot = if self.needs_new_snapshot {
            self.pool.take_new_view()?
        } else {
            self.pool.take_view()?
        };
        if let (Some(About { environment, id, known: Known::InMemory(as_of), .. }), Some(cache)) =
            (&self.about, self.cache())
            && !cache.is_still(*environment, id, *as_of)
        {
            let why = "the user or the catalog changed while a question was read";
            return Err(StoreError::Conflict(why.into()));
        }
        Ok(SqliteTransaction::begin_read(snapshot))
    }

    fn cache(&self) -> Option<&FactsCache> {
        self.pool.facts_cache()
    }

    /// Returns the instant of what was found in memory, until a snapshot has begun.
    fn in_memory(&self, environment: EnvironmentId) -> Option<AsOf> {
        let about = self.about.as_ref().filter(|about| about.environment == environment)?;
        match about.known {
            Known::InMemory(as_of) if self.snapshot.is_none() => Some(as_of),
            _ => None,
        }
    }

    /// Looks for the facts of the first user that is asked for.
    fn look_up(&mut self, environment: EnvironmentId, ids: &[UserId]) -> Option<Facts> {
        let [id] = ids else { return None };
        if self.about.is_some() || self.snapshot.is_some() {
            return None;
        }
        let looked_up = self.cache()?.look_up(environment, id);
        cache::looked_up(CacheName::Facts, matches!(looked_up, LookedUp::Found(_)));
        self.needs_new_snapshot = looked_up == LookedUp::Changing;
        let LookedUp::Found(Found { as_of, user }) = looked_up else { return None };
        let known = Known::InMemory(as_of);
        self.about = Some(About { environment, id: id.clone(), key: user.key, known });
        let users = vec![Some(user.into_facts(id))];
        Some(Facts { catalog_version: as_of.catalog_version, users })
    }

    /// Notes the facts of the first user that was asked for.
    fn note(&mut self, environment: EnvironmentId, ids: &[UserId], facts: &Facts) {
        let ([id], [Some(user)]) = (ids, facts.users.as_slice()) else { return };
        if self.about.is_none() && self.cache().is_some() {
            let known = Known::Read(facts.catalog_version, KnownUser::new(user));
            self.about = Some(About { environment, id: id.clone(), key: user.key, known });
        }
    }

    /// Notes counters of the user whom the question is about.
    fn note_counters(
        &mut self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
        values: &[Option<CounterValue>],
    ) {
        let Some(about) = self.about.as_mut().filter(|about| about.environment == environment)
        else {
            return;
        };
        let is_about_it = |(user, _): &(UserKey, CounterKey)| *user == about.key;
        if counters.len() > COUNTERS_MAX || !counters.iter().all(is_about_it) {
            return;
        }
        let read: Vec<Counter> = counters
            .iter()
            .zip(values)
            .map(|((_, counter), value)| (counter.clone(), value.clone()))
            .collect();
        match &mut about.known {
            Known::Read(_, user) => user.learn(&read),
            Known::InMemory(_) => {
                if let (Some(cache), Some(snapshot)) = (self.pool.facts_cache(), &self.snapshot) {
                    let read = (about.key, read.as_slice());
                    cache.learn_counters(environment, &about.id, read, || snapshot.is_current());
                }
            }
        }
    }
}

impl FactsReading {
    /// Notes all overrides or grants, or that no hold lives, of the user whom the question is about.
    fn note_rows(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
        rows: impl FnOnce() -> Option<Rows>,
    ) {
        let is_about_it = |about: &&mut About| {
            about.environment == environment && matches!(users, [user] if *user == about.key)
        };
        let Some(about) = self.about.as_mut().filter(is_about_it) else { return };
        let Some(rows) = rows() else { return };
        match &mut about.known {
            Known::Read(_, user) => user.learn_rows(rows),
            Known::InMemory(_) => {
                if let (Some(cache), Some(snapshot)) = (self.pool.facts_cache(), &self.snapshot) {
                    let read = (about.key, rows);
                    cache.learn_rows(environment, &about.id, read, || snapshot.is_current());
                }
            }
        }
    }
}

impl Drop for FactsReading {
    fn drop(&mut self) {
        if let (
            Some(About { environment, id, known: Known::Read(version, user), .. }),
            Some(snapshot),
            Some(cache),
        ) = (&self.about, &self.snapshot, self.pool.facts_cache())
        {
            cache.learn(*environment, id, (*version, user), || snapshot.is_current());
        }
    }
}

/// Methods that ask the snapshot.
macro_rules! from_snapshot {
    (impl $name:ident { $($own:item)* } $(
        $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;
    )*) => {
        #[async_trait]
        impl $name for FactsReading {
            $($own)*

            $(async fn $method(&mut self, $($argument: $type),*) -> Result<$answer, StoreError> {
                self.snapshot()?.$method($($argument),*).await
            })*
        }
    };
}

from_snapshot! {
    impl Transaction {
        async fn catalog_version(
            &mut self,
            environment: EnvironmentId,
        ) -> Result<CatalogVersion, StoreError> {
            if let Some(as_of) = self.in_memory(environment) {
                return Ok(as_of.catalog_version);
            }
            self.snapshot()?.catalog_version(environment).await
        }

        async fn facts(
            &mut self,
            environment: EnvironmentId,
            ids: &[UserId],
        ) -> Result<Facts, StoreError> {
            if let Some(facts) = self.look_up(environment, ids) {
                return Ok(facts);
            }
            let facts = self.snapshot()?.facts(environment, ids).await?;
            self.note(environment, ids, &facts);
            Ok(facts)
        }

        async fn counters(
            &mut self,
            environment: EnvironmentId,
            counters: &[(UserKey, CounterKey)],
        ) -> Result<Vec<Option<CounterValue>>, StoreError> {
            // Those in memory came with the facts.
            if self.in_memory(environment).is_some() {
                cache::looked_up(CacheName::Facts, false);
            }
            let values = self.snapshot()?.counters(environment, counters).await?;
            self.note_counters(environment, counters, &values);
            Ok(values)
        }

        async fn overrides_of(
            &mut self,
            environment: EnvironmentId,
            users: &[UserKey],
        ) -> Result<Vec<Vec<Override>>, StoreError> {
            let all = self.snapshot()?.overrides_of(environment, users).await?;
            self.note_rows(environment, users, || Some(Rows::Overrides(all.first()?.clone())));
            Ok(all)
        }

        async fn living_holds_of(
            &mut self,
            environment: EnvironmentId,
            balances: &[(UserKey, FeatureId)],
            since: Timestamp,
        ) -> Result<Vec<Vec<Hold>>, StoreError> {
            let snapshot = self.snapshot()?;
            let all = snapshot.living_holds_of(environment, balances, since).await?;
            for user in holds::users_without(balances, &all) {
                if !self.snapshot()?.some_hold_lives(environment, user, since)? {
                    self.note_rows(environment, &[user], || Some(Rows::NoHolds));
                }
            }
            Ok(all)
        }

        async fn grants_of(
            &mut self,
            environment: EnvironmentId,
            users: &[UserKey],
        ) -> Result<Vec<Vec<Grant>>, StoreError> {
            let all = self.snapshot()?.grants_of(environment, users).await?;
            self.note_rows(environment, users, || Some(Rows::Grants(all.first()?.clone())));
            Ok(all)
        }
    }

    catalog(environment: EnvironmentId) -> Catalog;
    have_usage(environment: EnvironmentId, features: &[FeatureId]) -> Vec<bool>;
    active_subscribers(
        environment: EnvironmentId,
        packages: &[PackageId],
        now: Timestamp
    ) -> Vec<u64>;
    users(environment: EnvironmentId, ids: &[UserId]) -> Vec<Option<User>>;
    users_after(environment: EnvironmentId, after: Option<UserKey>, limit: usize) -> Vec<User>;
    subscriptions(
        environment: EnvironmentId,
        ids: &[SubscriptionId]
    ) -> Vec<Option<(UserId, Subscription)>>;
    subscriptions_after(
        environment: EnvironmentId,
        after: Option<(Timestamp, SubscriptionId)>,
        limit: usize
    ) -> Vec<(UserId, Subscription)>;
    subscriptions_of(environment: EnvironmentId, users: &[UserKey]) -> Vec<Vec<Subscription>>;
    ended_subscriptions(environment: EnvironmentId, users: &[UserKey]) -> Vec<Vec<Subscription>>;
    holds(environment: EnvironmentId, ids: &[(UserKey, HoldId)]) -> Vec<Option<Hold>>;
    counters_after(
        environment: EnvironmentId,
        after: Option<&(UserKey, CounterKey)>,
        limit: usize
    ) -> Vec<(UserKey, CounterKey)>;
    limit_crossings(
        environment: EnvironmentId,
        now: Timestamp,
        limit: usize
    ) -> Vec<CrossedLimit>;
    threshold_events(
        environment: EnvironmentId,
        user: Option<UserKey>,
        after: Option<Uuid>,
        limit: usize
    ) -> Vec<(UserId, ThresholdEvent)>;
    replays(environment: EnvironmentId, keys: &[IdempotencyKey]) -> Vec<Option<Replay>>;
    keys_kept_before(
        environment: EnvironmentId,
        before: Timestamp,
        limit: usize
    ) -> Vec<IdempotencyKey>;
}

from_snapshot! {
    impl UserSearch {}

    users_with_prefix(
        environment: EnvironmentId,
        prefix: &Prefix,
        after: Option<&Match>,
        limit: usize
    ) -> Vec<Match>;
    subscribers_after(
        environment: EnvironmentId,
        package: &PackageId,
        now: Timestamp,
        after: Option<UserKey>,
        limit: usize
    ) -> Vec<UserKey>;
    are_subscribed(
        environment: EnvironmentId,
        package: &PackageId,
        now: Timestamp,
        users: &[UserKey]
    ) -> Vec<bool>;
    users_by_key(environment: EnvironmentId, keys: &[UserKey]) -> Vec<Option<User>>;
}

from_snapshot! {
    impl UsageEvents {}

    events_of(
        environment: EnvironmentId,
        user: UserKey,
        after: Option<EventCursor>,
        limit: usize,
        patience: Duration
    ) -> EventsOfUser;
}

from_snapshot! {
    impl UserImports {}

    user_imports(environment: EnvironmentId) -> Vec<UserImport>;
    user_import_lines(
        environment: EnvironmentId,
        import: UserImportId,
        kind: &str,
        after: u32,
        at_most: usize
    ) -> Vec<UserImportLine>;
    user_import_names(
        environment: EnvironmentId,
        import: UserImportId,
        names: &[UserId]
    ) -> Vec<Option<UserImportName>>;
    users_with_email(environment: EnvironmentId, emails: &[Label]) -> Vec<Vec<UserId>>;
}
