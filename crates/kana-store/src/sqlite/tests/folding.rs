//! Usage by day is exact, whether its deltas are in the counter log, folded, or both; also after a crash.

use std::collections::BTreeMap;

use kana_core::day::Day;
use kana_core::usage::{LoggedAction, UsageEvent};
use proptest::prelude::*;

use super::super::write_behind::Pace;
use super::*;

/// Events and amount of each day.
type Model = BTreeMap<Day, (i64, i64)>;

#[derive(Debug, Clone)]
enum Step {
    /// A transaction with so many counters, and an event for each day and amount. It is committed or
    /// rolled back.
    Commit { counters: u128, events: Vec<(i64, i64)>, commit: bool },
    /// As after `kill -9`: a server does nothing for this when it ends.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let events = prop::collection::vec((0..4_i64, -9..9_i64), 0..4);
    let commit = (0..4_u128, events, prop::bool::weighted(0.8))
        .prop_map(|(counters, events, commit)| Step::Commit { counters, events, commit });
    prop_oneof![12 => commit, 1 => Just(Step::Restart)]
}

fn calls() -> FeatureId {
    FeatureId::new("featureId", "api-calls").unwrap()
}

fn event(day: i64, amount: i64) -> Change {
    Change::LogEvent(UsageEvent {
        feature: calls(),
        action: LoggedAction::Add,
        delta: amount,
        occurred_at: Day::from_number(day).start(),
        recorded_at: NOW,
        amount,
        drawn: None,
        subscription: Some(SubscriptionId(Uuid::from_u128(1))),
        idempotency_key: None,
        metadata: None,
    })
}

async fn open(directory: &Path, changes: usize) -> SqliteStore {
    let store = SqliteStore::open_for_server(directory).unwrap();
    let pace = Pace { changes, step: 1 };
    store.writer.lock().await.server.as_mut().unwrap().behind.pace = pace;
    store
}

async fn read(store: &SqliteStore, environment: EnvironmentId) -> Model {
    let (from, to) = (Day::from_number(0), Day::from_number(9));
    let days = store.usage_by_day(environment, Some(&calls()), from, to).await.unwrap();
    let of_all = store.usage_by_day(environment, None, from, to).await.unwrap();
    let events = |days: &[crate::usage_statistics::DailyUsage]| -> Vec<(Day, i64)> {
        days.iter().map(|usage| (usage.day, usage.events)).collect()
    };
    assert_eq!(events(&of_all), events(&days));
    days.into_iter().map(|usage| (usage.day, (usage.events, usage.amount.unwrap()))).collect()
}

/// The usage by day, for whoever looks with SQL.
fn by_sql(directory: &Path) -> Model {
    let connection = raw(directory);
    let sql = "SELECT day, events, amount FROM current_usage_by_day";
    let mut statement = connection.prepare(sql).unwrap();
    let row =
        |row: &rusqlite::Row<'_>| Ok((Day::from_number(row.get(0)?), (row.get(1)?, row.get(2)?)));
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Steps, with a counter log that is emptied every so many `changes`.
async fn usage_by_day_is_exact(changes: usize, steps: Vec<Step>) {
    let (shared, environment, directory) = store_with_app().await;
    drop(shared);
    let mut store = open(directory.path(), changes).await;
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Commit { counters, events, commit } => {
                let set = |n| Change::SetCounter { counter: counter(n, 0), value: 1.into() };
                let told = events.iter().map(|(day, amount)| event(*day, *amount));
                let all: Vec<_> =
                    (0..counters).map(set).chain(told).map(|it| (user_key(1), it)).collect();
                let mut writer = store.write().await.unwrap();
                writer.change_facts(environment, &all).await.unwrap();
                if commit {
                    writer.commit().await.unwrap();
                    for (day, amount) in events {
                        let known = model.entry(Day::from_number(day)).or_default();
                        *known = (known.0 + 1, known.1 + amount);
                    }
                }
            }
            Step::Restart => {
                drop(store);
                store = open(directory.path(), changes).await;
            }
        }
        assert_eq!(read(&store, environment).await, model);
        assert_eq!(by_sql(directory.path()), model);
    }
    // A tool beside the server reads the same, and one without it adds to what it left.
    let tool = SqliteStore::open_existing(directory.path()).unwrap();
    assert_eq!(read(&tool, environment).await, model);
    drop((tool, store));
    let tool = SqliteStore::open(directory.path()).unwrap();
    change(&tool, environment, user_key(1), [event(3, 5)]).await;
    let known = model.entry(Day::from_number(3)).or_default();
    *known = (known.0 + 1, known.1 + 5);
    assert_eq!(read(&tool, environment).await, model);
    drop(tool);
    assert_eq!(read(&open(directory.path(), changes).await, environment).await, model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn usage_by_day_is_exact_while_the_counter_log_comes_and_goes(
        changes in 1..8_usize,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(usage_by_day_is_exact(changes, steps));
    }
}

#[tokio::test]
async fn deltas_that_wait_to_be_folded_are_bounded_however_much_is_recorded() {
    let (shared, environment, directory) = store_with_app().await;
    drop(shared);
    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    let unfolded = "SELECT count(*) FROM counter_log
        WHERE id > (SELECT through FROM usage_folding) AND usage IS NOT NULL";
    for _ in 0..600 {
        change(&store, environment, user_key(1), [event(1, 1)]).await;
        let rows: i64 = raw(directory.path()).query_row(unfolded, [], |row| row.get(0)).unwrap();
        assert!(rows <= 257, "{rows} commits are not folded");
    }
    assert_eq!(read(&store, environment).await, Model::from([(Day::from_number(1), (600, 600))]));
}
