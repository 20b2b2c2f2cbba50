use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::catalog::{Catalog, CatalogChange, CatalogVersion};
use kana_core::facts::{Change, CounterKey};
use kana_core::id::{FeatureId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey};
use kana_core::idempotency::Replay;
use kana_core::subscription::Subscription;
use kana_core::user::User;
use tokio::sync::OwnedMutexGuard;

use super::checkpoints::Checkpoints;
use super::connection::Connection;
use super::readers::{ReadLease, ReaderPool};
use super::{catalog, facts, lists};
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::store::{Facts, Transaction, WriteTransaction};

/// The connection that writes, which nobody else has meanwhile.
pub(super) struct WriteLease {
    connection: OwnedMutexGuard<Connection>,
    pool: Arc<ReaderPool>,
    checkpoints: Option<Arc<Checkpoints>>,
    /// How many rows have been changed.
    changes: usize,
}

impl WriteLease {
    pub(super) fn new(
        connection: OwnedMutexGuard<Connection>,
        pool: &Arc<ReaderPool>,
        checkpoints: Option<&Arc<Checkpoints>>,
    ) -> Self {
        Self { connection, pool: Arc::clone(pool), checkpoints: checkpoints.cloned(), changes: 0 }
    }
}

impl Deref for WriteLease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for WriteLease {
    fn drop(&mut self) {
        if self.connection.in_transaction()
            && let Err(error) = self.connection.run("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }
}

/// An open transaction on a connection that only it uses. Dropped before it is committed, it
/// leaves everything as it was.
pub(super) struct SqliteTransaction<L: Deref<Target = Connection>> {
    lease: L,
}

impl SqliteTransaction<ReadLease> {
    /// Reads through a view that the lease has open.
    pub(super) fn begin_read(lease: ReadLease) -> Self {
        Self { lease }
    }
}

impl SqliteTransaction<WriteLease> {
    pub(super) fn begin_write(lease: WriteLease) -> Result<Self, StoreError> {
        lease.run("BEGIN IMMEDIATE")?;
        Ok(Self { lease })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.lease
    }

    /// Makes everything durable.
    pub(super) fn commit_changes(self) -> Result<(), StoreError> {
        // A commit that fails leaves the transaction open, and dropping the lease rolls it back.
        let committed = self.lease.run("COMMIT");
        self.lease.pool.note_commit();
        if let (Ok(()), Some(checkpoints)) = (&committed, &self.lease.checkpoints) {
            checkpoints.after_commit(&self.lease, self.lease.changes);
        }
        Ok(committed?)
    }
}

#[async_trait]
impl<L: Deref<Target = Connection> + Send> Transaction for SqliteTransaction<L> {
    async fn catalog_version(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<CatalogVersion, StoreError> {
        catalog::version(&self.lease, environment)
    }

    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError> {
        catalog::load(&self.lease, environment)
    }

    async fn have_usage(
        &mut self,
        environment: EnvironmentId,
        features: &[FeatureId],
    ) -> Result<Vec<bool>, StoreError> {
        features.iter().map(|id| catalog::has_usage(&self.lease, environment, id)).collect()
    }

    async fn active_subscribers(
        &mut self,
        environment: EnvironmentId,
        packages: &[PackageId],
    ) -> Result<Vec<u64>, StoreError> {
        packages
            .iter()
            .map(|id| catalog::active_subscribers(&self.lease, environment, id))
            .collect()
    }

    async fn users(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Vec<Option<User>>, StoreError> {
        ids.iter().map(|id| facts::user(&self.lease, environment, id)).collect()
    }

    async fn ids_taken(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Vec<bool>, StoreError> {
        ids.iter().map(|id| facts::id_taken(&self.lease, environment, id)).collect()
    }

    async fn users_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<UserKey>,
        limit: usize,
    ) -> Result<Vec<User>, StoreError> {
        lists::users_after(&self.lease, environment, after, limit)
    }

    async fn facts(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Facts, StoreError> {
        let mut catalog_version = CatalogVersion::default();
        let mut users = Vec::with_capacity(ids.len());
        for id in ids {
            let (version, user) = facts::facts(&self.lease, environment, id)?;
            catalog_version = version;
            users.push(user);
        }
        if ids.is_empty() {
            catalog_version = catalog::version(&self.lease, environment)?;
        }
        Ok(Facts { catalog_version, users })
    }

    async fn subscriptions(
        &mut self,
        environment: EnvironmentId,
        ids: &[SubscriptionId],
    ) -> Result<Vec<Option<(UserId, Subscription)>>, StoreError> {
        ids.iter().map(|id| facts::subscription(&self.lease, environment, *id)).collect()
    }

    async fn subscriptions_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<(Timestamp, SubscriptionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, Subscription)>, StoreError> {
        lists::subscriptions_after(&self.lease, environment, after, limit)
    }

    async fn subscriptions_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError> {
        lists::subscriptions_of(&self.lease, environment, users)
    }

    async fn ended_subscriptions(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError> {
        users.iter().map(|user| facts::ended(&self.lease, environment, *user)).collect()
    }

    async fn counters(
        &mut self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Result<Vec<i64>, StoreError> {
        counters
            .iter()
            .map(|(user, counter)| facts::counter(&self.lease, environment, *user, counter))
            .collect()
    }

    async fn replays(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<Vec<Option<Replay>>, StoreError> {
        keys.iter().map(|key| facts::replay(&self.lease, environment, key)).collect()
    }

    async fn keys_kept_before(
        &mut self,
        environment: EnvironmentId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<IdempotencyKey>, StoreError> {
        facts::keys_kept_before(&self.lease, environment, before, limit)
    }
}

#[async_trait]
impl WriteTransaction for SqliteTransaction<WriteLease> {
    async fn change_facts(
        &mut self,
        environment: EnvironmentId,
        changes: &[(UserKey, Change)],
    ) -> Result<(), StoreError> {
        for (user, change) in changes {
            facts::write(&self.lease, environment, *user, change)?;
        }
        self.lease.changes += changes.len();
        Ok(())
    }

    async fn forget_keys(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<(), StoreError> {
        for key in keys {
            facts::forget_key(&self.lease, environment, key)?;
        }
        self.lease.changes += keys.len();
        Ok(())
    }

    async fn change_catalog(
        &mut self,
        environment: EnvironmentId,
        planned_on: CatalogVersion,
        changes: &[CatalogChange],
    ) -> Result<CatalogVersion, StoreError> {
        let version = catalog::advance(&self.lease, environment, planned_on)?;
        for change in changes {
            catalog::write(&self.lease, environment, change)?;
        }
        Ok(version)
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.commit_changes()
    }
}
