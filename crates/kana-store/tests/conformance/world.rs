//! What the stories are about, and a database to tell them to.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use kana_core::Timestamp;
use kana_core::catalog::{
    Allowance, Catalog, CatalogChange, CatalogVersion, Feature, FeatureKind, Package,
    PackageFeature, PackageKind, PackageStatus,
};
use kana_core::counter::CounterValue;
use kana_core::facts::{Change, CounterKey, UserFacts};
use kana_core::id::{FeatureId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey};
use kana_core::idempotency::{Content, KeptAnswer, Replay};
use kana_core::metadata::{Label, Metadata};
use kana_core::quantity::{Quantities, Quantity};
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::terms::TermsNumber;
use kana_core::timing::Timing;
use kana_core::usage::{LoggedAction, RecordedUsage, UsageAction, UsageEvent};
use kana_core::user::User;
use kana_store::app::{Key, KeyHash, KeyKind, NewKey};
use kana_store::{App, EnvironmentId, EnvironmentKind, Facts, Store, StoreError};
use serde_json::Value;
use uuid::Uuid;

use crate::Engine;

/// Changes of access, each in a transaction of its own.
#[async_trait]
pub(crate) trait Access {
    async fn add_key(&self, key: NewKey) -> Result<Key, StoreError>;
    async fn revoke_key(&self, id: i64, at: Timestamp) -> Result<Option<Key>, StoreError>;
    async fn rotate_token_secret(
        &self,
        environment: EnvironmentKind,
        secret: Vec<u8>,
        now: Timestamp,
        earlier_valid_until: Timestamp,
    ) -> Result<bool, StoreError>;
    async fn set_simple_mode(
        &self,
        environment: EnvironmentKind,
        on: bool,
    ) -> Result<bool, StoreError>;
}

#[async_trait]
impl<S: Store + ?Sized> Access for S {
    async fn add_key(&self, key: NewKey) -> Result<Key, StoreError> {
        let mut transaction = self.write().await?;
        let added = transaction.add_key(&key).await?;
        transaction.commit().await?;
        Ok(added)
    }

    async fn revoke_key(&self, id: i64, at: Timestamp) -> Result<Option<Key>, StoreError> {
        let mut transaction = self.write().await?;
        let revoked = transaction.revoke_key(id, at).await?;
        transaction.commit().await?;
        Ok(revoked.map(|(key, _)| key))
    }

    async fn rotate_token_secret(
        &self,
        environment: EnvironmentKind,
        secret: Vec<u8>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let rotated = transaction.rotate_token_secret(environment, secret, now, until).await?;
        transaction.commit().await?;
        Ok(rotated.is_some())
    }

    async fn set_simple_mode(
        &self,
        environment: EnvironmentKind,
        on: bool,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let set = transaction.set_simple_mode(environment, on).await?;
        transaction.commit().await?;
        Ok(set.is_some())
    }
}

/// An app with its two environments, on a database of its own.
pub(crate) struct World<E: Engine> {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) test: EnvironmentId,
    pub(crate) live: EnvironmentId,
    // Last, so that the store is closed before its database goes away.
    pub(crate) database: E::Database,
}

impl<E: Engine> World<E> {
    /// Where most stories begin: an app with a private key per environment, and nothing else.
    pub(crate) async fn new() -> Self {
        let database = E::empty().await;
        let store = E::open(&database).await;
        let keys = vec![
            private_key(EnvironmentKind::Test, "test"),
            private_key(EnvironmentKind::Live, "live"),
        ];
        assert!(store.create_app(app("Kana"), keys, time(BEGINNING)).await.unwrap());
        let test = store.find_key(hash("test")).await.unwrap().unwrap().environment;
        let live = store.find_key(hash("live")).await.unwrap().unwrap().environment;
        Self { store, test, live, database }
    }

    /// The same database, closed and opened again.
    pub(crate) async fn opened_again(self) -> Self {
        let Self { store, test, live, database } = self;
        drop(store);
        let store = E::open(&database).await;
        Self { store, test, live, database }
    }

    /// Writes changes of one user in a transaction of their own.
    pub(crate) async fn change(
        &self,
        environment: EnvironmentId,
        user: UserKey,
        changes: impl IntoIterator<Item = Change>,
    ) {
        let changes: Vec<_> = changes.into_iter().map(|change| (user, change)).collect();
        let mut writer = self.store.write().await.unwrap();
        writer.change_facts(environment, &changes).await.unwrap();
        writer.commit().await.unwrap();
    }

    /// Writes changes of the catalog, planned on its current version.
    pub(crate) async fn change_catalog(
        &self,
        environment: EnvironmentId,
        changes: &[CatalogChange],
    ) -> CatalogVersion {
        let mut writer = self.store.write().await.unwrap();
        let planned_on = writer.catalog_version(environment).await.unwrap();
        let version = writer.change_catalog(environment, planned_on, changes).await.unwrap();
        writer.commit().await.unwrap();
        version
    }

    pub(crate) async fn catalog(&self, environment: EnvironmentId) -> Catalog {
        self.store.read().await.unwrap().catalog(environment).await.unwrap()
    }

    pub(crate) async fn catalog_version(&self, environment: EnvironmentId) -> CatalogVersion {
        self.store.read().await.unwrap().catalog_version(environment).await.unwrap()
    }

    pub(crate) async fn users(
        &self,
        environment: EnvironmentId,
        ids: &[UserId],
    ) -> Vec<Option<User>> {
        self.store.read().await.unwrap().users(environment, ids).await.unwrap()
    }

    pub(crate) async fn user(&self, environment: EnvironmentId, id: &str) -> Option<User> {
        one(self.users(environment, &[user_id(id)]).await)
    }

    pub(crate) async fn facts(&self, environment: EnvironmentId, ids: &[UserId]) -> Facts {
        let facts = self.store.read().await.unwrap().facts(environment, ids).await.unwrap();
        // The first question may leave them in memory, for the second.
        for _ in 0..2 {
            let mut question = self.store.read_facts().await.unwrap();
            let asked = question.facts(environment, ids).await.unwrap();
            assert_eq!(asked.catalog_version, facts.catalog_version);
            let by_id = |user: UserFacts| (user.key, by_id(user.subscriptions().to_vec()));
            let users = facts.users.iter().cloned().map(|user| user.map(by_id));
            assert!(asked.users.into_iter().map(|user| user.map(by_id)).eq(users));
        }
        facts
    }

    pub(crate) async fn facts_of(&self, environment: EnvironmentId, id: &str) -> Option<UserFacts> {
        one(self.facts(environment, &[user_id(id)]).await.users)
    }

    /// The subscriptions of a user that run, by id.
    pub(crate) async fn running(&self, environment: EnvironmentId, id: &str) -> Vec<Subscription> {
        by_id(self.facts_of(environment, id).await.unwrap().subscriptions().to_vec())
    }

    /// The subscriptions of a user that have ended, by id.
    pub(crate) async fn ended(
        &self,
        environment: EnvironmentId,
        user: UserKey,
    ) -> Vec<Subscription> {
        let mut reader = self.store.read().await.unwrap();
        by_id(one(reader.ended_subscriptions(environment, &[user]).await.unwrap()))
    }

    pub(crate) async fn subscriptions(
        &self,
        environment: EnvironmentId,
        ids: &[SubscriptionId],
    ) -> Vec<Option<(UserId, Subscription)>> {
        self.store.read().await.unwrap().subscriptions(environment, ids).await.unwrap()
    }

    pub(crate) async fn counters(
        &self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Vec<i64> {
        let stored = self.stored_counters(environment, counters).await;
        stored.into_iter().map(Option::unwrap_or_default).collect()
    }

    pub(crate) async fn stored_counters(
        &self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Vec<Option<i64>> {
        let stored = self.counter_values(environment, counters).await;
        stored.into_iter().map(|value| value.map(|value| value.used)).collect()
    }

    pub(crate) async fn counter_values(
        &self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Vec<Option<CounterValue>> {
        let mut reader = self.store.read().await.unwrap();
        let stored = reader.counters(environment, counters).await.unwrap();
        // Of whom these may be, by id.
        for user in reader.users_after(environment, None, 10).await.unwrap() {
            for _ in 0..2 {
                let mut question = self.store.read_facts().await.unwrap();
                question.facts(environment, std::slice::from_ref(&user.id)).await.unwrap();
                assert_eq!(question.counters(environment, counters).await.unwrap(), stored);
            }
        }
        stored
    }

    pub(crate) async fn counter(
        &self,
        environment: EnvironmentId,
        user: UserKey,
        counter: CounterKey,
    ) -> i64 {
        one(self.counters(environment, &[(user, counter)]).await)
    }

    pub(crate) async fn replays(
        &self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Vec<Option<Replay>> {
        self.store.read().await.unwrap().replays(environment, keys).await.unwrap()
    }

    pub(crate) async fn replay(&self, environment: EnvironmentId, key: &str) -> Option<Replay> {
        one(self.replays(environment, &[idempotency_key(key)]).await)
    }
}

/// The answer about the one key that was asked about.
pub(crate) fn one<T>(answers: Vec<T>) -> T {
    let [answer] = <[T; 1]>::try_from(answers).ok().expect("one answer to a question about one");
    answer
}

/// In the order of creation: no engine promises an order among one user's subscriptions.
pub(crate) fn by_id(mut subscriptions: Vec<Subscription>) -> Vec<Subscription> {
    subscriptions.sort_by_key(|subscription| subscription.id);
    subscriptions
}

/// The instant at which every story begins, unless it says otherwise.
pub(crate) const BEGINNING: &str = "2024-01-01T00:00:00.000Z";

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse("at", text).unwrap()
}

pub(crate) fn app(name: &str) -> App {
    App { name: name.to_owned() }
}

/// The hash of the key that a story calls `name`: any 32 bytes do, if they differ by name.
pub(crate) fn hash(name: &str) -> KeyHash {
    let mut hash = [0xA5; 32];
    hash[..name.len()].copy_from_slice(name.as_bytes());
    KeyHash(hash)
}

pub(crate) fn private_key(environment: EnvironmentKind, name: &str) -> NewKey {
    NewKey {
        environment,
        kind: KeyKind::Private,
        hash: hash(name),
        name: Some(name.to_owned()),
        last_four: name.chars().take(4).collect(),
        created_at: time(BEGINNING),
        created_by: Some("command line".to_owned()),
        expires_at: None,
    }
}

pub(crate) fn user_id(text: &str) -> UserId {
    UserId::new("userId", text).unwrap()
}

pub(crate) fn user_ids<const N: usize>(texts: [&str; N]) -> [UserId; N] {
    texts.map(user_id)
}

pub(crate) fn feature_id(text: &str) -> FeatureId {
    FeatureId::new("featureId", text).unwrap()
}

pub(crate) fn package_id(text: &str) -> PackageId {
    PackageId::new("packageId", text).unwrap()
}

pub(crate) fn idempotency_key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new("idempotencyKey", text).unwrap()
}

pub(crate) fn label(text: &str) -> Label {
    Label::new("name", text).unwrap()
}

pub(crate) fn metadata(value: Value) -> Metadata {
    Metadata::new("metadata", value).unwrap()
}

/// The key of the user that a story counts as its `n`th.
pub(crate) fn user_key(n: u16) -> UserKey {
    UserKey(version_7(1, n))
}

/// The id of the subscription that a story counts as its `n`th.
pub(crate) fn subscription_id(n: u16) -> SubscriptionId {
    SubscriptionId(version_7(2, n))
}

/// Ids as the service makes them, ordered by `n`, but the same in every run.
fn version_7(kind: u8, n: u16) -> Uuid {
    let made_at = 1_704_067_200_000 + u64::from(n);
    uuid::Builder::from_unix_timestamp_millis(made_at, &[kind; 10]).into_uuid()
}

/// A user of whom nothing but the id is known.
pub(crate) fn user(key: UserKey, id: &str) -> User {
    User { key, ..User::named(user_id(id)) }
}

pub(crate) fn create_user(key: UserKey, id: &str) -> Change {
    Change::CreateUser(user(key, id))
}

/// The user is so from now on, under the same id.
pub(crate) fn update_user(user: User) -> Change {
    Change::UpdateUser { user, previous_id: None }
}

/// The user has another id from now on, and nothing else is known.
pub(crate) fn rename_user(key: UserKey, from: &str, to: &str) -> Change {
    Change::UpdateUser { user: user(key, to), previous_id: Some(user_id(from)) }
}

/// A subscription that runs since the beginning.
pub(crate) fn subscription(id: SubscriptionId, package: &str) -> Subscription {
    Subscription {
        id,
        package: package_id(package),
        status: SubscriptionStatus::Active,
        started_at: time(BEGINNING),
        ended_at: None,
        quantities: Quantities::ONE,
        timing: Timing::NONE,
    }
}

/// The same subscription, cancelled.
pub(crate) fn cancelled(mut subscription: Subscription, ended_at: &str) -> Subscription {
    subscription.status = SubscriptionStatus::Cancelled;
    subscription.ended_at = Some(time(ended_at));
    subscription
}

pub(crate) fn subscribe(id: SubscriptionId, package: &str) -> Change {
    Change::AddSubscription(subscription(id, package))
}

/// Quantities that change once a day, the first one on the second day.
pub(crate) fn quantities(all: &[i64]) -> Quantities {
    let quantity = |quantity| Quantity::new("quantity", quantity).unwrap();
    let mut quantities = Quantities::of(quantity(all[0]));
    for (day, next) in (1..).zip(&all[1..]) {
        let at = time("2024-01-01T00:00:00Z").saturating_add_ms(day * 24 * 60 * 60 * 1000);
        quantities.change(quantity(*next), at);
    }
    quantities
}

pub(crate) fn set_quantities(subscription: SubscriptionId, quantities: &Quantities) -> Change {
    Change::SetQuantities { subscription, quantities: quantities.clone() }
}

pub(crate) fn set_timing(subscription: SubscriptionId, timing: Timing) -> Change {
    Change::SetTiming { subscription, timing }
}

pub(crate) fn cancel(subscription: SubscriptionId, ended_at: &str) -> Change {
    Change::CancelSubscription { subscription, ended_at: time(ended_at) }
}

/// The counter of a feature under a subscription in the period that starts at the beginning.
pub(crate) fn counter(subscription: SubscriptionId, feature: &str) -> CounterKey {
    CounterKey {
        subscription,
        feature: feature_id(feature),
        terms: TermsNumber::default(),
        period_start: time(BEGINNING),
    }
}

pub(crate) fn delete_counter(counter: CounterKey) -> Change {
    Change::DeleteCounter { counter }
}

pub(crate) fn count(counter: CounterKey, used: i64) -> Change {
    Change::SetCounter { counter, value: used.into() }
}

/// One more use of a feature, counted under a subscription.
pub(crate) fn event(subscription: SubscriptionId, feature: &str) -> UsageEvent {
    UsageEvent {
        feature: feature_id(feature),
        action: LoggedAction::Add,
        delta: 1,
        occurred_at: time(BEGINNING),
        recorded_at: time(BEGINNING),
        amount: 1,
        drawn: None,
        subscription: Some(subscription),
        idempotency_key: None,
        metadata: None,
    }
}

/// One more use of a feature that was recorded.
pub(crate) fn replay(user: UserKey, feature: &str) -> Replay {
    Replay {
        content: Content {
            user,
            feature: feature_id(feature),
            action: UsageAction::Add,
            delta: 1,
            occurred_at: None,
        },
        answer: KeptAnswer::Recorded(RecordedUsage::Recorded),
        counted: None,
        kept_at: time(BEGINNING),
    }
}

pub(crate) fn keep(key: &str, replay: Replay) -> Change {
    Change::KeepReplay { key: idempotency_key(key), replay }
}

/// A consumable feature, called by its id.
pub(crate) fn feature(id: &str) -> Feature {
    Feature { id: feature_id(id), name: label(id), kind: FeatureKind::CONSUMABLE, metadata: None }
}

/// A published base package that gives its features without a limit, called by its id.
pub(crate) fn package<const N: usize>(id: &str, features: [&str; N]) -> Package {
    Package {
        id: package_id(id),
        name: label(id),
        kind: PackageKind::Base,
        status: PackageStatus::Published,
        metadata: None,
        updated_at: time(BEGINNING),
        features: features.into_iter().map(|id| gives(id, Allowance::UNLIMITED)).collect(),
        terms: BTreeMap::new(),
    }
}

/// A feature as it sits in a package, under its own name.
pub(crate) fn gives(feature: &str, allowance: Allowance) -> (FeatureId, PackageFeature) {
    (feature_id(feature), PackageFeature { name: None, allowance })
}

pub(crate) fn features<const N: usize>(
    features: [(FeatureId, PackageFeature); N],
) -> IndexMap<FeatureId, PackageFeature> {
    IndexMap::from(features)
}

pub(crate) fn put_feature(feature: &Feature) -> CatalogChange {
    CatalogChange::PutFeature(Arc::new(feature.clone()))
}

pub(crate) fn put_package(package: &Package) -> CatalogChange {
    CatalogChange::PutPackage(Arc::new(package.clone()))
}

/// The catalog with everything in its order, which `==` does not look at.
pub(crate) fn written_out(catalog: &Catalog) -> String {
    format!("{catalog:#?}")
}
