//! A batch answers and stores what its commands do one by one, whatever they are about and whoever
//! gets whose id in between.

use std::collections::BTreeMap;

use kana_core::catalog::{Allowance, Feature, FeatureKind};
use kana_core::catalog_command::{CatalogCommand, NewPackage, NewPackageFeature};
use kana_core::decide::{Answer, Command, CreateUser, UpdateUser};
use kana_core::edit::Edit;
use kana_core::facts::CounterKey;
use kana_core::folding::FoldCounters;
use kana_core::id::{FeatureId, PackageId, SubscriptionId};
use kana_core::metadata::Label;
use kana_core::subscribing::{CancelSubscription, Subscribe};
use kana_core::terms::TermsNumber;
use kana_core::usage::{RecordUsage, UsageAction, UseFeature};
use kana_core::user::{User, UserEdit};
use kana_store::transfer::{Scope, export};
use kana_store::{Actor, App, EnvironmentKind, PostgresStore, SqliteStore};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::*;
use crate::clock::ManualClock;
use crate::writer::queue::CatalogRequest;

fn now() -> Timestamp {
    Timestamp::from_ms(1_705_320_000_000)
}

const PLANS: u32 = 60;
/// Each takes several times as long.
const PLANS_ON_POSTGRES: u32 = 24;

/// What a command is made of. Numbers become keys and ids, the same in both environments.
#[derive(Debug, Clone)]
enum Step {
    Create(&'static str),
    Update {
        user: &'static str,
        new_id: Option<&'static str>,
        name: Option<&'static str>,
    },
    Subscribe(&'static str, &'static str),
    /// Cancels a subscription of before the batch, or one that does not exist.
    Cancel(u128),
    Record {
        user: &'static str,
        action: UsageAction,
        delta: i64,
        late: bool,
        key: Option<&'static str>,
    },
    Use {
        user: &'static str,
        delta: i64,
        key: Option<&'static str>,
    },
    Fold(u128),
}

fn any_step() -> impl Strategy<Value = Step> {
    let user = || select(vec!["ada", "ada", "bob", "cyd", "dan"]);
    let name = || proptest::option::of(select(vec!["Ada", "Bob"]));
    let key = || proptest::option::weighted(0.3, select(vec!["k1", "k2"]));
    let action = select(vec![UsageAction::Add, UsageAction::Set]);
    prop_oneof![
        3 => user().prop_map(Step::Create),
        6 => (user(), user(), name()).prop_map(|(user, new_id, name)| {
            Step::Update { user, new_id: Some(new_id), name }
        }),
        2 => (user(), name()).prop_map(|(user, name)| Step::Update { user, new_id: None, name }),
        3 => (user(), select(vec!["basic", "pro", "extra"]))
            .prop_map(|(user, package)| Step::Subscribe(user, package)),
        2 => (1..=4_u128).prop_map(Step::Cancel),
        4 => (user(), action, -1..=3_i64, any::<bool>(), key()).prop_map(
            |(user, action, delta, late, key)| Step::Record { user, action, delta, late, key }
        ),
        3 => (user(), 0..=2_i64, key()).prop_map(|(user, delta, key)| Step::Use { user, delta, key }),
        1 => (1..=4_u128).prop_map(Step::Fold),
    ]
}

/// The subscriptions of before the batch, each with its user.
const SUBSCRIBED: [(&str, &str); 3] = [("ada", "basic"), ("ada", "extra"), ("bob", "pro")];

/// Three users and what they are subscribed to, the last of it cancelled.
fn setup() -> Vec<Command> {
    let mut commands: Vec<Command> =
        (1..).zip(["ada", "bob", "cyd"]).map(|(n, id)| create(n, id)).collect();
    let subscribed = (1..).zip(SUBSCRIBED);
    commands.extend(subscribed.map(|(n, (user, package))| subscribe(n, user, package)));
    commands.push(cancel(3));
    commands
}

fn command(number: u128, step: &Step) -> Command {
    match *step {
        Step::Create(id) => create(number, id),
        Step::Update { user, new_id, name } => Command::UpdateUser(UpdateUser {
            user: user_id(user),
            edit: UserEdit {
                id: new_id.map(user_id),
                name: name.map_or(Edit::Keep, |name| Edit::Set(Label::new("name", name).unwrap())),
                ..UserEdit::default()
            },
        }),
        Step::Subscribe(user, package) => subscribe(number, user, package),
        Step::Cancel(subscription) => cancel(subscription),
        Step::Record { user, action, delta, late, key } => Command::RecordUsage(RecordUsage {
            user: user_id(user),
            feature: calls(),
            action,
            delta,
            occurred_at: late.then(|| now().saturating_add_ms(-1)),
            idempotency_key: key.map(idempotency_key),
            metadata: None,
        }),
        Step::Use { user, delta, key } => Command::UseFeature(UseFeature {
            user: user_id(user),
            feature: calls(),
            delta,
            idempotency_key: key.map(idempotency_key),
        }),
        Step::Fold(subscription) => Command::FoldCounters(FoldCounters {
            user: None,
            subscription: SubscriptionId(Uuid::from_u128(subscription)),
            feature: calls(),
            terms: TermsNumber::default(),
            period_starts: vec![CounterKey::FOLDED, now()],
        }),
    }
}

fn create(n: u128, id: &str) -> Command {
    let key = UserKey(Uuid::from_u128(n));
    Command::CreateUser(CreateUser(User { key, ..User::named(user_id(id)) }))
}

fn subscribe(n: u128, user: &str, package: &str) -> Command {
    let packages = vec![(package_id(package), SubscriptionId(Uuid::from_u128(n)))];
    Command::Subscribe(Subscribe::now(user_id(user), packages))
}

fn cancel(n: u128) -> Command {
    let subscription = SubscriptionId(Uuid::from_u128(n));
    Command::CancelSubscription(CancelSubscription { subscription })
}

fn user_id(id: &str) -> UserId {
    UserId::new("user", id).unwrap()
}

fn package_id(id: &str) -> PackageId {
    PackageId::new("package", id).unwrap()
}

fn calls() -> FeatureId {
    FeatureId::new("feature", "calls").unwrap()
}

fn idempotency_key(key: &str) -> IdempotencyKey {
    IdempotencyKey::new("key", key).unwrap()
}

fn package(id: &str, is_addon: bool, limit: i64) -> NewPackage {
    let allowance = Some(Allowance { limit: Some(limit), ..Allowance::UNLIMITED });
    NewPackage {
        id: package_id(id),
        name: None,
        is_addon,
        features: vec![NewPackageFeature { feature: calls(), name: None, allowance }],
        base_packages: Vec::new(),
        metadata: None,
    }
}

fn catalog() -> Vec<CatalogCommand> {
    let kind = FeatureKind::CONSUMABLE;
    let name = Label::new("name", "Calls").unwrap();
    let mut commands =
        vec![CatalogCommand::CreateFeature(Feature { id: calls(), name, kind, metadata: None })];
    for (id, is_addon, limit) in [("basic", false, 3), ("pro", false, 5), ("extra", true, 2)] {
        let new = package(id, is_addon, limit);
        commands.push(CatalogCommand::CreatePackage(new));
        commands.push(CatalogCommand::PublishPackage(package_id(id)));
    }
    commands
}

/// An app whose environments hold the same: in one, a batch is decided, and in the other its
/// commands one by one.
struct World {
    decider: Decider,
    at_once: EnvironmentId,
    one_by_one: EnvironmentId,
}

const AT_ONCE: EnvironmentKind = EnvironmentKind::Test;
const ONE_BY_ONE: EnvironmentKind = EnvironmentKind::Live;

impl World {
    async fn new(store: Arc<dyn Store>) -> Self {
        let app = App { name: "batches".to_owned() };
        assert!(store.create_app(app, Vec::new(), now()).await.unwrap());
        let at_once = store.client_access(AT_ONCE).await.unwrap().unwrap().environment;
        let one_by_one = store.client_access(ONE_BY_ONE).await.unwrap().unwrap().environment;
        let decider = Decider {
            store,
            catalogs: Arc::default(),
            clock: Arc::new(ManualClock::new(now())),
            settings: Settings::default(),
            commits: Arc::default(),
        };
        let world = Self { decider, at_once, one_by_one };
        for environment in [at_once, one_by_one] {
            for command in catalog() {
                let request = CatalogRequest::Command(command);
                let changed =
                    world.decider.change_catalog(environment, &Actor::CommandLine, &request);
                changed.await.unwrap();
            }
            let set_up = world.decide(environment, setup()).await;
            assert!(set_up.iter().all(Result::is_ok), "{set_up:?}");
        }
        world
    }

    /// Decides commands in one batch.
    async fn decide(
        &self,
        environment: EnvironmentId,
        commands: Vec<Command>,
    ) -> Vec<Result<Answer, String>> {
        let actor = Arc::new(Actor::CommandLine);
        let asked = |command| Asked::new(command, &actor);
        let commands = [(environment, commands.into_iter().map(asked).collect())];
        let answers = self.decider.decide_and_commit(&commands).await.unwrap();
        let answer = |answered: Result<Answered, _>| match answered {
            Ok(answered) => Ok(answered.answer),
            Err(refusal) => Err(format!("{refusal:?}")),
        };
        answers.into_iter().map(answer).collect()
    }

    /// Every record of an environment by its kind, without the ids of what was recorded about it.
    async fn stored(&self, environment: EnvironmentKind) -> BTreeMap<String, Vec<String>> {
        let scope = Scope { environments: vec![environment], token_secrets: false, user: None };
        let mut lines = Vec::new();
        export(self.decider.store.as_ref(), &scope, &mut lines, now(), &mut |_| {}).await.unwrap();
        let mut stored = BTreeMap::<_, Vec<String>>::new();
        for line in String::from_utf8(lines).unwrap().lines() {
            let mut record: Value = serde_json::from_str(line).unwrap();
            let Some(kind) = record["record"].as_str().map(str::to_owned) else {
                continue;
            };
            let record = record.as_object_mut().unwrap();
            record.remove("environment");
            if ["change", "audit_entry"].contains(&kind.as_str()) {
                record.remove("id");
            }
            stored.entry(kind).or_default().push(Value::from(record.clone()).to_string());
        }
        stored.remove("end");
        stored.values_mut().for_each(|records| records.sort_unstable());
        stored
    }
}

async fn compare(world: World, steps: &[Step]) -> Result<(), TestCaseError> {
    let commands: Vec<Command> = (100..).zip(steps).map(|(n, step)| command(n, step)).collect();
    let mut expected = Vec::new();
    for command in &commands {
        expected.extend(world.decide(world.one_by_one, vec![command.clone()]).await);
    }
    let answers = world.decide(world.at_once, commands).await;
    prop_assert_eq!(answers, expected);
    let stored = world.stored(AT_ONCE).await;
    assert!(["user", "subscription", "change"].iter().all(|kind| stored.contains_key(*kind)));
    prop_assert_eq!(stored, world.stored(ONE_BY_ONE).await);
    Ok(())
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn check(plans: u32, compare: impl Fn(&[Step]) -> Result<(), TestCaseError>) {
    let many = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config::default();
    let cases = if many { default.cases } else { plans };
    let config = Config { cases, failure_persistence: None, ..default };
    let steps = proptest::collection::vec(any_step(), 1..14);
    match TestRunner::new(config).run(&steps, |steps| compare(&steps)) {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => panic!("{why}\nThe steps were {steps:#?}"),
        Err(aborted) => panic!("{aborted}"),
    }
}

#[test]
fn a_batch_does_what_its_commands_do_one_by_one_on_the_embedded_engine() {
    let runtime = runtime();
    check(PLANS, |steps| {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open_for_server(directory.path()).unwrap();
        runtime.block_on(async { compare(World::new(Arc::new(store)).await, steps).await })
    });
}

#[test]
fn a_batch_does_what_its_commands_do_one_by_one_on_postgresql() {
    if !kana_test_postgres::is_here() {
        return;
    }
    let runtime = runtime();
    check(PLANS_ON_POSTGRES, |steps| {
        let database = kana_test_postgres::Database::new();
        runtime.block_on(async {
            let settings = kana_store::postgres::Settings::default();
            let store = PostgresStore::open(database.url(), settings).await.unwrap();
            compare(World::new(Arc::new(store)).await, steps).await
        })
    });
}

/// Nothing of the second user has changed, so only the key tells that its command is to be decided anew.
#[test]
fn a_key_of_another_users_command_in_the_batch_is_a_conflict() {
    let record = |user| {
        let key = Some("k1");
        Step::Record { user, action: UsageAction::Add, delta: 1, late: false, key }
    };
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    runtime().block_on(async {
        compare(World::new(Arc::new(store)).await, &[record("ada"), record("bob")]).await.unwrap();
    });
}
