//! Exports and imports: what comes out of a database is what a new one holds.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::atomic::{AtomicBool, Ordering};

use kana_core::catalog::{Allowance, FeatureKind, PackageKind, Stacking};
use kana_core::counter::{CounterValue, Marks};
use kana_core::credits::{COST_MAX, Draw};
use kana_core::day::Day;
use kana_core::facts::{Change, CounterKey};
use kana_core::grant::Grant;
use kana_core::near_limit::{LimitCrossing, Share};
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::rollover::Rollover;
use kana_core::terms::{TermsHistory, TermsNumber};
use kana_core::threshold::{Threshold, Thresholds};
use kana_core::timing::Timing;
use kana_core::usage::UsageEvent;
use kana_store::app::{KeyKind, NewKey};
use kana_store::feed::ChangesQuery;
use kana_store::people::{NewAdmin, PasswordHash, Role};
use kana_store::transfer::{ImportedBy, Kind, Scope, Tally, TransferError, export, import};
use kana_store::{Actor, EnvironmentKind, Store, StoreError};
use serde_json::{Value, json};

use crate::world::{
    Access as _, BEGINNING, World, app, cancel, count, counter, create_user, delete_counter, event,
    feature, feature_id, features, gives, hash, keep, label, metadata, package, package_id,
    put_feature, put_package, quantities, replay, set_quantities, set_timing, subscribe,
    subscription_id, time, user, user_id, user_key,
};
use crate::{Engine, grants, holds, overrides, thresholds};

const BOTH: [EnvironmentKind; 2] = [EnvironmentKind::Test, EnvironmentKind::Live];

fn everything() -> Scope {
    Scope { environments: BOTH.to_vec(), token_secrets: true, user: None }
}

pub(crate) async fn exported(store: &dyn Store, scope: &Scope) -> (Vec<u8>, Tally) {
    let mut file = Vec::new();
    let tally = export(store, scope, &mut file, time(BEGINNING), &mut |_| ()).await.unwrap();
    (file, tally)
}

pub(crate) async fn imported(store: &dyn Store, file: &[u8]) -> Result<Tally, TransferError> {
    let (_, tally) = import(store, Cursor::new(file.to_vec()), None, &mut |_| ()).await?;
    Ok(tally)
}

fn timing() -> Timing {
    let end = Some(time("2034-01-01T00:00:00.000Z"));
    let anchored_at = Some(time("2023-12-31T00:00:00.000Z"));
    Timing { starts_ahead: false, end_asked: end, end, trial_ends_at: end, anchored_at }
}

/// The lines of an export between the first and the last, by their kind.
fn records(file: &[u8]) -> BTreeMap<String, Vec<Value>> {
    let mut records: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in std::str::from_utf8(file).unwrap().lines().skip(1) {
        let record: Value = serde_json::from_str(line).unwrap();
        let kind = record["record"].as_str().unwrap().to_owned();
        records.entry(kind).or_default().push(record);
    }
    records.remove("end").unwrap();
    records
}

/// Something of every kind, in both environments, with every column set somewhere and null elsewhere.
pub(crate) async fn fill<E: Engine>(world: &World<E>) {
    fill_access(world).await;
    fill_catalogs(world).await;
    fill_users(world).await;
}

async fn fill_access<E: Engine>(world: &World<E>) {
    let public = NewKey {
        environment: EnvironmentKind::Live,
        kind: KeyKind::Public,
        hash: hash("public"),
        name: None,
        last_four: "blic".to_owned(),
        created_at: time(BEGINNING),
        created_by: None,
        expires_at: Some(time("2024-04-01T00:00:00.000Z")),
    };
    world.store.add_key(public).await.unwrap();
    let key = world.store.find_key(hash("live")).await.unwrap().unwrap();
    world.store.revoke_key(key.id, time("2024-01-02T00:00:00.000Z")).await.unwrap();
    world.store.note_key_uses(vec![(key.id, time(BEGINNING))]).await.unwrap();
    world.store.set_simple_mode(EnvironmentKind::Live, false).await.unwrap();
    let (now, until) = (time(BEGINNING), time("2024-02-01T00:00:00.000Z"));
    for secret in [[1; 32], [254; 32]] {
        let rotate =
            world.store.rotate_token_secret(EnvironmentKind::Test, secret.into(), now, until);
        assert!(rotate.await.unwrap());
    }
}

async fn fill_people<E: Engine>(world: &World<E>) {
    let mut transaction = world.store.write().await.unwrap();
    transaction.lock_people().await.unwrap();
    for (email, role) in [("Ada@example.com", Role::Owner), ("bob@example.com", Role::Viewer)] {
        let (email, email_folded) = (email.to_owned(), email.to_lowercase());
        let new = NewAdmin { email, email_folded, role, created_at: time(BEGINNING) };
        let id = transaction.add_admin(&new).await.unwrap().unwrap();
        if role == Role::Owner {
            let hash = PasswordHash("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned());
            transaction.set_password(id, Some(&hash)).await.unwrap();
            transaction.note_sign_in(id, time("2024-01-02T00:00:00.000Z")).await.unwrap();
        }
    }
    let entry = crate::people::entry("signIn", time(BEGINNING));
    transaction.audit_app(vec![entry]).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn fill_catalogs<E: Engine>(world: &World<E>) {
    let mut calls = feature("calls");
    calls.kind = FeatureKind::Consumable {
        unit_label: Some(label("call")),
        unit_label_plural: Some(label("calls \"quoted\" \u{2028}\n")),
        thresholds: Thresholds::new(vec![Threshold::Percent(80), Threshold::Left(2_147_483_647)])
            .unwrap(),
        draws: None,
    };
    let mut images = feature("images");
    images.kind = FeatureKind::Consumable {
        unit_label: None,
        unit_label_plural: None,
        thresholds: Thresholds::NONE,
        draws: Draw::new(Some(feature_id("calls")), Some(COST_MAX)).unwrap(),
    };
    calls.metadata = Some(metadata(json!({ "z": 0.1, "a": [null, "é\u{0}"] })));
    let mut sso = feature("a/sso ☃");
    sso.kind = FeatureKind::Binary;
    let mut pro = package("pro", []);
    let allowance = Allowance {
        limit: Some(i64::MAX),
        reset_period: Some(ResetPeriod::Week),
        reset_anchor: ResetAnchor::Calendar,
        overage_enabled: true,
        stacking: Stacking::Add,
        rollover: Some(Rollover::new(Some(i64::MAX), Some(12)).unwrap()),
    };
    pro.features = features([gives("calls", allowance), gives("a/sso ☃", Allowance::UNLIMITED)]);
    pro.features[0].name = Some(label("API calls"));
    pro.metadata = Some(metadata(json!({})));
    let mut terms = TermsHistory::beginning_with(None);
    terms.change(Some(Allowance::UNLIMITED), time(BEGINNING));
    terms.change(Some(allowance), time("2024-01-02T00:00:00.000Z"));
    pro.terms = [(feature_id("calls"), terms)].into();
    let mut addon = package("addon", ["calls"]);
    addon.kind = PackageKind::Addon { base_packages: vec![package_id("pro")] };
    for environment in [world.test, world.live] {
        let changes = [
            put_feature(&calls),
            put_feature(&images),
            put_feature(&sso),
            put_package(&pro),
            put_package(&addon),
        ];
        world.change_catalog(environment, &changes).await;
    }
}

fn crossing(n: u16) -> LimitCrossing {
    LimitCrossing {
        feature: feature_id("calls"),
        share: if n == 2 { Share::Full } else { Share::Near },
        period_end: (n == 2).then(|| time("2024-02-01T00:00:00.000Z")),
        crossed_at: time(BEGINNING),
    }
}

/// An override, a grant and a hold: what one user has and most have not.
fn exceptions(n: u16) -> [kana_core::facts::Change; 3] {
    match n {
        2 => [
            overrides::put(&overrides::deny(n, "calls")),
            grants::put(&grants::bare(n, "calls")),
            holds::put(&holds::settled(n, "calls")),
        ],
        _ => [
            overrides::put(&overrides::weekly(n, "calls")),
            grants::put(&grants::whole(n, "calls")),
            holds::put(&holds::living(n, "calls")),
        ],
    }
}

async fn fill_users<E: Engine>(world: &World<E>) {
    for environment in [world.test, world.live] {
        for n in 1..=3 {
            let mut person = user(user_key(n), &format!("user {n}"));
            if n == 2 {
                person.billing_id = Some(label(""));
                person.name = Some(label("Ada \\ Lovelace\t"));
                person.email = Some(label("ada@example.com"));
                person.metadata = Some(metadata(json!({ "n": 12345678901234567u64, "f": 1e300 })));
            }
            let (one, two) = (subscription_id(2 * n), subscription_id(2 * n + 1));
            let mut told = event(one, "calls");
            told.delta = i64::from(n);
            let mut not_counted = told.clone();
            not_counted.subscription = None;
            not_counted.delta = i64::MIN;
            not_counted.idempotency_key = Some(crate::world::idempotency_key("key é"));
            not_counted.metadata = Some(metadata(json!({ "why": "null byte: \u{0}" })));
            not_counted.recorded_at = time("2023-11-30T23:59:59.999Z");
            let mut kept = replay(user_key(n), "calls");
            kept.content.occurred_at = (n == 2).then(|| time(BEGINNING));
            kept.counted = thresholds::counted(n);
            let [given, granted, held] = exceptions(n);
            let changes = [
                kana_core::facts::Change::CreateUser(person),
                subscribe(one, "pro"),
                subscribe(two, "addon"),
                set_quantities(one, &quantities(&[2, 1_000_000])),
                set_timing(one, timing()),
                cancel(two, "2024-01-03T00:00:00.000Z"),
                count(counter(one, "calls"), i64::from(n)),
                count(CounterKey { terms: TermsNumber(n.into()), ..counter(one, "calls") }, 5),
                count(counter(two, "calls"), 6),
                delete_counter(counter(two, "calls")),
                kana_core::facts::Change::LogEvent(told),
                kana_core::facts::Change::LogEvent(not_counted),
                kana_core::facts::Change::LogEvent(thresholds::taken_back(one, "calls")),
                thresholds::reached(n, 80),
                thresholds::marked(counter(two, "seats"), i64::from(n)),
                keep(&format!("key {n}"), kept),
                kana_core::facts::Change::CrossLimit(crossing(n)),
                given,
                granted,
                held,
                // An override that counts by itself has its id in the place of a subscription's.
                count(
                    counter(
                        kana_core::id::SubscriptionId(overrides::weekly(n, "calls").id.0),
                        "calls",
                    ),
                    3,
                ),
            ];
            world.change(environment, user_key(n), changes).await;
        }
    }
    for environment in [world.test, world.live] {
        let mut transaction = world.store.write().await.unwrap();
        transaction.append(environment, crate::feed::of_every_shape()).await.unwrap();
        transaction.commit().await.unwrap();
    }
    fill_people(world).await;
    // Once more, so that a log of counters hides what their table says.
    world.change(world.test, user_key(1), [count(counter(subscription_id(2), "calls"), 77)]).await;
}

pub(crate) async fn what_is_exported_and_imported_is_the_same<E: Engine>() {
    let world = World::<E>::new().await;
    fill(&world).await;
    let (file, tally) = exported(&*world.store, &everything()).await;
    // Only a database that an older release has made lacks usage by day.
    let is_there = |(kind, count)| count > 0 || kind == Kind::UsageSince;
    assert!(tally.counts.iter().all(is_there), "{:?}", tally.counts);

    let database = E::empty().await;
    let other = E::open(&database).await;
    assert_eq!(imported(&*other, &file).await.unwrap(), tally);
    let (again, _) = exported(&*other, &everything()).await;
    assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(file).unwrap());
    drop(other);
    let (again, same) = exported(&*E::open(&database).await, &everything()).await;
    assert_eq!((again.len(), same), (records_len(&world).await, tally), "it is durable");
}

async fn records_len<E: Engine>(world: &World<E>) -> usize {
    exported(&*world.store, &everything()).await.0.len()
}

pub(crate) async fn an_imported_database_goes_on_where_the_other_stopped<E: Engine>() {
    let world = World::<E>::new().await;
    fill(&world).await;
    let (file, _) = exported(&*world.store, &everything()).await;
    let database = E::empty().await;
    let store = E::open(&database).await;
    imported(&*store, &file).await.unwrap();

    assert_eq!(store.app().await.unwrap(), Some(app("Kana")));
    let list = |keys: Vec<kana_store::app::Key>| {
        let shown = |key: kana_store::app::Key| (key.id, key.last_four, key.revoked_at);
        keys.into_iter().map(shown).collect::<Vec<_>>()
    };
    let keys = list(store.keys().await.unwrap());
    assert_eq!(keys, list(world.store.keys().await.unwrap()));
    let [test, live] = ["test", "live"]
        .map(|name| async { store.find_key(hash(name)).await.unwrap().unwrap().environment });
    let (test, live) = (test.await, live.await);
    let other = World::<E> { store, test, live, database };
    let access = other.store.client_access(EnvironmentKind::Test).await.unwrap().unwrap();
    assert_eq!(access.token_secrets[0].secret, [254; 32]);
    assert_eq!(other.catalog_version(live).await, world.catalog_version(world.live).await);
    let n = counter(subscription_id(2), "calls");
    assert_eq!(other.counter(test, user_key(1), n.clone()).await, 77);
    assert_eq!(other.counter(live, user_key(1), n).await, 1);

    assert_eq!(other.store.admins().await.unwrap(), world.store.admins().await.unwrap());
    let ada = other.store.credentials("ada@example.com").await.unwrap().unwrap();
    assert!(ada.password.is_some());
    let day = Day::of(time(BEGINNING));
    let usage = world.store.usage_by_day(world.live, None, day, day).await.unwrap();
    assert_eq!(usage.iter().map(|usage| usage.events).sum::<i64>(), 6);
    assert_eq!(other.store.usage_by_day(live, None, day, day).await.unwrap(), usage);

    let running = other.running(test, "user 1").await;
    assert_eq!(running, world.running(world.test, "user 1").await);
    assert_eq!(running[0].quantities, quantities(&[2, 1_000_000]));
    assert_eq!(running[0].timing, timing());

    // What is new comes after what was there.
    let mut transaction = other.store.write().await.unwrap();
    let eve = NewAdmin {
        email: "eve@example.com".to_owned(),
        email_folded: "eve@example.com".to_owned(),
        role: Role::Viewer,
        created_at: time(BEGINNING),
    };
    assert!(transaction.add_admin(&eve).await.unwrap().unwrap().0 > 2);
    transaction.commit().await.unwrap();
    other.store.add_key(crate::world::private_key(EnvironmentKind::Test, "new")).await.unwrap();
    let newest = other.store.keys().await.unwrap().pop().unwrap();
    assert_eq!(newest.last_four, "new");
    assert!(keys.iter().all(|(id, ..)| *id < newest.id), "{keys:?} {newest:?}");
    other.change_catalog(test, &[put_feature(&feature("another"))]).await;
    let catalog = other.catalog(test).await;
    let mut transaction = other.store.write().await.unwrap();
    transaction.append(live, crate::feed::of_every_shape()).await.unwrap();
    transaction.commit().await.unwrap();
    let query = ChangesQuery { limit: 10, ..ChangesQuery::default() };
    let page = other.store.changes(live, &query).await.unwrap();
    let numbers: Vec<i64> = page.changes.iter().map(|change| change.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let last = catalog.features().last().map(|feature| feature.id.as_str().to_owned());
    assert_eq!(last.as_deref(), Some("another"));
    other.change(test, user_key(4), [create_user(user_key(4), "user 4")]).await;
    assert_eq!(other.user(test, "user 4").await.map(|user| user.id), Some(user_id("user 4")));
}

pub(crate) async fn one_environment_comes_alone_and_the_other_is_there_empty<E: Engine>() {
    let world = World::<E>::new().await;
    fill(&world).await;
    let scope =
        Scope { environments: vec![EnvironmentKind::Live], token_secrets: false, user: None };
    let (file, tally) = exported(&*world.store, &scope).await;
    for (kind, records) in records(&file) {
        for record in records {
            let is_of_app = matches!(kind.as_str(), "app" | "admin" | "app_audit_entry");
            let environment = if is_of_app { Value::Null } else { json!("live") };
            assert_eq!(record["environment"], environment, "{record}");
        }
    }
    assert_eq!(tally.counts.of(Kind::TokenSecret), 0);
    assert!(!String::from_utf8(file.clone()).unwrap().contains("secret\":\""));

    let database = E::empty().await;
    let store = E::open(&database).await;
    imported(&*store, &file).await.unwrap();
    for environment in BOTH {
        let access = store.client_access(environment).await.unwrap().unwrap();
        assert_eq!(access.token_secrets, [], "a server makes one when it needs one");
        assert_eq!(access.simple_mode, environment == EnvironmentKind::Test);
    }
    assert!(store.find_key(hash("test")).await.unwrap().is_none());
    store.add_key(crate::world::private_key(EnvironmentKind::Test, "new")).await.unwrap();
    let test = store.find_key(hash("new")).await.unwrap().unwrap().environment;
    let mut reader = store.read().await.unwrap();
    assert_eq!(reader.users(test, &[user_id("user 1")]).await.unwrap(), [None]);
    drop(reader);
    let (again, same) = exported(&*store, &scope).await;
    assert_eq!((again, same), (file, tally));
}

pub(crate) async fn a_database_with_an_app_takes_no_import<E: Engine>() {
    let world = World::<E>::new().await;
    fill(&world).await;
    let (file, tally) = exported(&*world.store, &everything()).await;
    let refused = imported(&*world.store, &file).await.unwrap_err();
    assert!(matches!(refused, TransferError::Store(StoreError::NotEmpty)), "{refused}");
    assert_eq!(exported(&*world.store, &everything()).await.1, tally);
}

pub(crate) async fn a_database_without_an_app_has_nothing_to_export<E: Engine>() {
    let database = E::empty().await;
    let store = E::open(&database).await;
    let mut file = Vec::new();
    let refused = export(&*store, &everything(), &mut file, time(BEGINNING), &mut |_| ()).await;
    assert!(matches!(refused, Err(TransferError::NoApp)), "{refused:?}");
    assert_eq!(file, b"");
}

pub(crate) async fn a_file_without_usage_by_day_says_since_when_it_is_complete<E: Engine>() {
    let world = World::<E>::new().await;
    fill(&world).await;
    // As in the file of a release that did not know it.
    for environment in [world.test, world.live] {
        while world.store.fold_usage(environment, 100).await.unwrap() > 0 {}
    }
    let world = world.opened_again().await;
    for environment in [world.test, world.live] {
        world.store.forget_usage_by_day(environment, Day::MAX, 100).await.unwrap();
    }
    let (file, _) = exported(&*world.store, &everything()).await;
    assert!(!records(&file).contains_key("usage_by_day"));

    let database = E::empty().await;
    let store = E::open(&database).await;
    let by = ImportedBy { actor: Actor::CommandLine, at: time("2024-03-04T05:06:07Z") };
    import(&*store, Cursor::new(file), Some(&by), &mut |_| ()).await.unwrap();
    let environment = store.client_access(EnvironmentKind::Live).await.unwrap().unwrap();
    let since = store.usage_since(environment.environment).await.unwrap();
    assert_eq!(since, Some(Day::of(time("2024-03-05T00:00:00Z"))));
    // It stays so.
    let (again, tally) = exported(&*store, &everything()).await;
    assert_eq!(tally.counts.of(Kind::UsageSince), 2);
    let database = E::empty().await;
    let store = E::open(&database).await;
    import(&*store, Cursor::new(again), Some(&by), &mut |_| ()).await.unwrap();
    assert_eq!(store.usage_since(environment.environment).await.unwrap(), since);
}

pub(crate) async fn an_import_that_fails_leaves_nothing<E: Engine>() {
    let world = World::<E>::new().await;
    fill(&world).await;
    let (file, tally) = exported(&*world.store, &everything()).await;
    let text = String::from_utf8(file.clone()).unwrap();
    let database = E::empty().await;
    let store = E::open(&database).await;
    let lines = text.lines().count();
    let cut = text.lines().take(lines - 1).flat_map(|line| [line, "\n"]).collect::<String>();
    for (bad, told) in [
        (cut, format!("line {}: the file has no end: it was cut", lines - 1)),
        (text.replace("ada@", "eve@"), format!("line {lines}: the checksum is another")),
        (
            text.replace("\"id\":\"user 2\"", "\"id\":\"user 1\""),
            // The database sees it before the end of the file is read.
            "lines ".to_owned(),
        ),
    ] {
        let refused = imported(&*store, bad.as_bytes()).await.unwrap_err().to_string();
        assert!(refused.starts_with(&told), "{refused}");
        assert_eq!(store.app().await.unwrap(), None, "{told}");
    }
    assert_eq!(imported(&*store, &file).await.unwrap(), tally);
}

pub(crate) async fn draws_that_do_not_add_up_are_not_imported<E: Engine>() {
    let world = World::<E>::new().await;
    fill_catalogs(&world).await;
    let given = Grant { drawn: 0, ..grants::whole(1, "calls") };
    let drawn = kana_core::facts::Change::SetDrawn { grant: given.key, drawn: 3 };
    let person = kana_core::facts::Change::CreateUser(user(user_key(1), "ada"));
    world.change(world.test, user_key(1), [person, grants::put(&given), drawn]).await;
    let (file, _) = exported(&*world.store, &everything()).await;
    let database = E::empty().await;
    let store = E::open(&database).await;
    let refused = imported(&*store, &file).await.unwrap_err().to_string();
    let said = "says that 3 of it is drawn, and counters drew 0";
    assert!(refused.starts_with("lines ") && refused.ends_with(said), "{refused}");
    assert_eq!(store.app().await.unwrap(), None);

    // A counter that says so.
    let marks = Marks::from_text(&format!("g{}:3", given.key.0.simple())).unwrap();
    let value = CounterValue { used: 3, marks };
    let counter = counter(subscription_id(9), "calls");
    let counted = kana_core::facts::Change::SetCounter { counter, value };
    world.change(world.test, user_key(1), [counted]).await;
    let (file, tally) = exported(&*world.store, &everything()).await;
    assert_eq!(imported(&*store, &file).await.unwrap(), tally);
}

pub(crate) async fn events_are_exported_by_when_they_were_recorded<E: Engine>() {
    let world = World::<E>::new().await;
    let subscribed = subscribe(subscription_id(1), "pro");
    world.change(world.test, user_key(1), [create_user(user_key(1), "ada"), subscribed]).await;
    for (delta, later_ms) in [(3, 2), (1, 0), (2, 1)] {
        let recorded_at = time(BEGINNING).saturating_add_ms(later_ms);
        let event = UsageEvent { delta, recorded_at, ..event(subscription_id(1), "calls") };
        world.change(world.test, user_key(1), [Change::LogEvent(event)]).await;
    }
    let (file, _) = exported(&*world.store, &everything()).await;
    let deltas: Vec<_> = records(&file)["event"].iter().map(|it| it["delta"].clone()).collect();
    assert_eq!(deltas, [1, 2, 3]);
}

pub(crate) async fn an_export_is_of_one_instant_while_others_write<E: Engine>() {
    let world = World::<E>::new().await;
    let environment = world.test;
    let subscribed = subscribe(subscription_id(1), "pro");
    world.change(environment, user_key(1), [create_user(user_key(1), "ada"), subscribed]).await;
    let (done, begun) = (AtomicBool::new(false), tokio::sync::Notify::new());
    let writes = async {
        let mut used = 0;
        while !done.load(Ordering::Relaxed) {
            used += 1;
            let change = [
                count(counter(subscription_id(1), "calls"), used),
                Change::LogEvent(event(subscription_id(1), "calls")),
            ];
            world.change(environment, user_key(1), change).await;
            begun.notify_one();
            tokio::task::yield_now().await;
        }
    };
    let exports = async {
        let mut totals = Vec::new();
        for _ in 0..10 {
            begun.notified().await;
            let (file, tally) = exported(&*world.store, &everything()).await;
            let records = records(&file);
            let used: i64 = records["counter"].iter().map(|it| it["used"].as_i64().unwrap()).sum();
            let told: i64 = records["event"].iter().map(|it| it["delta"].as_i64().unwrap()).sum();
            let by_day = records["usage_by_day"].iter().map(|it| it["amount"].as_i64().unwrap());
            assert_eq!((used, used), (told, by_day.sum()));
            assert_eq!(tally.counts.of(Kind::Event), used.unsigned_abs());
            totals.push(used);
        }
        done.store(true, Ordering::Relaxed);
        totals
    };
    let (totals, ()) = futures_util::future::join(exports, writes).await;
    assert!(totals.is_sorted() && totals.first() < totals.last(), "{totals:?}");
}
