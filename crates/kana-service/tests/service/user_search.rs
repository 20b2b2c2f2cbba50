//! Lists and searches of users.

use kana_core::Refusal;
use kana_core::id::UserKey;
use kana_core::metadata::Label;
use kana_core::user::{User, UserEdit};
use kana_service::{Environment, Error, UserCursor, UserQuery};
use uuid::Uuid;

use crate::world::{World, new_user, package_id, subscribe, user_id};

fn query(search: &str, package: Option<&str>) -> UserQuery {
    UserQuery { search: search.to_owned(), package: package.map(package_id) }
}

/// The ids of all users that are listed, in pages of `limit`.
async fn listed(test: &Environment, query: &UserQuery, limit: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after: Option<UserCursor> = None;
    loop {
        let page = test.find_users(query, after.as_ref(), limit).await.unwrap();
        assert!(page.users.len() <= limit);
        ids.extend(page.users.into_iter().map(|(user, _)| user.id.to_string()));
        let Some(next) = page.next else { return ids };
        // As an address has it.
        let parsed = UserCursor::parse(&next.to_string()).unwrap();
        assert_eq!(parsed, next);
        after = Some(parsed);
    }
}

#[tokio::test]
async fn users_are_listed_searched_and_filtered_in_pages() {
    let world = World::shop().await;
    let test = world.test().await;
    for number in 0..12 {
        let id = format!("user-{number:02}");
        let name = Some(Label::new("name", &format!("User {}", number % 2)).unwrap());
        test.create_user(User { name, ..new_user(&id) }).await.unwrap();
        if number % 3 == 0 {
            subscribe(&test, &id, "pro").await.unwrap();
        }
    }
    let all: Vec<String> = (0..12).map(|number| format!("user-{number:02}")).collect();
    let every = |step: usize| all.iter().step_by(step).cloned().collect::<Vec<_>>();
    let created = [vec!["124".to_owned()], all.clone()].concat();
    // By the name: those with an even number come first.
    let by_name = [every(2), all.iter().skip(1).step_by(2).cloned().collect()].concat();
    let subscribed_by_name: Vec<String> =
        by_name.iter().filter(|id| every(3).contains(id)).cloned().collect();
    for (query, expected) in [
        (query("", None), &created),
        (query("USER-", None), &all),
        (query("us", None), &by_name),
        (query("user 0", None), &every(2)),
        (query("", Some("pro")), &every(3)),
        (query("us", Some("pro")), &subscribed_by_name),
        (query("user-", Some("basic")), &vec![]),
        (query("nobody", None), &vec![]),
        (query("a\0", Some("pro")), &vec![]),
    ] {
        for limit in [1, 2, 5, 12, 13, 50] {
            assert_eq!(&listed(&test, &query, limit).await, expected, "{query:?} {limit}");
        }
    }
    let page = test.find_users(&query("user-03", None), None, 50).await.unwrap();
    let [(user, subscriptions)] = &page.users[..] else { panic!("{page:?}") };
    assert_eq!((user.id.as_str(), subscriptions.len()), ("user-03", 1));
    assert!(page.catalog.package(&subscriptions[0].package).is_some());
    assert!(
        world.live().await.find_users(&query("u", None), None, 50).await.unwrap().users.is_empty()
    );
    let unknown = test.find_users(&query("", Some("none")), None, 50).await;
    assert!(matches!(unknown, Err(Error::Refused(Refusal::PackageNotFound(_)))), "{unknown:?}");
}

#[tokio::test]
async fn a_page_goes_on_where_the_one_before_ended_whatever_changed() {
    let world = World::shop().await;
    let test = world.test().await;
    for id in ["a1", "a2", "a3", "a4"] {
        test.create_user(new_user(id)).await.unwrap();
    }
    let query = query("A", None);
    let first = test.find_users(&query, None, 2).await.unwrap();
    let renamed = UserEdit { id: Some(user_id("b2")), ..UserEdit::default() };
    test.update_user(user_id("a2"), renamed).await.unwrap();
    test.create_user(new_user("a0")).await.unwrap();
    let next = test.find_users(&query, first.next.as_ref(), 2).await.unwrap();
    let ids: Vec<&str> = next.users.iter().map(|(user, _)| user.id.as_str()).collect();
    assert_eq!((ids, next.next), (vec!["a3", "a4"], None));
}

#[tokio::test]
async fn a_search_within_a_package_looks_at_so_many_matches_and_says_where_to_go_on() {
    let world = World::shop().await;
    let test = world.test().await;
    let creating = (0..4100).map(|number| test.create_user(new_user(&format!("u{number:04}"))));
    for created in futures_util::future::join_all(creating).await {
        created.unwrap();
    }
    subscribe(&test, "u4050", "pro").await.unwrap();
    let query = query("u", Some("pro"));
    let first = test.find_users(&query, None, 50).await.unwrap();
    assert!(first.users.is_empty() && first.next.is_some());
    assert_eq!(listed(&test, &query, 50).await, ["u4050"]);
}

#[tokio::test]
async fn a_page_runs_the_same_statements_however_many_users_there_are() {
    let world = World::shop().await;
    let test = world.test().await;
    let cost = async |search: &str, package| {
        let query = query(search, package);
        test.find_users(&query, None, 5).await.unwrap();
        let (page, statements) = world.statements(test.find_users(&query, None, 5)).await;
        assert_eq!(page.unwrap().users.len(), 5, "{search:?}");
        statements
    };
    let create = async |numbers: std::ops::Range<usize>| {
        let creating = numbers.map(|number| test.create_user(new_user(&format!("u{number:04}"))));
        for created in futures_util::future::join_all(creating).await {
            created.unwrap();
        }
    };
    create(0..10).await;
    for number in 0..10 {
        subscribe(&test, &format!("u{number:04}"), "pro").await.unwrap();
    }
    let costs = async || {
        [
            cost("", None).await,
            cost("u", None).await,
            cost("", Some("pro")).await,
            cost("U000", Some("pro")).await,
        ]
    };
    let before = costs().await;
    create(10..2000).await;
    for number in 10..60 {
        subscribe(&test, &format!("u{number:04}"), "pro").await.unwrap();
    }
    assert_eq!(costs().await, before);
}

#[test]
fn a_cursor_is_parsed_as_it_is_written_and_nothing_else_is() {
    let key = UserKey(Uuid::from_u128(7));
    let cursor = UserCursor::from(key);
    assert_eq!(UserCursor::parse(&cursor.to_string()), Some(cursor));
    for text in ["00000000000000000000000000000007 a b%_", "00000000000000000000000000000007 "] {
        assert_eq!(UserCursor::parse(text).unwrap().to_string(), text);
    }
    let long = format!("00000000000000000000000000000007 {}", "x".repeat(766));
    for text in ["", "7", " ", "x a", "00000000000000000000000000000007 \0", &long] {
        assert_eq!(UserCursor::parse(text), None, "{text:?}");
    }
}
