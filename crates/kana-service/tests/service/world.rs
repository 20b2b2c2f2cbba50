//! A Kana on a data directory of its own, which is gone when the story ends.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::join_all;
use kana_core::Timestamp;
use kana_core::catalog::{Allowance, Feature, FeatureKind};
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::decide::CreateGrant;
use kana_core::entitlement::Consumption;
use kana_core::grant::GrantKey;
use kana_core::id::{FeatureId, IdempotencyKey, PackageId, UserId};
use kana_core::period::ResetPeriod;
use kana_core::subscription::Subscription;
use kana_core::usage::{RecordUsage, RecordedUsage, UsageAction, UseFeature, UsedFeature};
use kana_core::user::User;
use kana_service::{Environment, Error, InitialKeys, Kana, ManualClock, init};
use kana_store::sqlite::FactsCacheLimits;
use kana_store::sqlite::{copy_events_into_blocks, register_functions};
use kana_store::{SqliteStore, Store};
use tempfile::TempDir;

/// When every story starts.
pub(crate) const NOW: &str = "2024-01-15T12:00:00.000Z";

/// A running Kana with its store, its clock and its first keys.
pub(crate) struct World {
    pub(crate) kana: Arc<Kana>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: Arc<InitialKeys>,
    dir: TempDir,
}

impl World {
    /// An empty one.
    pub(crate) async fn new() -> Self {
        Self::with_facts_cache(FactsCacheLimits::default()).await
    }

    /// An empty one that keeps so much of users' facts in memory.
    pub(crate) async fn with_facts_cache(limits: FactsCacheLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(time(NOW)));
        let store = SqliteStore::open_for_server(dir.path()).unwrap().with_facts_cache(limits);
        let keys = init(&store, clock.as_ref(), "story").await.unwrap().unwrap();
        Self::start(dir, store, clock, Arc::new(keys))
    }

    fn start(
        dir: TempDir,
        store: SqliteStore,
        clock: Arc<ManualClock>,
        keys: Arc<InitialKeys>,
    ) -> Self {
        let store = Arc::new(store);
        let kana =
            Kana::start(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&clock) as _).unwrap();
        Self { kana, store, clock, keys, dir }
    }

    /// One with the feature `api-calls`, the base packages `basic` (100 a month) and `pro` (1,000
    /// a month), and the user `124` without a subscription. All of it in the test environment.
    pub(crate) async fn shop() -> Self {
        Self::new().await.stocked().await
    }

    /// The shop, which this, being empty, becomes.
    pub(crate) async fn stocked(self) -> Self {
        let test = self.test().await;
        stock(&test).await;
        user(&test, "124").await;
        self
    }

    /// The shop, its user subscribed to `basic`.
    pub(crate) async fn subscribed() -> Self {
        let world = Self::shop().await;
        subscribe(&world.test().await, "124", "basic").await.unwrap();
        world
    }

    /// The test environment.
    pub(crate) async fn test(&self) -> Environment {
        self.kana.authorise_private(self.keys.test_private.reveal()).await.unwrap()
    }

    /// The live environment.
    pub(crate) async fn live(&self) -> Environment {
        self.kana.authorise_private(self.keys.live_private.reveal()).await.unwrap()
    }

    /// The data directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Finishes everything, as at the end of a process, and starts again on the same directory.
    pub(crate) async fn restart(self) -> Self {
        let Self { kana, store, clock, keys, dir } = self;
        kana.finish().await;
        drop(store);
        let store = SqliteStore::open_for_server(dir.path()).unwrap();
        Self::start(dir, store, clock, keys)
    }

    /// Makes all calls before the writer can begin with any of them but perhaps the first: it
    /// cannot write while we do.
    pub(crate) async fn together<F: Future>(
        &self,
        calls: impl IntoIterator<Item = F>,
    ) -> Vec<F::Output> {
        let held = self.store.write().await.unwrap();
        let mut calls = pin!(tokio::task::unconstrained(join_all(calls)));
        let ready = poll_fn(|context| Poll::Ready(calls.as_mut().poll(context).is_ready())).await;
        assert!(!ready, "nothing is answered before it is written");
        drop(held);
        calls.await
    }

    /// Runs `call` and says how many SQL statements it took.
    pub(crate) async fn statements<T>(&self, call: impl Future<Output = T>) -> (T, u64) {
        let before = self.store.statements_run();
        let answer = call.await;
        (answer, self.store.statements_run() - before)
    }

    /// Every row of every table, as another process would read them.
    pub(crate) fn stored(&self) -> BTreeMap<String, Vec<String>> {
        let file = self.dir.path().join("kana.db");
        let sqlite = rusqlite::Connection::open(file).unwrap();
        register_functions(&sqlite).unwrap();
        let tables: Vec<String> = sqlite
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let mut stored: BTreeMap<_, _> =
            tables.into_iter().map(|table| (table.clone(), rows(&sqlite, &table))).collect();
        // How events lie in blocks makes no difference.
        stored.remove("event_blocks");
        stored.insert("events".to_owned(), rows(&sqlite, "events"));
        // Nor does whether a counter is in its table yet.
        stored.remove("counter_log");
        stored.insert("counters".to_owned(), rows(&sqlite, "current_counters"));
        // And neither does whether usage by day is.
        stored.retain(|table, _| !["usage_folding", "usage_totals"].contains(&table.as_str()));
        stored.insert("usage_by_day".to_owned(), rows(&sqlite, "current_usage_by_day"));
        // And where an idempotency record is.
        stored.retain(|table, _| !table.starts_with("replay_"));
        stored.insert("replays".to_owned(), rows(&sqlite, "replays"));
        stored
    }

    /// How many rows a table has.
    pub(crate) fn count(&self, table: &str) -> usize {
        self.stored()[table].len()
    }
}

/// Runs statements that change rows of a table `events`, and puts these in the place of all usage events.
pub(crate) fn change_events(dir: &Path, statements: &str) {
    let sqlite = rusqlite::Connection::open(dir.join("kana.db")).unwrap();
    register_functions(&sqlite).unwrap();
    sqlite.execute_batch("CREATE TEMP TABLE events AS SELECT * FROM main.events").unwrap();
    sqlite.execute_batch(statements).unwrap();
    sqlite.execute_batch("DELETE FROM event_blocks").unwrap();
    copy_events_into_blocks(&sqlite, "temp.events").unwrap();
}

fn rows(sqlite: &rusqlite::Connection, table: &str) -> Vec<String> {
    let mut statement = sqlite.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        (0..columns).map(|column| row.get_ref(column).map(|value| format!("{value:?}"))).collect()
    };
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
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

/// The feature `api-calls`, and what gives it: `basic` and `pro`.
pub(crate) async fn stock(environment: &Environment) {
    environment.create_feature(consumable("api-calls")).await.unwrap();
    for (id, limit) in [("basic", 100), ("pro", 1000)] {
        environment.create_package(package(id, limit)).await.unwrap();
        environment.publish_package(package_id(id)).await.unwrap();
    }
}

pub(crate) fn consumable(id: &str) -> Feature {
    let id = feature_id(id);
    Feature { name: (&id).into(), id, kind: FeatureKind::CONSUMABLE, metadata: None }
}

/// A base package that gives so many `api-calls` a month.
pub(crate) fn package(id: &str, limit: i64) -> NewPackage {
    let reset_period = Some(ResetPeriod::Month);
    let allowance = Allowance {
        limit: Some(limit),
        reset_period,
        overage_enabled: false,
        ..Allowance::UNLIMITED
    };
    let inside = NewPackageFeature {
        feature: feature_id("api-calls"),
        name: None,
        allowance: Some(allowance),
    };
    NewPackage {
        id: package_id(id),
        name: None,
        is_addon: false,
        features: vec![inside],
        base_packages: Vec::new(),
        metadata: None,
    }
}

pub(crate) fn new_user(id: &str) -> User {
    User::named(user_id(id))
}

pub(crate) async fn user(environment: &Environment, id: &str) {
    environment.create_user(new_user(id)).await.unwrap();
}

pub(crate) async fn subscribe(
    environment: &Environment,
    user: &str,
    package: &str,
) -> Result<Subscription, Error> {
    let packages = vec![package_id(package)];
    let (_, mut made) = environment.subscribe(user_id(user), packages, None).await?;
    Ok(made.remove(0))
}

/// One `api-call` of the user `124`, now.
pub(crate) fn usage() -> RecordUsage {
    RecordUsage {
        user: user_id("124"),
        feature: feature_id("api-calls"),
        action: UsageAction::Add,
        delta: 1,
        occurred_at: None,
        idempotency_key: None,
        metadata: None,
    }
}

/// One `api-call` of the user `124`, if it is granted.
/// Gives the user `124` 100 more calls.
pub(crate) async fn give(test: &Environment) {
    let (user, feature) = (user_id("124"), feature_id("api-calls"));
    let (starts_at, expires_at, new_key) = (None, None, GrantKey::UNCHOSEN);
    let grant = CreateGrant {
        id: None,
        user,
        feature,
        amount: 100,
        priority: 0,
        starts_at,
        expires_at,
        reason: None,
        new_key,
    };
    test.create_grant(grant).await.unwrap();
}

pub(crate) fn use_one() -> UseFeature {
    UseFeature {
        user: user_id("124"),
        feature: feature_id("api-calls"),
        delta: 1,
        idempotency_key: None,
    }
}

pub(crate) fn key(text: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey::new("idempotencyKey", text).unwrap())
}

pub(crate) async fn record(environment: &Environment, usage: RecordUsage) -> RecordedUsage {
    environment.record_usage(usage).await.unwrap()
}

pub(crate) async fn try_use(environment: &Environment, usage: UseFeature) -> UsedFeature {
    environment.use_feature(usage).await.unwrap()
}

/// What the user used of `api-calls` in the current period.
pub(crate) async fn consumption(environment: &Environment, user: &str) -> Option<Consumption> {
    let feature = feature_id("api-calls");
    environment.can_use_feature(&user_id(user), &feature, 1).await.unwrap().consumption
}

pub(crate) async fn used(environment: &Environment, user: &str) -> i64 {
    consumption(environment, user).await.expect("something grants it").used
}

/// The sentence with which something was refused.
pub(crate) fn sentence<T: Debug>(answer: Result<T, Error>) -> String {
    answer.unwrap_err().to_string()
}
