//! Transactions of a store that fails as it is told to.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::catalog::{Catalog, CatalogChange, CatalogVersion};
use kana_core::counter::CounterValue;
use kana_core::facts::{Change, CounterKey};
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
use kana_store::StoreError;
use kana_store::app::{App, EnvironmentId, EnvironmentKind, Key, NewKey};
use kana_store::feed::{NewAuditEntry, Records};
use kana_store::jobs::{JobTransaction, Lease, NewJob};
use kana_store::limit_crossings::CrossedLimit;
use kana_store::people::{
    Admin, AdminId, Credentials, NewAdmin, NewInvitation, OpenInvitation, PasswordHash,
    PeopleTransaction, Role, SecretHash, Session,
};
use kana_store::store::{Facts, Transaction, WriteTransaction};
use kana_store::usage_events::{EventCursor, EventsOfUser, UsageEvents};
use kana_store::user_deletion::UserDeletionTransaction;
use kana_store::user_imports::{
    UserImport, UserImportId, UserImportLine, UserImportName, UserImportTransaction, UserImports,
};
use kana_store::user_search::{Match, Prefix, UserSearch};
use tokio::time::sleep;
use uuid::Uuid;

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
        now: Timestamp,
    ) -> Result<Vec<u64>, StoreError> {
        let counted = self.transaction.active_subscribers(environment, packages, now);
        through(&self.faults, self.call, counted).await
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

    async fn overrides_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Override>>, StoreError> {
        through(&self.faults, self.call, self.transaction.overrides_of(environment, users)).await
    }

    async fn grants_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Grant>>, StoreError> {
        through(&self.faults, self.call, self.transaction.grants_of(environment, users)).await
    }

    async fn living_holds_of(
        &mut self,
        environment: EnvironmentId,
        balances: &[(UserKey, FeatureId)],
        since: Timestamp,
    ) -> Result<Vec<Vec<Hold>>, StoreError> {
        let living = self.transaction.living_holds_of(environment, balances, since);
        through(&self.faults, self.call, living).await
    }

    async fn holds(
        &mut self,
        environment: EnvironmentId,
        ids: &[(UserKey, HoldId)],
    ) -> Result<Vec<Option<Hold>>, StoreError> {
        through(&self.faults, self.call, self.transaction.holds(environment, ids)).await
    }

    async fn counters(
        &mut self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Result<Vec<Option<CounterValue>>, StoreError> {
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

    async fn limit_crossings(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<CrossedLimit>, StoreError> {
        through(&self.faults, self.call, self.transaction.limit_crossings(environment, now, limit))
            .await
    }

    async fn threshold_events(
        &mut self,
        environment: EnvironmentId,
        user: Option<UserKey>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<(UserId, ThresholdEvent)>, StoreError> {
        let events = self.transaction.threshold_events(environment, user, after, limit);
        through(&self.faults, self.call, events).await
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
impl<T: Transaction + ?Sized> UserSearch for FaultyTransaction<T> {
    async fn users_with_prefix(
        &mut self,
        environment: EnvironmentId,
        prefix: &Prefix,
        after: Option<&Match>,
        limit: usize,
    ) -> Result<Vec<Match>, StoreError> {
        let found = self.transaction.users_with_prefix(environment, prefix, after, limit);
        through(&self.faults, self.call, found).await
    }

    async fn subscribers_after(
        &mut self,
        environment: EnvironmentId,
        package: &PackageId,
        now: Timestamp,
        after: Option<UserKey>,
        limit: usize,
    ) -> Result<Vec<UserKey>, StoreError> {
        let found = self.transaction.subscribers_after(environment, package, now, after, limit);
        through(&self.faults, self.call, found).await
    }

    async fn are_subscribed(
        &mut self,
        environment: EnvironmentId,
        package: &PackageId,
        now: Timestamp,
        users: &[UserKey],
    ) -> Result<Vec<bool>, StoreError> {
        let found = self.transaction.are_subscribed(environment, package, now, users);
        through(&self.faults, self.call, found).await
    }

    async fn users_by_key(
        &mut self,
        environment: EnvironmentId,
        keys: &[UserKey],
    ) -> Result<Vec<Option<User>>, StoreError> {
        through(&self.faults, self.call, self.transaction.users_by_key(environment, keys)).await
    }
}

#[async_trait]
impl<T: Transaction + ?Sized> UsageEvents for FaultyTransaction<T> {
    async fn events_of(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        after: Option<EventCursor>,
        limit: usize,
        patience: Duration,
    ) -> Result<EventsOfUser, StoreError> {
        let events = self.transaction.events_of(environment, user, after, limit, patience);
        through(&self.faults, self.call, events).await
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

#[async_trait]
impl PeopleTransaction for FaultyTransaction<dyn WriteTransaction> {
    async fn lock_people(&mut self) -> Result<Option<App>, StoreError> {
        through(&self.faults, self.call, self.transaction.lock_people()).await
    }

    async fn locked_admins(&mut self) -> Result<Vec<Admin>, StoreError> {
        through(&self.faults, self.call, self.transaction.locked_admins()).await
    }

    async fn locked_credentials(&mut self, id: AdminId) -> Result<Option<Credentials>, StoreError> {
        through(&self.faults, self.call, self.transaction.locked_credentials(id)).await
    }

    async fn add_admin(&mut self, admin: &NewAdmin) -> Result<Option<AdminId>, StoreError> {
        through(&self.faults, self.call, self.transaction.add_admin(admin)).await
    }

    async fn set_password(
        &mut self,
        id: AdminId,
        password: Option<&PasswordHash>,
    ) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.set_password(id, password)).await
    }

    async fn set_role(&mut self, id: AdminId, role: Role) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.set_role(id, role)).await
    }

    async fn remove_admin(&mut self, id: AdminId) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.remove_admin(id)).await
    }

    async fn note_sign_in(&mut self, id: AdminId, at: Timestamp) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.note_sign_in(id, at)).await
    }

    async fn add_session(&mut self, session: &Session) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.add_session(session)).await
    }

    async fn end_sessions(
        &mut self,
        admin: AdminId,
        keep: Option<SecretHash>,
    ) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.end_sessions(admin, keep)).await
    }

    async fn end_session(&mut self, hash: SecretHash) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.end_session(hash)).await
    }

    async fn add_invitation(&mut self, invitation: &NewInvitation) -> Result<bool, StoreError> {
        through(&self.faults, self.call, self.transaction.add_invitation(invitation)).await
    }

    async fn use_invitation(
        &mut self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<OpenInvitation>, StoreError> {
        through(&self.faults, self.call, self.transaction.use_invitation(hash, now)).await
    }

    async fn withdraw_invitations(&mut self, admin: AdminId) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.withdraw_invitations(admin)).await
    }

    async fn set_app_name(&mut self, name: &str) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.set_app_name(name)).await
    }

    async fn audit_app(&mut self, entries: Vec<NewAuditEntry>) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.audit_app(entries)).await
    }
}

#[async_trait]
impl<T: Transaction + ?Sized> UserImports for FaultyTransaction<T> {
    async fn user_imports(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Vec<UserImport>, StoreError> {
        through(&self.faults, self.call, self.transaction.user_imports(environment)).await
    }

    async fn user_import_lines(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        kind: &str,
        after: u32,
        limit: usize,
    ) -> Result<Vec<UserImportLine>, StoreError> {
        let lines = self.transaction.user_import_lines(environment, import, kind, after, limit);
        through(&self.faults, self.call, lines).await
    }

    async fn user_import_names(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        names: &[UserId],
    ) -> Result<Vec<Option<UserImportName>>, StoreError> {
        let lines = self.transaction.user_import_names(environment, import, names);
        through(&self.faults, self.call, lines).await
    }

    async fn users_with_email(
        &mut self,
        environment: EnvironmentId,
        emails: &[Label],
    ) -> Result<Vec<Vec<UserId>>, StoreError> {
        let owners = self.transaction.users_with_email(environment, emails);
        through(&self.faults, self.call, owners).await
    }
}

#[async_trait]
impl UserDeletionTransaction for FaultyTransaction<dyn WriteTransaction> {
    async fn forget_event_metadata(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        from: Option<EventCursor>,
        to: Option<EventCursor>,
    ) -> Result<(), StoreError> {
        let forget = self.transaction.forget_event_metadata(environment, user, from, to);
        through(&self.faults, self.call, forget).await
    }
}

#[async_trait]
impl UserImportTransaction for FaultyTransaction<dyn WriteTransaction> {
    async fn lock_user_imports(&mut self, environment: EnvironmentId) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.lock_user_imports(environment)).await
    }

    async fn put_user_import(
        &mut self,
        environment: EnvironmentId,
        import: &UserImport,
    ) -> Result<(), StoreError> {
        through(&self.faults, self.call, self.transaction.put_user_import(environment, import))
            .await
    }

    async fn add_user_import_lines(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        lines: &[UserImportLine],
        names: &[UserImportName],
    ) -> Result<(), StoreError> {
        let add = self.transaction.add_user_import_lines(environment, import, lines, names);
        through(&self.faults, self.call, add).await
    }

    async fn forget_user_import(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        let forget = self.transaction.forget_user_import(environment, import, at_most);
        through(&self.faults, self.call, forget).await
    }
}
