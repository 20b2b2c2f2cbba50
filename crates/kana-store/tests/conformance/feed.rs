//! The changes feed and the audit log.

use std::collections::HashSet;
use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::change::{AuditKind, Effect};
use kana_store::feed::{
    AuditQuery, ChangesPage, ChangesQuery, NewAuditEntry, NewChange, Records, SCANNED_MAX,
};
use kana_store::{EnvironmentId, Store};
use uuid::Uuid;

use crate::Engine;
use crate::world::{World, feature_id, time, user_id};

fn change(user: Option<&str>, effect: Effect, at: Timestamp) -> NewChange {
    let user = user.map(user_id);
    NewChange { id: Uuid::now_v7(), at, user, actor: "key 1 (…test)".into(), effect }
}

fn created(user: &str) -> Records {
    let changes = vec![change(Some(user), Effect::UserCreated, time("2024-01-01T00:00:00Z"))];
    Records { changes, audit: Vec::new() }
}

/// Two changes and two entries of the audit log, with every column set somewhere and null elsewhere.
pub(crate) fn of_every_shape() -> Records {
    let at = time("2024-02-03T04:05:06.007Z");
    let changes = vec![
        change(Some("ada"), Effect::UserCreated, at),
        change(None, Effect::FeatureCreated(feature_id("calls")), at),
    ];
    let whole = NewAuditEntry { after: Some("[1]".into()), ..entry(AuditKind::Key, Some("7"), at) };
    let bare = NewAuditEntry { before: None, ..entry(AuditKind::Setting, None, at) };
    Records { changes, audit: vec![whole, bare] }
}

async fn append(store: &dyn Store, environment: EnvironmentId, records: Records) {
    let mut transaction = store.write().await.unwrap();
    transaction.append(environment, records).await.unwrap();
    transaction.commit().await.unwrap();
}

fn all() -> ChangesQuery {
    ChangesQuery { limit: 1000, ..ChangesQuery::default() }
}

fn numbers(page: &ChangesPage) -> Vec<i64> {
    page.changes.iter().map(|change| change.number).collect()
}

pub(crate) async fn a_log_begins_empty_and_numbers_from_one<E: Engine>() {
    let world = World::<E>::new().await;
    let page = world.store.changes(world.test, &all()).await.unwrap();
    assert_eq!(page, ChangesPage { changes: vec![], read_to: 0, oldest: 1, newest: 0 });

    let at = time("2024-02-03T04:05:06.007Z");
    let first = change(Some("ada"), Effect::UserCreated, at);
    let second = change(None, Effect::FeatureCreated(feature_id("calls")), at);
    let records = Records { changes: vec![first.clone(), second], audit: Vec::new() };
    append(world.store.as_ref(), world.test, records).await;
    append(world.store.as_ref(), world.live, created("bob")).await;

    let world = world.opened_again().await;
    let page = world.store.changes(world.test, &all()).await.unwrap();
    assert_eq!((page.read_to, page.oldest, page.newest), (2, 1, 2));
    assert_eq!(numbers(&page), [1, 2]);
    let told = &page.changes[0];
    assert_eq!((told.id, told.at, told.type_name.as_str()), (first.id, at, "user.created"));
    assert_eq!((told.user_id.as_deref(), told.data.as_str()), (Some("ada"), "{}"));
    assert_eq!(page.changes[1].data, r#"{"featureId":"calls"}"#);
    assert_eq!(page.changes[1].user_id, None);
    // Each environment counts for itself.
    assert_eq!(numbers(&world.store.changes(world.live, &all()).await.unwrap()), [1]);
}

pub(crate) async fn what_is_rolled_back_takes_no_number<E: Engine>() {
    let world = World::<E>::new().await;
    append(world.store.as_ref(), world.test, created("ada")).await;
    let mut transaction = world.store.write().await.unwrap();
    transaction.append(world.test, created("lost")).await.unwrap();
    drop(transaction);
    append(world.store.as_ref(), world.test, created("bob")).await;
    let page = world.store.changes(world.test, &all()).await.unwrap();
    assert_eq!(numbers(&page), [1, 2]);
}

pub(crate) async fn pages_follow_each_other_whatever_the_filter<E: Engine>() {
    let world = World::<E>::new().await;
    let at = time("2024-01-01T00:00:00Z");
    let names = ["ada", "bob"];
    let changes = (0..20).map(|number| match number % 5 {
        0 => change(None, Effect::FeatureCreated(feature_id("calls")), at),
        _ => change(Some(names[number % 2]), Effect::UserCreated, at),
    });
    let records = Records { changes: changes.collect(), audit: Vec::new() };
    append(world.store.as_ref(), world.test, records).await;

    let types = |name| Some(vec![name]);
    for (types, user, expected) in [
        (None, None, (1..=20).collect::<Vec<i64>>()),
        (types("feature.created"), None, vec![1, 6, 11, 16]),
        (types("key.created"), None, vec![]),
        (None, Some("bob"), vec![2, 4, 8, 10, 12, 14, 18, 20]),
        (types("user.created"), Some("ada"), vec![3, 5, 7, 9, 13, 15, 17, 19]),
        (types("feature.created"), Some("ada"), vec![]),
        (None, Some("nobody"), vec![]),
    ] {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let user = user.map(user_id);
            let query = ChangesQuery { after, limit: 3, types: types.clone(), user };
            let page = world.store.changes(world.test, &query).await.unwrap();
            assert!(page.changes.len() <= 3);
            found.extend(numbers(&page));
            if page.read_to == page.newest {
                break;
            }
            assert!(Some(page.read_to) > after, "a page that leads nowhere");
            after = Some(page.read_to);
        }
        assert_eq!(found, expected);
    }
}

pub(crate) async fn a_page_ends_after_so_many_that_the_filter_leaves_out<E: Engine>() {
    let world = World::<E>::new().await;
    let at = time("2024-01-01T00:00:00Z");
    let boring = (0..=SCANNED_MAX).map(|_| change(Some("ada"), Effect::UserCreated, at));
    let rare = std::iter::once(change(None, Effect::TokenSecretRotated, at));
    let records = Records { changes: boring.chain(rare).collect(), audit: Vec::new() };
    append(world.store.as_ref(), world.test, records).await;
    let types = Some(vec!["token_secret.rotated"]);
    let query = ChangesQuery { limit: 10, types, ..ChangesQuery::default() };
    let page = world.store.changes(world.test, &query).await.unwrap();
    let scanned = i64::try_from(SCANNED_MAX).unwrap();
    assert_eq!((numbers(&page), page.read_to), (vec![], scanned));
    let query = ChangesQuery { after: Some(page.read_to), ..query };
    let page = world.store.changes(world.test, &query).await.unwrap();
    assert_eq!((numbers(&page), page.read_to), (vec![scanned + 2], scanned + 2));
}

/// Whoever has seen a number never finds a new one below it, and there are no gaps.
pub(crate) async fn numbers_appear_in_their_order_however_many_write<E: Engine>() {
    const WRITERS: usize = 8;
    const EACH: usize = 20;
    let world = World::<E>::new().await;
    let writing = (0..WRITERS).map(|writer| {
        let (store, environment) = (Arc::clone(&world.store), world.test);
        tokio::spawn(async move {
            for number in 0..EACH {
                let user = format!("{writer}-{number}");
                if number % 5 == 4 {
                    let mut lost = store.write().await.unwrap();
                    lost.append(environment, created("lost")).await.unwrap();
                    drop(lost);
                }
                append(store.as_ref(), environment, created(&user)).await;
            }
        })
    });
    let writing: Vec<_> = writing.collect();
    let mut seen = Vec::new();
    loop {
        let done = writing.iter().all(tokio::task::JoinHandle::is_finished);
        let after = Some(seen.len().try_into().unwrap());
        let query = ChangesQuery { after, limit: 7, ..ChangesQuery::default() };
        let page = world.store.changes(world.test, &query).await.unwrap();
        let page_is_last = page.read_to == page.newest;
        for change in page.changes {
            seen.push(change.user_id.unwrap());
            assert_eq!(change.number, i64::try_from(seen.len()).unwrap(), "no gap");
        }
        // What was committed before a page is read is on it, or on one that follows.
        if done && page_is_last {
            break;
        }
        tokio::task::yield_now().await;
    }
    for writer in writing {
        writer.await.unwrap();
    }
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), WRITERS * EACH);
    for writer in 0..WRITERS {
        let own = seen.iter().filter(|user| user.starts_with(&format!("{writer}-")));
        let expected = (0..EACH).map(|number| format!("{writer}-{number}"));
        assert!(own.cloned().eq(expected), "the order of one writer");
    }
}

pub(crate) async fn the_oldest_changes_are_forgotten_by_age_and_by_number<E: Engine>() {
    let world = World::<E>::new().await;
    let store = world.store.as_ref();
    let day = |day: i64| time("2024-01-01T00:00:00Z").saturating_add_ms(day * 86_400_000);
    // The clock was a year ahead when the second one was made.
    let changes = [0, 365, 1, 2, 3, 4, 5, 6]
        .map(|at| change(Some("ada"), Effect::UserCreated, day(at)))
        .to_vec();
    append(store, world.test, Records { changes, audit: Vec::new() }).await;
    append(store, world.live, created("bob")).await;

    let left = async || numbers(&store.changes(world.test, &all()).await.unwrap());
    assert_eq!(store.forget_changes(world.test, day(0)..=day(7), 100, 100).await.unwrap(), 0);
    assert_eq!(store.forget_changes(world.test, day(2)..=day(7), 100, 1).await.unwrap(), 1);
    assert_eq!(left().await, [2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(store.forget_changes(world.test, day(2)..=day(7), 100, 100).await.unwrap(), 2);
    assert_eq!(left().await, [4, 5, 6, 7, 8]);
    assert_eq!(store.forget_changes(world.test, day(0)..=day(7), 3, 100).await.unwrap(), 2);
    let page = store.changes(world.test, &all()).await.unwrap();
    assert_eq!((numbers(&page), page.oldest, page.newest), (vec![6, 7, 8], 6, 8));
    // When all are gone, numbers go on.
    assert_eq!(store.forget_changes(world.test, day(999)..=day(1029), 100, 100).await.unwrap(), 3);
    let page = store.changes(world.test, &all()).await.unwrap();
    assert_eq!((page.read_to, page.oldest, page.newest), (8, 9, 8));
    append(store, world.test, created("carol")).await;
    assert_eq!(left().await, [9]);
    assert_eq!(numbers(&store.changes(world.live, &all()).await.unwrap()), [1]);
}

pub(crate) async fn a_clock_that_was_behind_takes_no_fresh_change_with_it<E: Engine>() {
    let world = World::<E>::new().await;
    let store = world.store.as_ref();
    let day = |day: i64| time("2024-01-01T00:00:00Z").saturating_add_ms(day * 86_400_000);
    // It was a month behind when the fourth and the last but one were made.
    let changes = [1, 2, 40, 9, 41, 10, 42]
        .map(|at| change(Some("ada"), Effect::UserCreated, day(at)))
        .to_vec();
    append(store, world.test, Records { changes, audit: Vec::new() }).await;
    let left = async || numbers(&store.changes(world.test, &all()).await.unwrap());
    let forget = async |from, to, kept_max| {
        store.forget_changes(world.test, day(from)..=day(to), kept_max, 100).await.unwrap()
    };
    assert_eq!(forget(12, 42, 100).await, 2);
    assert_eq!(left().await, [3, 4, 5, 6, 7]);
    assert_eq!(forget(12, 42, 100).await, 0);
    assert_eq!(forget(12, 42, 4).await, 2);
    assert_eq!(left().await, [5, 6, 7]);
    assert_eq!(forget(42, 72, 100).await, 2);
    assert_eq!(left().await, [7]);
}

fn entry(kind: AuditKind, subject: Option<&str>, at: Timestamp) -> NewAuditEntry {
    NewAuditEntry {
        id: Uuid::now_v7(),
        at,
        actor: "command line".into(),
        action: "updateFeature",
        kind,
        subject: subject.map(str::to_owned),
        before: Some(r#"{"name":"a"}"#.into()),
        after: None,
        request_id: Some("a-request".into()),
    }
}

pub(crate) async fn the_audit_log_is_read_newest_first_and_by_its_filters<E: Engine>() {
    use AuditKind::{Feature, Key, Package};
    let world = World::<E>::new().await;
    let second = |second: i64| time("2024-01-01T00:00:00Z").saturating_add_ms(second * 1000);
    let entries = vec![
        entry(Feature, Some("calls"), second(0)),
        entry(Package, Some("pro"), second(1)),
        entry(Feature, Some("seats"), second(1)),
        entry(Key, None, second(2)),
        entry(Package, Some("calls"), second(3)),
    ];
    let records = Records { changes: Vec::new(), audit: entries.clone() };
    append(world.store.as_ref(), world.test, records).await;
    let world = world.opened_again().await;

    let find = async |query: AuditQuery| {
        let query = AuditQuery { limit: if query.limit == 0 { 10 } else { query.limit }, ..query };
        let rows = world.store.audit_log(world.test, &query).await.unwrap().rows;
        let place = |row: &kana_store::feed::AuditRow| {
            entries.iter().position(|entry| entry.id == row.id).unwrap()
        };
        rows.iter().map(place).collect::<Vec<_>>()
    };
    let none = AuditQuery::default();
    assert_eq!(find(none.clone()).await, [4, 3, 2, 1, 0]);
    assert_eq!(find(AuditQuery { limit: 2, ..none.clone() }).await, [4, 3]);
    let after = Some((entries[2].at, entries[2].id));
    assert_eq!(find(AuditQuery { after, ..none.clone() }).await, [1, 0]);
    assert_eq!(find(AuditQuery { kind: Some(Feature), ..none.clone() }).await, [2, 0]);
    let subject = Some("calls".to_owned());
    assert_eq!(find(AuditQuery { subject: subject.clone(), ..none.clone() }).await, [4, 0]);
    let both = AuditQuery { subject, kind: Some(Package), ..none.clone() };
    assert_eq!(find(both).await, [4]);
    let (since, until) = (Some(second(1)), Some(second(3)));
    assert_eq!(find(AuditQuery { since, until, ..none.clone() }).await, [3, 2, 1]);
    assert_eq!(find(AuditQuery { since, until, after, ..none.clone() }).await, [1]);

    let row =
        &world.store.audit_log(world.test, &AuditQuery { limit: 1, ..none }).await.unwrap().rows[0];
    assert_eq!((row.kind.as_str(), row.action.as_str()), ("package", "updateFeature"));
    assert_eq!((row.before.as_deref(), row.after.as_deref()), (Some(r#"{"name":"a"}"#), None));
    assert_eq!(
        (row.actor.as_str(), row.request_id.as_deref()),
        ("command line", Some("a-request"))
    );
    let live = AuditQuery { limit: 10, ..AuditQuery::default() };
    assert_eq!(world.store.audit_log(world.live, &live).await.unwrap().rows, []);
}

pub(crate) async fn the_oldest_entries_of_the_audit_log_are_forgotten<E: Engine>() {
    let world = World::<E>::new().await;
    let store = world.store.as_ref();
    let second = |second: i64| time("2024-01-01T00:00:00Z").saturating_add_ms(second * 1000);
    let audit = (0..5).map(|at| entry(AuditKind::Key, None, second(at))).collect();
    append(store, world.test, Records { changes: Vec::new(), audit }).await;
    let left = async || {
        let query = AuditQuery { limit: 10, ..AuditQuery::default() };
        store.audit_log(world.test, &query).await.unwrap().rows.len()
    };
    assert_eq!(store.forget_audit_log(world.live, second(9), 100).await.unwrap(), 0);
    assert_eq!(store.forget_audit_log(world.test, second(3), 2).await.unwrap(), 2);
    assert_eq!(store.forget_audit_log(world.test, second(3), 2).await.unwrap(), 1);
    assert_eq!(store.forget_audit_log(world.test, second(3), 2).await.unwrap(), 0);
    assert_eq!(left().await, 2);
}

pub(crate) async fn a_page_of_the_audit_log_ends_before_it_takes_too_much_memory<E: Engine>() {
    let world = World::<E>::new().await;
    let store = world.store.as_ref();
    let second = |second: i64| time("2024-01-01T00:00:00Z").saturating_add_ms(second * 1000);
    let large = format!("\"{}\"", "x".repeat(3 * 1024 * 1024));
    let audit = (0..5).map(|at| {
        let after = Some(large.clone());
        NewAuditEntry { before: None, after, ..entry(AuditKind::Package, None, second(at)) }
    });
    append(store, world.test, Records { changes: Vec::new(), audit: audit.collect() }).await;
    let mut query = AuditQuery { limit: 10, ..AuditQuery::default() };
    let mut sizes = Vec::new();
    loop {
        let page = store.audit_log(world.test, &query).await.unwrap();
        sizes.push(page.rows.len());
        query.after = page.rows.last().map(|row| (row.at, row.id));
        if !page.has_more {
            break;
        }
    }
    assert_eq!(sizes, [3, 2]);
}
