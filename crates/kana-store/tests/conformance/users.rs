use kana_core::catalog::CatalogVersion;
use kana_core::facts::{Change, UserFacts};
use kana_core::metadata::METADATA_BYTES_MAX;
use kana_core::user::User;
use serde_json::{Value, json};

use crate::Engine;
use crate::world::{
    World, cancel, count, counter, create_user, feature, keep, label, metadata, put_feature,
    rename_user, replay, subscribe, subscription, subscription_id, update_user, user, user_id,
    user_ids, user_key,
};

pub(crate) async fn an_unknown_user_is_none_and_the_catalog_version_still_answers<E: Engine>() {
    let world = World::<E>::new().await;
    let version = world.change_catalog(world.test, &[put_feature(&feature("api-calls"))]).await;
    assert_eq!(version, CatalogVersion(1));

    let facts = world.facts(world.test, &user_ids(["nobody"])).await;
    assert_eq!((facts.catalog_version, facts.users), (version, vec![None]));
    assert_eq!(world.user(world.test, "nobody").await, None);
}

pub(crate) async fn a_question_about_nobody_still_answers_the_catalog_version<E: Engine>() {
    let world = World::<E>::new().await;
    let version = world.change_catalog(world.test, &[put_feature(&feature("api-calls"))]).await;

    let facts = world.facts(world.test, &[]).await;
    assert_eq!((facts.catalog_version, facts.users), (version, vec![]));
    assert_eq!(world.users(world.test, &[]).await, []);
}

pub(crate) async fn a_user_is_kept_with_everything_that_is_known<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = User {
        key: user_key(1),
        id: user_id("ada@example.com"),
        billing_id: Some(label("cus_Nffr'ahFy\"QT")),
        name: Some(label("Ada 'Gräfin' Lovelace 👩‍💻\n")),
        email: Some(label("ada@exämple.org")),
        metadata: Some(metadata(json!({ "plan": "früher", "seats": 3 }))),
    };
    world.change(world.test, ada.key, [Change::CreateUser(ada.clone())]).await;

    assert_eq!(world.user(world.test, "ada@example.com").await, Some(ada.clone()));
    let facts = world.facts_of(world.test, "ada@example.com").await;
    assert_eq!(facts, Some(UserFacts::new(ada.key, ada.id, Vec::new())));
}

pub(crate) async fn a_user_needs_nothing_but_an_id<E: Engine>() {
    let world = World::<E>::new().await;
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;

    assert_eq!(world.user(world.test, "124").await, Some(user(user_key(1), "124")));
}

pub(crate) async fn what_is_empty_is_not_what_is_absent<E: Engine>() {
    let world = World::<E>::new().await;
    let empty = User {
        billing_id: Some(label("")),
        name: Some(label("")),
        email: Some(label("")),
        metadata: Some(metadata(json!({}))),
        ..user(user_key(1), "empty")
    };
    world.change(world.test, empty.key, [Change::CreateUser(empty.clone())]).await;

    assert_eq!(world.user(world.test, "empty").await, Some(empty));
}

/// Writes a user with this metadata and reads it back, as text: values that differ in the order
/// of their keys are equal, texts are not.
async fn metadata_read_back<E: Engine>(given: Value) -> String {
    let world = World::<E>::new().await;
    let user = User { metadata: Some(metadata(given)), ..user(user_key(1), "124") };
    world.change(world.test, user.key, [Change::CreateUser(user)]).await;
    let read = world.user(world.test, "124").await.unwrap();
    read.metadata.unwrap().to_json()
}

pub(crate) async fn metadata_is_kept_as_it_was_given<E: Engine>() {
    let nested = r#"{"z":1,"a":{"y":[true,null,{"q":1,"b":[]}],"b":-2},"":"","Z":"z"}"#;
    let texts = r#"{"zürich":"日本 👩‍💻","escapes":"\"\\/\n\u0000\u001f","e\u0301":"é"}"#;
    let numbers = r#"{"max":18446744073709551615,"min":-9223372036854775808,"half":0.5,"one":1.0}"#;
    for text in [nested, texts, numbers, "{}"] {
        let given: Value = serde_json::from_str(text).unwrap();
        let written = metadata(given.clone()).to_json();
        assert_eq!(metadata_read_back::<E>(given).await, written);
    }

    let largest = json!({ "a": "x".repeat(METADATA_BYTES_MAX - 8) });
    assert_eq!(metadata_read_back::<E>(largest.clone()).await, largest.to_string());
}

pub(crate) async fn numbers_in_metadata_are_kept_to_the_last_digit<E: Engine>() {
    // Numbers with all the digits that they can have: the neighbours of each differ in the last.
    let numbers = [
        0.300_000_000_000_000_04,
        0.333_333_333_333_333_3,
        122.416_294_033_786_58,
        2.225_073_858_507_201_4e-308,
        1.797_693_134_862_315_7e308,
        9_007_199_254_740_993.0,
        5.0e-324,
        1.1e-7,
        0.000_123_456_789_012_345_67,
        51.248_178_375_505_04,
        -93.337_151_080_475_89,
    ];
    let given = json!({ "numbers": numbers });
    assert_eq!(metadata_read_back::<E>(given.clone()).await, given.to_string());
}

pub(crate) async fn ids_are_compared_exactly<E: Engine>() {
    let world = World::<E>::new().await;
    let longest = "é".repeat(255);
    let ids = [
        "ada", "Ada", "ADA", "1", "01", "1.0", "e\u{301}", "é", "é ß", "%", "_", "a b", "a  b",
        "ß", "ss", "'; --", &longest,
    ];
    for (n, id) in (1..).zip(ids) {
        world.change(world.test, user_key(n), [create_user(user_key(n), id)]).await;
    }

    for (n, id) in (1..).zip(ids) {
        assert_eq!(world.user(world.test, id).await, Some(user(user_key(n), id)), "{id}");
        let facts = world.facts_of(world.test, id).await.unwrap();
        assert_eq!((facts.key, facts.id.as_str()), (user_key(n), id));
    }
    for id in ["aDa", "é s", "1.00", "*"] {
        assert_eq!(world.user(world.test, id).await, None, "{id}");
        assert_eq!(world.facts_of(world.test, id).await, None, "{id}");
    }
}

pub(crate) async fn many_users_stand_in_the_order_in_which_they_were_asked_for<E: Engine>() {
    let world = World::<E>::new().await;
    let changes = [
        (user_key(1), create_user(user_key(1), "carol")),
        (user_key(2), create_user(user_key(2), "alice")),
        (user_key(3), create_user(user_key(3), "bob")),
    ];
    let mut writer = world.store.write().await.unwrap();
    writer.change_facts(world.test, &changes).await.unwrap();
    writer.commit().await.unwrap();

    let asked = user_ids(["bob", "nobody", "carol", "bob", "alice", "nobody"]);
    let keys = [Some(3), None, Some(1), Some(3), Some(2), None].map(|n| n.map(user_key));

    let users = world.users(world.test, &asked).await;
    assert_eq!(
        users.iter().map(|user| user.as_ref().map(|user| user.key)).collect::<Vec<_>>(),
        keys
    );
    let facts = world.facts(world.test, &asked).await.users;
    assert_eq!(
        facts.iter().map(|facts| facts.as_ref().map(|facts| facts.key)).collect::<Vec<_>>(),
        keys
    );
    for (id, facts) in asked.iter().zip(facts) {
        assert!(facts.is_none_or(|facts| facts.id == *id));
    }
}

pub(crate) async fn an_id_belongs_to_one_user<E: Engine>() {
    let world = World::<E>::new().await;
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;

    let mut writer = world.store.write().await.unwrap();
    let again = [(user_key(2), create_user(user_key(2), "124"))];
    writer.change_facts(world.test, &again).await.unwrap_err();
    drop(writer);

    assert_eq!(world.user(world.test, "124").await, Some(user(user_key(1), "124")));
}

pub(crate) async fn an_update_replaces_what_is_known_and_touches_nobody_else<E: Engine>() {
    let world = World::<E>::new().await;
    for (n, id) in [(1, "124"), (2, "125")] {
        world.change(world.test, user_key(n), [create_user(user_key(n), id)]).await;
    }
    world.change(world.live, user_key(1), [create_user(user_key(1), "124")]).await;

    let known = User {
        billing_id: Some(label("cus_1")),
        name: Some(label("Ada")),
        email: Some(label("")),
        metadata: Some(metadata(json!({ "z": 1, "a": null }))),
        ..user(user_key(1), "124")
    };
    world.change(world.test, user_key(1), [update_user(known.clone())]).await;
    assert_eq!(world.user(world.test, "124").await, Some(known));
    assert_eq!(world.user(world.test, "125").await, Some(user(user_key(2), "125")));
    assert_eq!(world.user(world.live, "124").await, Some(user(user_key(1), "124")));

    let cleared = user(user_key(1), "124");
    world.change(world.test, user_key(1), [update_user(cleared.clone())]).await;
    assert_eq!(world.user(world.test, "124").await, Some(cleared));
}

pub(crate) async fn a_new_id_moves_the_user_with_all_facts_and_frees_the_old_one<E: Engine>() {
    let world = World::<E>::new().await;
    let [running, ended] = [1, 2].map(subscription_id);
    let api_calls = counter(running, "api-calls");
    let changes = [
        create_user(user_key(1), "old"),
        subscribe(running, "pro"),
        subscribe(ended, "free"),
        cancel(ended, "2024-02-01T00:00:00Z"),
        count(api_calls.clone(), 3),
        keep("key", replay(user_key(1), "api-calls")),
    ];
    world.change(world.test, user_key(1), changes).await;

    world.change(world.test, user_key(1), [rename_user(user_key(1), "old", "new")]).await;

    assert_eq!(world.user(world.test, "old").await, None);
    assert_eq!(world.facts_of(world.test, "old").await, None);
    assert_eq!(world.user(world.test, "new").await, Some(user(user_key(1), "new")));
    assert_eq!(world.running(world.test, "new").await, [subscription(running, "pro")]);
    assert_eq!(world.ended(world.test, user_key(1)).await.len(), 1);
    assert_eq!(world.counter(world.test, user_key(1), api_calls).await, 3);
    let kept = world.replay(world.test, "key").await.unwrap();
    assert_eq!(kept.content.user, user_key(1));
    let owners = world.subscriptions(world.test, &[running, ended]).await;
    assert!(owners.into_iter().all(|found| found.unwrap().0 == user_id("new")));

    // The old id is another's from now on, who has none of it.
    world.change(world.test, user_key(2), [create_user(user_key(2), "old")]).await;
    assert!(world.running(world.test, "old").await.is_empty());
}

pub(crate) async fn a_new_id_that_another_has_is_not_written<E: Engine>() {
    let world = World::<E>::new().await;
    for (n, id) in [(1, "124"), (2, "125")] {
        world.change(world.test, user_key(n), [create_user(user_key(n), id)]).await;
    }
    let mut writer = world.store.write().await.unwrap();
    let taken = [(user_key(2), rename_user(user_key(2), "125", "124"))];
    writer.change_facts(world.test, &taken).await.unwrap_err();
    drop(writer);
    assert_eq!(world.user(world.test, "124").await, Some(user(user_key(1), "124")));
    assert_eq!(world.user(world.test, "125").await, Some(user(user_key(2), "125")));
}

/// Users by their ids, and what happens to the ids of the first ones.
type Story =
    (&'static str, &'static [(u16, &'static str, &'static str)], &'static [(u16, &'static str)]);

/// Each begins with the users 1, 2 and 3 under the ids `a`, `b` and `c`. A change without an earlier
/// id makes a user.
const STORIES: &[Story] = &[
    ("on to the next", &[(1, "a", "x"), (2, "b", "a")], &[(1, "x"), (2, "a"), (3, "c")]),
    ("made anew", &[(1, "a", "x"), (9, "", "a")], &[(1, "x"), (2, "b"), (3, "c"), (9, "a")]),
    (
        "two who change places",
        &[(1, "a", "x"), (2, "b", "a"), (1, "x", "b")],
        &[(1, "b"), (2, "a"), (3, "c")],
    ),
    (
        "three who move up",
        &[(3, "c", "x"), (2, "b", "c"), (1, "a", "b"), (3, "x", "a")],
        &[(1, "b"), (2, "c"), (3, "a")],
    ),
    (
        "of two who were made and moved",
        &[(8, "", "x"), (8, "x", "y"), (9, "", "x"), (9, "x", "z"), (8, "y", "x")],
        &[(1, "a"), (2, "b"), (3, "c"), (8, "x"), (9, "z")],
    ),
    ("there and back", &[(1, "a", "x"), (1, "x", "a")], &[(1, "a"), (2, "b"), (3, "c")]),
];

pub(crate) async fn ids_go_from_one_user_to_another_within_one_transaction<E: Engine>() {
    for (story, moves, expected) in STORIES {
        let world = World::<E>::new().await;
        for (n, id) in [(1, "a"), (2, "b"), (3, "c")] {
            world.change(world.test, user_key(n), [create_user(user_key(n), id)]).await;
        }
        let change = |(n, from, to): &(u16, &str, &str)| {
            let key = user_key(*n);
            let change = match *from {
                "" => create_user(key, to),
                from => rename_user(key, from, to),
            };
            (key, change)
        };
        let changes: Vec<_> = moves.iter().map(change).collect();
        let mut writer = world.store.write().await.unwrap();
        writer.change_facts(world.test, &changes).await.unwrap();
        writer.commit().await.unwrap();

        let mut reader = world.store.read().await.unwrap();
        let users = reader.users_after(world.test, None, 10).await.unwrap();
        let expected: Vec<User> = expected.iter().map(|(n, id)| user(user_key(*n), id)).collect();
        assert_eq!(users, expected, "{story}");
    }
}

pub(crate) async fn an_id_that_a_transaction_frees_is_another_users_with_all_facts_of_each<
    E: Engine,
>() {
    let world = World::<E>::new().await;
    let [first, second] = [1, 2].map(subscription_id);
    let calls = |subscription| counter(subscription, "api-calls");
    let changes = [create_user(user_key(1), "ada"), subscribe(first, "pro")];
    world.change(world.test, user_key(1), changes).await;
    world.change(world.test, user_key(1), [count(calls(first), 1)]).await;

    let mut writer = world.store.write().await.unwrap();
    // Whoever writes has the users.
    writer.facts(world.test, &user_ids(["ada", "eve"])).await.unwrap();
    let of = |n| move |change| (user_key(n), change);
    let eve = [count(calls(first), 2), rename_user(user_key(1), "ada", "eve")].map(of(1));
    let ada = [create_user(user_key(2), "ada"), subscribe(second, "free"), count(calls(second), 7)];
    let more = [count(calls(first), 3), cancel(first, "2024-02-01T00:00:00Z")].map(of(1));
    let changes: Vec<_> = eve.into_iter().chain(ada.map(of(2))).chain(more).collect();
    writer.change_facts(world.test, &changes).await.unwrap();
    writer.commit().await.unwrap();

    assert_eq!(world.facts_of(world.test, "eve").await.unwrap().key, user_key(1));
    assert!(world.running(world.test, "eve").await.is_empty());
    assert_eq!(world.counter(world.test, user_key(1), calls(first)).await, 3);
    assert_eq!(world.facts_of(world.test, "ada").await.unwrap().key, user_key(2));
    assert_eq!(world.running(world.test, "ada").await, [subscription(second, "free")]);
    assert_eq!(world.counter(world.test, user_key(2), calls(second)).await, 7);
}
