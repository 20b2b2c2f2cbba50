//! Counters are written to their table behind the commits that change them, and nobody can tell.

use std::collections::HashMap;

use proptest::prelude::*;
use rusqlite::Connection as Raw;

use super::super::write_behind::Pace;
use super::*;

const COUNTERS: u128 = 6;

type Model = HashMap<u128, i64>;

#[derive(Debug, Clone)]
enum Step {
    /// Sets or deletes counters in one transaction, which is committed or rolled back.
    Set {
        counters: Vec<(u128, Option<i64>)>,
        commit: bool,
    },
    /// Another commit, which changes no counter.
    Other,
    BeginToRead,
    Read(usize),
    EndReading(usize),
    /// As after `kill -9`: a server does nothing for this when it ends.
    Restart,
}

fn used() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![1 => Just(None), 4 => (0..100_i64).prop_map(Some)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop::collection::vec((0..COUNTERS, used()), 1..4), prop::bool::weighted(0.8))
            .prop_map(|(counters, commit)| Step::Set { counters, commit }),
        2 => Just(Step::Other),
        3 => Just(Step::BeginToRead),
        4 => (0..4_usize).prop_map(Step::Read),
        2 => (0..4_usize).prop_map(Step::EndReading),
        1 => Just(Step::Restart),
    ]
}

async fn open(directory: &Path, pace: Pace) -> SqliteStore {
    let store = SqliteStore::open_for_server(directory).unwrap();
    store.writer.lock().await.server.as_mut().unwrap().behind.pace = pace;
    store
}

async fn set(store: &SqliteStore, environment: EnvironmentId, counters: &[(u128, i64)]) {
    change(store, environment, user_key(1), counters.iter().copied().map(set_counter)).await;
}

fn set_counter((n, used): (u128, i64)) -> Change {
    Change::SetCounter { counter: counter(n, 0), value: value(used) }
}

fn set_or_delete(n: u128, used: Option<i64>) -> Change {
    match used {
        Some(used) => set_counter((n, used)),
        None => Change::DeleteCounter { counter: counter(n, 0) },
    }
}

fn asked() -> Vec<(UserKey, CounterKey)> {
    (0..COUNTERS).map(|n| (user_key(1), counter(n, 0))).collect()
}

fn expected(model: &Model) -> Vec<Option<CounterValue>> {
    (0..COUNTERS).map(|n| model.get(&n).copied().map(value)).collect()
}

/// What the counters' table and their log hold.
fn stored(directory: &Path) -> (i64, i64) {
    let count = |sql| raw(directory).query_row(sql, [], |row| row.get(0)).unwrap();
    (count("SELECT count(*) FROM counters"), count("SELECT count(*) FROM counter_log"))
}

/// What the counters hold, for whoever looks with SQL.
fn by_sql(directory: &Path) -> Model {
    let connection = raw(directory);
    let sql = "SELECT subscription_id, used FROM current_counters";
    let mut statement = connection.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Uuid>(0)?.as_u128(), row.get(1)?));
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Changes counters, and answers what the writer sees of them then.
async fn change_counters(
    writer: &mut dyn WriteTransaction,
    environment: EnvironmentId,
    model: &Model,
    counters: Vec<(u128, Option<i64>)>,
) -> Model {
    let changes: Vec<_> =
        counters.iter().map(|(n, used)| (user_key(1), set_or_delete(*n, *used))).collect();
    writer.change_facts(environment, &changes).await.unwrap();
    let mut changed = model.clone();
    for (n, used) in counters {
        match used {
            Some(used) => changed.insert(n, used),
            None => changed.remove(&n),
        };
    }
    assert_eq!(writer.counters(environment, &asked()).await.unwrap(), expected(&changed));
    changed
}

async fn every_view_shows_one_instant(pace: Pace, steps: Vec<Step>) {
    let (shared, environment, directory) = store_with_app().await;
    drop(shared);
    let mut store = open(directory.path(), pace).await;
    let mut model = Model::new();
    let mut readers: Vec<(Box<dyn Transaction>, Model)> = Vec::new();
    for step in steps {
        match step {
            Step::Set { counters, commit } => {
                let mut writer = store.write().await.unwrap();
                let changed = change_counters(writer.as_mut(), environment, &model, counters).await;
                if commit {
                    writer.commit().await.unwrap();
                    model = changed;
                }
            }
            Step::Other => {
                let writer = store.write().await.unwrap();
                writer.commit().await.unwrap();
            }
            Step::BeginToRead => {
                readers.push((store.read().await.unwrap(), model.clone()));
                readers.truncate(4);
            }
            Step::Read(n) => {
                if let Some((reader, then)) = readers.get_mut(n) {
                    let seen = reader.counters(environment, &asked()).await.unwrap();
                    assert_eq!(seen, expected(then));
                }
            }
            Step::EndReading(n) => {
                if n < readers.len() {
                    readers.remove(n);
                }
            }
            Step::Restart => {
                readers.clear();
                drop(store);
                store = open(directory.path(), pace).await;
            }
        }
        let mut now = store.read().await.unwrap();
        assert_eq!(now.counters(environment, &asked()).await.unwrap(), expected(&model));
        assert_eq!(by_sql(directory.path()), model);
    }
    drop(readers);
    drop(store);
    // A tool reads past the server, and whoever writes without one finds all that it left.
    let tool = SqliteStore::open(directory.path()).unwrap();
    let mut reader = tool.read().await.unwrap();
    assert_eq!(reader.counters(environment, &asked()).await.unwrap(), expected(&model));
    drop(reader);
    set(&tool, environment, &[(0, 1_000)]).await;
    model.insert(0, 1_000);
    drop(tool);
    let store = open(directory.path(), pace).await;
    let mut reader = store.read().await.unwrap();
    assert_eq!(reader.counters(environment, &asked()).await.unwrap(), expected(&model));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_view_shows_counters_of_its_own_instant(
        changes in 1..8_usize,
        step_of_writing in 1..4_usize,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pace = Pace { changes, step: step_of_writing };
        runtime.block_on(every_view_shows_one_instant(pace, steps));
    }
}

#[tokio::test]
async fn counters_come_to_their_table_and_leave_the_log() {
    let (shared, environment, directory) = store_with_app().await;
    drop(shared);
    let store = open(directory.path(), Pace { changes: 4, step: 2 }).await;
    for n in 0..3 {
        set(&store, environment, &[(n, 7)]).await;
    }
    assert_eq!(stored(directory.path()), (0, 3), "nothing is written before there is much");

    for _ in 0..12 {
        set(&store, environment, &[(5, 7)]).await;
    }
    let (written, logged) = stored(directory.path());
    assert!(written >= 4, "{written} counters are in their table");
    assert!(logged < 12, "{logged} commits are in the log");
}

#[tokio::test]
async fn what_is_not_in_its_table_is_bounded_however_much_is_counted() {
    let (shared, environment, directory) = store_with_app().await;
    drop(shared);
    let pace = Pace { changes: 32, step: 4 };
    let store = open(directory.path(), pace).await;
    let mut most = 0;
    for n in 0..600_u128 {
        let sets: Vec<_> = (0..3).map(|of| (3 * n + of, 1)).collect();
        set(&store, environment, &sets).await;
        most = most.max(stored(directory.path()).1);
    }
    assert!(most < 64, "{most} commits of 3 counters each were in the log");
    let server = store.writer.lock().await;
    assert!(server.server.as_ref().unwrap().behind.recent.len() < 4 * pace.changes);
}

#[tokio::test]
async fn a_view_that_stays_open_keeps_what_it_shows_and_then_lets_go() {
    let (shared, environment, directory) = store_with_app().await;
    drop(shared);
    let store = open(directory.path(), Pace { changes: 2, step: 8 }).await;
    set(&store, environment, &[(1, 10)]).await;
    let mut old = store.read().await.unwrap();
    for used in 11..40 {
        set(&store, environment, &[(1, used)]).await;
    }
    assert_eq!(old.counters(environment, &asked()).await.unwrap()[1], Some(value(10)));
    drop(old);
    for used in 40..50 {
        set(&store, environment, &[(1, used)]).await;
    }
    let writer = store.writer.lock().await;
    let recent = &writer.server.as_ref().unwrap().behind.recent;
    assert!(recent.versions() <= 4, "{} versions of one counter", recent.versions());
}

#[tokio::test]
async fn a_tool_beside_a_server_sees_what_is_only_in_the_log() {
    let (tool, environment, directory) = store_with_app().await;
    let store = open(directory.path(), Pace::default()).await;
    set(&store, environment, &[(1, 10), (2, 20)]).await;
    set(&store, environment, &[(1, 11)]).await;
    let mut reader = tool.read().await.unwrap();
    assert_eq!(
        reader.counters(environment, &asked()).await.unwrap(),
        [None, Some(value(11)), Some(value(20)), None, None, None]
    );
    // It makes keys beside the server, which leaves the log to the server.
    let mut transaction = tool.write().await.unwrap();
    transaction.revoke_key(1, NOW).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(stored(directory.path()), (0, 2));
}

#[tokio::test]
async fn a_log_that_no_release_wrote_is_an_error_and_no_panic() {
    let (tool, environment, directory) = store_with_app().await;
    let connection: Raw = raw(directory.path());
    let insert = "INSERT INTO counter_log (number, environment_id, counters) VALUES (1, ?1, ?2)";
    connection.execute(insert, (environment.0, r#"[["not a key"]]"#)).unwrap();
    let mut reader = tool.read().await.unwrap();
    let refused = reader.counters(environment, &asked()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unreadable(_)), "{refused:?}");
    assert!(SqliteStore::open_for_server(directory.path()).is_err());
}
