//! Nodes on a database of their own, which is gone when the story ends.

use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::catalog::{Allowance, Feature, FeatureKind};
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::id::{FeatureId, IdempotencyKey, PackageId, UserId};
use kana_core::usage::{RecordUsage, UsageAction, UseFeature};
use kana_core::user::User;
use kana_service::{Environment, InitialKeys, Kana, ManualClock, init};
use kana_store::PostgresStore;
use kana_store::postgres::Settings;
use kana_test_postgres::{Database, is_here};

/// Two nodes, by their test environments.
pub(crate) struct World {
    pub(crate) nodes: [Environment; 2],
    pub(crate) stores: [Arc<PostgresStore>; 2],
    pub(crate) running: Vec<Arc<Kana>>,
    pub(crate) database: Database,
}

impl World {
    /// With the feature `api-calls`, the package `pro`, which gives `limit` of it, and the users
    /// `ada` and `bob`, who are subscribed to it. `None` where there is no PostgreSQL.
    pub(crate) async fn new(limit: i64) -> Option<Self> {
        if !is_here() {
            return None;
        }
        let database = Database::new();
        let clock = Arc::new(ManualClock::new(Timestamp::from_ms(1_705_320_000_000)));
        let store = async || {
            Arc::new(PostgresStore::open(database.url(), Settings::default()).await.unwrap())
        };
        let stores = [store().await, store().await];
        let keys = init(stores[0].as_ref(), clock.as_ref(), "story").await.unwrap().unwrap();
        let mut running = Vec::new();
        let first = node(&stores[0], &clock, &keys, &mut running).await;
        let second = node(&stores[1], &clock, &keys, &mut running).await;
        first.create_feature(api_calls_feature()).await.unwrap();
        first.create_package(package("pro", limit)).await.unwrap();
        first.publish_package(package_id("pro")).await.unwrap();
        for user in ["ada", "bob"] {
            first.create_user(new_user(user)).await.unwrap();
            first.subscribe(user_id(user), vec![package_id("pro")], None).await.unwrap();
        }
        Some(Self { nodes: [first, second], stores, running, database })
    }

    /// How many rows a table has.
    pub(crate) fn count(&self, table: &str) -> i64 {
        let query = format!("SELECT count(*) FROM kana.{table}");
        kana_test_postgres::rows(self.database.url(), &query)[0][0].parse().unwrap()
    }

    /// Finishes everything, as at the end of each node.
    pub(crate) async fn finish(self) {
        drop(self.nodes);
        for kana in self.running {
            kana.finish().await;
        }
    }
}

async fn node(
    store: &Arc<PostgresStore>,
    clock: &Arc<ManualClock>,
    keys: &InitialKeys,
    running: &mut Vec<Arc<Kana>>,
) -> Environment {
    let kana = Kana::start(Arc::clone(store) as _, Arc::clone(clock) as _).unwrap();
    running.push(Arc::clone(&kana));
    kana.authorise_private(keys.test_private.reveal()).await.unwrap()
}

fn api_calls_feature() -> Feature {
    Feature {
        id: api_calls(),
        name: (&api_calls()).into(),
        kind: FeatureKind::CONSUMABLE,
        metadata: None,
    }
}

/// A base package that gives so many `api-calls`.
pub(crate) fn package(id: &str, limit: i64) -> NewPackage {
    let allowance = Allowance {
        limit: Some(limit),
        reset_period: None,
        overage_enabled: false,
        ..Allowance::UNLIMITED
    };
    NewPackage {
        id: package_id(id),
        name: None,
        is_addon: false,
        features: vec![NewPackageFeature {
            feature: api_calls(),
            name: None,
            allowance: Some(allowance),
        }],
        base_packages: Vec::new(),
        metadata: None,
    }
}

pub(crate) fn new_user(id: &str) -> User {
    User::named(user_id(id))
}

pub(crate) fn user_id(id: &str) -> UserId {
    UserId::new("user", id).unwrap()
}

pub(crate) fn package_id(id: &str) -> PackageId {
    PackageId::new("package", id).unwrap()
}

pub(crate) fn api_calls() -> FeatureId {
    FeatureId::new("feature", "api-calls").unwrap()
}

fn key(text: Option<&str>) -> Option<IdempotencyKey> {
    text.map(|text| IdempotencyKey::new("key", text).unwrap())
}

/// One `api-call`, if it is granted.
pub(crate) fn use_one(user: &str, text: Option<&str>) -> UseFeature {
    let idempotency_key = key(text);
    UseFeature { user: user_id(user), feature: api_calls(), delta: 1, idempotency_key }
}

/// One `api-call`.
pub(crate) fn record_one(user: &str, text: Option<&str>) -> RecordUsage {
    RecordUsage {
        user: user_id(user),
        feature: api_calls(),
        action: UsageAction::Add,
        delta: 1,
        occurred_at: None,
        idempotency_key: key(text),
        metadata: None,
    }
}

/// What a node says that the user has used.
pub(crate) async fn used(node: &Environment, user: &str) -> i64 {
    let answer = node.can_use_feature(&user_id(user), &api_calls(), 1).await.unwrap();
    answer.consumption.unwrap().used
}
