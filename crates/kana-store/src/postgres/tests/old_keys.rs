//! Idempotency keys are forgotten a table at a time.

use kana_core::idempotency::{Content, KeptAnswer, Replay};
use kana_core::usage::{RecordedUsage, UsageAction};

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const KEPT_DAYS: i64 = 30;

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new("idempotencyKey", text).unwrap()
}

fn keep(text: &str, kept_at: Timestamp) -> (UserKey, Change) {
    let content = Content {
        user: user_key(1),
        feature: api_calls(),
        action: UsageAction::Add,
        delta: 1,
        occurred_at: None,
    };
    let answer = KeptAnswer::Recorded(RecordedUsage::Recorded);
    (
        user_key(1),
        Change::KeepReplay {
            key: key(text),
            replay: Replay { content, answer, counted: None, kept_at },
        },
    )
}

fn day(number: i64) -> Timestamp {
    Timestamp::from_ms(1_700_000_000_000 + number * DAY_MS)
}

/// Forgets old keys, as a server does once a minute.
async fn forget(store: &PostgresStore, now: Timestamp) -> Result<(), StoreError> {
    store.forget_old_keys(now.saturating_add_ms(-KEPT_DAYS * DAY_MS), now).await
}

/// Looks up keys as a batch does. Returns whether each was found.
async fn found(store: &PostgresStore, environment: EnvironmentId, keys: &[String]) -> Vec<bool> {
    let mut writer = store.write().await.unwrap();
    writer.facts(environment, &[user_id(1)]).await.unwrap();
    let keys: Vec<_> = keys.iter().map(|text| key(text)).collect();
    let replays = writer.replays(environment, &keys).await.unwrap();
    replays.iter().map(Option::is_some).collect()
}

#[tokio::test]
async fn a_key_is_kept_for_its_time_and_goes_with_its_table_soon_after() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    for today in 0..100 {
        forget(&store, day(today)).await.unwrap();
        forget(&store, day(today)).await.unwrap();
        write(&store, environment, &[keep(&format!("day-{today}"), day(today))]).await;
        let first = (today - KEPT_DAYS).max(0);
        let keys: Vec<String> = (first..=today).map(|day| format!("day-{day}")).collect();
        let found = found(&store, environment, &keys).await;
        assert!(found.iter().all(|found| *found), "on day {today}: {found:?}");
    }
    let stored = "SELECT min(n), max(n) FROM (
        SELECT substr(idempotency_key, 5)::int AS n FROM kana.replays_0
        UNION ALL SELECT substr(idempotency_key, 5)::int FROM kana.replays_1
        UNION ALL SELECT substr(idempotency_key, 5)::int FROM kana.replays_2
        UNION ALL SELECT substr(idempotency_key, 5)::int FROM kana.replays_3) t";
    let [oldest, newest] = [0, 1].map(|at| rows(database.url(), stored)[0][at].clone());
    assert_eq!(newest, "99");
    let oldest: i64 = oldest.parse().unwrap();
    assert!((50..=69).contains(&oldest), "day {oldest} is kept longer than half as long again");
}

#[tokio::test]
async fn the_work_of_a_batch_does_not_grow_with_forgotten_keys_while_a_snapshot_is_open() {
    if !is_here() {
        return;
    }
    const BLOCKS: &str = "SELECT coalesce(sum(pg_stat_get_xact_blocks_fetched(oid)), 0)::bigint
        FROM pg_class WHERE relnamespace = 'kana'::regnamespace AND relname LIKE 'replays%'";
    let (store, environment, database) = store_with_app().await;
    write(&store, environment, &[create_user(1)]).await;
    forget(&store, day(0)).await.unwrap();
    let many: Vec<_> = (0..5000).map(|number| keep(&format!("old-{number}"), day(0))).collect();
    write(&store, environment, &many).await;

    let other = open(database.url()).await;
    let snapshot = take(&other.shared.connections.readers).await.unwrap();
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM users;
        SET LOCAL idle_in_transaction_session_timeout = 0";
    snapshot.batch_execute(begin).await.unwrap();
    for today in 1..100 {
        forget(&store, day(today)).await.unwrap();
    }
    // Does what the service does for a batch of one command with a key.
    let now = day(100);
    let mut writer = store.begin_write();
    writer.facts(environment, &[user_id(1)]).await.unwrap();
    let blocks = async |writer: &mut PostgresTransaction| -> i64 {
        writer.ask_one(BLOCKS, &[]).await.unwrap()[0].get(0)
    };
    let (before, trips) = (blocks(&mut writer).await, store.round_trips());
    assert_eq!(writer.replays(environment, &[key("new")]).await.unwrap(), [None]);
    assert_eq!(writer.keys_kept_before(environment, now, 2).await.unwrap(), []);
    writer.change_facts(environment, &[keep("new", now)]).await.unwrap();
    assert_eq!(store.round_trips() - trips, 1, "to look; what is written waits for the commit");
    let fetched = blocks(&mut writer).await - before;
    assert!(fetched < 20, "{fetched} blocks");
    let left = rows(database.url(), "SELECT count(*) FROM kana.replays");
    assert_eq!(left, [["0"]], "all that was old is gone, in spite of the snapshot");
}

#[tokio::test]
async fn tables_of_keys_change_only_while_nobody_keeps_a_key() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    write(&store, environment, &[create_user(1)]).await;
    let table = "SELECT replays_table FROM kana.environments ORDER BY id";
    let mut first = store.write().await.unwrap();
    first.facts(environment, &[user_id(1)]).await.unwrap();
    first.change_facts(environment, &[keep("once", day(0))]).await.unwrap();
    let error = forget(&store, day(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert_eq!(rows(database.url(), table), [["0"], ["0"]]);
    first.commit().await.unwrap();

    forget(&store, day(0)).await.unwrap();
    assert_eq!(rows(database.url(), table), [["1"], ["1"]]);
    // The key is found in the table before, and can be deleted there and used again.
    assert_eq!(found(&store, environment, &["once".to_owned()]).await, [true]);
    let mut second = store.write().await.unwrap();
    second.forget_keys(environment, &[key("once")]).await.unwrap();
    second.change_facts(environment, &[keep("once", day(1))]).await.unwrap();
    second.commit().await.unwrap();
    let kept = "SELECT kept_at FROM kana.replays";
    assert_eq!(rows(database.url(), kept), [[day(1).as_ms().to_string()]]);
}
