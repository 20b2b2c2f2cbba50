//! Idempotency records are exact wherever they are: in the log, in runs, between runs; also after a crash.

use std::collections::BTreeMap;

use kana_core::idempotency::{Content, KeptAnswer, Replay};
use kana_core::usage::{RecordedUsage, UsageAction};
use proptest::prelude::*;

use super::replays::{Pace, ReplayOptions};
use super::*;
use crate::transfer::Scope;

/// What is kept under each key.
type Model = BTreeMap<u32, Replay>;

const KEYS: u32 = 24;
/// For how long a record is kept in these tests.
const KEPT_MS: i64 = 8 * 60_000;

#[derive(Debug, Clone)]
enum Step {
    /// A transaction that keeps records under new keys and forgets others first, as a request does that uses
    /// an expired key again.
    Commit { keep: Vec<u32>, forget: Vec<u32>, end: End },
    /// So much time passes.
    Pass(i64),
    /// The job that forgets old records.
    ForgetOld,
    /// As after `kill -9`: a server does nothing for this when it ends.
    Restart,
    /// Something opens the database without a server, and keeps a record.
    Tool(u32),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Commit,
    RollBack,
    /// The commit fails at its very end.
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![6 => Just(End::Commit), 1 => Just(End::RollBack), 1 => Just(End::Fail)];
    let some = |max| prop::collection::vec(0..KEYS, 0..max);
    let commit =
        (some(5), some(3), end).prop_map(|(keep, forget, end)| Step::Commit { keep, forget, end });
    prop_oneof![
        24 => commit,
        3 => (1..90_000_i64).prop_map(Step::Pass),
        2 => Just(Step::ForgetOld),
        3 => Just(Step::Restart),
        1 => (0..KEYS).prop_map(Step::Tool),
    ]
}

fn tiny(filter_bytes_max: usize) -> ReplayOptions {
    let pace = Pace { log_keys: 5, block_keys: 2, fan_out: 2, work_per_key: 3, step_blocks: 1 };
    ReplayOptions { pace, filter_bytes_max }
}

async fn open(directory: &Path, options: ReplayOptions) -> SqliteStore {
    let store = SqliteStore::open_for_server(directory).unwrap();
    let mut writer = store.writer.lock().await;
    writer.replay_options = options;
    writer.replays = None;
    drop(writer);
    store
}

/// Every other key is a UUID.
fn key(n: u32) -> IdempotencyKey {
    let uuid = Uuid::from_u128(u128::from(n) << 64);
    let text = if n.is_multiple_of(2) { format!("key {n}") } else { uuid.to_string() };
    IdempotencyKey::new("idempotencyKey", &text).unwrap()
}

fn keys() -> Vec<IdempotencyKey> {
    (0..KEYS).map(key).collect()
}

/// A record that no other is like.
fn replay(delta: i64, now: i64) -> Replay {
    let content = Content {
        user: user_key(1),
        feature: FeatureId::new("featureId", "api-calls").unwrap(),
        action: UsageAction::Add,
        delta,
        occurred_at: None,
    };
    let answer = KeptAnswer::Recorded(RecordedUsage::Recorded);
    Replay { content, answer, counted: None, kept_at: Timestamp::from_ms(now) }
}

fn keep(n: u32, replay: Replay) -> (UserKey, Change) {
    (user_key(1), Change::KeepReplay { key: key(n), replay })
}

fn expected(model: &Model) -> Vec<Option<Replay>> {
    (0..KEYS).map(|n| model.get(&n).cloned()).collect()
}

/// What everybody must see.
async fn check(store: &SqliteStore, environment: EnvironmentId, model: &Model) {
    let expected = expected(model);
    let mut reader = store.read().await.unwrap();
    assert_eq!(reader.replays(environment, &keys()).await.unwrap(), expected, "a reader");
    drop(reader);
    let mut writer = store.write().await.unwrap();
    assert_eq!(writer.replays(environment, &keys()).await.unwrap(), expected, "the writer");
    drop(writer);
    assert_eq!(by_sql(store), deltas(model), "SQL");
}

/// The keys in the view, each with its amount.
fn by_sql(store: &SqliteStore) -> Vec<(String, i64)> {
    let connection = store.pool.take_view().unwrap();
    let sql = "SELECT idempotency_key, delta FROM replays ORDER BY delta";
    let mut statement = connection.statement(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn deltas(model: &Model) -> Vec<(String, i64)> {
    let delta = |(n, replay): (&u32, &Replay)| (key(*n).as_str().to_owned(), replay.content.delta);
    let mut deltas: Vec<_> = model.iter().map(delta).collect();
    deltas.sort_by_key(|(_, delta)| *delta);
    deltas
}

/// Runs a transaction, and returns what is stored afterwards.
async fn commit(
    store: &SqliteStore,
    environment: EnvironmentId,
    model: &Model,
    (keep_keys, forget): (&[u32], &[u32]),
    (at, end): ((i64, i64), End),
) -> Model {
    let mut changed = model.clone();
    let mut transaction = Box::new(store.begin_write().await.unwrap());
    let forgotten: Vec<_> = forget.iter().map(|n| key(*n)).collect();
    transaction.forget_keys(environment, &forgotten).await.unwrap();
    forget.iter().for_each(|n| {
        changed.remove(n);
    });
    let mut changes = Vec::new();
    for (n, delta) in keep_keys.iter().zip(at.0..) {
        if !changed.contains_key(n) {
            changed.insert(*n, replay(delta, at.1));
            changes.push(keep(*n, replay(delta, at.1)));
        }
    }
    // As a request does, it looks first, but not each time.
    if at.0 % 2 == 0 {
        transaction.replays(environment, &keys()).await.unwrap();
    }
    transaction.change_facts(environment, &changes).await.unwrap();
    assert_eq!(transaction.replays(environment, &keys()).await.unwrap(), expected(&changed));
    match end {
        End::Commit => transaction.commit().await.unwrap(),
        End::RollBack => return model.clone(),
        End::Fail => {
            // A row that names an environment that is not there, which is checked at the end.
            let fail = |connection: &Connection| {
                connection.run("PRAGMA defer_foreign_keys = ON")?;
                Ok(connection.run("UPDATE keys SET environment_id = 99")?)
            };
            transaction.step(fail).unwrap();
            transaction.commit().await.unwrap_err();
            return model.clone();
        }
    }
    changed
}

/// Forgets old records, and returns what is stored afterwards: old ones may be there or not.
async fn forget_old(
    store: &SqliteStore,
    environment: EnvironmentId,
    model: Model,
    now: i64,
) -> Model {
    let before = now - KEPT_MS;
    store.forget_old_keys(Timestamp::from_ms(before), Timestamp::from_ms(now)).await.unwrap();
    let stored = store.read().await.unwrap().replays(environment, &keys()).await.unwrap();
    let is_there = |n: u32| usize::try_from(n).is_ok_and(|n| stored[n].is_some());
    let is_kept = |(n, replay): &(u32, Replay)| replay.kept_at.as_ms() >= before || is_there(*n);
    let model: Model = model.into_iter().filter(is_kept).collect();
    // At most an eighth longer than they must be, and the time of a run.
    let oldest = model.values().map(|replay| replay.kept_at.as_ms()).min().unwrap_or(now);
    assert!(oldest >= before - KEPT_MS, "{oldest} at {now}");
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn records_are_exact_wherever_they_are(
        steps in prop::collection::vec(step(), 1..40),
        filter_bytes_max in prop_oneof![Just(0_usize), Just(200), Just(1 << 20)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (tool, environment, directory) = store_with_app().await;
            drop(tool);
            let options = tiny(filter_bytes_max);
            let mut store = open(directory.path(), options).await;
            let (mut model, mut now, mut delta) = (Model::new(), 1_000_000_000_i64, 0);
            for step in steps {
                delta += 10;
                match step {
                    Step::Commit { keep, forget, end } => {
                        let changes = (keep.as_slice(), forget.as_slice());
                        let at = ((delta, now), end);
                        model = commit(&store, environment, &model, changes, at).await;
                    }
                    Step::Pass(ms) => now += ms,
                    Step::ForgetOld => model = forget_old(&store, environment, model, now).await,
                    Step::Restart => {
                        drop(store);
                        store = open(directory.path(), options).await;
                    }
                    Step::Tool(n) => {
                        drop(store);
                        let tool = SqliteStore::open(directory.path()).unwrap();
                        let at = ((delta, now), End::Commit);
                        model = commit(&tool, environment, &model, (&[n], &[]), at).await;
                        check(&tool, environment, &model).await;
                        drop(tool);
                        store = open(directory.path(), options).await;
                    }
                }
                check(&store, environment, &model).await;
            }
        });
    }
}

/// Returns the number of rows of a table, with a condition.
fn count(store: &SqliteStore, of: &'static str) -> i64 {
    let connection = store.pool.take_view().unwrap();
    connection.statement(of).unwrap().query_row([], |row| row.get(0)).unwrap()
}

/// Keeps a record under each of these keys, some in each commit.
async fn keep_many(store: &SqliteStore, environment: EnvironmentId, keys: &[u32], now: i64) {
    for keys in keys.chunks(7) {
        let changes: Vec<_> = keys.iter().map(|n| keep(*n, replay(i64::from(*n), now))).collect();
        let mut writer = store.write().await.unwrap();
        writer.change_facts(environment, &changes).await.unwrap();
        writer.commit().await.unwrap();
    }
}

#[tokio::test]
async fn merges_leave_few_runs_and_nothing_of_those_before() {
    let (tool, environment, directory) = store_with_app().await;
    drop(tool);
    let options = tiny(1 << 20);
    let store = open(directory.path(), options).await;
    let all: Vec<u32> = (0..1_000).collect();
    keep_many(&store, environment, &all, 1_000_000).await;
    let runs = count(&store, "SELECT count(*) FROM replay_runs WHERE state = 'whole'");
    assert!((1..40).contains(&runs), "{runs} runs");
    let blocks = count(&store, "SELECT count(*) FROM replay_blocks");
    assert!(blocks < 1_500, "{blocks} blocks of two keys");
    assert_eq!(count(&store, "SELECT count(*) FROM replays"), 1_000);

    // The whole of them expires.
    let now = 1_000_000 + 20 * KEPT_MS;
    store
        .forget_old_keys(Timestamp::from_ms(now - KEPT_MS), Timestamp::from_ms(now))
        .await
        .unwrap();
    // Once more for what the log had.
    store
        .forget_old_keys(Timestamp::from_ms(now - KEPT_MS), Timestamp::from_ms(now))
        .await
        .unwrap();
    for table in [
        "SELECT count(*) FROM replay_runs",
        "SELECT count(*) FROM replay_blocks",
        "SELECT count(*) FROM replay_filters",
        "SELECT count(*) FROM replay_log",
    ] {
        assert_eq!(count(&store, table), 0, "{table}");
    }
}

#[tokio::test]
async fn a_damaged_block_stops_no_commit_and_is_found_by_a_check() {
    let (tool, environment, directory) = store_with_app().await;
    drop(tool);
    let store = open(directory.path(), tiny(1 << 20)).await;
    let user = [(user_key(1), create_user(1))];
    let mut writer = store.write().await.unwrap();
    writer.change_facts(environment, &user).await.unwrap();
    writer.commit().await.unwrap();
    keep_many(&store, environment, &(0..9).collect::<Vec<_>>(), 1_000_000).await;
    drop(store);
    raw(directory.path()).execute_batch("UPDATE replay_blocks SET data = zeroblob(40)").unwrap();

    let store = open(directory.path(), tiny(1 << 20)).await;
    // Merges meet the damage.
    keep_many(&store, environment, &(100..300).collect::<Vec<_>>(), 1_000_000).await;
    let mut reader = store.read().await.unwrap();
    let kept = reader.replays(environment, &[key(299), key(150)]).await.unwrap();
    assert!(kept.iter().all(Option::is_some));
    drop(reader);
    let mut found = Vec::new();
    store.check(NOW, &mut |finding| found.push(finding)).await.unwrap();
    let texts: Vec<_> = found.iter().map(|finding| finding.found.as_str()).collect();
    assert!(texts.iter().any(|text| text.contains("a block of idempotency keys")), "{texts:?}");
}

#[tokio::test]
async fn many_records_of_the_table_of_before_are_taken_over() {
    let (store, environment, directory) = store_with_app().await;
    drop(store);
    let old = raw(directory.path());
    drop_user_facts(&old);
    old.execute_batch(
        "DROP VIEW current_counters; CREATE VIEW current_counters AS SELECT 1;
         DROP VIEW replays; DROP TABLE replay_settings; DROP TABLE replay_log;
         DROP TABLE replay_runs; DROP TABLE replay_blocks; DROP TABLE replay_filters;
         DROP TABLE overrides; DROP TABLE grants; DROP TABLE threshold_events;
         ALTER TABLE features DROP COLUMN thresholds; ALTER TABLE counters DROP COLUMN marks;
         ALTER TABLE features DROP COLUMN draws_on; ALTER TABLE features DROP COLUMN cost;
         DROP INDEX subscriptions_that_run;
         ALTER TABLE subscriptions DROP COLUMN quantities;
         CREATE INDEX subscriptions_that_run ON subscriptions (environment_id, user_key);
         PRAGMA user_version = 18;",
    )
    .unwrap();
    let foundation = include_str!("../migrations/0001_foundation.sql");
    let table = foundation.split("CREATE TABLE ").find(|sql| sql.starts_with("replays ")).unwrap();
    old.execute_batch(&format!("CREATE TABLE {table}")).unwrap();
    old.execute_batch("CREATE INDEX replays_by_age ON replays (environment_id, kept_at)").unwrap();
    // For ten periods and more.
    let insert = "
        INSERT INTO replays
        WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 99999)
        SELECT ?1, CASE n % 2
                WHEN 0 THEN 'key ' || n
                ELSE lower(printf('%08x-0000-4000-8000-%012x', n, n)) END,
            randomblob(16), 'feature ' || (n % 3), CASE n % 5 WHEN 0 THEN 'SET' ELSE 'ADD' END, n,
            CASE n % 4 WHEN 0 THEN n * 1000 END, '{\"Recorded\":\"Recorded\"}', n * 36000
        FROM n";
    old.execute(insert, [environment.0]).unwrap();
    let all = "SELECT * FROM replays ORDER BY environment_id, idempotency_key";
    let before = rows(&old, all);
    assert_eq!(before.len(), 100_000);
    drop(old);

    // A first attempt that ends before it commits leaves everything as it was.
    let mut connection =
        Connection::open_writer(&directory.path().join(DATABASE_FILE), &Default::default())
            .unwrap();
    connection.run("BEGIN IMMEDIATE").unwrap();
    connection.sqlite().execute_batch(SQLITE[18]).unwrap();
    replays::take_over(&connection).unwrap();
    drop(connection);

    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    let mut connection =
        Connection::open_reader(&directory.path().join(DATABASE_FILE), &Default::default())
            .unwrap();
    assert!(rows(connection.sqlite(), all) == before, "the rows are others");
    let key = IdempotencyKey::new("key", "0000c34f-0000-4000-8000-00000000c34f").unwrap();
    let mut reader = store.read().await.unwrap();
    let found = reader.replays(environment, &[key]).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().content.delta, 0xc34f);
    let runs = count(&store, "SELECT count(*) FROM replay_runs");
    assert!(runs <= 13, "{runs} runs");
    assert_eq!(count(&store, "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%in_rows'"), 0);
}

type Values = Vec<rusqlite::types::Value>;

fn rows(connection: &rusqlite::Connection, sql: &str) -> Vec<Values> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|place| row.get(place)).collect();
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn an_import_with_a_key_twice_fails() {
    let (tool, environment, directory) = store_with_app().await;
    drop(tool);
    let store = open(directory.path(), tiny(0)).await;
    let user = [(user_key(1), create_user(1)), keep(1, replay(1, 1_000_000))];
    let mut writer = store.write().await.unwrap();
    writer.change_facts(environment, &user).await.unwrap();
    writer.commit().await.unwrap();
    let scope =
        Scope { environments: EnvironmentKind::ALL.to_vec(), token_secrets: true, user: None };
    let export = store.export(&scope).await.unwrap();
    let mut batches = export.batches;
    let into = tempfile::tempdir().unwrap();
    let empty = SqliteStore::open(into.path()).unwrap();
    let mut import = empty.import().await.unwrap();
    while let Some(batch) = batches.next().await.unwrap() {
        import.insert(&batch).await.unwrap();
        if batch.kind == crate::transfer::kinds::Kind::Replay {
            import.insert(&batch).await.unwrap();
        }
    }
    let error = import.commit().await.unwrap_err();
    assert!(error.to_string().contains("is there twice"), "{error}");
}
