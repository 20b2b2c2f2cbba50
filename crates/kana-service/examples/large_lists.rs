//! Measures what the dashboard asks of a large embedded database: `cargo run --release -p kana-service
//! --example large_lists -- DIRECTORY [USERS] [EVENTS]`. Makes the database if the directory has none.
//! Prints the median and the worst of 100 for each question, in milliseconds.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that fails ends with the reason, and prints what it measured"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kana_core::Timestamp;
use kana_core::catalog::{Allowance, Feature, FeatureKind};
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::facts::Change;
use kana_core::id::{FeatureId, PackageId, SubscriptionId, UserId, UserKey};
use kana_core::metadata::Label;
use kana_core::quantity::Quantities;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::timing::Timing;
use kana_core::usage::{LoggedAction, UsageEvent};
use kana_core::user::User;
use kana_service::{
    Actor, Clock as _, Environment, EnvironmentKind, Kana, KeyKind, SystemClock, UserQuery,
    create_key,
};
use kana_store::{EnvironmentId, SqliteStore, Store};
use uuid::Uuid;

const PACKAGES: usize = 100;
const FEATURES: usize = 1000;
const AT_ONCE: usize = 10_000;

fn package(number: usize) -> PackageId {
    PackageId::new("package", &format!("package-{}", number % PACKAGES)).unwrap()
}

fn feature(number: usize) -> FeatureId {
    FeatureId::new("feature", &format!("feature-{}", number % FEATURES)).unwrap()
}

/// The time at which everything of this number was made, in milliseconds: a second apart.
fn made_at(number: usize) -> u64 {
    1_700_000_000_000 + 1000 * u64::try_from(number).unwrap()
}

fn uuid(number: usize, kind: u8) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(made_at(number), &[kind; 10]).into_uuid()
}

fn user(number: usize) -> User {
    const NAMES: [&str; 8] = ["Ada", "Bob", "Çelik", "Dora", "Émile", "Fritz", "Gül", "User"];
    let name = format!("{} {}", NAMES[number % 8], number / 8);
    let label = |text: &str| Some(Label::new("label", text).unwrap());
    User {
        key: UserKey(uuid(number, 1)),
        billing_id: label(&format!("cus_{number:014x}")),
        email: label(&format!("user-{number}@example.com")),
        name: label(&name),
        ..User::named(UserId::new("id", &format!("user-{number}")).unwrap())
    }
}

fn changes_of(number: usize) -> [(UserKey, Change); 2] {
    let user = user(number);
    let subscription = Subscription {
        id: SubscriptionId(uuid(number, 2)),
        package: package(number),
        status: SubscriptionStatus::Active,
        started_at: Timestamp::from_ms(i64::try_from(made_at(number)).unwrap()),
        ended_at: None,
        quantities: Quantities::ONE,
        timing: Timing::NONE,
    };
    let key = user.key;
    [(key, Change::CreateUser(user)), (key, Change::AddSubscription(subscription))]
}

async fn open(directory: &Path) -> (Arc<SqliteStore>, Environment, EnvironmentId) {
    let begun = Instant::now();
    let store = Arc::new(SqliteStore::open_for_server(directory).unwrap());
    println!("opened in {:?}", begun.elapsed());
    let clock = Arc::new(SystemClock);
    kana_service::init(store.as_ref(), clock.as_ref(), "large").await.unwrap();
    let kana = Kana::start(Arc::clone(&store) as Arc<dyn Store>, clock).unwrap();
    let (test, private) = (EnvironmentKind::Test, KeyKind::Private);
    let key = create_key(store.as_ref(), &SystemClock, &Actor::CommandLine, test, private).await;
    let environment = kana.authorise_private(key.unwrap().reveal()).await.unwrap();
    let id = store.keys().await.unwrap().pop().unwrap().environment;
    (store, environment, id)
}

async fn make_catalog(test: &Environment) {
    for number in 0..FEATURES {
        let id = feature(number);
        let kind = FeatureKind::CONSUMABLE;
        let feature = Feature { name: (&id).into(), id, kind, metadata: None };
        test.create_feature(feature).await.unwrap();
    }
    for number in 0..PACKAGES {
        // The first one has all features, each other one a few.
        let inside = if number == 0 { 0..FEATURES } else { number..number + 10 };
        let inside = inside.map(|number| NewPackageFeature {
            feature: feature(number),
            name: None,
            allowance: Some(Allowance { limit: Some(1000), ..Allowance::UNLIMITED }),
        });
        let new = NewPackage {
            id: package(number),
            name: None,
            is_addon: false,
            features: inside.collect(),
            base_packages: Vec::new(),
            metadata: None,
        };
        test.create_package(new).await.unwrap();
        test.publish_package(package(number)).await.unwrap();
    }
}

/// One use of a feature by one of so many users.
fn event(number: usize, users: usize) -> (UserKey, Change) {
    let at = SystemClock.now();
    let event = UsageEvent {
        feature: feature(number),
        action: LoggedAction::Add,
        delta: 1,
        occurred_at: at,
        recorded_at: at,
        amount: 0,
        drawn: None,
        subscription: Some(SubscriptionId(uuid(number * 7919 % users, 2))),
        idempotency_key: None,
        metadata: None,
    };
    (UserKey(uuid(number * 7919 % users, 1)), Change::LogEvent(event))
}

async fn write(
    store: &SqliteStore,
    environment: EnvironmentId,
    numbers: usize,
    changes: impl Fn(usize) -> Vec<(UserKey, Change)>,
) {
    let begun = Instant::now();
    for from in (0..numbers).step_by(AT_ONCE) {
        let changes: Vec<_> = (from..numbers.min(from + AT_ONCE)).flat_map(&changes).collect();
        let mut writer = store.write().await.unwrap();
        writer.change_facts(environment, &changes).await.unwrap();
        writer.commit().await.unwrap();
    }
    println!("{numbers} written in {:?}", begun.elapsed());
}

async fn measure<F: Future<Output = usize>>(what: &str, ask: impl Fn(usize) -> F) {
    let mut took = Vec::with_capacity(100);
    let mut rows = 0;
    for round in 0..100 {
        let begun = Instant::now();
        rows = ask(round).await;
        took.push(begun.elapsed().as_micros());
    }
    took.sort_unstable();
    let ms = |micros: u128| format!("{}.{:02}", micros / 1000, micros % 1000 / 10);
    println!("{what:40} {:>8} {:>8}   {rows} rows", ms(took[50]), ms(took[99]));
}

async fn measure_searches(test: &Environment) {
    for search in ["", "u", "user-5", "USER-99999", "cus_", "émile", "nobody", "user-123@EXAMPLE"]
    {
        for package in [None, Some(package(0))] {
            let where_to = if package.is_some() { " in a package" } else { "" };
            let query = UserQuery { search: search.to_owned(), package };
            let page = async |_| test.find_users(&query, None, 50).await.unwrap().users.len();
            measure(&format!("search {search:?}{where_to}"), page).await;
        }
    }
    // By the names, after everybody who is found by the id.
    let query = |search: &str| UserQuery { search: search.to_owned(), package: None };
    let late = test.find_users(&query("user-9999"), None, 1).await.unwrap().next.unwrap();
    let query = query("user");
    let page = async |_| test.find_users(&query, Some(&late), 50).await.unwrap().users.len();
    measure("a late page of \"user\"", page).await;
}

async fn measure_users(test: &Environment, users: usize) {
    for (what, step) in [("a user, all features granted", 100), ("a user, ten granted", 9973)] {
        let overview = async |round| {
            let of = user(round * step % users).id;
            test.user_overview(&of, Some(feature(1))).await.unwrap().entitlements.len()
        };
        measure(what, overview).await;
    }
    let events = async |round| {
        let of = user(round * 9973 % users).id;
        test.user_events(&of, None, 50).await.unwrap().events.len()
    };
    measure("events of a user", events).await;
}

async fn measure_packages(test: &Environment) {
    let all: Vec<PackageId> = (0..PACKAGES).map(package).collect();
    let count = async |_| test.count_subscribers(&all).await.unwrap().len();
    measure("subscribers of 100 packages, exact", count).await;
    let recent = async |_| test.recent_subscribers(&all).await.unwrap().len();
    measure("subscribers of 100 packages, recent", recent).await;
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap();
    let number = |text: Option<String>, or| text.map_or(or, |text| text.parse().unwrap());
    let users = number(arguments.next(), 1_000_000);
    let events = number(arguments.next(), 0);
    let is_new = !Path::new(&directory).join("kana.db").exists();
    let (store, test, environment) = open(Path::new(&directory)).await;
    if is_new {
        make_catalog(&test).await;
        write(&store, environment, users, |number| changes_of(number).into()).await;
        write(&store, environment, events, |number| vec![event(number, users)]).await;
    }
    measure_searches(&test).await;
    measure_users(&test, users).await;
    measure_packages(&test).await;
}
