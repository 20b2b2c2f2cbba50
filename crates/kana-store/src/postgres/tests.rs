//! What holds for this engine alone: its plans, its partitions, its locks, its errors. What holds for
//! every engine stands in the conformance suite.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use kana_core::Timestamp;
use kana_core::counter::CounterValue;
use kana_core::facts::{Change, CounterKey};
use kana_core::id::{FeatureId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey};
use kana_core::quantity::Quantities;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::terms::TermsNumber;
use kana_core::timing::Timing;
use kana_core::usage::{LoggedAction, UsageEvent};
use kana_core::user::User;
use kana_test_postgres::{Cluster, Database, is_here, rows, run};
use tokio::time::timeout;
use uuid::Uuid;

use super::connections::take;
use super::transaction::PostgresTransaction;
use super::*;
use crate::app::{App, EnvironmentId, EnvironmentKind, KeyHash, KeyKind, NewKey};
use crate::error::StoreError;
use crate::migration_files::{POSTGRES, POSTGRES_USER_SEARCH};
use crate::store::{Store, Transaction, WriteTransaction};

mod long_readers;
mod old_keys;
mod pooler;
mod readiness;
mod session;
mod silent_link;
mod spread;
mod tls;

const NOW: Timestamp = Timestamp::MIN;
/// Long enough for whatever is not waiting for something.
const SOON: Duration = Duration::from_secs(20);
/// Long enough to see that something waits.
const A_WHILE: Duration = Duration::from_millis(100);

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(url, Settings::default()).await.unwrap()
}

async fn wrong(url: &str) -> StoreError {
    match PostgresStore::open(url, Settings::default()).await {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error,
    }
}

/// A store with an app in a database of its own, and the app's test environment.
async fn store_with_app() -> (PostgresStore, EnvironmentId, Database) {
    let database = Database::new();
    let store = open(database.url()).await;
    let environment = make_app(&store).await;
    (store, environment, database)
}

async fn make_app(store: &PostgresStore) -> EnvironmentId {
    let key = NewKey {
        environment: EnvironmentKind::Test,
        kind: KeyKind::Private,
        hash: KeyHash([1; 32]),
        name: None,
        last_four: "abcd".to_owned(),
        created_at: NOW,
        created_by: None,
        expires_at: None,
    };
    store.create_app(App { name: "Kana".to_owned() }, vec![key], NOW).await.unwrap();
    store.find_key(KeyHash([1; 32])).await.unwrap().unwrap().environment
}

fn user_id(n: u128) -> UserId {
    UserId::new("userId", &n.to_string()).unwrap()
}

fn user_key(n: u128) -> UserKey {
    UserKey(Uuid::from_u128(n))
}

fn user(n: u128, id: UserId) -> User {
    User { key: user_key(n), ..User::named(id) }
}

fn create_user(n: u128) -> (UserKey, Change) {
    (user_key(n), Change::CreateUser(user(n, user_id(n))))
}

fn rename(n: u128, from: u128, to: u128) -> (UserKey, Change) {
    let previous_id = Some(user_id(from));
    (user_key(n), Change::UpdateUser { user: user(n, user_id(to)), previous_id })
}

fn subscribe(n: u128) -> (UserKey, Change) {
    let subscription = Subscription {
        id: SubscriptionId(Uuid::from_u128(n)),
        package: PackageId::new("packageId", "pro").unwrap(),
        status: SubscriptionStatus::Active,
        started_at: NOW,
        ended_at: None,
        quantities: Quantities::ONE,
        timing: Timing::NONE,
    };
    (user_key(n), Change::AddSubscription(subscription))
}

fn api_calls() -> FeatureId {
    FeatureId::new("featureId", "api-calls").unwrap()
}

fn counter(n: u128) -> CounterKey {
    let subscription = SubscriptionId(Uuid::from_u128(n));
    let terms = TermsNumber::default();
    CounterKey { subscription, feature: api_calls(), terms, period_start: NOW }
}

fn count(n: u128, used: i64) -> (UserKey, Change) {
    (user_key(n), Change::SetCounter { counter: counter(n), value: used.into() })
}

fn log(n: u128, recorded_at: Timestamp) -> (UserKey, Change) {
    let event = UsageEvent {
        feature: api_calls(),
        action: LoggedAction::Add,
        delta: 1,
        occurred_at: recorded_at,
        recorded_at,
        amount: 0,
        drawn: None,
        subscription: None,
        idempotency_key: None,
        metadata: None,
    };
    (user_key(n), Change::LogEvent(event))
}

async fn write(store: &PostgresStore, environment: EnvironmentId, changes: &[(UserKey, Change)]) {
    let mut writer = store.write().await.unwrap();
    writer.change_facts(environment, changes).await.unwrap();
    writer.commit().await.unwrap();
}

/// Creates the partitions for events of an instant. A node that failed would not try again for a
/// minute, so each try uses a new node.
async fn make_partitions(database: &Database, recorded_at: Timestamp) {
    let month = "SELECT to_regclass('kana.events_' || to_char(
        to_timestamp($1 / 1000) AT TIME ZONE 'UTC' + interval '1 month', 'YYYY_MM')) IS NOT NULL";
    let month = month.replace("$1", &recorded_at.as_ms().to_string());
    let making = async {
        while rows(database.url(), &month) != [["t"]] {
            partitions::provide_all(&open(database.url()).await.shared, recorded_at).await;
        }
    };
    timeout(SOON, making).await.unwrap();
}

/// What the planner makes of a statement, whatever its parameters are.
async fn plan(connection: &deadpool_postgres::Object, sql: &str) -> String {
    plan_with(connection, sql, &[]).await
}

/// What the planner makes of a statement, without the partitions that these arguments rule out. Those
/// that are missing are null.
async fn plan_with(
    connection: &deadpool_postgres::Object,
    sql: &str,
    arguments: &[&str],
) -> String {
    explain(connection, "", sql, arguments).await
}

/// The same, with these options of `EXPLAIN`.
async fn explain(
    connection: &deadpool_postgres::Object,
    options: &str,
    sql: &str,
    arguments: &[&str],
) -> String {
    let statement = connection.prepare(sql).await.unwrap();
    let types: Vec<_> = statement.params().iter().map(ToString::to_string).collect();
    let listed = |items: Vec<String>| match items.join(", ") {
        items if items.is_empty() => items,
        items => format!("({items})"),
    };
    let mut given: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
    given.resize(types.len(), "NULL".to_owned());
    let (arguments, types) = (listed(given), listed(types));
    let explain =
        format!("PREPARE p{types} AS {sql}; EXPLAIN {options} EXECUTE p{arguments}; DEALLOCATE p");
    let answer = connection.simple_query(&explain).await.unwrap();
    let lines = answer.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The columns of each index, in their order.
fn index_columns(database: &Database) -> HashMap<String, Vec<String>> {
    let columns = "SELECT c.relname, pg_get_indexdef(i.indexrelid, n, true)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            CROSS JOIN generate_series(1, i.indnkeyatts) n
        WHERE c.relnamespace = 'kana'::regnamespace ORDER BY c.relname, n";
    let mut indexes: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows(database.url(), columns) {
        indexes.entry(row[0].clone()).or_default().push(row[1].clone());
    }
    indexes
}

/// Whether the plan searches an index by a column and not by one that comes before it, and so walks
/// through more of the index the larger it is.
fn walks_through_an_index(plan: &str, indexes: &HashMap<String, Vec<String>>) -> bool {
    let mut index: &[String] = &[];
    plan.lines().any(|line| {
        if let Some((_, after)) = line.split_once(" using ") {
            index = &indexes[after.split_whitespace().next().unwrap()];
        }
        let Some((_, condition)) = line.split_once("Index Cond: ") else {
            return false;
        };
        let words: HashSet<&str> =
            condition.split(|sign: char| !sign.is_alphanumeric() && sign != '_').collect();
        let is_asked = |column: &String| match column.starts_with('(') {
            true => condition.contains(column.as_str()),
            false => words.contains(column.as_str()),
        };
        index.iter().skip_while(|column| is_asked(column)).any(is_asked)
    })
}

/// Changes, entries of the audit log, admins, sessions, invitations, usage by day and crossings of limits,
/// as many as users, who get e-mails; and imports of as many lines.
fn fill_the_other_tables(database: &Database) {
    run(
        database.url(),
        "INSERT INTO kana.changes
            SELECT 1, n, gen_random_uuid(), 'user.created', n, 'user ' || n, '{}', 'key 1'
            FROM generate_series(1, 2000) n;
         INSERT INTO kana.audit_log
            SELECT 1, gen_random_uuid(), n, 'key 1', 'updateFeature', 'feature', 'f' || n
            FROM generate_series(1, 2000) n;
         INSERT INTO kana.admins (app_id, email, email_folded, role, created_at)
            SELECT 1, n || '@example.com', n || '@example.com', 'viewer', n
            FROM generate_series(1, 2000) n;
         INSERT INTO kana.sessions
            SELECT sha256(a.email::bytea), a.id, 0, 0, a.id, '127.0.0.1', 'Firefox'
            FROM kana.admins a;
         INSERT INTO kana.invitations (hash, admin_id, created_at, expires_at)
            SELECT sha256(a.email::bytea), a.id, 0, a.id FROM kana.admins a;
         INSERT INTO kana.sent_forms
            SELECT sha256(a.email::bytea), a.id, NULL FROM kana.admins a;
         INSERT INTO kana.usage_by_day
            SELECT 1, n / 50, 'f' || n % 50, 1, 1, 0 FROM generate_series(1, 2000) n;
         INSERT INTO kana.usage_totals SELECT 1, n, 1, 0 FROM generate_series(1, 2000) n;
         INSERT INTO kana.usage_deltas
            SELECT 1, '{1}', '{f1}', '{1}', '{1}', '{0}' FROM generate_series(1, 2000) n;
         INSERT INTO kana.limit_crossings
            SELECT 1, u.key, 'f1', row_number() OVER (), 80, row_number() OVER () FROM kana.users u;
         INSERT INTO kana.user_imports
            SELECT 1, gen_random_uuid(), 0, '{}' FROM generate_series(1, 3);
         INSERT INTO kana.user_import_lines
            SELECT 1, i.id, 'create', n, '{}'
            FROM kana.user_imports i, generate_series(1, 2000) n;
         INSERT INTO kana.user_import_names
            SELECT 1, i.id, 'user ' || n, n, 'create'
            FROM kana.user_imports i, generate_series(1, 2000) n;
         UPDATE kana.users SET email = id || '@example.com'",
    );
}

/// What they look at in vain is little by nature: what is told of one user; keys, secrets, a catalog, subscriptions that
/// run beside those that have ended, and that run without granting anything; so many changes
/// as one page may look at; the entries of a page, or of one subject; the users of a page; dead
/// jobs, which are not in the index; people, who are few; usage that is not folded yet; the
/// newest crossings of limits. JOBS lists all there are.
const FEW: &[&str] = &[
    "ID_TAKEN",
    "FORGET_ID_IN_AUDIT_LOG",
    "KEYS",
    "ADD_KEYS",
    "REVOKE_KEY",
    "CHANGES",
    "CHANGES_OF_USER",
    "FORGET_CHANGES",
    "AUDIT_LOG",
    "AUDIT_LOG_OF_KIND",
    "AUDIT_LOG_OF_SUBJECT",
    "FORGET_TOKEN_SECRETS",
    "PROVIDE_TOKEN_SECRET",
    "SIGNING_TOKEN_SECRET",
    "ADVANCE_CATALOG",
    "CLEAR_PACKAGE_FEATURES",
    "CLEAR_PACKAGE_FEATURE_TERMS",
    "CLEAR_PACKAGE_BASES",
    "DELETE_FEATURES",
    "DELETE_PACKAGES",
    "ACTIVE_SUBSCRIBERS",
    "ENDED_SUBSCRIPTIONS",
    "NOTE_OVERRIDES",
    "SUBSCRIBERS_AFTER",
    "SUBSCRIBERS_AMONG",
    "USERS_WITH_PREFIX",
    "CLAIM_JOBS",
    "JOBS",
    "ADMINS",
    "INVITATION",
    "OPEN_INVITATIONS",
    "NOTE_SEEN",
    "END_SESSIONS",
    "USAGE_BY_DAY",
    "USAGE_BY_DAY_OF_FEATURE",
    "TOP_FEATURES",
    "LIMIT_CROSSINGS",
];

/// They read a window of the log, by bitmaps. Another test looks at them.
const OF_THE_LOG: &[&str] =
    &["COUNT_EVENTS", "HAVE_EARLIER_EVENTS", "EVENTS_OF_USER", "FORGET_EVENT_METADATA"];

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index_also_when_it_was_planned_on_empty_tables() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    let connection = take(&store.shared.connections.writers).await.unwrap();
    let indexes = index_columns(&database);
    let mut bad = Vec::new();
    for state in ["empty", "filled, and not yet known to the planner", "filled"] {
        for (name, sql) in statements::ALL.iter().chain(&users::statements()) {
            if OF_THE_LOG.contains(name) {
                continue;
            }
            let plan = plan(&connection, sql).await;
            assert!(plan.contains("cost="), "{name}: {plan}");
            let is_list = ["FIRST", "AFTER", "BEFORE"].iter().any(|part| name.contains(part));
            let lines = plan.lines().map(str::trim_start);
            // One row that is found by its place or its key is still asked whose it is.
            let is_one = plan.contains("Tid Scan") || plan.contains("Index Cond: (id = $1)\n");
            let searches = lines
                .clone()
                .any(|line| line.contains("Seq Scan") || line.starts_with("Filter:") && !is_one);
            let sorts = is_list && lines.clone().any(|line| line.starts_with("->  Sort"));
            let walks = walks_through_an_index(&plan, &indexes);
            if searches && !FEW.contains(name) || sorts || walks {
                bad.push(format!("{name} on {state} tables:\n{plan}\n"));
            }
        }
        match state {
            "empty" => {
                let changes = (0..2000).flat_map(|n| [create_user(n), subscribe(n), count(n, 1)]);
                write(&store, environment, &changes.collect::<Vec<_>>()).await;
                fill_the_other_tables(&database);
            }
            _ => run(database.url(), "VACUUM ANALYZE"),
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[tokio::test]
async fn whoever_has_a_package_at_an_instant_stands_in_an_index() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    let changes: Vec<_> = (0..2000).flat_map(|n| [create_user(n), subscribe(n)]).collect();
    write(&store, environment, &changes).await;
    run(database.url(), "VACUUM ANALYZE");
    let connection = take(&store.shared.connections.writers).await.unwrap();
    let key = "'00000000-0000-0000-0000-000000000000'";
    let keys = format!("ARRAY[{key}]::uuid[]");
    for (sql, arguments) in [
        (statements::ACTIVE_SUBSCRIBERS, vec!["1", "'{pro}'", "0"]),
        (statements::SUBSCRIBERS_AFTER, vec!["1", "'pro'", key, "50", "0"]),
        (statements::SUBSCRIBERS_AMONG, vec!["1", "'pro'", &keys, "0"]),
    ] {
        let plan = plan_with(&connection, sql, &arguments).await;
        assert!(plan.contains("Index Only Scan using subscriptions_by_package"), "{plan}");
    }
}

#[tokio::test]
async fn events_are_looked_for_in_blocks_of_their_time_also_when_planned_on_empty_tables() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    let connection = take(&store.shared.connections.readers).await.unwrap();
    let month = Timestamp::from_ms(1_700_000_000_000);
    make_partitions(&database, month).await;
    for state in ["empty", "filled"] {
        connection.batch_execute("BEGIN READ ONLY").await.unwrap();
        connection.query(statements::READ_BITMAPS, &[&"on"]).await.unwrap();
        let (from, to) = (month.as_ms().to_string(), (month.as_ms() + 1000).to_string());
        for (name, sql, arguments) in [
            ("COUNT_EVENTS", statements::COUNT_EVENTS, &["NULL", "NULL", &from, &to][..]),
            ("HAVE_EARLIER_EVENTS", statements::HAVE_EARLIER_EVENTS, &[&to]),
            ("EVENTS_OF_USER", statements::EVENTS_OF_USER, &["NULL", "NULL", &from, &to]),
            (
                "FORGET_EVENT_METADATA",
                statements::FORGET_EVENT_METADATA,
                &["NULL", "NULL", &from, &to],
            ),
        ] {
            let plan = plan_with(&connection, sql, arguments).await;
            assert!(
                plan.contains("Bitmap Index Scan on events_2023_11"),
                "{name}, {state}: {plan}"
            );
            assert!(!plan.contains("Seq Scan"), "{name}, {state}: {plan}");
        }
        connection.batch_execute("COMMIT").await.unwrap();
        if state == "empty" {
            let events = (0..2000).flat_map(|n| [create_user(n), log(n, month)]);
            write(&store, environment, &events.collect::<Vec<_>>()).await;
            run(database.url(), "VACUUM ANALYZE");
        }
    }
}

#[tokio::test]
async fn a_batch_takes_as_many_round_trips_with_one_user_as_with_hundreds() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    let month = Timestamp::from_ms(1_700_000_000_000);
    make_partitions(&database, month).await;
    let mut costs = Vec::new();
    for users in [0..1, 1..501, 501..1501] {
        let new = users.clone().flat_map(|n| [create_user(n), subscribe(n)]);
        write(&store, environment, &new.collect::<Vec<_>>()).await;
        let changes: Vec<_> = users.clone().flat_map(|n| [count(n, 1), log(n, month)]).collect();
        let ids: Vec<UserId> = users.clone().map(user_id).collect();
        let counters: Vec<_> = users.map(|n| (user_key(n), counter(n))).collect();
        let before = store.round_trips();
        let mut writer = store.write().await.unwrap();
        writer.facts(environment, &ids).await.unwrap();
        writer.counters(environment, &counters).await.unwrap();
        writer.change_facts(environment, &changes).await.unwrap();
        writer.commit().await.unwrap();
        let writing = store.round_trips() - before;
        let mut reader = store.read().await.unwrap();
        let facts = reader.facts(environment, &ids).await.unwrap();
        assert!(facts.users.iter().all(Option::is_some));
        assert!(
            reader
                .counters(environment, &counters)
                .await
                .unwrap()
                .iter()
                .all(|n| *n == Some(1.into()))
        );
        costs.push((writing, store.round_trips() - before - writing));
    }
    // Facts; changes, with the commit unless there are many; and facts, with which the counters come.
    assert_eq!(costs, [(2, 1), (2, 1), (3, 1)]);
}

#[tokio::test]
async fn a_commit_fails_if_the_row_of_a_user_is_not_where_it_was_locked() {
    if !is_here() {
        return;
    }
    let (store, environment, _database) = store_with_app().await;
    write(&store, environment, &[create_user(1), subscribe(1), create_user(2)]).await;
    for changes in [vec![count(1, 7)], vec![count(1, 7), log(1, NOW)]] {
        let mut writer = store.begin_write();
        writer.facts(environment, &[user_id(1), user_id(2)]).await.unwrap();
        writer.ask_one("UPDATE users SET name = 'moved'", &[]).await.unwrap();
        writer.change_facts(environment, &changes).await.unwrap();
        let failed = writer.commit_changes().await;
        let text = "the row of a user has moved";
        assert!(
            matches!(&failed, Err(StoreError::Engine(it)) if it.to_string() == text),
            "{failed:?}"
        );
        let mut reader = store.read().await.unwrap();
        let counters = [(user_key(1), counter(1))];
        assert_eq!(reader.counters(environment, &counters).await.unwrap(), [None]);
    }
}

#[tokio::test]
async fn counters_that_gave_way_count_on_and_whoever_looks_sees_the_same() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    write(&store, environment, &[create_user(1), subscribe(1)]).await;
    let month = |number: i64| CounterKey { period_start: Timestamp::from_ms(number), ..counter(1) };
    let set = |number, used: i64| {
        (user_key(1), Change::SetCounter { counter: month(number), value: used.into() })
    };
    let all: Vec<_> = (0..40).map(|number| (user_key(1), month(number))).collect();
    let mut used = vec![0; all.len()];
    let stored = |used: &[i64]| -> Vec<Option<CounterValue>> {
        let known = used.iter().map(|used| Some(*used).filter(|used| *used > 0));
        known.map(|used| used.map(CounterValue::from)).collect()
    };
    // More at once than fit beside the user; then one of those that gave way, with and without facts.
    let batches: [Vec<i64>; 4] =
        [(0..30).collect(), vec![3, 39, 3], vec![4], (0..40).step_by(3).collect()];
    for (round, batch) in (1..).zip(batches) {
        let mut writer = store.write().await.unwrap();
        if round != 3 {
            writer.facts(environment, &[user_id(1)]).await.unwrap();
        }
        assert_eq!(writer.counters(environment, &all).await.unwrap(), stored(&used));
        let mut changes = Vec::new();
        for number in batch {
            used[usize::try_from(number).unwrap()] += 100 * round + number;
            changes.push(set(number, used[usize::try_from(number).unwrap()]));
        }
        // In two pieces: with the first of them, the row of the user moves.
        let (some, others) = changes.split_at(changes.len() / 2);
        writer.change_facts(environment, some).await.unwrap();
        writer.change_facts(environment, others).await.unwrap();
        assert_eq!(writer.counters(environment, &all).await.unwrap(), stored(&used));
        writer.commit().await.unwrap();
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.counters(environment, &all).await.unwrap(), stored(&used), "{round}");
        let by_sql = rows(
            database.url(),
            "SELECT period_start, used FROM kana.current_counters ORDER BY period_start",
        );
        let written = used.iter().enumerate().filter(|(_, used)| **used > 0);
        let written: Vec<_> =
            written.map(|(number, used)| vec![number.to_string(), used.to_string()]).collect();
        assert_eq!(by_sql, written, "{round}");
    }
}

#[tokio::test]
async fn an_event_goes_to_the_partition_of_its_month_and_is_never_refused() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    let time = |text| Timestamp::parse("time", text).unwrap();
    // Somebody is in the way of the partition of March, for longer than anybody waits.
    let (march, april) = (time("2031-03-31T23:59:59.999Z"), time("2031-04-01T00:00:00Z"));
    let blocker = open(database.url()).await;
    let blocker = take(&blocker.shared.connections.writers).await.unwrap();
    blocker.batch_execute("BEGIN; LOCK TABLE events_default IN ROW EXCLUSIVE MODE").await.unwrap();
    write(&store, environment, &[log(1, march)]).await;
    let counts = "SELECT tableoid::regclass, count(*) FROM events GROUP BY tableoid
        ORDER BY tableoid::regclass::text";
    let url = format!("{}?options=-c%20search_path%3Dkana", database.url());
    assert_eq!(rows(&url, counts), [["events_default", "1"]]);
    blocker.batch_execute("COMMIT").await.unwrap();

    // Another node finds nobody in the way. What lay in the default partition moves.
    make_partitions(&database, march).await;
    make_partitions(&database, april).await;
    let other = open(database.url()).await;
    write(&other, environment, &[log(1, march), log(1, april)]).await;
    assert_eq!(rows(&url, counts), [["events_2031_03", "2"], ["events_2031_04", "1"]]);
    // The first node knows of none, and makes none twice.
    write(&store, environment, &[log(1, april)]).await;
    let today = "SELECT count(*) FROM pg_class
        WHERE relname = 'events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')";
    assert_eq!(rows(&url, today), [["1"]]);
}

#[tokio::test]
async fn many_who_open_a_new_database_at_once_migrate_it_once() {
    if !is_here() {
        return;
    }
    let database = Database::bare();
    let opening = (0..6).map(|_| PostgresStore::open(database.url(), Settings::default()));
    for store in join_all(opening).await {
        assert_eq!(store.unwrap().app().await.unwrap(), None);
    }
    let versions = rows(database.url(), "SELECT version FROM kana.schema_version");
    assert_eq!(versions, [[POSTGRES.len().to_string()]]);
}

#[tokio::test]
async fn users_of_before_the_search_are_found_after() {
    if !is_here() {
        return;
    }
    let database = Database::bare();
    let version = POSTGRES.iter().position(|sql| *sql == POSTGRES_USER_SEARCH).unwrap();
    let migrations = POSTGRES[..version].join(";");
    run(
        database.url(),
        &format!(
            "CREATE SCHEMA kana; SET search_path TO kana;
             CREATE TABLE schema_version (version bigint NOT NULL);
             INSERT INTO schema_version VALUES ({version}); {migrations};
             INSERT INTO users (environment_id, key, id, billing_id, name, email)
             SELECT 1, gen_random_uuid(), 'User ' || n, 'USER ' || n || 'b', 'Straße', ''
             FROM generate_series(1, 2500) n"
        ),
    );
    drop(open(database.url()).await);
    let index = "SELECT shared, min(text), max(text), count(*), count(DISTINCT user_key)
        FROM kana.user_search GROUP BY shared, left(text, 2) ORDER BY min(text)";
    let expected =
        [["0", "strasse", "strasse", "2500", "2500"], ["0", "user 1", "user 999", "2500", "2500"]];
    let rows = rows(database.url(), index);
    assert_eq!(rows[..2], expected);
    // Each shares all of the id, which is six to nine characters long.
    assert_eq!(
        rows[2..].iter().map(|row| row[0].as_str()).collect::<Vec<_>>(),
        ["9", "8", "7", "6"]
    );
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused_and_not_touched() {
    if !is_here() {
        return;
    }
    let database = Database::new();
    let known = POSTGRES.len();
    run(database.url(), "UPDATE kana.schema_version SET version = version + 1");
    let error = wrong(database.url()).await;
    assert!(matches!(error, StoreError::NewerSchema { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("version {}", known + 1)), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_the_database_has_an_error_of_its_own() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    drop(open(&cluster.url()).await);
    let address = cluster.address();
    let error = wrong(&format!("postgres://kana:wrong@{address}/kana")).await;
    assert!(matches!(error, StoreError::AccessDenied(_)), "{error:?}");
    let error = wrong(&format!("postgres://kana@{address}/kana")).await;
    assert!(matches!(error, StoreError::AccessDenied(_)), "{error:?}");
    let error = wrong(&format!("postgres://nobody:wrong@{address}/kana")).await;
    assert!(matches!(error, StoreError::AccessDenied(_)), "{error:?}");
    let error = wrong(&format!("{}2", cluster.url())).await;
    assert!(matches!(error, StoreError::NoDatabase(_)), "{error:?}");
    let error = wrong("kana").await;
    assert!(matches!(error, StoreError::DatabaseUrl { .. }), "{error:?}");

    let standby = cluster.standby();
    let error = wrong(&standby.url()).await;
    assert!(matches!(error, StoreError::ReadOnly), "{error:?}");
    // Of all servers, the one that takes changes is found.
    let all = format!("127.0.0.1:1,{},{address}", standby.address());
    drop(open(&standby.url().replace(&standby.address(), &all)).await);

    cluster.kill();
    let error = wrong(&cluster.url()).await;
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn whoever_decides_on_a_user_has_the_user_alone() {
    if !is_here() {
        return;
    }
    let (store, environment, _database) = store_with_app().await;
    write(&store, environment, &[create_user(1), create_user(2)]).await;
    let mut first = store.write().await.unwrap();
    first.facts(environment, &[user_id(1)]).await.unwrap();
    let mut other = store.write().await.unwrap();
    timeout(SOON, other.facts(environment, &[user_id(2)])).await.unwrap().unwrap();
    drop(other);

    let mut second = store.write().await.unwrap();
    let both = [user_id(2), user_id(1)];
    let mut asking = std::pin::pin!(second.facts(environment, &both));
    assert!(timeout(A_WHILE, &mut asking).await.is_err(), "it did not wait");
    first.change_facts(environment, &[subscribe(1)]).await.unwrap();
    first.commit().await.unwrap();
    let facts = timeout(SOON, asking).await.unwrap().unwrap();
    let seen = facts.users.iter().flatten().map(|facts| facts.subscriptions().len());
    assert_eq!(seen.collect::<Vec<_>>(), [0, 1], "it decides on what the first has left");
}

#[tokio::test]
async fn whoever_decides_on_a_catalog_keeps_it_from_changing() {
    if !is_here() {
        return;
    }
    let (store, environment, _database) = store_with_app().await;
    let mut deciding = store.write().await.unwrap();
    deciding.facts(environment, &[user_id(1)]).await.unwrap();
    let mut as_well = store.write().await.unwrap();
    timeout(SOON, as_well.facts(environment, &[user_id(2)])).await.unwrap().unwrap();

    let mut changing = store.write().await.unwrap();
    let mut asking = std::pin::pin!(changing.catalog_version(environment));
    assert!(timeout(A_WHILE, &mut asking).await.is_err(), "it did not wait");
    drop((deciding, as_well));
    timeout(SOON, asking).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_user_who_comes_to_an_id_behind_a_lock_is_a_conflict() {
    if !is_here() {
        return;
    }
    let (store, environment, _database) = store_with_app().await;
    write(&store, environment, &[create_user(1), subscribe(1), create_user(2)]).await;

    let mut writer = store.write().await.unwrap();
    let id = SubscriptionId(Uuid::from_u128(1));
    let owner = writer.subscriptions(environment, &[id]).await.unwrap().remove(0).unwrap().0;
    // The owner gets another id, and somebody else the old one.
    write(&store, environment, &[rename(1, 1, 7)]).await;
    write(&store, environment, &[rename(2, 2, 1)]).await;
    let error = writer.facts(environment, &[owner]).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
}

#[tokio::test]
async fn of_two_who_make_the_same_thing_new_the_second_has_a_conflict() {
    if !is_here() {
        return;
    }
    let (store, environment, _database) = store_with_app().await;
    let ada = UserId::new("userId", "ada").unwrap();
    let new = |n| [(user_key(n), Change::CreateUser(user(n, ada.clone())))];
    let (one, other) = (new(1), new(2));
    let mut first = store.write().await.unwrap();
    first.change_facts(environment, &one).await.unwrap();
    let mut second = store.write().await.unwrap();
    let mut writing = std::pin::pin!(second.change_facts(environment, &other));
    assert!(timeout(A_WHILE, &mut writing).await.is_err(), "it did not wait");
    first.commit().await.unwrap();
    let error = timeout(SOON, writing).await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
}

#[tokio::test]
async fn an_id_that_was_somebodys_only_within_a_transaction_is_nobody_elses_before_its_end() {
    if !is_here() {
        return;
    }
    let (store, environment, _database) = store_with_app().await;
    write(&store, environment, &[create_user(1)]).await;
    let mut first = store.write().await.unwrap();
    first.change_facts(environment, &[rename(1, 1, 7), rename(1, 7, 8)]).await.unwrap();
    let mut second = store.write().await.unwrap();
    let seven = [create_user(7)];
    let mut writing = std::pin::pin!(second.change_facts(environment, &seven));
    assert!(timeout(A_WHILE, &mut writing).await.is_err(), "it did not wait");
    first.commit().await.unwrap();
    timeout(SOON, writing).await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_that_broke_while_nobody_used_them_are_not_noticed() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    write(&store, environment, &[create_user(1)]).await;
    run(
        database.url(),
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    write(&store, environment, &[create_user(2)]).await;
    let mut reader = store.read().await.unwrap();
    let users = reader.users(environment, &[user_id(1), user_id(2)]).await.unwrap();
    assert!(users.iter().all(Option::is_some));
}

/// Marks a transaction as one that changes something does, commits it or not, and asks for its fate.
async fn fate(store: &PostgresStore, end: &str, timeline: Option<&str>) -> Result<(), StoreError> {
    let connection = take(&store.shared.connections.writers).await.unwrap();
    connection.batch_execute("BEGIN").await.unwrap();
    let row = connection.query_one(statements::OWN_TRANSACTION, &[]).await.unwrap();
    connection.batch_execute(end).await.unwrap();
    let mut mark = fate::Mark::read(&row, 0).unwrap();
    if let Some(timeline) = timeline {
        timeline.clone_into(&mut mark.timeline);
    }
    let error = StoreError::Unavailable("it broke".into());
    fate::ask(&store.shared.connections, &mark, error).await
}

#[tokio::test]
async fn the_server_says_what_became_of_a_transaction() {
    if !is_here() {
        return;
    }
    let database = Database::new();
    let store = open(database.url()).await;
    fate(&store, "COMMIT", None).await.unwrap();
    let error = fate(&store, "ROLLBACK", None).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let error = fate(&store, "COMMIT", Some("00000009")).await.unwrap_err();
    assert!(matches!(error, StoreError::OutcomeUnknown(_)), "another server's: {error:?}");
}

#[tokio::test]
async fn a_number_that_a_crash_gave_to_another_transaction_is_not_taken_for_the_first() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let store = open(&cluster.url()).await;
    let connections = &store.shared.connections;
    let marked = async |end: &str| {
        let connection = take(&connections.writers).await.unwrap();
        connection.batch_execute("BEGIN").await.unwrap();
        let row = connection.query_one(statements::OWN_TRANSACTION, &[]).await.unwrap();
        connection.batch_execute(end).await.unwrap();
        (fate::Mark::read(&row, 0).unwrap(), connection)
    };
    let make = "CREATE TABLE kept (n int)";
    let (committed, _) = marked(&format!("{make}; COMMIT")).await;
    // Nothing of this one is on the disk when the server dies.
    let (lost, open) = marked("SELECT 1").await;
    cluster.kill();
    drop(open);
    cluster.begin();
    let next = || {
        let rows = kana_test_postgres::rows(&cluster.url(), "SELECT pg_current_xact_id()::text");
        rows[0][0].parse::<u64>().unwrap()
    };
    let number: u64 = lost.number.parse().unwrap();
    assert!(next() <= number, "the number was not given again");
    while next() < number {}
    let error = || StoreError::Unavailable("it broke".into());
    let found = fate::ask(connections, &lost, error()).await.unwrap_err();
    assert!(matches!(found, StoreError::Unavailable(_)), "{found:?}");
    fate::ask(connections, &committed, error()).await.unwrap();
}

#[tokio::test]
async fn months_that_are_too_old_are_forgotten_whole_and_counters_stay() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    let at = |text| Timestamp::parse("time", text).unwrap();
    let days = ["2024-01-31T23:59:59.999Z", "2024-02-01T00:00:00Z", "2024-03-15T00:00:00Z"];
    for day in days {
        make_partitions(&database, at(day)).await;
    }
    let changes: Vec<_> = [create_user(1), subscribe(1), count(1, 7)]
        .into_iter()
        .chain(days.map(|day| log(1, at(day))))
        .collect();
    write(&store, environment, &changes).await;
    let connection = take(&store.shared.connections.readers).await.unwrap();
    let left = async || -> Vec<i64> {
        let months = "SELECT recorded_at FROM events ORDER BY recorded_at";
        let rows = connection.query(months, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let ms = |days: &[&'static str]| days.iter().map(|day| at(day).as_ms()).collect::<Vec<_>>();
    assert_eq!(left().await, ms(&days));

    assert!(!store.forget_events(at("2024-02-29T12:00:00Z"), 1).await.unwrap());
    assert_eq!(left().await, ms(&days[1..]));
    // What came to the default partition is forgotten, too.
    run(database.url(), "DROP TABLE kana.events_2024_02");
    write(&store, environment, &[log(1, at(days[1]))]).await;
    assert!(!store.forget_events(at("2024-03-01T00:00:00Z"), 1).await.unwrap());
    assert_eq!(left().await, ms(&days[2..]));
    let mut reader = store.read().await.unwrap();
    let asked = [(user_key(1), counter(1))];
    assert_eq!(reader.counters(environment, &asked).await.unwrap(), [Some(7.into())]);
}
