use std::cell::OnceCell;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use foldhash::HashSet;
use kana_core::Timestamp;
use kana_core::catalog::{Catalog, CatalogChange, CatalogVersion};
use kana_core::counter::CounterValue;
use kana_core::facts::{Change, CounterKey, UserFacts};
use kana_core::grant::Grant;
use kana_core::hold::Hold;
use kana_core::id::{
    FeatureId, HoldId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey,
};
use kana_core::idempotency::Replay;
use kana_core::overrides::Override;
use kana_core::subscription::Subscription;
use kana_core::threshold::ThresholdEvent;
use kana_core::usage::UsageEvent;
use kana_core::user::User;
use kana_telemetry::metrics::cache::{self, CacheName};
use tokio::sync::{Notify, OwnedMutexGuard};
use uuid::Uuid;

use super::checkpoints::Checkpoints;
use super::connection::Connection;
use super::counter_log::{self, CounterSet};
use super::event_log::UnwrittenEvents;
use super::facts_cache::{CommitUnderWay, Counter, FactsChanges, Found, KnownUser, LookedUp, Rows};
use super::lease::Lease;
use super::readers::{ReadLease, ReaderPool};
use super::replays::{ReplayOptions, ReplaysInUse, StoredReplays};
use super::unfolded_usage::UnfoldedUsage;
use super::usage_by_day::{self, Deltas};
use super::write_behind::WriteBehind;
use super::{
    catalog, facts, feed, grants, holds, keys, limit_crossings, lists, overrides, threshold_events,
    usage_events, user_search, users,
};
use crate::app::{EnvironmentId, EnvironmentKind, Key, NewKey};
use crate::error::StoreError;
use crate::feed::Records;
use crate::limit_crossings::CrossedLimit;
use crate::store::{Facts, Transaction, WriteTransaction};
use crate::usage_events::{EventCursor, EventsOfUser, UsageEvents};
use crate::user_search::{Match, Prefix, UserSearch};

/// The connection that writes, and for a server what it does between and with its commits.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) server: Option<ServersWriter>,
    /// The idempotency records; `None` if they must be read first.
    pub(super) replays: Option<StoredReplays>,
    pub(super) replay_options: ReplayOptions,
    /// Features of which it is stored that they were used: as many as catalogs have at most.
    pub(super) used_features: HashSet<(EnvironmentId, FeatureId)>,
    /// Is notified of commits that scheduled jobs.
    pub(super) jobs_scheduled: Arc<Notify>,
}

/// What a server's writer, which alone changes counters, does beside writing.
pub(super) struct ServersWriter {
    pub(super) checkpoints: Checkpoints,
    pub(super) behind: WriteBehind,
    pub(super) usage: UnfoldedUsage,
}

/// The connection that writes, which nobody else has meanwhile.
pub(super) struct WriteLease {
    writer: OwnedMutexGuard<Writer>,
    pool: Arc<ReaderPool>,
    /// The number of the commit that this is to become.
    number: u64,
    /// What every view shows that somebody reads through, or begins to.
    shown_by_all: u64,
    /// How many rows have been changed.
    changes: usize,
    /// Counters that were changed and are not in their table.
    sets: Vec<CounterSet>,
    events: UnwrittenEvents,
    /// What the usage events add to the usage by day.
    usage: Deltas,
    /// What changes of the facts in memory.
    facts: FactsChanges,
    /// The same, while it is committed.
    committing: Option<CommitUnderWay>,
    /// Features that were used for the first time.
    used_features: HashSet<(EnvironmentId, FeatureId)>,
    schedules_jobs: bool,
    replays: ReplaysInUse,
    /// Whether what the writer knows of stored records is ahead of what is committed.
    replays_are_ahead: bool,
    /// Without a server: whether the log of counters was written to their table.
    written_through: OnceCell<()>,
}

impl WriteLease {
    pub(super) fn new(mut writer: OwnedMutexGuard<Writer>, pool: &Arc<ReaderPool>) -> Self {
        if writer.server.is_none() {
            // Another process may have changed them.
            writer.replays = None;
        }
        Self {
            writer,
            pool: Arc::clone(pool),
            number: pool.commits() + 1,
            shown_by_all: pool.shown_by_all(),
            changes: 0,
            sets: Vec::new(),
            events: UnwrittenEvents::default(),
            usage: Deltas::new(),
            facts: FactsChanges::default(),
            committing: None,
            used_features: HashSet::default(),
            schedules_jobs: false,
            replays: ReplaysInUse::default(),
            replays_are_ahead: false,
            written_through: OnceCell::new(),
        }
    }

    /// Writes what a server that was killed has left in the log of counters to their table, before
    /// that is used without a server.
    fn write_through(&self) -> Result<(), StoreError> {
        if self.written_through.set(()).is_ok() {
            counter_log::write_through(&self.writer.connection)?;
        }
        Ok(())
    }

    /// Stores once that the feature was used.
    fn note_usage(
        &mut self,
        environment: EnvironmentId,
        feature: &FeatureId,
    ) -> Result<(), StoreError> {
        let used = (environment, feature.clone());
        if self.writer.used_features.contains(&used) || self.used_features.contains(&used) {
            return Ok(());
        }
        catalog::note_usage(self, environment, feature)?;
        self.used_features.insert(used);
        Ok(())
    }

    /// Returns the idempotency records, as they are in this transaction.
    fn all_replays(
        &mut self,
    ) -> Result<(&mut ReplaysInUse, &mut StoredReplays, &Connection), StoreError> {
        let Writer { connection, replays, replay_options, .. } = &mut *self.writer;
        let stored = match replays {
            Some(stored) => stored,
            None => replays.insert(StoredReplays::load(connection, *replay_options)?),
        };
        Ok((&mut self.replays, stored, connection))
    }

    fn keep_replay(
        &mut self,
        environment: EnvironmentId,
        key: &IdempotencyKey,
        replay: &Replay,
    ) -> Result<(), StoreError> {
        self.changes += 1;
        let (in_use, stored, connection) = self.all_replays()?;
        in_use.keep((stored, connection), environment, key, replay)
    }

    fn forget_replays(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<(), StoreError> {
        self.replays_are_ahead = true;
        for key in keys {
            let (in_use, stored, connection) = self.all_replays()?;
            self.changes += in_use.forget((stored, connection), environment, key)?;
        }
        Ok(())
    }

    /// Changes what is stored of idempotency records.
    pub(super) fn change_replays(
        &mut self,
        change: impl FnOnce(&mut StoredReplays, &Connection) -> Result<usize, StoreError>,
    ) -> Result<usize, StoreError> {
        let were_ahead = std::mem::replace(&mut self.replays_are_ahead, true);
        let (_, stored, connection) = self.all_replays()?;
        let changed = change(stored, connection)?;
        for error in stored.take_failed_merges() {
            let what = "cannot merge idempotency keys";
            self.pool.health().note_in_background(error, what);
        }
        self.replays_are_ahead = were_ahead || changed > 0;
        self.changes += changed;
        Ok(changed)
    }

    /// Writes the idempotency records that the transaction keeps.
    fn write_replays(&mut self) -> Result<(), StoreError> {
        if !self.replays.keeps_none() {
            let mut in_use = std::mem::take(&mut self.replays);
            self.change_replays(|stored, connection| in_use.write((stored, connection)))?;
        }
        Ok(())
    }

    fn change_facts(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        change: &Change,
    ) -> Result<(), StoreError> {
        if let Change::KeepReplay { key, replay } = change {
            return self.keep_replay(environment, key, replay);
        }
        self.note_change(environment, user, change)?;
        if let Change::SetCounter { counter: CounterKey { feature, .. }, .. }
        | Change::LogEvent(UsageEvent { feature, .. })
        // What a user was given keeps a feature as usage does.
        | Change::PutOverride(Override { feature, .. })
        | Change::PutGrant(Grant { feature, .. })
        | Change::PutHold(Hold { feature, .. }) = change
        {
            self.note_usage(environment, feature)?;
        }
        if let Change::LogEvent(event) = change {
            self.usage.entry(environment).or_default().add_event(event);
            self.changes +=
                self.events.record(&self.writer.connection, environment, user, event)?;
            return Ok(());
        }
        let (counter, value) = match change {
            Change::SetCounter { counter, value } => (counter, Some(value.clone())),
            Change::DeleteCounter { counter } => (counter, None),
            change => {
                facts::write(self, environment, user, change)?;
                self.changes += 1;
                return Ok(());
            }
        };
        self.set_counter(CounterSet { environment, counter: (user, counter.clone()), value })
    }

    /// Notes a change for the facts in memory.
    fn note_change(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        change: &Change,
    ) -> Result<(), StoreError> {
        if self.pool.facts_cache().is_none() {
            return Ok(());
        }
        if self.facts.needs_id(environment, user, change)
            && let Some(found) = users::users_by_key(self, environment, &[user])?.pop().flatten()
        {
            self.facts.note_id(environment, user, &found.id);
        }
        self.facts.note(environment, user, change);
        Ok(())
    }

    /// Notes in the facts in memory what is about to be committed.
    fn begin_to_commit(&mut self) {
        if let Some(cache) = self.pool.facts_cache()
            && !self.facts.is_empty()
        {
            self.committing = Some(cache.begin(std::mem::take(&mut self.facts)));
        }
    }

    /// Makes the changes in the facts in memory. Every snapshot that begins now shows the commit.
    fn end_commit(&mut self) {
        if let (Some(committing), Some(cache)) = (self.committing.take(), self.pool.facts_cache()) {
            cache.make(&committing);
        }
    }

    fn set_counter(&mut self, set: CounterSet) -> Result<(), StoreError> {
        if let Some(server) = &self.writer.server {
            server.behind.recent.set(&set, self.number, self.shown_by_all);
            self.sets.push(set);
            return Ok(());
        }
        self.write_through()?;
        self.changes += 1;
        let (environment, user) = (set.environment, set.counter.0);
        facts::write(self, environment, user, &set.into_change())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.write_events()?;
        self.write_replays()?;
        let number = self.number;
        let Writer { connection, server, used_features, .. } = &mut *self.writer;
        let deltas = std::mem::take(&mut self.usage);
        let Some(ServersWriter { checkpoints, behind, usage }) = server else {
            usage_by_day::add(connection, &deltas)?;
            let committed = connection.run("COMMIT");
            self.pool.note_commit();
            committed?;
            self.replays_are_ahead = false;
            used_features.extend(self.used_features.drain());
            return Ok(());
        };
        let last_row = counter_log::append(connection, number, &self.sets, &deltas)?;
        let folds = usage.is_full() || behind.is_about_to_forget();
        if folds {
            usage.fold(connection)?;
        }
        let progress = behind.write_some(connection, self.sets.len(), last_row)?;
        // A commit that fails leaves the transaction open, and dropping the lease rolls it back.
        let committed = connection.run("COMMIT");
        if committed.is_ok() {
            self.replays_are_ahead = false;
            self.sets.clear();
        }
        self.pool.note_commit();
        committed?;
        used_features.extend(self.used_features.drain());
        let changes = self.changes + progress.writes;
        behind.after_commit(&progress, number, self.pool.shown_by_all());
        usage.after_commit(folds, deltas, last_row);
        checkpoints.after_commit(connection, changes);
        Ok(())
    }
}

impl Deref for WriteLease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.writer.connection
    }
}

impl Lease for WriteLease {
    fn catalog_version(&self, environment: EnvironmentId) -> Result<CatalogVersion, StoreError> {
        let cache = self.pool.facts_cache().filter(|_| !self.facts.changes_catalog(environment));
        if let Some(version) = cache.and_then(|cache| cache.catalog_version(environment)) {
            return Ok(version);
        }
        let version = catalog::version(self, environment)?;
        if let Some(cache) = cache {
            cache.learn_catalog(environment, version);
        }
        Ok(version)
    }

    // Nobody else changes users, so those whom the transaction has not changed are as in memory.
    fn facts(
        &mut self,
        environment: EnvironmentId,
        id: &UserId,
    ) -> Result<Option<UserFacts>, StoreError> {
        let cache = self.pool.facts_cache().filter(|_| !self.facts.changes(environment, id));
        if let Some(cache) = cache {
            let looked_up = cache.look_up(environment, id);
            cache::looked_up(CacheName::Facts, matches!(looked_up, LookedUp::Found(_)));
            if let LookedUp::Found(Found { user, .. }) = looked_up {
                self.facts.note_id(environment, user.key, id);
                return Ok(Some(user.into_facts(id)));
            }
        }
        let is_unchanged = cache.is_some();
        let facts = facts::facts(self, environment, id)?;
        match &facts {
            // Changed, the user is in memory once that is committed.
            Some(user) if is_unchanged => {
                self.facts.note_user(environment, id, KnownUser::new(user));
            }
            Some(user) if self.pool.facts_cache().is_some() => {
                self.facts.note_id(environment, user.key, id);
            }
            _ => {}
        }
        Ok(facts)
    }

    fn before_counters(&self) -> Result<(), StoreError> {
        if self.writer.server.is_none() { self.write_through() } else { Ok(()) }
    }

    fn counter(
        &mut self,
        environment: EnvironmentId,
        counter: &(UserKey, CounterKey),
        stored: Option<Option<CounterValue>>,
    ) -> Result<Option<CounterValue>, StoreError> {
        if let Some(value) = self.facts.counter(environment, counter) {
            return Ok(value);
        }
        let recent = match &self.writer.server {
            Some(server) => server.behind.recent.value(environment, counter, u64::MAX),
            None => {
                self.write_through()?;
                None
            }
        };
        if self.facts.is_unchanged(environment, counter.0) {
            cache::looked_up(CacheName::Facts, false);
        }
        match recent.or(stored) {
            Some(value) => Ok(value),
            None => facts::counter(self, environment, counter),
        }
    }

    fn note_counters(
        &mut self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
        values: &[Option<CounterValue>],
    ) {
        let mut values = values.iter();
        for of_user in counters.chunk_by(|(one, _), (next, _)| one == next) {
            let read = of_user.iter().zip(values.by_ref());
            let Some((user, _)) = of_user.first() else { continue };
            if self.facts.is_unchanged(environment, *user) {
                let read: Vec<Counter> =
                    read.map(|((_, counter), value)| (counter.clone(), value.clone())).collect();
                self.facts.note_counters(environment, *user, read);
            } else {
                read.for_each(drop);
            }
        }
    }

    fn keeps_notes_of(&self, environment: EnvironmentId, user: UserKey) -> bool {
        self.facts.is_unchanged(environment, user)
    }

    fn note_rows(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        rows: impl FnOnce() -> Rows,
    ) {
        if self.facts.is_unchanged(environment, user) {
            cache::looked_up(CacheName::Facts, false);
            self.facts.note_rows(environment, user, rows());
        }
    }

    fn write_events(&mut self) -> Result<(), StoreError> {
        self.changes += self.events.write(&self.writer.connection)?;
        Ok(())
    }

    fn replays(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<Vec<Option<Replay>>, StoreError> {
        let (in_use, stored, connection) = self.all_replays()?;
        in_use.find((stored, connection), environment, keys)
    }

    fn noted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.pool.health().noted_write(result)
    }
}

impl Drop for WriteLease {
    fn drop(&mut self) {
        if let Some(server) = &self.writer.server {
            for set in &self.sets {
                server.behind.recent.unset(set, self.number);
            }
        }
        if self.replays_are_ahead {
            self.writer.replays = None;
        }
        if self.writer.connection.in_transaction()
            && let Err(error) = self.writer.connection.run("ROLLBACK")
        {
            let what = "cannot roll back a transaction";
            self.pool.health().note_in_background(error, what);
        }
        if let (Some(failed), Some(cache)) = (self.committing.take(), self.pool.facts_cache()) {
            cache.drop_changes(&failed);
        }
        if self.pool.health().must_try_writer() {
            self.pool.health().note_trial(self.writer.connection.commit_one_page());
        }
    }
}

/// An open transaction on a connection that only it uses. Dropped before it is committed, it
/// leaves everything as it was.
pub(super) struct SqliteTransaction<L: Lease> {
    lease: L,
}

impl<L: Lease> SqliteTransaction<L> {
    /// Returns true if a hold of the user lives at an instant or later, on whichever balance.
    pub(super) fn some_hold_lives(
        &self,
        environment: EnvironmentId,
        user: UserKey,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        self.lease.noted(holds::some_lives(&self.lease, environment, user, since))
    }

    /// Runs a step of the transaction that changes nothing.
    pub(super) fn look<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.lease.noted(read(&self.lease))
    }
}

impl SqliteTransaction<ReadLease> {
    /// Reads through a view that the lease has open.
    pub(super) fn begin_read(lease: ReadLease) -> Self {
        Self { lease }
    }

    /// Returns true if no commit was made since the view began.
    pub(super) fn is_current(&self) -> bool {
        self.lease.is_current()
    }
}

impl SqliteTransaction<WriteLease> {
    pub(super) fn begin_write(lease: WriteLease) -> Result<Self, StoreError> {
        let health = lease.pool.health();
        let begun = lease
            .set_patience(health.patience_to_write())
            .and_then(|()| lease.run("BEGIN IMMEDIATE"));
        health.noted_begin(begun.map_err(StoreError::from))?;
        Ok(Self { lease })
    }

    /// Runs a step of the transaction.
    pub(super) fn step<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.lease.noted(work(&self.lease))
    }

    /// Runs a step that deletes rows, and overwrites them. Returns how many.
    pub(super) fn forget(
        &mut self,
        delete: impl FnOnce(&Connection) -> Result<usize, StoreError>,
    ) -> Result<usize, StoreError> {
        let written = self.lease.write_events();
        self.lease.noted(written)?;
        let forgotten = self.step(|connection| connection.overwriting(delete))?;
        self.lease.changes += forgotten;
        Ok(forgotten)
    }

    /// Runs a step that changes as many rows as it returns.
    pub(super) fn work_off(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<usize, StoreError>,
    ) -> Result<usize, StoreError> {
        let changed = self.step(work)?;
        self.lease.changes += changed;
        Ok(changed)
    }

    /// Runs a step that changes what is stored of idempotency records. Returns how many rows it changed.
    pub(super) fn change_replays(
        &mut self,
        change: impl FnOnce(&mut StoredReplays, &Connection) -> Result<usize, StoreError>,
    ) -> Result<usize, StoreError> {
        let changed = self.lease.change_replays(change);
        self.lease.noted(changed)
    }

    /// Notes that jobs are scheduled, for whoever waits for that.
    pub(super) fn note_scheduled(&mut self) {
        self.lease.schedules_jobs = true;
    }

    /// Fails with [`Full`](StoreError::Full) if a server has too little free space for a commit. What only
    /// looks, like a request that is sent again, needs none.
    pub(super) fn check_room(&self) -> Result<(), StoreError> {
        self.lease.noted(self.lease.pool.health().check_room())
    }

    /// Makes everything durable.
    pub(super) fn commit_changes(mut self) -> Result<(), StoreError> {
        self.check_room()?;
        self.lease.begin_to_commit();
        let committed = self.lease.commit();
        self.lease.noted(committed)?;
        self.lease.end_commit();
        self.lease.pool.health().note_commit();
        if self.lease.schedules_jobs {
            self.lease.writer.jobs_scheduled.notify_one();
        }
        Ok(())
    }
}

#[async_trait]
impl<L: Lease + Send> Transaction for SqliteTransaction<L> {
    async fn catalog_version(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<CatalogVersion, StoreError> {
        self.lease.noted(self.lease.catalog_version(environment))
    }

    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError> {
        self.lease.noted(catalog::load(&self.lease, environment))
    }

    async fn have_usage(
        &mut self,
        environment: EnvironmentId,
        features: &[FeatureId],
    ) -> Result<Vec<bool>, StoreError> {
        self.lease.noted(catalog::have_usage(&self.lease, environment, features))
    }

    async fn active_subscribers(
        &mut self,
        environment: EnvironmentId,
        packages: &[PackageId],
        now: Timestamp,
    ) -> Result<Vec<u64>, StoreError> {
        self.lease.noted(catalog::active_subscribers(&self.lease, environment, packages, now))
    }

    async fn users(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Vec<Option<User>>, StoreError> {
        let user = |id| users::user(&self.lease, environment, id);
        self.lease.noted(ids.iter().map(user).collect())
    }

    async fn users_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<UserKey>,
        limit: usize,
    ) -> Result<Vec<User>, StoreError> {
        self.lease.noted(users::users_after(&self.lease, environment, after, limit))
    }

    async fn facts(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Facts, StoreError> {
        let catalog_version = self.lease.noted(self.lease.catalog_version(environment))?;
        let facts = |id| self.lease.facts(environment, id);
        let users = ids.iter().map(facts).collect();
        let users = self.lease.noted(users)?;
        Ok(Facts { catalog_version, users })
    }

    async fn subscriptions(
        &mut self,
        environment: EnvironmentId,
        ids: &[SubscriptionId],
    ) -> Result<Vec<Option<(UserId, Subscription)>>, StoreError> {
        let subscription = |id: &SubscriptionId| facts::subscription(&self.lease, environment, *id);
        self.lease.noted(ids.iter().map(subscription).collect())
    }

    async fn subscriptions_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<(Timestamp, SubscriptionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, Subscription)>, StoreError> {
        self.lease.noted(lists::subscriptions_after(&self.lease, environment, after, limit))
    }

    async fn subscriptions_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError> {
        self.lease.noted(lists::subscriptions_of(&self.lease, environment, users))
    }

    async fn ended_subscriptions(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError> {
        let ended = |user: &UserKey| facts::ended(&self.lease, environment, *user);
        self.lease.noted(users.iter().map(ended).collect())
    }

    async fn overrides_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Override>>, StoreError> {
        let mut all = Vec::with_capacity(users.len());
        for user in users {
            let read = self.lease.noted(overrides::of_user(&self.lease, environment, *user))?;
            self.lease.note_rows(environment, *user, || Rows::Overrides(read.clone()));
            all.push(read);
        }
        Ok(all)
    }

    async fn grants_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Grant>>, StoreError> {
        let mut all = Vec::with_capacity(users.len());
        for user in users {
            let read = self.lease.noted(grants::of_user(&self.lease, environment, *user))?;
            self.lease.note_rows(environment, *user, || Rows::Grants(read.clone()));
            all.push(read);
        }
        Ok(all)
    }

    async fn living_holds_of(
        &mut self,
        environment: EnvironmentId,
        balances: &[(UserKey, FeatureId)],
        since: Timestamp,
    ) -> Result<Vec<Vec<Hold>>, StoreError> {
        let all = holds::living(&self.lease, environment, balances, since);
        let all = self.lease.noted(all)?;
        for user in holds::users_without(balances, &all) {
            if self.lease.keeps_notes_of(environment, user)
                && !self.some_hold_lives(environment, user, since)?
            {
                self.lease.note_rows(environment, user, || Rows::NoHolds);
            }
        }
        Ok(all)
    }

    async fn holds(
        &mut self,
        environment: EnvironmentId,
        ids: &[(UserKey, HoldId)],
    ) -> Result<Vec<Option<Hold>>, StoreError> {
        let found = |id| holds::hold(&self.lease, environment, id);
        self.lease.noted(ids.iter().map(found).collect())
    }

    async fn counters(
        &mut self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Result<Vec<Option<CounterValue>>, StoreError> {
        let values = self.lease.counters(environment, counters);
        self.lease.noted(values)
    }

    async fn counters_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<&(UserKey, CounterKey)>,
        limit: usize,
    ) -> Result<Vec<(UserKey, CounterKey)>, StoreError> {
        self.lease.noted(facts::counters_after(&self.lease, environment, after, limit))
    }

    async fn limit_crossings(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<CrossedLimit>, StoreError> {
        let crossed = limit_crossings::limit_crossings(&self.lease, environment, now, limit);
        self.lease.noted(crossed)
    }

    async fn threshold_events(
        &mut self,
        environment: EnvironmentId,
        user: Option<UserKey>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<(UserId, ThresholdEvent)>, StoreError> {
        let events = threshold_events::after(&self.lease, environment, user, after, limit);
        self.lease.noted(events)
    }

    async fn replays(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<Vec<Option<Replay>>, StoreError> {
        let replays = self.lease.replays(environment, keys);
        self.lease.noted(replays)
    }

    async fn keys_kept_before(
        &mut self,
        _environment: EnvironmentId,
        _before: Timestamp,
        _limit: usize,
    ) -> Result<Vec<IdempotencyKey>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl<L: Lease + Send> UserSearch for SqliteTransaction<L> {
    async fn users_with_prefix(
        &mut self,
        environment: EnvironmentId,
        prefix: &Prefix,
        after: Option<&Match>,
        limit: usize,
    ) -> Result<Vec<Match>, StoreError> {
        let found = user_search::users_with_prefix(&self.lease, environment, prefix, after, limit);
        self.lease.noted(found)
    }

    async fn subscribers_after(
        &mut self,
        environment: EnvironmentId,
        package: &PackageId,
        now: Timestamp,
        after: Option<UserKey>,
        limit: usize,
    ) -> Result<Vec<UserKey>, StoreError> {
        let found =
            user_search::subscribers_after(&self.lease, environment, (package, now), after, limit);
        self.lease.noted(found)
    }

    async fn are_subscribed(
        &mut self,
        environment: EnvironmentId,
        package: &PackageId,
        now: Timestamp,
        users: &[UserKey],
    ) -> Result<Vec<bool>, StoreError> {
        let are = user_search::are_subscribed(&self.lease, environment, (package, now), users);
        self.lease.noted(are)
    }

    async fn users_by_key(
        &mut self,
        environment: EnvironmentId,
        keys: &[UserKey],
    ) -> Result<Vec<Option<User>>, StoreError> {
        self.lease.noted(users::users_by_key(&self.lease, environment, keys))
    }
}

#[async_trait]
impl<L: Lease + Send> UsageEvents for SqliteTransaction<L> {
    async fn events_of(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        after: Option<EventCursor>,
        limit: usize,
        patience: Duration,
    ) -> Result<EventsOfUser, StoreError> {
        let events = self.lease.write_events().and_then(|()| {
            usage_events::events_of(&self.lease, environment, user, after, limit, patience)
        });
        self.lease.noted(events)
    }
}

#[async_trait]
impl WriteTransaction for SqliteTransaction<WriteLease> {
    async fn change_facts(
        &mut self,
        environment: EnvironmentId,
        changes: &[(UserKey, Change)],
    ) -> Result<(), StoreError> {
        let changed = changes
            .iter()
            .try_for_each(|(user, change)| self.lease.change_facts(environment, *user, change));
        self.lease.noted(changed)
    }

    async fn forget_keys(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<(), StoreError> {
        let forgotten = self.lease.forget_replays(environment, keys);
        self.lease.noted(forgotten)
    }

    async fn change_catalog(
        &mut self,
        environment: EnvironmentId,
        planned_on: CatalogVersion,
        changes: &[CatalogChange],
    ) -> Result<CatalogVersion, StoreError> {
        let changed = catalog::advance(&self.lease, environment, planned_on).and_then(|version| {
            for change in changes {
                catalog::write(&self.lease, environment, change)?;
            }
            self.lease.facts.note_catalog(environment, version);
            Ok(version)
        });
        self.lease.noted(changed)
    }

    async fn add_key(&mut self, key: &NewKey) -> Result<Key, StoreError> {
        self.step(|connection| keys::add_key(connection, key))
    }

    async fn revoke_key(
        &mut self,
        id: i64,
        at: Timestamp,
    ) -> Result<Option<(Key, bool)>, StoreError> {
        self.step(|connection| keys::revoke_key(connection, id, at))
    }

    async fn rotate_token_secret(
        &mut self,
        environment: EnvironmentKind,
        secret: Vec<u8>,
        now: Timestamp,
        earlier_valid_until: Timestamp,
    ) -> Result<Option<EnvironmentId>, StoreError> {
        self.step(|connection| {
            keys::rotate_token_secret(connection, environment, &secret, now, earlier_valid_until)
        })
    }

    async fn set_simple_mode(
        &mut self,
        environment: EnvironmentKind,
        on: bool,
    ) -> Result<Option<(EnvironmentId, bool)>, StoreError> {
        self.step(|connection| keys::set_simple_mode(connection, environment, on))
    }

    async fn append(
        &mut self,
        environment: EnvironmentId,
        records: Records,
    ) -> Result<(), StoreError> {
        let appended = self.step(|connection| feed::append(connection, environment, &records))?;
        self.lease.changes += appended;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.commit_changes()
    }
}
