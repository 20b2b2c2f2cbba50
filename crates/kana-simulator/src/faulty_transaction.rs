//! Transactions of a store that fails as it is told to.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::catalog::{Catalog, CatalogChange, CatalogVersion};
use kana_core::facts::{Change, CounterKey};
use kana_core::id::{FeatureId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey};
use kana_core::idempotency::Replay;
use kana_core::subscription::Subscription;
use kana_core::user::User;
use kana_store::StoreError;
use kana_store::app::{EnvironmentId, EnvironmentKind, Key, NewKey};
use kana_store::feed::Records;
use kana_store::jobs::{JobTransaction, Lease, NewJob};
use kana_store::store::{Facts, Transaction, WriteTransaction};
use tokio::time::sleep;

use crate::faults::{Call, Failure, Faults, SILENCE, Trouble};
use crate::faulty_store::through;
use crate::flaw::Flaw;

/// Forwards each call to the wrapped transaction, or lets a fault meet it.
pub(crate) struct FaultyTransaction<T: ?Sized> {
    transaction: Box<T>,
    faults: Arc<Faults>,
    /// What each call counts as.
    call: Call,
}

impl<T: ?Sized> FaultyTransaction<T> {
    pub(crate) fn new(transaction: Box<T>, faults: &Arc<Faults>, call: Call) -> Self {
        Self { transaction, faults: Arc::clone(faults), call }
    }
}

#[async_trait]
impl<T: Transaction + ?Sized> Transaction for FaultyTransaction<T> {
    async fn catalog_version(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<CatalogVersion, StoreError> {
        through(&self.faults, self.call, self.transaction.catalog_version(environment)).await
    }

    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError> {
        through(&self.faults, self.call, self.transaction.catalog(environment)).await
    }

    async fn have_usage(
        &mut self,
        environment: EnvironmentId,
        features: &[FeatureId],
    ) -> Result<Vec<bool>, StoreError> {
        through(&self.faults, self.call, self.transaction.have_usage(environment, features)).await
    }

    async fn active_subscribers(
        &mut self,
        environment: EnvironmentId,
        packages: &[PackageId],
    ) -> Result<Vec<u64>, StoreError> {
        through(&self.faults, self.call, self.transaction.active_subscribers(environment, packages))
            .await
    }

    async fn users(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Vec<Option<User>>, StoreError> {
        through(&self.faults, self.call, self.transaction.users(environment, ids)).await
    }

    async fn users_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<UserKey>,
        limit: usize,
    ) -> Result<Vec<User>, StoreError> {
        through(&self.faults, self.call, self.transaction.users_after(environment, after, limit))
            .await
    }

    async fn facts(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Facts, StoreError> {
        through(&self.faults, self.call, self.transaction.facts(environment, ids)).await
    }

    async fn subscriptions(
        &mut self,
        environment: EnvironmentId,
        ids: &[SubscriptionId],
    ) -> Result<Vec<Option<(UserId, Subscription)>>, StoreError> {
        through(&self.faults, self.call, self.transaction.subscriptions(environment, ids)).await
    }

    async fn subscriptions_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<(Timestamp, SubscriptionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, Subscription)>, StoreError> {
        through(
            &self.faults,
            self.call,
            self.transaction.subscriptions_after(environment, after, limit),
        )
        .await
    }

    async fn subscriptions_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError> {
        through(&self.faults, self.call, self.transaction.subscriptions_of(environment, users))
            .await
    }

    async fn ended_subscriptions(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError> {
        through(&self.faults, self.call, self.transaction.ended_subscriptions(environment, users))
            .await
    }

    async fn counters(
        &mut self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Result<Vec<Option<i64>>, StoreError> {
        through(&self.faults, self.call, self.transaction.counters(environment, counters)).await
    }

    async fn counters_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<&(UserKey, CounterKey)>,
        limit: usize,
    ) -> Result<Vec<(UserKey, CounterKey)>, StoreError> {
        through(&self.faults, self.call, self.transaction.counters_after(environment, after, limit))
            .await
    }

    async fn replays(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<Vec<Option<Replay>>, StoreError> {
        through(&self.faults, self.call, self.transaction.replays(environment, keys)).await
    }

    async fn keys_kept_before(
        &mut self,
        environment: EnvironmentId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<IdempotencyKey>, StoreError> {
        through(
            &self.faults,
            self.call,
            self.transaction.keys_kept_before(environment, before, limit),
        )
        .await
    }
}

#[async_trait]
impl WriteTransaction for FaultyTransaction<dyn WriteTransaction> {
    async fn change_facts(
        &mut self,
        environment: EnvironmentId,
        changes: &[(UserKey, Change)],
    ) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.change_facts(environment, changes)).await
    }

    async fn forget_keys(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.forget_keys(environment, keys)).await
    }

    async fn change_catalog(
        &mut self,
        environment: EnvironmentId,
        planned_on: CatalogVersion,
        changes: &[CatalogChange],
    ) -> Result<CatalogVersion, StoreError> {
        through(
            &self.faults,
            self.call,
            self.transaction.change_catalog(environment, planned_on, changes),
        )
        .await
    }

    async fn add_key(&mut self, key: &NewKey) -> Result<Key, StoreError> {
        through(&self.faults, self.call, self.transaction.add_key(key)).await
    }

    async fn revoke_key(
        &mut self,
        id: i64,
        at: Timestamp,
    ) -> Result<Option<(Key, bool)>, StoreError> {
        through(&self.faults, self.call, self.transaction.revoke_key(id, at)).await
    }

    async fn rotate_token_secret(
        &mut self,
        environment: EnvironmentKind,
        secret: Vec<u8>,
        now: Timestamp,
        earlier_valid_until: Timestamp,
    ) -> Result<Option<EnvironmentId>, StoreError> {
        through(
            &self.faults,
            self.call,
            self.transaction.rotate_token_secret(environment, secret, now, earlier_valid_until),
        )
        .await
    }

    async fn set_simple_mode(
        &mut self,
        environment: EnvironmentKind,
        on: bool,
    ) -> Result<Option<(EnvironmentId, bool)>, StoreError> {
        through(&self.faults, self.call, self.transaction.set_simple_mode(environment, on)).await
    }

    async fn append(
        &mut self,
        environment: EnvironmentId,
        records: Records,
    ) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.append(environment, records)).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { transaction, faults, .. } = *self;
        let flaw = faults.flaw();
        let unknown = || StoreError::OutcomeUnknown("the connection was lost".into());
        let commit = async || {
            transaction.commit().await?;
            faults.note_commit();
            Ok(())
        };
        match faults.meet(Call::Commit) {
            None => commit().await,
            Some(Trouble::Fails(failure)) => Err(failure.error()),
            Some(Trouble::LosesCall) if flaw == Some(Flaw::TakesLostCommitsForDone) => Ok(()),
            Some(Trouble::LosesCall) => Err(unknown()),
            Some(Trouble::LosesAnswer) => {
                commit().await?;
                match flaw {
                    Some(Flaw::TakesCommitsForLost) => Err(Failure::Unavailable.error()),
                    _ => Err(unknown()),
                }
            }
            Some(Trouble::Delays(ms)) => {
                sleep(Duration::from_millis(ms)).await;
                commit().await
            }
            Some(Trouble::FallsSilent) => {
                sleep(2 * SILENCE).await;
                Err(unknown())
            }
            Some(Trouble::CrashesBefore) => Err(faults.crash()),
            Some(Trouble::CrashesAfter) => {
                commit().await?;
                Err(faults.crash())
            }
        }
    }
}

#[async_trait]
impl JobTransaction for FaultyTransaction<dyn WriteTransaction> {
    async fn schedule_jobs(&mut self, jobs: &[NewJob], now: Timestamp) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.schedule_jobs(jobs, now)).await
    }

    async fn save_job(&mut self, lease: Lease, state: &str) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.save_job(lease, state)).await
    }
}
