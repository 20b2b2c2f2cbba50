//! A store that fails as it is told to.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::day::Day;
use kana_core::id::FeatureId;
use kana_store::app::{
    App, ClientAccess, EnvironmentId, EnvironmentKind, Key, KeyHash, NewKey, TokenSecret,
};
use kana_store::feed::{AuditPage, AuditQuery, ChangesPage, ChangesQuery, Feed};
use kana_store::jobs::{ClaimedJob, Ended, Job, JobId, JobStore, Lease, Retried, Room};
use kana_store::people::{
    Admin, AdminId, Credentials, OpenInvitation, People, SecretHash, Session, SignedIn,
};
use kana_store::store::{Store, Transaction, WriteTransaction};
use kana_store::transfer::{Export, Import, Scope};
use kana_store::usage_by_user::{UsageByUser, UsageWindow};
use kana_store::usage_statistics::{DailyUsage, FeatureUsage, UsageStatistics};
use kana_store::{NeededThreads, StoreError};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::faults::{Call, Faults, SILENCE, Trouble};
use crate::faulty_transaction::FaultyTransaction;

/// Forwards each call to the wrapped store, or lets a fault meet it.
pub(crate) struct FaultyStore {
    store: Arc<dyn Store>,
    faults: Arc<Faults>,
    /// Whether questions gather and are read together, as on an engine across a network.
    gathers: bool,
}

impl FaultyStore {
    pub(crate) fn new(store: Arc<dyn Store>, faults: &Arc<Faults>, gathers: bool) -> Self {
        Self { store, faults: Arc::clone(faults), gathers }
    }

    async fn read_through<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        through(&self.faults, Call::Read, work).await
    }
}

/// Does the work of a call, or lets a fault meet it. It is no commit: without its answer, nothing of
/// it has happened.
pub(crate) async fn through<T>(
    faults: &Faults,
    call: Call,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match faults.meet(call) {
        None => work.await,
        Some(Trouble::Fails(failure)) => Err(failure.error()),
        Some(Trouble::LosesCall) => Err(lost()),
        Some(Trouble::LosesAnswer) => {
            work.await?;
            Err(lost())
        }
        Some(Trouble::Delays(ms)) => {
            sleep(Duration::from_millis(ms)).await;
            work.await
        }
        Some(Trouble::FallsSilent) => {
            sleep(SILENCE).await;
            Err(lost())
        }
        Some(Trouble::CrashesBefore) => Err(faults.crash()),
        Some(Trouble::CrashesAfter) => {
            work.await?;
            Err(faults.crash())
        }
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("the connection was lost".into())
}

#[async_trait]
impl Store for FaultyStore {
    async fn app(&self) -> Result<Option<App>, StoreError> {
        self.read_through(self.store.app()).await
    }

    async fn begin_app(
        &self,
        app: App,
        keys: Vec<NewKey>,
        created_at: Timestamp,
    ) -> Result<Option<Box<dyn WriteTransaction>>, StoreError> {
        self.store.begin_app(app, keys, created_at).await
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.read_through(self.store.keys()).await
    }

    async fn find_key(&self, hash: KeyHash) -> Result<Option<Key>, StoreError> {
        self.read_through(self.store.find_key(hash)).await
    }

    async fn client_access(
        &self,
        environment: EnvironmentKind,
    ) -> Result<Option<ClientAccess>, StoreError> {
        self.read_through(self.store.client_access(environment)).await
    }

    async fn note_key_uses(&self, uses: Vec<(i64, Timestamp)>) -> Result<(), StoreError> {
        self.store.note_key_uses(uses).await
    }

    async fn provide_token_secret(
        &self,
        environment: EnvironmentId,
        secret: Vec<u8>,
        created_at: Timestamp,
    ) -> Result<TokenSecret, StoreError> {
        self.store.provide_token_secret(environment, secret, created_at).await
    }

    fn needed_threads(&self) -> NeededThreads {
        self.store.needed_threads()
    }

    fn lanes(&self) -> usize {
        self.store.lanes()
    }

    fn readers(&self) -> Option<usize> {
        self.gathers.then_some(1)
    }

    async fn check_ready(&self) -> Result<(), StoreError> {
        self.read_through(self.store.check_ready()).await
    }

    async fn forget_events(&self, before: Timestamp, at_most: usize) -> Result<bool, StoreError> {
        self.store.forget_events(before, at_most).await
    }

    async fn export(&self, scope: &Scope) -> Result<Export, StoreError> {
        self.store.export(scope).await
    }

    async fn usage_by_user(
        &self,
        environment: EnvironmentId,
        window: UsageWindow,
    ) -> Result<Option<UsageByUser>, StoreError> {
        self.store.usage_by_user(environment, window).await
    }

    async fn import(&self) -> Result<Box<dyn Import>, StoreError> {
        self.store.import().await
    }

    async fn read(&self) -> Result<Box<dyn Transaction>, StoreError> {
        let begun = through(&self.faults, Call::BeginRead, self.store.read()).await?;
        Ok(Box::new(FaultyTransaction::new(begun, &self.faults, Call::Read)))
    }

    async fn read_facts(&self) -> Result<Box<dyn Transaction>, StoreError> {
        let begun = through(&self.faults, Call::BeginRead, self.store.read_facts()).await?;
        Ok(Box::new(FaultyTransaction::new(begun, &self.faults, Call::Read)))
    }

    async fn write(&self) -> Result<Box<dyn WriteTransaction>, StoreError> {
        let begun = through(&self.faults, Call::BeginWrite, self.store.write()).await?;
        Ok(Box::new(FaultyTransaction::new(begun, &self.faults, Call::Write)))
    }
}

#[async_trait]
impl Feed for FaultyStore {
    async fn changes(
        &self,
        environment: EnvironmentId,
        query: &ChangesQuery,
    ) -> Result<ChangesPage, StoreError> {
        self.read_through(self.store.changes(environment, query)).await
    }

    async fn audit_log(
        &self,
        environment: EnvironmentId,
        query: &AuditQuery,
    ) -> Result<AuditPage, StoreError> {
        self.read_through(self.store.audit_log(environment, query)).await
    }

    async fn forget_changes(
        &self,
        environment: EnvironmentId,
        kept: RangeInclusive<Timestamp>,
        kept_max: i64,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.store.forget_changes(environment, kept, kept_max, at_most).await
    }

    async fn forget_audit_log(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.store.forget_audit_log(environment, before, at_most).await
    }
}

#[async_trait]
impl UsageStatistics for FaultyStore {
    async fn usage_by_day(
        &self,
        environment: EnvironmentId,
        feature: Option<&FeatureId>,
        from: Day,
        to: Day,
    ) -> Result<Vec<DailyUsage>, StoreError> {
        self.read_through(self.store.usage_by_day(environment, feature, from, to)).await
    }

    async fn top_features(
        &self,
        environment: EnvironmentId,
        from: Day,
        to: Day,
        limit: usize,
    ) -> Result<Vec<FeatureUsage>, StoreError> {
        self.read_through(self.store.top_features(environment, from, to, limit)).await
    }

    async fn usage_since(&self, environment: EnvironmentId) -> Result<Option<Day>, StoreError> {
        self.read_through(self.store.usage_since(environment)).await
    }

    async fn fold_usage(
        &self,
        environment: EnvironmentId,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.store.fold_usage(environment, at_most).await
    }

    async fn forget_usage_by_day(
        &self,
        environment: EnvironmentId,
        before: Day,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.store.forget_usage_by_day(environment, before, at_most).await
    }

    async fn forget_limit_crossings(
        &self,
        environment: EnvironmentId,
        ended: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.store.forget_limit_crossings(environment, ended, at_most).await
    }

    async fn forget_threshold_events(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.store.forget_threshold_events(environment, before, at_most).await
    }

    async fn forget_holds(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.store.forget_holds(environment, before, at_most).await
    }
}

#[async_trait]
impl JobStore for FaultyStore {
    async fn claim_jobs(
        &self,
        rooms: &[Room],
        at_most: usize,
        now: Timestamp,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        self.store.claim_jobs(rooms, at_most, now).await
    }

    async fn renew_lease(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError> {
        self.store.renew_lease(lease, now).await
    }

    async fn end_attempt(
        &self,
        lease: Lease,
        ended: Ended,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.store.end_attempt(lease, ended, now).await
    }

    async fn jobs(&self, at_most: usize) -> Result<Vec<Job>, StoreError> {
        self.store.jobs(at_most).await
    }

    async fn retry_job(&self, id: JobId, now: Timestamp) -> Result<Retried, StoreError> {
        self.store.retry_job(id, now).await
    }

    fn jobs_scheduled(&self) -> Arc<Notify> {
        self.store.jobs_scheduled()
    }
}

#[async_trait]
impl People for FaultyStore {
    async fn admins(&self) -> Result<Vec<Admin>, StoreError> {
        self.read_through(self.store.admins()).await
    }

    async fn credentials(&self, email_folded: &str) -> Result<Option<Credentials>, StoreError> {
        self.read_through(self.store.credentials(email_folded)).await
    }

    async fn session(&self, hash: SecretHash) -> Result<Option<SignedIn>, StoreError> {
        self.read_through(self.store.session(hash)).await
    }

    async fn sessions_of(&self, admin: AdminId) -> Result<Vec<Session>, StoreError> {
        self.read_through(self.store.sessions_of(admin)).await
    }

    async fn note_seen(
        &self,
        hash: SecretHash,
        at: Timestamp,
        ends_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.store.note_seen(hash, at, ends_at).await
    }

    async fn invitation(
        &self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<OpenInvitation>, StoreError> {
        self.read_through(self.store.invitation(hash, now)).await
    }

    async fn claim_form(
        &self,
        form: SecretHash,
        at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        self.store.claim_form(form, at).await
    }

    async fn settle_form(&self, form: SecretHash, led_to: Option<&str>) -> Result<(), StoreError> {
        self.store.settle_form(form, led_to).await
    }

    async fn forget_ended(&self, now: Timestamp, at_most: usize) -> Result<usize, StoreError> {
        self.store.forget_ended(now, at_most).await
    }

    async fn audit_log_of_app(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        self.read_through(self.store.audit_log_of_app(query)).await
    }

    async fn forget_audit_log_of_app(
        &self,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.store.forget_audit_log_of_app(before, at_most).await
    }
}
