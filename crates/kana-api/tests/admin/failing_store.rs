//! A wrapper around a store that can be told to fail.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

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

/// Which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Failing {
    Nothing,
    /// Reads, once a write has begun.
    ReadsAfterWrite,
    Reads,
    Everything,
}

/// Forwards each call to the wrapped store, or fails as if the database could not be reached.
pub(crate) struct FailingStore {
    store: Arc<dyn Store>,
    failing: AtomicU8,
    calls_to_fail: AtomicUsize,
    reads: AtomicUsize,
}

impl FailingStore {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            failing: AtomicU8::new(Failing::Nothing as u8),
            calls_to_fail: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
        }
    }

    /// Fails all reads from the next write on, so that a read after its commit fails.
    pub(crate) fn fail_reads_after_write(&self) {
        self.set(Failing::ReadsAfterWrite);
    }

    pub(crate) fn fail_everything(&self) {
        self.set(Failing::Everything);
    }

    /// Fails the next `calls` calls.
    pub(crate) fn fail_next(&self, calls: usize) {
        self.calls_to_fail.store(calls, Ordering::SeqCst);
    }

    pub(crate) fn recover(&self) {
        self.set(Failing::Nothing);
    }

    /// Returns how many read transactions were begun.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    fn set(&self, failing: Failing) {
        self.failing.store(failing as u8, Ordering::SeqCst);
    }

    fn read_from(&self) -> Result<&Arc<dyn Store>, StoreError> {
        self.unless(Failing::Reads)
    }

    fn write_to(&self) -> Result<&Arc<dyn Store>, StoreError> {
        let from = Failing::ReadsAfterWrite as u8;
        let to = Failing::Reads as u8;
        let _ = self.failing.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        self.unless(Failing::Everything)
    }

    fn unless(&self, failing: Failing) -> Result<&Arc<dyn Store>, StoreError> {
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        let one_less = |calls: usize| calls.checked_sub(1);
        let is_next = self.calls_to_fail.fetch_update(set, fetch, one_less).is_ok();
        if is_next || self.failing.load(Ordering::SeqCst) >= failing as u8 {
            return Err(StoreError::Unavailable("told to fail".into()));
        }
        Ok(&self.store)
    }
}

#[async_trait]
impl Store for FailingStore {
    async fn app(&self) -> Result<Option<App>, StoreError> {
        self.read_from()?.app().await
    }

    async fn begin_app(
        &self,
        app: App,
        keys: Vec<NewKey>,
        created_at: Timestamp,
    ) -> Result<Option<Box<dyn WriteTransaction>>, StoreError> {
        self.write_to()?.begin_app(app, keys, created_at).await
    }

    async fn check_ready(&self) -> Result<(), StoreError> {
        self.read_from()?.check_ready().await
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.read_from()?.keys().await
    }

    async fn find_key(&self, hash: KeyHash) -> Result<Option<Key>, StoreError> {
        self.read_from()?.find_key(hash).await
    }

    async fn client_access(
        &self,
        environment: EnvironmentKind,
    ) -> Result<Option<ClientAccess>, StoreError> {
        self.read_from()?.client_access(environment).await
    }

    async fn note_key_uses(&self, uses: Vec<(i64, Timestamp)>) -> Result<(), StoreError> {
        self.write_to()?.note_key_uses(uses).await
    }

    async fn provide_token_secret(
        &self,
        environment: EnvironmentId,
        secret: Vec<u8>,
        created_at: Timestamp,
    ) -> Result<TokenSecret, StoreError> {
        self.write_to()?.provide_token_secret(environment, secret, created_at).await
    }

    fn needed_threads(&self) -> NeededThreads {
        self.store.needed_threads()
    }

    fn lanes(&self) -> usize {
        self.store.lanes()
    }

    fn readers(&self) -> Option<usize> {
        self.store.readers()
    }

    async fn forget_events(&self, before: Timestamp, at_most: usize) -> Result<bool, StoreError> {
        self.write_to()?.forget_events(before, at_most).await
    }

    async fn export(&self, scope: &Scope) -> Result<Export, StoreError> {
        self.read_from()?.export(scope).await
    }

    async fn usage_by_user(
        &self,
        environment: EnvironmentId,
        window: UsageWindow,
    ) -> Result<Option<UsageByUser>, StoreError> {
        self.read_from()?.usage_by_user(environment, window).await
    }

    async fn import(&self) -> Result<Box<dyn Import>, StoreError> {
        self.write_to()?.import().await
    }

    async fn read(&self) -> Result<Box<dyn Transaction>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.read_from()?.read().await
    }

    async fn write(&self) -> Result<Box<dyn WriteTransaction>, StoreError> {
        self.write_to()?.write().await
    }
}

#[async_trait]
impl UsageStatistics for FailingStore {
    async fn usage_by_day(
        &self,
        environment: EnvironmentId,
        feature: Option<&FeatureId>,
        from: Day,
        to: Day,
    ) -> Result<Vec<DailyUsage>, StoreError> {
        self.read_from()?.usage_by_day(environment, feature, from, to).await
    }

    async fn top_features(
        &self,
        environment: EnvironmentId,
        from: Day,
        to: Day,
        limit: usize,
    ) -> Result<Vec<FeatureUsage>, StoreError> {
        self.read_from()?.top_features(environment, from, to, limit).await
    }

    async fn usage_since(&self, environment: EnvironmentId) -> Result<Option<Day>, StoreError> {
        self.read_from()?.usage_since(environment).await
    }

    async fn forget_usage_by_day(
        &self,
        environment: EnvironmentId,
        before: Day,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.write_to()?.forget_usage_by_day(environment, before, at_most).await
    }

    async fn forget_limit_crossings(
        &self,
        environment: EnvironmentId,
        ended: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.write_to()?.forget_limit_crossings(environment, ended, at_most).await
    }

    async fn forget_threshold_events(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.write_to()?.forget_threshold_events(environment, before, at_most).await
    }

    async fn forget_holds(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.write_to()?.forget_holds(environment, before, at_most).await
    }
}

#[async_trait]
impl JobStore for FailingStore {
    async fn claim_jobs(
        &self,
        rooms: &[Room],
        at_most: usize,
        now: Timestamp,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        self.write_to()?.claim_jobs(rooms, at_most, now).await
    }

    async fn renew_lease(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError> {
        self.write_to()?.renew_lease(lease, now).await
    }

    async fn end_attempt(
        &self,
        lease: Lease,
        ended: Ended,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write_to()?.end_attempt(lease, ended, now).await
    }

    async fn jobs(&self, at_most: usize) -> Result<Vec<Job>, StoreError> {
        self.read_from()?.jobs(at_most).await
    }

    async fn retry_job(&self, id: JobId, now: Timestamp) -> Result<Retried, StoreError> {
        self.write_to()?.retry_job(id, now).await
    }

    fn jobs_scheduled(&self) -> Arc<Notify> {
        self.store.jobs_scheduled()
    }
}

#[async_trait]
impl Feed for FailingStore {
    async fn changes(
        &self,
        environment: EnvironmentId,
        query: &ChangesQuery,
    ) -> Result<ChangesPage, StoreError> {
        self.read_from()?.changes(environment, query).await
    }

    async fn audit_log(
        &self,
        environment: EnvironmentId,
        query: &AuditQuery,
    ) -> Result<AuditPage, StoreError> {
        self.read_from()?.audit_log(environment, query).await
    }

    async fn forget_changes(
        &self,
        environment: EnvironmentId,
        kept: RangeInclusive<Timestamp>,
        kept_max: i64,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.write_to()?.forget_changes(environment, kept, kept_max, at_most).await
    }

    async fn forget_audit_log(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.write_to()?.forget_audit_log(environment, before, at_most).await
    }
}

#[async_trait]
impl People for FailingStore {
    async fn admins(&self) -> Result<Vec<Admin>, StoreError> {
        self.read_from()?.admins().await
    }

    async fn credentials(&self, email_folded: &str) -> Result<Option<Credentials>, StoreError> {
        self.read_from()?.credentials(email_folded).await
    }

    async fn session(&self, hash: SecretHash) -> Result<Option<SignedIn>, StoreError> {
        self.read_from()?.session(hash).await
    }

    async fn sessions_of(&self, admin: AdminId) -> Result<Vec<Session>, StoreError> {
        self.read_from()?.sessions_of(admin).await
    }

    async fn note_seen(
        &self,
        hash: SecretHash,
        at: Timestamp,
        ends_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write_to()?.note_seen(hash, at, ends_at).await
    }

    async fn invitation(
        &self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<OpenInvitation>, StoreError> {
        self.read_from()?.invitation(hash, now).await
    }

    async fn claim_form(
        &self,
        form: SecretHash,
        at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        self.write_to()?.claim_form(form, at).await
    }

    async fn settle_form(&self, form: SecretHash, led_to: Option<&str>) -> Result<(), StoreError> {
        self.write_to()?.settle_form(form, led_to).await
    }

    async fn forget_ended(&self, now: Timestamp, at_most: usize) -> Result<usize, StoreError> {
        self.write_to()?.forget_ended(now, at_most).await
    }

    async fn audit_log_of_app(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        self.read_from()?.audit_log_of_app(query).await
    }

    async fn forget_audit_log_of_app(
        &self,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.write_to()?.forget_audit_log_of_app(before, at_most).await
    }
}
