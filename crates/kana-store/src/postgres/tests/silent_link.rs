//! A network that accepts bytes and delivers none.

use std::time::Instant;

use kana_test_postgres::Link;

use super::*;
use crate::transfer::Scope;

/// Long enough for a server that answers, even on a machine that is busy with other tests.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(1),
    answer: Duration::from_millis(1500),
    fate: Duration::from_secs(3),
    silence: Duration::from_millis(1500),
    ready: Duration::from_millis(700),
};
/// The time on top of a deadline for everything else.
const SLACK: Duration = Duration::from_millis(1500);

/// Opens a store over a link, with an app and a user.
async fn store_over_a_link() -> (PostgresStore, EnvironmentId, Link, Database) {
    let database = Database::new();
    let link = Link::to(database.url());
    let settings = Settings { patience: PATIENCE, ..Settings::DEFAULT };
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
    reader.counters(environment, &[(user_key(1), counter(1))]).await.unwrap()[0].unwrap_or(0)
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
        let error = ends(PATIENCE.answer, ask()).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let error = ends(PATIENCE.ready, store.check_ready()).await.unwrap_err();
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
    let changes = [count(1, 7)];
    let changing = writer.change_facts(environment, &changes);
    let error = ends(PATIENCE.answer, changing).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    drop(writer);
    link.speak();
    // No lock on the user is left, and nothing was changed.
    let mut writer = store.write().await.unwrap();
    ends(PATIENCE.answer, writer.facts(environment, &[user_id(1)])).await.unwrap();
    writer.change_facts(environment, &[count(1, 8)]).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(used(&store, environment).await, 8);
}

#[tokio::test]
async fn a_commit_on_a_silent_link_is_asked_for_until_it_speaks_and_counts_once() {
    if !is_here() {
        return;
    }
    let (store, environment, link, _database) = store_over_a_link().await;
    let mut writer = store.write().await.unwrap();
    writer.facts(environment, &[user_id(1)]).await.unwrap();
    writer.change_facts(environment, &[count(1, 7)]).await.unwrap();
    link.fall_silent();
    let mut committing = std::pin::pin!(writer.commit());
    // The commit has missed its deadline and its fate is being asked for when the link delivers it.
    assert!(timeout(PATIENCE.answer + SLACK / 2, &mut committing).await.is_err(), "too early");
    link.speak();
    ends(PATIENCE.fate, committing).await.unwrap();
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
    let committed = ends(PATIENCE.answer + PATIENCE.fate, writer.commit()).await;
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
    let settings = Settings { patience: PATIENCE, ..Settings::DEFAULT };
    let opening = PostgresStore::open(link.url(), settings);
    let error = ends(PATIENCE.connect, opening).await.err().unwrap();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");

    let other = Link::to(database.url());
    let address = |link: &Link| link.url().split(['@', '/']).nth(3).unwrap().to_owned();
    let both = format!("{},{}", address(&link), address(&other));
    let url = link.url().replace(&address(&link), &both);
    let opened = ends(PATIENCE.answer, PostgresStore::open(&url, settings)).await;
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
    let mut export = store.export(&Scope { environments, token_secrets: true }).await.unwrap();
    link.fall_silent();
    let rest = async {
        while export.batches.next().await?.is_some() {}
        Ok::<_, StoreError>(())
    };
    let error = ends(PATIENCE.silence, rest).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let error = ends(PATIENCE.connect, store.import()).await.err().unwrap();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
