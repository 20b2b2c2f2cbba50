//! A running Kana with something to use.

use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::catalog::{Allowance, Feature, FeatureKind};
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::id::{FeatureId, IdempotencyKey, PackageId, UserId};
use kana_core::period::ResetPeriod;
use kana_core::usage::{RecordUsage, UsageAction};
use kana_core::user::User;
use kana_service::{Environment, InitialKeys, Kana, ManualClock, init};
use kana_store::{EnvironmentKind, Store};

use crate::engine::Engine;

/// The features: `daily` and `total` are counted, `sso` is `BINARY`, and nothing gives `other`.
pub(crate) const FEATURES: [&str; 4] = ["daily", "total", "sso", "other"];

/// The users, who are subscribed since the beginning.
pub(crate) const USERS: [&str; 3] = ["ada", "bob", "cyd"];

/// When the story begins: at midnight, so that the periods of `daily` are days.
pub(crate) const BEGINNING: &str = "2024-01-15T00:00:00.000Z";

/// A Kana on a database of its own.
pub(crate) struct World<E: Engine> {
    pub(crate) kana: Arc<Kana>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    keys: InitialKeys,
    // Last, so that the store is closed before its database goes away.
    pub(crate) database: E::Database,
}

impl<E: Engine> World<E> {
    /// With a package that gives 5 of `daily` a day, 100 of `total` for ever with overage, and `sso`.
    pub(crate) async fn new() -> Self {
        let database = E::empty().await;
        let clock = Arc::new(ManualClock::new(time(BEGINNING)));
        let store = E::open(&database).await;
        let keys = init(store.as_ref(), clock.as_ref(), "story").await.unwrap().unwrap();
        let world = Self::start(store, clock, keys, database);
        world.fill().await;
        world
    }

    fn start(
        store: Arc<dyn Store>,
        clock: Arc<ManualClock>,
        keys: InitialKeys,
        database: E::Database,
    ) -> Self {
        let kana = Kana::start(Arc::clone(&store), Arc::clone(&clock) as _).unwrap();
        Self { kana, store, clock, keys, database }
    }

    async fn fill(&self) {
        let test = self.test().await;
        for id in FEATURES {
            let kind = match id {
                "sso" => FeatureKind::Binary,
                _ => FeatureKind::CONSUMABLE,
            };
            let id = feature_id(id);
            let feature = Feature { name: (&id).into(), id, kind, metadata: None };
            test.create_feature(feature).await.unwrap();
        }
        let daily = Allowance {
            limit: Some(5),
            reset_period: Some(ResetPeriod::Day),
            overage_enabled: false,
            ..Allowance::UNLIMITED
        };
        let total = Allowance {
            limit: Some(100),
            reset_period: None,
            overage_enabled: true,
            ..Allowance::UNLIMITED
        };
        let gives = [("daily", Some(daily)), ("total", Some(total)), ("sso", None)];
        let gives = gives.map(|(feature, allowance)| NewPackageFeature {
            feature: feature_id(feature),
            name: None,
            allowance,
        });
        let package = NewPackage {
            id: package_id("pro"),
            name: None,
            is_addon: false,
            features: gives.to_vec(),
            base_packages: Vec::new(),
            metadata: None,
        };
        test.create_package(package).await.unwrap();
        test.publish_package(package_id("pro")).await.unwrap();
        for id in USERS {
            test.create_user(User::named(user_id(id))).await.unwrap();
            test.subscribe(user_id(id), vec![package_id("pro")], None).await.unwrap();
        }
    }

    /// The test environment.
    pub(crate) async fn test(&self) -> Environment {
        self.kana.authorise_private(self.keys.test_private.reveal()).await.unwrap()
    }

    /// Finishes everything, as at the end of a process, and starts again.
    pub(crate) async fn restart(self) -> Self {
        let Self { kana, store, clock, keys, database } = self;
        kana.finish().await;
        drop(store);
        let store = E::open(&database).await;
        Self::start(store, clock, keys, database)
    }

    /// Starts again from what is there now, as after `kill -9`.
    pub(crate) async fn crash(self) -> Self {
        match E::left_by_a_crash(&self.database) {
            None => self.restart().await,
            Some(left) => {
                let Self { kana, store, clock, keys, database } = self;
                kana.finish().await;
                drop((store, database));
                let store = E::open(&left).await;
                Self::start(store, clock, keys, left)
            }
        }
    }

    /// Folds the deltas of at most `at_most` commits.
    pub(crate) async fn fold(&self, at_most: usize) {
        let access = self.store.client_access(EnvironmentKind::Test).await.unwrap().unwrap();
        self.store.fold_usage(access.environment, at_most).await.unwrap();
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, ms: i64) {
        self.clock.set(self.now().saturating_add_ms(ms));
    }

    pub(crate) fn now(&self) -> Timestamp {
        kana_service::Clock::now(self.clock.as_ref())
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse("time", text).unwrap()
}

pub(crate) fn user_id(id: &str) -> UserId {
    UserId::new("user", id).unwrap()
}

pub(crate) fn feature_id(id: &str) -> FeatureId {
    FeatureId::new("feature", id).unwrap()
}

pub(crate) fn package_id(id: &str) -> PackageId {
    PackageId::new("package", id).unwrap()
}

pub(crate) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new("key", text).unwrap()
}

/// Usage of so much of a feature, now.
pub(crate) fn usage(user: &str, feature: &str, delta: i64) -> RecordUsage {
    RecordUsage {
        user: user_id(user),
        feature: feature_id(feature),
        action: UsageAction::Add,
        delta,
        occurred_at: None,
        idempotency_key: None,
        metadata: None,
    }
}
