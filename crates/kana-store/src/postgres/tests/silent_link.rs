//! A network that accepts bytes and delivers none.

use std::time::Instant;

use kana_test_postgres::Link;

use super::*;
use crate::deadlines::Deadlines;
use crate::every_call::{ends_within, of_import, of_store, of_transaction, of_write_transaction};
use crate::transfer::Scope;

/// Long enough for a server that answers, even on a machine that is busy with other tests.
const LIMITS: Deadlines = Deadlines {
    connect: Duration::from_secs(1),
    read: Duration::from_millis(1500),
    answer: Duration::from_millis(1500),
    commit: Duration::from_millis(1500),
    fate: Duration::from_secs(3),
    transfer: Duration::from_millis(1500),
    ready: Duration::from_millis(700),
    ..Deadlines::DEFAULT
};
/// The time on top of a deadline for everything else.
const SLACK: Duration = Duration::from_millis(1500);

/// Opens a store over a link, with an app and a user.
async fn store_over_a_link() -> (PostgresStore, EnvironmentId, Link, Database) {
    let database = Database::new();
    let link = Link::to(database.url());
    let settings = Settings { deadlines: LIMITS, ..Settings::DEFAULT };
    let store = PostgresStore::open(link.url(), settings).await.unwrap();
    let environment = make_app(&store).await;
    write(&store, environment, &[create_user(1), subscribe(1)]).await;
    (store, environment, link, database)
}

/// Waits for `work`, and asserts that it ends within `limit`.
async fn ends<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    let since = Instant::now();
    let ended = timeout(SOON, work).await.expect("it goes on without end");
    assert!(since.elapsed() < limit + SLACK, "it took {:?} of {limit:?}", since.elapsed());
    ended
}

async fn used(store: &PostgresStore, environment: EnvironmentId) -> i64 {
    let mut reader = store.read().await.unwrap();
    let read = reader.counters(environment, &[(user_key(1), counter(1))]).await.unwrap();
    read[0].as_ref().map_or(0, |value| value.used)
}

#[tokio::test]
async fn a_question_on_a_silent_link_ends_and_the_next_is_answered_once_it_speaks() {
    if !is_here() {
        return;
    }
    let (store, environment, link, _database) = store_over_a_link().await;
    let ids = [user_id(1)];
    let ask = async || store.read().await.unwrap().facts(environment, &ids).await;
    ask().await.unwrap();
    // First with open connections, then with none.
    link.fall_silent();
    for _ in 0..2 {
        let error = ends(LIMITS.read, ask()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let error = ends(LIMITS.ready, store.check_ready()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    link.speak();
    ask().await.unwrap();
    store.check_ready().await.unwrap();
}

#[tokio::test]
async fn a_transaction_on_a_silent_link_ends_and_holds_nobody_up_once_it_speaks() {
    if !is_here() {
        return;
    }
    let (store, environment, link, _database) = store_over_a_link().await;
    let mut writer = store.write().await.unwrap();
    writer.facts(environment, &[user_id(1)]).await.unwrap();
    link.fall_silent();
    // It goes with the next question.
    writer.change_facts(environment, &[count(1, 7)]).await.unwrap();
    let asked = [user_id(1)];
    let asking = writer.facts(environment, &asked);
    let error = ends(LIMITS.answer, asking).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    drop(writer);
    link.speak();
    // No lock on the user is left, and nothing was changed.
    let mut writer = store.write().await.unwrap();
    ends(LIMITS.answer, writer.facts(environment, &[user_id(1)])).await.unwrap();
    writer.change_facts(environment, &[count(1, 8)]).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(used(&store, environment).await, 8);
}

/// A transaction that has locked the user and changes a counter.
async fn counting(
    store: &PostgresStore,
    environment: EnvironmentId,
    used: i64,
) -> Box<dyn WriteTransaction> {
    let mut writer = store.write().await.unwrap();
    writer.facts(environment, &[user_id(1)]).await.unwrap();
    writer.change_facts(environment, &[count(1, used)]).await.unwrap();
    writer
}

#[tokio::test]
async fn a_commit_on_a_silent_link_is_asked_for_until_it_speaks_and_counts_once() {
    if !is_here() {
        return;
    }
    let (store, environment, link, _database) = store_over_a_link().await;
    // The first time, a connection prepares the statements that go with the commit.
    let mut writer = counting(&store, environment, 6).await;
    writer.commit().await.unwrap();
    writer = counting(&store, environment, 7).await;
    link.fall_silent();
    let mut committing = std::pin::pin!(writer.commit());
    // The commit has missed its deadline and its fate is being asked for when the link delivers it.
    assert!(timeout(LIMITS.commit + SLACK / 2, &mut committing).await.is_err(), "too early");
    link.speak();
    ends(LIMITS.fate, committing).await.unwrap();
    assert_eq!(used(&store, environment).await, 7);
}

#[tokio::test]
async fn a_commit_on_a_link_that_stays_silent_has_an_unknown_outcome() {
    if !is_here() {
        return;
    }
    let (store, environment, link, _database) = store_over_a_link().await;
    let mut writer = store.write().await.unwrap();
    writer.change_facts(environment, &[count(1, 7)]).await.unwrap();
    link.fall_silent();
    let committed = ends(LIMITS.commit + LIMITS.fate, writer.commit()).await;
    assert!(matches!(committed, Err(StoreError::OutcomeUnknown(_))), "{committed:?}");
    link.speak();
    let used = used(&store, environment).await;
    assert!(used == 0 || used == 7, "{used}");
}

#[tokio::test]
async fn opening_over_a_silent_link_ends_and_the_next_of_several_servers_is_tried() {
    if !is_here() {
        return;
    }
    let database = Database::new();
    let link = Link::to(database.url());
    link.fall_silent();
    let settings = Settings { deadlines: LIMITS, ..Settings::DEFAULT };
    let opening = PostgresStore::open(link.url(), settings);
    let error = ends(LIMITS.connect, opening).await.err().unwrap();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");

    let other = Link::to(database.url());
    let address = |link: &Link| link.url().split(['@', '/']).nth(3).unwrap().to_owned();
    let both = format!("{},{}", address(&link), address(&other));
    let url = link.url().replace(&address(&link), &both);
    let opened = ends(LIMITS.answer, PostgresStore::open(&url, settings)).await;
    assert_eq!(opened.unwrap().app().await.unwrap(), None);
}

#[tokio::test]
async fn an_export_and_an_import_over_a_link_that_falls_silent_end() {
    if !is_here() {
        return;
    }
    let (store, _environment, link, database) = store_over_a_link().await;
    // More than the buffers between client and server hold.
    run(
        database.url(),
        "INSERT INTO kana.users (environment_id, key, id, name)
         SELECT e.id, gen_random_uuid(), n::text || 'x', repeat('x', 200000)
         FROM kana.environments e, generate_series(1, 200) n WHERE e.kind = 'test'",
    );
    let environments = vec![EnvironmentKind::Test];
    let mut export =
        store.export(&Scope { environments, token_secrets: true, user: None }).await.unwrap();
    link.fall_silent();
    let rest = async {
        while export.batches.next().await?.is_some() {}
        Ok::<_, StoreError>(())
    };
    let error = ends(LIMITS.transfer, rest).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let error = ends(LIMITS.connect, store.import()).await.err().unwrap();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

/// More than there are calls of [`every_call`](crate::every_call), which all hold a connection.
const CONNECTIONS: usize = 60;

/// The calls that wait for nothing.
const AT_ONCE: [&str; 7] = [
    "read",
    "read_facts",
    "write",
    "append",
    "audit_app",
    "keys_kept_before",
    // Only the embedded engine has anything to gather.
    "gather_user_facts",
];

#[tokio::test]
async fn every_call_on_a_silent_link_ends() {
    if !is_here() {
        return;
    }
    let (database, empty_database) = (Database::new(), Database::new());
    let (link, empty_link) = (Link::to(database.url()), Link::to(empty_database.url()));
    let settings = Settings {
        deadlines: LIMITS,
        connections_max: 2 * CONNECTIONS,
        lanes: CONNECTIONS,
        ..Settings::DEFAULT
    };
    let store = PostgresStore::open(link.url(), settings).await.unwrap();
    let empty = PostgresStore::open(empty_link.url(), settings).await.unwrap();
    let environment = make_app(&store).await;
    let (mut readers, mut writers, mut imports) = (Vec::new(), Vec::new(), Vec::new());
    // A first question, so that each has a connection.
    for _ in 0..36 {
        let mut reader = store.read().await.unwrap();
        reader.have_usage(environment, &[]).await.unwrap();
        readers.push(reader);
    }
    for _ in 0..36 {
        let mut writer = store.write().await.unwrap();
        writer.have_usage(environment, &[]).await.unwrap();
        writers.push(writer);
    }
    for _ in 0..4 {
        imports.push(empty.import().await.unwrap());
    }
    let mut calls = of_store(&store, environment);
    calls.extend(of_transaction(|| readers.pop().unwrap(), environment));
    calls.extend(of_write_transaction(|| writers.pop().unwrap(), environment));
    calls.extend(of_import(|| imports.pop().unwrap()));
    link.fall_silent();
    empty_link.fall_silent();

    let longest = LIMITS.commit + LIMITS.fate + SLACK;
    let ending = calls.into_iter().map(async |(name, call)| {
        let ended = ends_within(name, longest, call).await;
        let is_right = match AT_ONCE.contains(&name) {
            true => ended.is_ok(),
            false => matches!(ended, Err(StoreError::Unavailable(_))),
        };
        (!is_right).then(|| format!("{name}: {ended:?}"))
    });
    let wrong: Vec<String> = join_all(ending).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn all_questions_of_one_read_transaction_have_one_deadline() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    let limits = Deadlines { read: Duration::from_millis(1500), ..Deadlines::DEFAULT };
    let settings = Settings { deadlines: limits, ..Settings::DEFAULT };
    let hasty = PostgresStore::open(database.url(), settings).await.unwrap();
    let mut reader = hasty.begin_read();
    let since = Instant::now();
    let failed = loop {
        // Each of them is answered in time.
        let asked = reader.ask_one("SELECT pg_sleep(0.2)", &[]).await;
        assert!(since.elapsed() < SOON, "it goes on without end");
        if let Err(failed) = asked {
            break failed;
        }
    };
    assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
    assert!(since.elapsed() >= limits.read);
    store.read().await.unwrap().have_usage(environment, &[]).await.unwrap();
}
