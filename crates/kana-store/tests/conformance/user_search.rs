//! The search of users, and lists of the subscribers of a package.

use std::collections::BTreeMap;

use kana_core::facts::Change;
use kana_core::id::UserKey;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::user::User;
use kana_store::EnvironmentId;
use kana_store::user_search::{Match, Prefix, fold};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use crate::Engine;
use crate::transfer::{exported, imported};
use crate::world::{
    BEGINNING, World, cancel, create_user, label, package_id, rename_user, subscribe, subscription,
    subscription_id, time, update_user, user, user_key,
};

async fn page<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    text: &str,
    after: Option<&Match>,
    limit: usize,
) -> Vec<Match> {
    let prefix = Prefix::new(text).unwrap();
    let mut reader = world.store.read().await.unwrap();
    reader.users_with_prefix(environment, &prefix, after, limit).await.unwrap()
}

/// The numbers of all users who are found, in their order, read in pages of two.
async fn found<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    text: &str,
) -> Vec<UserKey> {
    let mut all: Vec<Match> = Vec::new();
    loop {
        let next = page(world, environment, text, all.last(), 2).await;
        let is_last = next.len() < 2;
        all.extend(next);
        if is_last {
            break;
        }
    }
    assert_eq!(all, page(world, environment, text, None, 1000).await, "{text:?}");
    all.into_iter().map(|found| found.user).collect()
}

fn person(n: u16, id: &str, [billing_id, name, email]: [Option<&str>; 3]) -> User {
    User {
        billing_id: billing_id.map(label),
        name: name.map(label),
        email: email.map(label),
        ..user(user_key(n), id)
    }
}

async fn create<E: Engine>(world: &World<E>, environment: EnvironmentId, person: &User) {
    world.change(environment, person.key, [Change::CreateUser(person.clone())]).await;
}

pub(crate) async fn users_are_found_by_the_beginning_of_each_text_whatever_the_case<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = person(1, "Ada-1", [Some("cus_A"), Some("Lady ΟΔΥΣΣΕΥΣ"), Some("Ada@Example.com")]);
    let bob = person(2, "bob", [Some("cus_B"), Some("straße"), None]);
    let eve = person(3, "100%_\\x", [None, Some(""), Some("'; --")]);
    for person in [&ada, &bob, &eve] {
        create(&world, world.test, person).await;
    }
    for (text, expected) in [
        ("ada", &[1][..]),
        ("ADA-", &[1]),
        ("ada@EXAMPLE.com", &[1]),
        ("lady οδυς", &[1]),
        ("CUS_", &[1, 2]),
        ("STRASS", &[2]),
        ("Strasse", &[2]),
        ("stras\u{df}", &[]),
        ("100%_\\", &[3]),
        ("100_", &[]),
        ("%", &[]),
        ("_", &[]),
        ("'; -", &[3]),
        ("da", &[]),
        ("ada-1 ", &[]),
        ("\u{10ffff}", &[]),
    ] {
        let expected: Vec<UserKey> = expected.iter().map(|n| user_key(*n)).collect();
        assert_eq!(found(&world, world.test, text).await, expected, "{text:?}");
        assert_eq!(found(&world, world.live, text).await, [], "{text:?}");
    }
    assert_eq!(found(&world, world.test, &"x".repeat(765)).await, []);
    assert_eq!(Prefix::new(&"x".repeat(766)), None);
    assert_eq!(Prefix::new("a\0"), None);
    assert_eq!(found(&world, world.test, "").await, []);
    // A place before all matches, as of another search.
    let before = Match { text: "100".to_owned(), user: user_key(9) };
    let after = page(&world, world.test, "str", Some(&before), 10).await;
    assert_eq!(after, page(&world, world.test, "str", None, 10).await);
    assert_eq!(after.len(), 1);
}

pub(crate) async fn a_user_who_matches_more_than_once_is_found_once<E: Engine>() {
    let world = World::<E>::new().await;
    // By each of them a search for `customer` finds everybody, and all ids come after all names.
    for n in 1..=9 {
        let name = format!("Customer {n}");
        let email = format!("customer-{n}@example.com");
        let texts = [Some("customer"), Some(name.as_str()), Some(email.as_str())];
        create(&world, world.test, &person(n, &format!("customer-{n}"), texts)).await;
    }
    let everybody: Vec<UserKey> = (1..=9).map(user_key).collect();
    for text in ["c", "cust", "CUSTOMER", "customer ", "customer-"] {
        assert_eq!(found(&world, world.test, text).await, everybody, "{text:?}");
    }
    for text in ["customer-7", "Customer 7", "customer-7@"] {
        assert_eq!(found(&world, world.test, text).await, [user_key(7)], "{text:?}");
    }
}

pub(crate) async fn the_search_follows_changes_and_forgets_what_was<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = person(1, "ada", [None, Some("Lovelace"), Some("ada@example.com")]);
    create(&world, world.test, &ada).await;
    create(&world, world.live, &ada).await;
    let changed = person(1, "ada", [Some("cus_1"), Some("King"), Some("ada@example.com")]);
    world.change(world.test, ada.key, [update_user(changed)]).await;
    for (text, is_found) in
        [("love", false), ("king", true), ("cus_", true), ("ada", true), ("ada@", true)]
    {
        let expected = if is_found { vec![ada.key] } else { vec![] };
        assert_eq!(found(&world, world.test, text).await, expected, "{text:?}");
    }
    assert_eq!(found(&world, world.live, "love").await, [ada.key]);
    // The id goes on to another user within one transaction.
    let changes = [
        (user_key(1), rename_user(user_key(1), "ada", "eve")),
        (user_key(2), create_user(user_key(2), "ada")),
        (user_key(2), update_user(person(2, "ada", [None, Some("Second"), None]))),
    ];
    let mut writer = world.store.write().await.unwrap();
    writer.change_facts(world.test, &changes).await.unwrap();
    writer.commit().await.unwrap();
    for (text, expected) in [("ada", 2), ("second", 2), ("eve", 1)] {
        assert_eq!(found(&world, world.test, text).await, [user_key(expected)], "{text:?}");
    }
    for text in ["king", "cus_", "ada@"] {
        assert_eq!(found(&world, world.test, text).await, [], "{text:?}");
    }
}

pub(crate) async fn what_is_rolled_back_is_not_found<E: Engine>() {
    let world = World::<E>::new().await;
    create(&world, world.test, &person(1, "ada", [None, Some("Lovelace"), None])).await;
    let mut writer = world.store.write().await.unwrap();
    let changes = [
        (user_key(1), update_user(person(1, "ada", [None, Some("King"), None]))),
        (user_key(2), create_user(user_key(2), "bob")),
    ];
    writer.change_facts(world.test, &changes).await.unwrap();
    drop(writer);
    assert_eq!(found(&world, world.test, "love").await, [user_key(1)]);
    assert_eq!(found(&world, world.test, "k").await, []);
    assert_eq!(found(&world, world.test, "b").await, []);
}

pub(crate) async fn imported_users_are_found<E: Engine>() {
    let world = World::<E>::new().await;
    for n in 1..=5 {
        let (id, name) = (format!("user-{n}"), format!("ÉMILE {n}"));
        create(&world, world.test, &person(n, &id, [None, Some(&name), None])).await;
    }
    create(&world, world.live, &person(1, "live", [None, None, None])).await;
    let scope = kana_store::transfer::Scope {
        environments: kana_store::EnvironmentKind::ALL.to_vec(),
        token_secrets: false,
        user: None,
    };
    let (file, _) = exported(world.store.as_ref(), &scope).await;
    let database = E::empty().await;
    let store = E::open(&database).await;
    imported(store.as_ref(), &file).await.unwrap();
    let copy = World::<E> { store, database, test: world.test, live: world.live };
    let everybody: Vec<UserKey> = (1..=5).map(user_key).collect();
    for text in ["u", "user-", "émile"] {
        assert_eq!(found(&copy, copy.test, text).await, everybody, "{text:?}");
    }
    assert_eq!(found(&copy, copy.live, "live").await, [user_key(1)]);
    let renamed = person(3, "third", [None, None, None]);
    copy.change(copy.test, user_key(3), [update_user(renamed)]).await;
    let rest: Vec<UserKey> = [1, 2, 4, 5].map(user_key).into();
    assert_eq!(found(&copy, copy.test, "user").await, rest);
}

pub(crate) async fn subscribers_are_listed_in_order_of_creation_each_once<E: Engine>() {
    let world = World::<E>::new().await;
    let past_due = |id| {
        let subscription =
            Subscription { status: SubscriptionStatus::PastDue, ..subscription(id, "pro") };
        Change::AddSubscription(subscription)
    };
    for (n, changes) in [
        (1, vec![subscribe(subscription_id(1), "pro"), subscribe(subscription_id(2), "pro")]),
        (2, vec![subscribe(subscription_id(3), "free")]),
        (3, vec![past_due(subscription_id(4))]),
        (4, vec![subscribe(subscription_id(5), "pro")]),
        (
            5,
            vec![
                subscribe(subscription_id(6), "pro"),
                cancel(subscription_id(6), "2024-02-01T00:00:00Z"),
            ],
        ),
        (6, vec![subscribe(subscription_id(7), "pro"), subscribe(subscription_id(8), "free")]),
    ] {
        let key = user_key(n);
        let created = create_user(key, &format!("user {n}"));
        world.change(world.test, key, std::iter::once(created).chain(changes)).await;
    }
    let (pro, now) = (package_id("pro"), time(BEGINNING));
    let mut reader = world.store.read().await.unwrap();
    let everybody: Vec<UserKey> = [1, 4, 6].map(user_key).into();
    assert_eq!(reader.subscribers_after(world.test, &pro, now, None, 10).await.unwrap(), everybody);
    let mut pages: Vec<UserKey> = Vec::new();
    for _ in 0..4 {
        let after = pages.last().copied();
        pages.extend(reader.subscribers_after(world.test, &pro, now, after, 1).await.unwrap());
    }
    assert_eq!(pages, everybody);
    assert_eq!(reader.subscribers_after(world.live, &pro, now, None, 10).await.unwrap(), []);
    let asked = [6, 5, 4, 3, 2, 1, 9, 6].map(user_key);
    let are = reader.are_subscribed(world.test, &pro, now, &asked).await.unwrap();
    assert_eq!(are, [true, false, true, false, false, true, false, true]);
    assert_eq!(reader.are_subscribed(world.live, &pro, now, &asked).await.unwrap(), [false; 8]);
    let counted = reader.active_subscribers(world.test, &[pro], now).await.unwrap();
    assert_eq!(counted, [3]);
    let users = reader.users_by_key(world.test, &asked[5..]).await.unwrap();
    let expected = [Some(user(user_key(1), "user 1")), None, Some(user(user_key(6), "user 6"))];
    assert_eq!(users, expected);
}

/// The texts of a user.
type Texts = (String, [Option<String>; 3]);

/// Texts that share beginnings, differ only in case, or mean something to SQL.
fn text() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "A",
        "ab",
        "ß",
        "SS",
        "σ",
        "ς",
        "Σ",
        "İ",
        "i",
        "é",
        "%",
        "_",
        "\\",
        "'",
        "-",
        "\u{10ffff}",
        "漢",
    ]);
    prop_oneof![
        6 => prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat()),
        1 => "[^\\x00\\p{Cc}\\s]{1,6}",
    ]
}

fn texts() -> impl Strategy<Value = Texts> {
    let label = || prop::option::of(prop_oneof![9 => text(), 1 => Just(String::new())]);
    (text(), [label(), label(), label()])
}

/// What happens: a user with this number gets these texts.
fn story() -> impl Strategy<Value = Vec<(u16, Texts)>> {
    prop::collection::vec((1..6_u16, texts()), 1..16)
}

/// The matches of a search, computed from the texts alone.
fn expected(model: &BTreeMap<u16, Texts>, prefix: &Prefix) -> Vec<Match> {
    let matches = model.iter().filter_map(|(n, (id, labels))| {
        let texts = labels.iter().flatten().chain([id]).map(|text| fold(text));
        let text = texts.filter(|text| text.starts_with(prefix.as_str())).min()?;
        Some(Match { text, user: user_key(*n) })
    });
    let mut matches: Vec<Match> = matches.filter(|_| !prefix.as_str().is_empty()).collect();
    matches.sort();
    matches
}

pub(crate) async fn whatever_users_are_called_a_search_finds_whom_the_model_finds<E: Engine>() {
    // One world for all cases: each changes what the one before has left.
    let world = World::<E>::new().await;
    let mut model: BTreeMap<u16, Texts> = BTreeMap::new();
    let mut runner = TestRunner::deterministic();
    let strategy = (story(), prop::collection::vec(text(), 4));
    for _ in 0..Config::default().cases.min(48) {
        let (story, searches) = strategy.new_tree(&mut runner).unwrap().current();
        let mut changes = Vec::new();
        for (n, (id, labels)) in story {
            if model.iter().any(|(other, (taken, _))| *other != n && *taken == id) {
                continue;
            }
            let [billing_id, name, email] = labels.each_ref().map(Option::as_deref);
            let person = person(n, &id, [billing_id, name, email]);
            let change = match model.insert(n, (id.clone(), labels)) {
                None => Change::CreateUser(person),
                Some((before, _)) => {
                    let previous_id = (before != id).then(|| crate::world::user_id(&before));
                    Change::UpdateUser { user: person, previous_id }
                }
            };
            changes.push((user_key(n), change));
        }
        let mut writer = world.store.write().await.unwrap();
        writer.change_facts(world.test, &changes).await.unwrap();
        writer.commit().await.unwrap();
        for search in searches {
            let prefix = Prefix::new(&search).unwrap();
            let found = page(&world, world.test, &search, None, 1000).await;
            assert_eq!(found, expected(&model, &prefix), "{search:?} of {model:?}");
            for limit in [1, 2] {
                let mut pages: Vec<Match> = Vec::new();
                while pages.len() < found.len() {
                    let next = page(&world, world.test, &search, pages.last(), limit).await;
                    assert!(!next.is_empty() && next.len() <= limit);
                    pages.extend(next);
                }
                assert_eq!(pages, found, "{search:?} in pages of {limit}");
            }
        }
    }
}
