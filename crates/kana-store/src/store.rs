//! What an engine must do.
//!
//! The methods take many keys at once: an engine across a network answers them in one round trip,
//! one in the process with a prepared statement each. Answers stand in the order of the keys.

use async_trait::async_trait;
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
use kana_core::user::User;
use uuid::Uuid;

use crate::app::{
    App, ClientAccess, EnvironmentId, EnvironmentKind, Key, KeyHash, NewKey, TokenSecret,
};
use crate::error::StoreError;
use crate::feed::{Feed, Records};
use crate::jobs::{JobStore, JobTransaction};
use crate::limit_crossings::CrossedLimit;
use crate::people::{People, PeopleTransaction};
use crate::threads::NeededThreads;
use crate::transfer::{Export, Import, Scope};
use crate::usage_by_user::{UsageByUser, UsageWindow};
use crate::usage_events::UsageEvents;
use crate::usage_statistics::UsageStatistics;
use crate::user_deletion::UserDeletionTransaction;
use crate::user_imports::{UserImportTransaction, UserImports};
use crate::user_search::UserSearch;

/// Users' facts with the catalog version that was current in the same instant.
#[derive(Debug)]
pub struct Facts {
    /// The environment's catalog version.
    pub catalog_version: CatalogVersion,
    /// Each user with the subscriptions that run; `None` for a user that does not exist.
    pub users: Vec<Option<UserFacts>>,
}

/// A database that keeps one app. Once a call that changes something has returned, the change
/// survives `kill -9` and power loss. No call waits without a bound: [`Deadlines`](crate::Deadlines)
/// has them all.
#[async_trait]
pub trait Store: Feed + JobStore + People + UsageStatistics + Send + Sync + 'static {
    /// The app; `None` on an empty database.
    async fn app(&self) -> Result<Option<App>, StoreError>;

    /// Creates the app, its two environments and their first keys, without committing them. The
    /// caller can hand out the keys and then commit. Returns `None` if there is an app already.
    async fn begin_app(
        &self,
        app: App,
        keys: Vec<NewKey>,
        created_at: Timestamp,
    ) -> Result<Option<Box<dyn WriteTransaction>>, StoreError>;

    /// Creates the app, its two environments and their first keys. Returns false, and changes
    /// nothing, if there is an app already.
    async fn create_app(
        &self,
        app: App,
        keys: Vec<NewKey>,
        created_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(transaction) = self.begin_app(app, keys, created_at).await? else {
            return Ok(false);
        };
        transaction.commit().await?;
        Ok(true)
    }

    /// Every key, the revoked ones included, oldest first.
    async fn keys(&self) -> Result<Vec<Key>, StoreError>;

    /// The key with this hash, also when it is revoked.
    async fn find_key(&self, hash: KeyHash) -> Result<Option<Key>, StoreError>;

    /// How an environment lets browsers in; `None` on an empty database.
    async fn client_access(
        &self,
        environment: EnvironmentKind,
    ) -> Result<Option<ClientAccess>, StoreError>;

    /// Stores a secret that signs user tokens, unless the environment has one already. Returns the
    /// environment's signing secret.
    async fn provide_token_secret(
        &self,
        environment: EnvironmentId,
        secret: Vec<u8>,
        created_at: Timestamp,
    ) -> Result<TokenSecret, StoreError>;

    /// Notes when keys were last used: each key's number with the minute. A later use stays.
    async fn note_key_uses(&self, uses: Vec<(i64, Timestamp)>) -> Result<(), StoreError>;

    /// Returns the threads that the store needs. A server adds its own.
    fn needed_threads(&self) -> NeededThreads {
        NeededThreads::default()
    }

    /// How many writers can be at work at the same time without waiting for each other.
    fn lanes(&self) -> usize {
        1
    }

    /// How many views are read at the same time by questions that gather for them. `None` where to read
    /// by oneself takes no longer than to ask somebody to.
    fn readers(&self) -> Option<usize> {
        None
    }

    /// Returns `Ok` if the database answers questions and accepts changes, and the reason
    /// otherwise.
    ///
    /// After a commit that failed for want of space or permission, or by a damaged page, an engine
    /// tries a change here, at most about once a second: a node that its load balancer has taken
    /// out gets no other writes. Fails with [`Unavailable`](StoreError::Unavailable) if there is no
    /// result within [`Deadlines::ready`](crate::Deadlines::ready).
    async fn check_ready(&self) -> Result<(), StoreError>;

    /// Forgets usage events that were recorded before `before`, the oldest first: at most `at_most`
    /// of them, or whole months where the engine keeps them so, and then only months of which every
    /// event is that old. Says whether there may be more. Counters stay as they are.
    async fn forget_events(&self, before: Timestamp, at_most: usize) -> Result<bool, StoreError>;

    /// Forgets idempotency keys that were stored before `before`, if the engine forgets them in
    /// bulk, as both of ours do: some of them later, but before they are half as old again. For other
    /// engines, each command that stores a key forgets those of
    /// [`keys_kept_before`](Transaction::keys_kept_before). A key that is still there counts as
    /// forgotten.
    async fn forget_old_keys(&self, _before: Timestamp, _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    /// Stores the facts of up to `at_most` users once more where one look-up finds them, if the engine
    /// does so and an older release has stored the users. Returns true if there may be more of them. No
    /// answer changes.
    async fn gather_user_facts(&self, _at_most: usize) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Whether the engine keeps events in partitions. Then
    /// [`make_partitions`](Store::make_partitions) must be called now and then.
    fn needs_upkeep(&self) -> bool {
        false
    }

    /// Creates the partitions that events will need this month and the next. Recording creates one
    /// that is missing, but others wait for that.
    async fn make_partitions(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Begins an export of everything in the scope, as it is now, whatever is written meanwhile.
    async fn export(&self, scope: &Scope) -> Result<Export, StoreError>;

    /// Reads the usage of an environment again, user by user. Pauses, so that requests keep most of the
    /// processor. Stops soon after the batches are dropped. Returns `None` while another node reads it.
    async fn usage_by_user(
        &self,
        environment: EnvironmentId,
        window: UsageWindow,
    ) -> Result<Option<UsageByUser>, StoreError>;

    /// Begins an import; [`NotEmpty`](StoreError::NotEmpty) where there is an app already.
    async fn import(&self) -> Result<Box<dyn Import>, StoreError>;

    /// Begins to read: everything read through one transaction held in the same instant.
    async fn read(&self) -> Result<Box<dyn Transaction>, StoreError>;

    /// Begins to read for a question about one user, whose [facts](Transaction::facts) are asked for
    /// first. Like [`read`](Store::read), but the instant is any between this call and the first answer,
    /// and a later call fails with [`Conflict`](StoreError::Conflict) if it cannot be answered of that
    /// instant. The question can then be read again.
    async fn read_facts(&self) -> Result<Box<dyn Transaction>, StoreError> {
        self.read().await
    }

    /// Begins to write. Until [`commit`](WriteTransaction::commit) nothing has happened; dropping
    /// the transaction leaves everything as it was.
    async fn write(&self) -> Result<Box<dyn WriteTransaction>, StoreError>;
}

/// One consistent view of the database.
#[async_trait]
pub trait Transaction: UserSearch + UsageEvents + UserImports + Send {
    /// How often the environment's catalog has changed.
    async fn catalog_version(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<CatalogVersion, StoreError>;

    /// The environment's whole catalog.
    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError>;

    /// Whether usage of these features was ever recorded, counted or not, or a user was ever given an
    /// override or a grant of them, or held some: what keeps a feature.
    async fn have_usage(
        &mut self,
        environment: EnvironmentId,
        features: &[FeatureId],
    ) -> Result<Vec<bool>, StoreError>;

    /// To how many users each package's subscriptions grant something at `now`. One that is set to begin counts
    /// from its start, and none counts once its end has come.
    async fn active_subscribers(
        &mut self,
        environment: EnvironmentId,
        packages: &[PackageId],
        now: Timestamp,
    ) -> Result<Vec<u64>, StoreError>;

    /// Users with what the product knows of them.
    async fn users(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Vec<Option<User>>, StoreError>;

    /// The first `limit` users in order of creation, after the one with the key `after`.
    async fn users_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<UserKey>,
        limit: usize,
    ) -> Result<Vec<User>, StoreError>;

    /// Users' facts, with the catalog version. Counters that are in memory come with them.
    async fn facts(
        &mut self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Result<Facts, StoreError>;

    /// Subscriptions with the ids of their users.
    async fn subscriptions(
        &mut self,
        environment: EnvironmentId,
        ids: &[SubscriptionId],
    ) -> Result<Vec<Option<(UserId, Subscription)>>, StoreError>;

    /// The first `limit` subscriptions with the ids of their users, newest first by their start,
    /// then by creation, after the one with the start and the id `after`.
    async fn subscriptions_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<(Timestamp, SubscriptionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, Subscription)>, StoreError>;

    /// Each user's subscriptions, the ended ones included, in no order.
    async fn subscriptions_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError>;

    /// Each user's subscriptions that have ended.
    async fn ended_subscriptions(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Subscription>>, StoreError>;

    /// Each user's overrides, those that have ended included, in no order.
    async fn overrides_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Override>>, StoreError>;

    /// Each user's grants, those that have ended included, in no order.
    async fn grants_of(
        &mut self,
        environment: EnvironmentId,
        users: &[UserKey],
    ) -> Result<Vec<Vec<Grant>>, StoreError>;

    /// The holds on each of these balances of users that live at an instant or later, in no order. Holds on other
    /// balances are not read, however many there are.
    async fn living_holds_of(
        &mut self,
        environment: EnvironmentId,
        balances: &[(UserKey, FeatureId)],
        since: Timestamp,
    ) -> Result<Vec<Vec<Hold>>, StoreError>;

    /// The users' holds with these ids, also those that are over; `None` for one that is not there.
    async fn holds(
        &mut self,
        environment: EnvironmentId,
        ids: &[(UserKey, HoldId)],
    ) -> Result<Vec<Option<Hold>>, StoreError>;

    /// Returns the values of counters; `None` for a counter that was never written.
    async fn counters(
        &mut self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Result<Vec<Option<CounterValue>>, StoreError>;

    /// Returns the first `limit` counters of the environment after the one at `after`. Counters of
    /// one subscription, feature and terms number are next to each other, in the order of their
    /// periods. Counters that were written recently may be missing.
    async fn counters_after(
        &mut self,
        environment: EnvironmentId,
        after: Option<&(UserKey, CounterKey)>,
        limit: usize,
    ) -> Result<Vec<(UserKey, CounterKey)>, StoreError>;

    /// What was answered under idempotency keys.
    async fn replays(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<Vec<Option<Replay>>, StoreError>;

    /// Returns whose usage of which feature has crossed a share of a limit in a period that has not
    /// ended at `now`, each once, the newest first, at most `limit`. Of the crossings, the newest 1,000
    /// are looked at.
    async fn limit_crossings(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<CrossedLimit>, StoreError>;

    /// Returns the first `limit` threshold events, of one user or of all, after the one with the id
    /// `after`, in the order of their ids, which is that of arrival. Each comes with the id that its user
    /// has now.
    async fn threshold_events(
        &mut self,
        environment: EnvironmentId,
        user: Option<UserKey>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<(UserId, ThresholdEvent)>, StoreError>;

    /// Returns the oldest `limit` idempotency keys that were stored before `before`, to be
    /// forgotten. Returns none if the engine forgets in bulk, with
    /// [`forget_old_keys`](Store::forget_old_keys).
    async fn keys_kept_before(
        &mut self,
        environment: EnvironmentId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<IdempotencyKey>, StoreError>;
}

/// A view of the database that can be changed. No other writer changes what it has read: an engine
/// with many writers holds the users whose facts were asked for, and the catalog, until the end, and
/// fails with [`Conflict`](StoreError::Conflict) where it notices late that another was faster.
/// Ask for the facts of all users that are to be changed first, in one call.
#[async_trait]
pub trait WriteTransaction:
    Transaction + JobTransaction + PeopleTransaction + UserImportTransaction + UserDeletionTransaction
{
    /// Writes changes of users' facts, in their order. An id that one change frees can be taken by a
    /// later one. Usage alone, of users whose facts were asked for, may be written with the next call or
    /// the commit, which then fails where this would have.
    async fn change_facts(
        &mut self,
        environment: EnvironmentId,
        changes: &[(UserKey, Change)],
    ) -> Result<(), StoreError>;

    /// Forgets idempotency keys and what was answered under them. Whoever uses one again is new.
    async fn forget_keys(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<(), StoreError>;

    /// Writes changes of the catalog that were planned on the version `planned_on`, and answers
    /// the new version; [`StaleCatalog`](StoreError::StaleCatalog) when that is no longer current.
    async fn change_catalog(
        &mut self,
        environment: EnvironmentId,
        planned_on: CatalogVersion,
        changes: &[CatalogChange],
    ) -> Result<CatalogVersion, StoreError>;

    /// Stores a key and returns it. The app must exist.
    async fn add_key(&mut self, key: &NewKey) -> Result<Key, StoreError>;

    /// Revokes a key, unless it is revoked already. Returns the key as it is now, and whether this
    /// call revoked it; `None` if there is no such key.
    async fn revoke_key(
        &mut self,
        id: i64,
        at: Timestamp,
    ) -> Result<Option<(Key, bool)>, StoreError>;

    /// Adds a secret to sign user tokens with from now on. Tokens of earlier ones are good until
    /// `earlier_valid_until` at most; those that are no longer good at `now` are forgotten. Returns
    /// the environment; `None` on an empty database.
    async fn rotate_token_secret(
        &mut self,
        environment: EnvironmentKind,
        secret: Vec<u8>,
        now: Timestamp,
        earlier_valid_until: Timestamp,
    ) -> Result<Option<EnvironmentId>, StoreError>;

    /// Sets whether a public key and a user's id are enough for the Client API. Returns the
    /// environment and whether they were until now; `None` on an empty database.
    async fn set_simple_mode(
        &mut self,
        environment: EnvironmentKind,
        on: bool,
    ) -> Result<Option<(EnvironmentId, bool)>, StoreError>;

    /// Adds to the changes feed and the audit log of an environment, at most once for each
    /// environment, when everything else has been written. They are durable with the rest.
    async fn append(
        &mut self,
        environment: EnvironmentId,
        records: Records,
    ) -> Result<(), StoreError>;

    /// Makes everything durable.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}
