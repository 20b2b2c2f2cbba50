//! What holds for this engine alone: its plans, its files. What holds for every engine stands in
//! the conformance suite.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Barrier;

use kana_core::Timestamp;
use kana_core::counter::{CounterValue, Marks};
use kana_core::credits::Cost;
use kana_core::facts::{Change, CounterKey};
use kana_core::hold::Hold;
use kana_core::id::{
    FeatureId, HoldId, IdempotencyKey, PackageId, SubscriptionId, UserId, UserKey,
};
use kana_core::metadata::Metadata;
use kana_core::quantity::Quantities;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::terms::TermsNumber;
use kana_core::timing::Timing;
use kana_core::usage::{LoggedAction, UsageEvent};
use kana_core::user::User;
use rusqlite::StatementStatus;
use rusqlite::types::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::connection::Connection;
use super::file_names::DATABASE_FILE;
use super::*;
use crate::app::{App, EnvironmentId, EnvironmentKind, KeyHash, KeyKind, NewKey};
use crate::error::StoreError;
use crate::feed::{AuditQuery, ChangesQuery, Feed};
use crate::migration_files::{SQLITE, SQLITE_USER_SEARCH};
use crate::store::{Store, Transaction, WriteTransaction};
use crate::usage_statistics::UsageStatistics as _;

mod behind;
mod deadlines;
mod directory;
mod event_log;
mod event_migration;
mod folding;
mod from_memory;
mod idempotency;
mod jobs;
mod subscribers;
mod trouble;
mod user_facts;

const NOW: Timestamp = Timestamp::MIN;

const DROP_USER_FACTS: &str = "
    DROP TRIGGER subscriber_added; DROP TRIGGER subscriber_changed_to;
    DROP TRIGGER subscriber_changed_from; DROP TRIGGER subscriber_deleted;
    DROP INDEX subscriptions_by_clock; DROP INDEX subscriptions_by_package;
    CREATE INDEX subscriptions_by_package
        ON subscriptions (environment_id, package_id, user_key, status, ended_at)
        WHERE ended_at IS NULL;
    DROP TRIGGER user_facts_subscription_added; DROP TRIGGER user_facts_subscription_changed;
    DROP TRIGGER user_facts_subscription_deleted; DROP INDEX subscriptions_that_run;
    DROP TRIGGER user_facts_of_new; DROP TRIGGER user_facts_of_renamed; DROP TABLE holds;
    ALTER TABLE package_features DROP COLUMN rollover_periods;
    ALTER TABLE package_features DROP COLUMN rollover_max;
    ALTER TABLE package_feature_terms DROP COLUMN rollover_periods;
    ALTER TABLE package_feature_terms DROP COLUMN rollover_max;
    ALTER TABLE subscriptions DROP COLUMN timing;
    CREATE INDEX subscriptions_that_run
        ON subscriptions
            (environment_id, user_key, id, package_id, status, started_at, ended_at, quantities)
        WHERE ended_at IS NULL;
    DROP TABLE user_facts; DROP TABLE user_facts_to_gather; DROP TRIGGER user_facts_of_deleted;
    DROP TRIGGER user_facts_override_added;
    DROP TRIGGER user_facts_override_deleted; DROP TRIGGER user_facts_grant_added;
    DROP TRIGGER user_facts_grant_deleted; PRAGMA user_version = 25;";

/// Takes the last migrations back, those that add users' facts and what came after.
fn drop_user_facts(old: &rusqlite::Connection) {
    old.execute_batch(DROP_USER_FACTS).unwrap();
    let earlier = include_str!("migrations/0014_package_subscribers.sql");
    let (_, triggers) = earlier.split_once("GROUP BY environment_id, package_id;").unwrap();
    old.execute_batch(triggers).unwrap();
}

fn hash(environment: EnvironmentKind) -> KeyHash {
    KeyHash([environment as u8; 32])
}

/// A store with an app in a directory of its own, and the app's test environment.
async fn store_with_app() -> (SqliteStore, EnvironmentId, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let keys = EnvironmentKind::ALL.map(|environment| NewKey {
        environment,
        kind: KeyKind::Private,
        hash: hash(environment),
        name: None,
        last_four: "abcd".to_owned(),
        created_at: NOW,
        created_by: None,
        expires_at: None,
    });
    store.create_app(App { name: "Kana".to_owned() }, keys.to_vec(), NOW).await.unwrap();
    let key = store.find_key(hash(EnvironmentKind::Test)).await.unwrap().unwrap();
    (store, key.environment, directory)
}

/// The database file of a directory, opened past the store.
fn raw(directory: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(directory.join("kana.db")).unwrap();
    register_functions(&connection).unwrap();
    connection
}

fn user_id(text: &str) -> UserId {
    UserId::new("userId", text).unwrap()
}

fn user_key(n: u128) -> UserKey {
    UserKey(Uuid::from_u128(n))
}

fn create_user(n: u128) -> Change {
    Change::CreateUser(User { key: user_key(n), ..User::named(user_id(&n.to_string())) })
}

fn subscribe(n: u128, ended_at: Option<Timestamp>) -> Change {
    Change::AddSubscription(Subscription {
        id: SubscriptionId(Uuid::from_u128(n)),
        package: PackageId::new("packageId", "pro").unwrap(),
        status: SubscriptionStatus::Active,
        started_at: NOW,
        ended_at,
        quantities: Quantities::ONE,
        timing: Timing::NONE,
    })
}

/// What a counter holds, with marks for some values.
fn value(used: i64) -> CounterValue {
    let sets = u32::try_from(used.rem_euclid(3)).unwrap();
    CounterValue { used, marks: Marks::default().after_sets(sets) }
}

fn counter(n: u128, period_start: i64) -> CounterKey {
    CounterKey {
        subscription: SubscriptionId(Uuid::from_u128(n)),
        feature: FeatureId::new("featureId", "api-calls").unwrap(),
        terms: TermsNumber::default(),
        period_start: Timestamp::from_ms(period_start),
    }
}

async fn change(
    store: &SqliteStore,
    environment: EnvironmentId,
    user: UserKey,
    changes: impl IntoIterator<Item = Change>,
) {
    let changes: Vec<_> = changes.into_iter().map(|change| (user, change)).collect();
    let mut writer = store.write().await.unwrap();
    writer.change_facts(environment, &changes).await.unwrap();
    writer.commit().await.unwrap();
}

mod plans {
    //! Every statement finds its rows by an index (design: Must 5 and 6).

    use super::*;

    /// The steps in which the planner runs each of the statements, in their order.
    fn plans(statements: &[(&'static str, &str)]) -> Vec<(&'static str, Vec<String>)> {
        let directory = tempfile::tempdir().unwrap();
        drop(SqliteStore::open(directory.path()).unwrap());
        let connection = raw(directory.path());
        let steps = |sql| {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            // The parameters stay unbound, as they are when the store prepares its statements.
            plan.raw_query().mapped(|row| row.get("detail")).collect::<Result<_, _>>().unwrap()
        };
        statements.iter().map(|(name, sql)| (*name, steps(sql))).collect()
    }

    fn written_out(statements: &[(&'static str, &str)]) -> String {
        let mut text = String::new();
        for (name, steps) in plans(statements) {
            writeln!(text, "{name}").unwrap();
            for step in steps {
                writeln!(text, "    {step}").unwrap();
            }
        }
        text
    }

    /// The app's own tables, by the names under which statements speak of them. The rows of all
    /// others belong to an environment.
    const THE_APPS_OWN: &[&str] = &[
        "app",
        "environments",
        "e",
        "keys",
        "k",
        "counter_log",
        "usage_folding",
        "jobs",
        "j",
        "admins",
        "a",
        "sessions",
        "invitations",
        "sent_forms",
        "i",
        "user_facts_to_gather",
        "replay_settings",
        "replay_log",
        "replay_runs",
        "replay_blocks",
        "replay_filters",
    ];

    /// Tables that grow with the number of users, or with what they do. All others are as large
    /// as the catalog or smaller.
    const GROWING: &[&str] = &[
        "users",
        "u",
        "subscriptions",
        "s",
        "other",
        "counters",
        "event_blocks",
        "changes",
        "audit_log",
        "user_search",
        "user_facts",
        "usage_by_day",
        "usage_totals",
        "limit_crossings",
        "threshold_events",
        "holds",
        "h",
        "user_import_lines",
        "user_import_names",
    ];

    /// What a step may do that is no search.
    fn is_allowed(statement: &str, step: &str) -> bool {
        // Whoever lists the keys asks for all of them, and people make each by hand.
        (statement == "KEYS" && step == "SCAN k")
            // Of people there are few, and whoever lists them asks for all of them.
            || (statement == "ADMINS" && step == "SCAN admins")
            || (["END_OLDEST_SESSIONS", "FORGET_SESSIONS", "FORGET_INVITATIONS", "FORGET_FORMS"].contains(&statement)
                && step == "LIST SUBQUERY 1")
            // The first rows of an import, as many as are asked for.
            || (["FORGET_USER_IMPORT_LINES", "FORGET_USER_IMPORT_NAMES"].contains(&statement)
                && step.starts_with("LIST SUBQUERY "))
            // The session's own.
            || (statement == "SESSION" && step.starts_with("SEARCH s USING"))
            || (statement == "SESSIONS_OF" && step.starts_with("USE TEMP B-TREE FOR"))
            // There are two.
            || (statement == "ENVIRONMENTS" && step == "SCAN environments")
            // What is asked for, handed in as a list.
            || (["SUBSCRIPTIONS_OF", "SUBSCRIBERS_AMONG", "FIND_USERS_BY_KEY", "HAVE_USAGE",
                "ACTIVE_SUBSCRIBERS", "LIVING_HOLDS_OF"]
                .contains(&statement)
                && step.starts_with("SCAN k "))
            // Whoever lists the jobs asks for all of them.
            || (statement == "JOBS"
                && (step == "SCAN j" || step == "USE TEMP B-TREE FOR ORDER BY"))
            // Those that run, which are few.
            || (statement == "END_LEASES" && step == "SCAN jobs USING INDEX jobs_that_run")
            // As many as are mended at once.
            || (statement == "MEND_WAITS" && step == "LIST SUBQUERY 1")
            // What a server left behind, which is bounded.
            || (statement == "COUNTERS_LOGGED" && step == "SCAN counter_log")
            // Whether it has a row.
            || (statement == "RESET_USAGE_FOLDED" && step == "SCAN counter_log")
            // The days that are asked for, handed in as a list.
            || (statement == "USAGE_BY_DAY_OF_FEATURE" && step.starts_with("SCAN d "))
            // One row for each feature.
            || (statement == "USAGE_BY_FEATURE" && step == "USE TEMP B-TREE FOR GROUP BY")
            // As many as are asked for.
            || ((statement.starts_with("FORGET_USAGE_")
                || ["FORGET_LIMIT_CROSSINGS", "FORGET_THRESHOLD_EVENTS", "FORGET_HOLDS"].contains(&statement))
                && step.starts_with("LIST SUBQUERY "))
            // The first rows of an environment, as many as are asked for.
            || (statement == "FORGET_THRESHOLD_EVENTS"
                && step.contains("INDEX threshold_events_by_arrival (environment_id=?)"))
            // So many of the newest as are looked at.
            || (statement == "LIMIT_CROSSINGS"
                && (["CO-ROUTINE c", "SCAN c", "USE TEMP B-TREE FOR ORDER BY"].contains(&step)
                    || step.contains("INDEX limit_crossings_by_time (environment_id=?)")))
            // Its last row, which is at the end of the table.
            || (statement == "LAST_NUMBER_LOGGED" && step == "SEARCH counter_log")
            // The first rows of an environment, as many as are asked for.
            || (statement == "FORGET_CHANGES"
                && (step.contains("SUBQUERY") || step.contains("(subquery-")
                    || step == "SEARCH changes USING INDEX changes_by_number (environment_id=?)"))
            || (statement == "FORGET_AUDIT_LOG"
                && (step == "LIST SUBQUERY 1"
                    || step == "SEARCH audit_log USING INTEGER PRIMARY KEY (rowid=?)"))
            // The log has no index but that of its rows. So many are looked at as the caller says.
            || (step == "SEARCH event_blocks"
                || step.starts_with("SEARCH event_blocks USING INTEGER PRIMARY KEY (rowid"))
            // The first rows of the table, as many as are asked for.
            || (statement == "FIRST_EVENT_BLOCKS" && step == "SCAN event_blocks")
            // The log of idempotency records and the runs, which are few. The server reads them once.
            || (statement == "LOG" && step == "SCAN replay_log")
            || (statement == "EMPTY_LOG" && step == "SCAN replay_log")
            || (statement == "RUNS" && step == "SCAN replay_runs")
            // The new row, which comes from no table.
            || (statement == "LOG_EVENTS" && step == "SCALAR SUBQUERY 2")
            || (statement == "PROVIDE_TOKEN_SECRET" && step == "SCAN CONSTANT ROW")
            // The heading of a subquery, whose own steps follow.
            || step == "SCALAR SUBQUERY 1"
            || (["FACTS", "ACTIVE_SUBSCRIBERS"].contains(&statement)
                && step.starts_with("CORRELATED SCALAR SUBQUERY "))
            // The users whose subscription the clock is asked about.
            || (statement == "ACTIVE_SUBSCRIBERS" && step == "USE TEMP B-TREE FOR count(DISTINCT)")
            // There are two environments.
            || (statement == "USER_FACTS_TO_GATHER" && step == "SCAN user_facts_to_gather")
            // As many as are asked for.
            || (["LAST_USER_TO_GATHER", "GATHER_USER_FACTS"].contains(&statement)
                && (step.contains("SUBQUERY") || step.contains("(subquery-")
                    || step.starts_with("CO-ROUTINE")))
    }

    #[test]
    fn every_statement_finds_its_rows_by_an_index_that_begins_with_their_environment() {
        let all = [statements::ALL, &users::statements(), replays::all_statements()].concat();
        assert!(all.len() > 30);
        for (name, steps) in plans(&all) {
            for step in steps.iter().filter(|step| !is_allowed(name, step)) {
                let search = step.strip_prefix("SEARCH ").and_then(|rest| rest.split_once(' '));
                let Some((table, by)) = search else {
                    panic!("{name}: {step}: neither a search nor allowed");
                };
                assert!(by.starts_with("USING "), "{name}: {step}: without an index");
                if !THE_APPS_OWN.contains(&table) {
                    assert!(by.contains("(environment_id=?"), "{name}: {step}: in no environment");
                }
                // The environment alone is not enough where an environment has many rows.
                // A first page ends at its limit, in the order of the index.
                if GROWING.contains(&table) && !name.starts_with("FIRST_") {
                    assert!(by.contains("=? AND "), "{name}: {step}: the whole environment");
                }
            }
        }
    }

    #[test]
    fn facts_are_found_by_id_or_else_by_the_index_of_what_runs() {
        let facts = [("FACTS_BY_ID", statements::FACTS_BY_ID), ("FACTS", statements::FACTS)];
        insta::assert_snapshot!(written_out(&facts), @r"
        FACTS_BY_ID
            SEARCH user_facts USING PRIMARY KEY (environment_id=? AND user_id=?)
        FACTS
            SEARCH u USING COVERING INDEX users_by_id (environment_id=? AND id=?)
            SEARCH s USING COVERING INDEX subscriptions_that_run (environment_id=? AND user_key=?) LEFT-JOIN
            CORRELATED SCALAR SUBQUERY 1
            SEARCH o USING PRIMARY KEY (environment_id=? AND user_key=?)
            CORRELATED SCALAR SUBQUERY 2
            SEARCH g USING COVERING INDEX sqlite_autoindex_grants_2 (environment_id=? AND user_key=?)
            CORRELATED SCALAR SUBQUERY 3
            SEARCH h USING INDEX holds_that_may_live (environment_id=? AND user_key=?)
        ");
    }

    #[test]
    fn whom_a_change_touches_stands_in_an_index() {
        let of_publishing = [
            ("ACTIVE_SUBSCRIBERS", statements::ACTIVE_SUBSCRIBERS),
            ("HAVE_USAGE", statements::HAVE_USAGE),
            ("SUBSCRIBERS_AFTER", statements::SUBSCRIBERS_AFTER),
            ("SUBSCRIBERS_AMONG", statements::SUBSCRIBERS_AMONG),
        ];
        insta::assert_snapshot!(written_out(&of_publishing), @r"
        ACTIVE_SUBSCRIBERS
            SCAN k VIRTUAL TABLE INDEX 1:
            CORRELATED SCALAR SUBQUERY 1
            SEARCH p USING PRIMARY KEY (environment_id=? AND package_id=?)
            CORRELATED SCALAR SUBQUERY 3
            USE TEMP B-TREE FOR count(DISTINCT)
            SEARCH s USING COVERING INDEX subscriptions_by_clock (environment_id=? AND package_id=? AND <expr>>?)
            CORRELATED SCALAR SUBQUERY 2
            SEARCH other USING COVERING INDEX subscriptions_by_package (environment_id=? AND package_id=? AND user_key=? AND status=? AND ended_at=?)
        HAVE_USAGE
            SCAN k VIRTUAL TABLE INDEX 1:
            SEARCH f USING PRIMARY KEY (environment_id=? AND feature_id=?)
        SUBSCRIBERS_AFTER
            SEARCH subscriptions USING COVERING INDEX subscriptions_by_package (environment_id=? AND package_id=? AND user_key>?)
        SUBSCRIBERS_AMONG
            SCAN k VIRTUAL TABLE INDEX 1:
            SEARCH s USING COVERING INDEX subscriptions_by_package (environment_id=? AND package_id=? AND user_key=? AND status=? AND ended_at=?)
        ");
    }

    #[test]
    fn hot_statements_go_straight_to_their_rows() {
        let hot = [
            ("COUNTER", statements::COUNTER),
            ("COUNTER_SERIES", statements::COUNTER_SERIES),
            ("SUBSCRIPTION", statements::SUBSCRIPTION),
            ("ENDED_SUBSCRIPTIONS", statements::ENDED_SUBSCRIPTIONS),
            ("OVERRIDES_OF", statements::OVERRIDES_OF),
            ("GRANTS_OF", statements::GRANTS_OF),
            ("SET_DRAWN", statements::SET_DRAWN),
            ("LIVING_HOLDS_OF", statements::LIVING_HOLDS_OF),
            ("SOME_HOLD_LIVES", statements::SOME_HOLD_LIVES),
            ("HOLD", statements::HOLD),
            ("PUT_HOLD", statements::PUT_HOLD),
            ("CANCEL_SUBSCRIPTION", statements::CANCEL_SUBSCRIPTION),
            ("SET_QUANTITIES", statements::SET_QUANTITIES),
            ("LAST_NUMBER_LOGGED", statements::LAST_NUMBER_LOGGED),
            // Whoever only inserts searches for nothing.
            ("LOG_COUNTERS", statements::LOG_COUNTERS),
            ("SET_COUNTER", statements::SET_COUNTER),
            ("LOG_EVENTS", statements::LOG_EVENTS),
        ];
        insta::assert_snapshot!(written_out(&hot), @r"
        COUNTER
            SEARCH counters USING PRIMARY KEY (environment_id=? AND user_key=? AND subscription_id=? AND feature_id=? AND terms=? AND period_start=?)
        COUNTER_SERIES
            SEARCH counters USING PRIMARY KEY (environment_id=? AND user_key=? AND subscription_id=? AND feature_id=? AND terms=? AND period_start>? AND period_start<?)
        SUBSCRIPTION
            SEARCH s USING INDEX subscriptions_by_id (environment_id=? AND id=?)
            SEARCH u USING PRIMARY KEY (environment_id=? AND key=?)
        ENDED_SUBSCRIPTIONS
            SEARCH subscriptions USING PRIMARY KEY (environment_id=? AND user_key=?)
        OVERRIDES_OF
            SEARCH overrides USING PRIMARY KEY (environment_id=? AND user_key=?)
        GRANTS_OF
            SEARCH grants USING PRIMARY KEY (environment_id=? AND user_key=?)
        SET_DRAWN
            SEARCH grants USING PRIMARY KEY (environment_id=? AND user_key=? AND key=?)
        LIVING_HOLDS_OF
            SCAN k VIRTUAL TABLE INDEX 1:
            SEARCH h USING INDEX holds_by_balance (environment_id=? AND user_key=? AND balance_id=? AND expires_at>?)
        SOME_HOLD_LIVES
            SEARCH holds USING INDEX holds_that_may_live (environment_id=? AND user_key=? AND expires_at>?)
        HOLD
            SEARCH holds USING PRIMARY KEY (environment_id=? AND user_key=? AND id=?)
        PUT_HOLD
        CANCEL_SUBSCRIPTION
            SEARCH subscriptions USING COVERING INDEX subscriptions_by_id (environment_id=? AND id=?)
        SET_QUANTITIES
            SEARCH subscriptions USING COVERING INDEX subscriptions_by_id (environment_id=? AND id=?)
        LAST_NUMBER_LOGGED
            SEARCH counter_log USING INTEGER PRIMARY KEY (rowid=?)
            SCALAR SUBQUERY 1
            SEARCH counter_log
        LOG_COUNTERS
        SET_COUNTER
        LOG_EVENTS
            SCALAR SUBQUERY 2
            SEARCH event_blocks USING INTEGER PRIMARY KEY (rowid=?)
            SCALAR SUBQUERY 1
            SEARCH event_blocks
        ");
    }

    /// How many steps SQLite's machine takes to run a query to its end: a measure of work that is
    /// the same on every computer.
    fn work(directory: &Path, sql: &str, parameters: impl rusqlite::Params) -> i32 {
        let connection = raw(directory);
        let mut statement = connection.prepare(sql).unwrap();
        let mut rows = statement.query(parameters).unwrap();
        while rows.next().unwrap().is_some() {}
        drop(rows);
        statement.get_status(StatementStatus::VmStep)
    }

    #[tokio::test]
    async fn reading_facts_costs_the_same_however_many_subscriptions_have_ended() {
        let (store, environment, directory) = store_with_app().await;
        change(&store, environment, user_key(1), [create_user(1), subscribe(1, None)]).await;
        let facts = || work(directory.path(), statements::FACTS, (environment.0, "1"));
        let before = facts();

        let ended = (2..1_000).map(|n| subscribe(n, Some(NOW)));
        change(&store, environment, user_key(1), ended).await;

        assert_eq!(facts(), before);
    }

    #[tokio::test]
    async fn no_hold_on_another_balance_is_read() {
        let (store, environment, directory) = store_with_app().await;
        let hold = |n: u64, balance: &str| {
            let feature = FeatureId::new("featureId", balance).unwrap();
            Change::PutHold(Hold {
                id: HoldId::new("id", &format!("{n}")).unwrap(),
                feature: feature.clone(),
                amount: 1,
                cost: Cost::ONE,
                counter: CounterKey { feature, ..counter(1, 0) },
                created_at: NOW,
                expires_at: Timestamp::MAX,
                ended: None,
            })
        };
        // Some on balances that stand before and after the one that is asked for.
        let some = [hold(1, "a"), hold(2, "calls"), hold(3, "z")];
        change(&store, environment, user_key(1), [create_user(1)].into_iter().chain(some)).await;
        let names: Rc<Vec<Value>> = Rc::new(vec![Value::Text("calls".to_owned())]);
        let costs = || {
            let user = Uuid::from_u128(1);
            let asked = (environment.0, user, Rc::clone(&names), 0);
            [
                work(directory.path(), statements::LIVING_HOLDS_OF, asked),
                work(directory.path(), statements::SOME_HOLD_LIVES, (environment.0, user, 0)),
            ]
        };
        let before = costs();

        let others = (4..204).map(|n| hold(n, if n % 2 == 0 { "a" } else { "z" }));
        change(&store, environment, user_key(1), others).await;

        assert_eq!(costs(), before);
    }

    #[tokio::test]
    async fn counting_subscribers_costs_the_same_however_many_have_ended_by_the_clock() {
        let (store, environment, directory) = store_with_app().await;
        let ending = |n, ms| match subscribe(n, None) {
            Change::AddSubscription(one) => {
                let end = Some(Timestamp::from_ms(ms));
                Change::AddSubscription(Subscription {
                    timing: Timing { end, ..Timing::NONE },
                    ..one
                })
            }
            _ => unreachable!(),
        };
        let one = [create_user(1), subscribe(1, None), ending(2, 2_000)];
        change(&store, environment, user_key(1), one).await;
        change(&store, environment, user_key(2), [create_user(2), ending(3, 2_000)]).await;
        // One has ended before: to begin at the first row of a package takes another step.
        change(&store, environment, user_key(4), [create_user(4), ending(4, 1_000)]).await;
        let pro: Rc<Vec<Value>> = Rc::new(vec![Value::Text("pro".to_owned())]);
        let count = || {
            let asked = (environment.0, Rc::clone(&pro), 1_000);
            work(directory.path(), statements::ACTIVE_SUBSCRIBERS, asked)
        };
        let before = count();

        let of_user = |n| [create_user(n), ending(n, 1_000)].map(|change| (user_key(n), change));
        let ended: Vec<_> = (5..1_000).flat_map(of_user).collect();
        let mut writer = store.write().await.unwrap();
        writer.change_facts(environment, &ended).await.unwrap();
        writer.commit().await.unwrap();

        assert_eq!(count(), before);
        let mut reader = store.read().await.unwrap();
        let asked = [PackageId::new("packageId", "pro").unwrap()];
        for (ms, expected) in [(999, 998), (1_000, 2), (1_999, 2), (2_000, 1)] {
            let now = Timestamp::from_ms(ms);
            let counted = reader.active_subscribers(environment, &asked, now).await.unwrap();
            assert_eq!(counted, [expected], "{ms}");
        }
    }

    #[tokio::test]
    async fn a_question_costs_the_same_however_many_users_and_periods_there_are() {
        let (store, environment, directory) = store_with_app().await;
        let set = |n, period| Change::SetCounter { counter: counter(n, period), value: 1.into() };
        let use_it = async |n| {
            let changes = [create_user(n), subscribe(n, None), set(n, 0)];
            change(&store, environment, user_key(n), changes).await;
        };
        // The question is about the second of three: to stop at the end of a table is a step less.
        for n in 1..=3 {
            use_it(n).await;
        }
        let work = || {
            let second = Uuid::from_u128(2);
            let counter = (environment.0, second, second, "api-calls", 0, 0);
            [
                work(directory.path(), statements::FACTS_BY_ID, (environment.0, "2")),
                work(directory.path(), statements::FACTS, (environment.0, "2")),
                work(directory.path(), statements::COUNTER, counter),
                work(directory.path(), statements::SUBSCRIPTION, (environment.0, second)),
                work(directory.path(), statements::ENDED_SUBSCRIPTIONS, (environment.0, second)),
            ]
        };
        let before = work();

        for n in 4..300 {
            use_it(n).await;
        }
        change(&store, environment, user_key(2), (1..1_000).map(|period| set(2, period))).await;

        assert_eq!(work(), before);
    }
}

mod connections {
    //! What is asked of SQLite is in force.

    use super::*;

    fn pragma(connection: &Connection, pragma: &'static str) -> String {
        let mut statement = connection.statement(pragma).unwrap();
        let value: rusqlite::types::Value = statement.query_row([], |row| row.get(0)).unwrap();
        match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{pragma}: {other:?}"),
        }
    }

    #[tokio::test]
    async fn every_commit_of_the_writer_is_durable() {
        let directory = tempfile::tempdir().unwrap();
        // Again on the second opening: the log's mode stays with the file, the rest does not.
        for _ in 0..2 {
            let store = SqliteStore::open(directory.path()).unwrap();
            let writer = &store.writer.lock().await.connection;
            assert_eq!(pragma(writer, "PRAGMA journal_mode"), "wal");
            // 2 is FULL.
            assert_eq!(pragma(writer, "PRAGMA synchronous"), "2");
            assert_eq!(pragma(writer, "PRAGMA foreign_keys"), "1");
            assert_eq!(pragma(writer, "PRAGMA query_only"), "0");
            assert_ne!(pragma(writer, "PRAGMA busy_timeout"), "0");
        }
    }

    #[tokio::test]
    async fn readers_only_read() {
        let (store, environment, _directory) = store_with_app().await;
        change(&store, environment, user_key(1), [create_user(1)]).await;

        let reader = store.pool.take().unwrap();
        assert_eq!(pragma(&reader, "PRAGMA query_only"), "1");
        assert_eq!(pragma(&reader, "PRAGMA journal_mode"), "wal");
        assert_ne!(pragma(&reader, "PRAGMA busy_timeout"), "0");
        for write in [
            "DELETE FROM users",
            "UPDATE environments SET catalog_version = 7",
            "INSERT INTO app (id, name, created_at) VALUES (1, 'x', 0)",
            "DROP TABLE event_blocks",
        ] {
            let refused = reader.run(write).unwrap_err();
            assert_eq!(
                refused.sqlite_error_code(),
                Some(rusqlite::ErrorCode::ReadOnly),
                "{write}: {refused}"
            );
        }

        let user = store.read().await.unwrap().users(environment, &[user_id("1")]).await.unwrap();
        assert!(user[0].is_some());
    }

    #[tokio::test]
    async fn a_reader_goes_back_to_the_pool_without_its_transaction() {
        let (store, environment, _directory) = store_with_app().await;
        let idle = || store.pool.idle_readers();
        assert_eq!(idle(), 1);

        let mut reader = store.read().await.unwrap();
        reader.catalog(environment).await.unwrap();
        assert_eq!(idle(), 0);
        drop(reader);

        assert_eq!(idle(), 1);
        assert!(!store.pool.take().unwrap().in_transaction());
    }

    #[tokio::test]
    async fn no_more_readers_stay_open_than_the_pool_may_keep() {
        let (store, _environment, _directory) = store_with_app().await;
        let mut readers = Vec::new();
        for _ in 0..16 + 5 {
            readers.push(store.read().await.unwrap());
        }
        drop(readers);

        assert_eq!(store.pool.idle_readers(), 16);
    }

    /// Facts of the user 1, and how many SQL statements it took to get them.
    async fn running(store: &SqliteStore, environment: EnvironmentId) -> (usize, u64) {
        let before = store.statements_run();
        let mut reader = store.read().await.unwrap();
        let facts = reader.facts(environment, &[user_id("1")]).await.unwrap();
        drop(reader);
        let running = facts.users[0].as_ref().map_or(0, |user| user.subscriptions().len());
        (running, store.statements_run() - before)
    }

    #[tokio::test]
    async fn a_servers_reader_keeps_its_view_until_the_server_commits() {
        let (shared, environment, directory) = store_with_app().await;
        let store = SqliteStore::open_for_server(directory.path()).unwrap();
        change(&store, environment, user_key(1), [create_user(1)]).await;
        assert_eq!(
            running(&store, environment).await,
            (0, ["BEGIN", "last number", "catalog version", "facts"].len() as u64)
        );
        assert_eq!(running(&store, environment).await, (0, ["facts"].len() as u64));
        assert_eq!(store.pool.open_views(), 1);

        change(&store, environment, user_key(1), [subscribe(1, None)]).await;
        // An idle reader must not keep the log from being cut back.
        assert_eq!(store.pool.open_views(), 0);
        assert_eq!(
            running(&store, environment).await,
            (1, ["BEGIN", "last number", "catalog version", "facts"].len() as u64)
        );

        // A tool beside the server changes keys, which are looked up past any view.
        assert_eq!(store.pool.open_views(), 1);
        let key = shared.find_key(hash(EnvironmentKind::Test)).await.unwrap().unwrap();
        let mut transaction = shared.write().await.unwrap();
        transaction.revoke_key(key.id, NOW).await.unwrap();
        transaction.commit().await.unwrap();
        let seen = store.find_key(hash(EnvironmentKind::Test)).await.unwrap().unwrap();
        assert_eq!(seen.revoked_at, Some(NOW));
    }

    #[tokio::test]
    async fn a_view_that_was_open_while_the_server_committed_serves_nobody_else() {
        let (shared, environment, directory) = store_with_app().await;
        drop(shared);
        let store = SqliteStore::open_for_server(directory.path()).unwrap();
        change(&store, environment, user_key(1), [create_user(1)]).await;
        let mut open = store.read().await.unwrap();
        assert_eq!(
            open.facts(environment, &[user_id("1")]).await.unwrap().users[0]
                .as_ref()
                .unwrap()
                .subscriptions(),
            []
        );
        change(&store, environment, user_key(1), [subscribe(1, None)]).await;
        drop(open);
        assert_eq!(store.pool.open_views(), 0);
        assert_eq!(running(&store, environment).await.0, 1);
    }

    #[tokio::test]
    async fn the_log_is_cut_back_though_the_writer_never_pauses() {
        let (shared, environment, directory) = store_with_app().await;
        drop(shared);
        let store = SqliteStore::open_for_server(directory.path()).unwrap();
        let log = directory.path().join("kana.db-wal");
        let log_bytes = || fs::metadata(&log).map_or(0, |file| file.len());
        change(&store, environment, user_key(1), [create_user(1), subscribe(1, None)]).await;
        let mut largest = 0;
        // Pages of counters that lie far apart, so that each change writes one to the log.
        for round in 0..40 {
            let sets = (0..10_000).map(|n| Change::SetCounter {
                counter: counter((n * 7_919) % 10_000, i64::from(round % 4)),
                value: i64::from(round).into(),
            });
            change(&store, environment, user_key(1), sets).await;
            // A reader that came and went keeps nothing.
            drop(store.read().await.unwrap());
            largest = largest.max(log_bytes());
        }
        drop(store);
        // Forty rounds of what one round writes would be far more.
        let one_round = 10_000 * 200;
        assert!(largest < 20 * one_round, "{largest} bytes");
        assert_eq!(log_bytes(), 0, "whoever closes the database leaves no log");
    }

    #[tokio::test]
    async fn other_stores_on_a_directory_see_each_others_commits() {
        let (one, environment, directory) = store_with_app().await;
        let other = SqliteStore::open(directory.path()).unwrap();
        change(&one, environment, user_key(1), [create_user(1)]).await;
        assert_eq!(running(&other, environment).await.0, 0);
        change(&one, environment, user_key(1), [subscribe(1, None)]).await;
        assert_eq!(running(&other, environment).await.0, 1);
    }

    #[tokio::test]
    async fn a_statement_is_compiled_once_whatever_is_bound_to_it() {
        let (store, environment, _directory) = store_with_app().await;
        for n in 1..=3 {
            change(&store, environment, user_key(n), [create_user(n), subscribe(n, None)]).await;
        }
        let reader = store.pool.take().unwrap();
        for n in 1..=3 {
            facts::facts(&reader, environment, &user_id(&n.to_string())).unwrap();
            let statement = reader.statement(statements::FACTS).unwrap();
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "run {n}");
        }
    }

    #[tokio::test]
    async fn every_statement_is_counted() {
        let (store, environment, _directory) = store_with_app().await;
        change(&store, environment, user_key(1), [create_user(1), subscribe(1, None)]).await;
        let set = |used: i64| Change::SetCounter { counter: counter(1, 0), value: used.into() };
        // The first use of a feature is noted.
        change(&store, environment, user_key(1), [set(1)]).await;
        let mut counted = store.statements_run();
        let mut since_last = || {
            let before = std::mem::replace(&mut counted, store.statements_run());
            counted - before
        };

        store.find_key(hash(EnvironmentKind::Test)).await.unwrap();
        assert_eq!(since_last(), 1);

        // One to begin, one for the facts, one for the catalog version, one to end.
        let mut reader = store.read().await.unwrap();
        reader.facts(environment, &[user_id("1")]).await.unwrap();
        drop(reader);
        assert_eq!(since_last(), 4);

        // One to begin, one for the log of counters, one a change, one to end.
        change(&store, environment, user_key(1), [set(1), set(2)]).await;
        assert_eq!(since_last(), 5);

        drop(store.write().await.unwrap());
        assert_eq!(since_last(), 2);
    }
}

mod migrations_and_files {
    //! The data directory and what is in it.

    use super::*;

    /// As many as there are files.
    fn newest_version() -> usize {
        let files = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sqlite/migrations");
        fs::read_dir(files).unwrap().count()
    }

    fn user_version(connection: &rusqlite::Connection) -> usize {
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        usize::try_from(version).unwrap()
    }

    /// Grows whenever a table or an index is made.
    fn changes_of_schema(connection: &rusqlite::Connection) -> i64 {
        connection.query_row("PRAGMA schema_version", [], |row| row.get(0)).unwrap()
    }

    #[tokio::test]
    async fn a_database_is_migrated_once() {
        let (store, environment, directory) = store_with_app().await;
        change(&store, environment, user_key(1), [create_user(1)]).await;
        drop(store);
        let before = changes_of_schema(&raw(directory.path()));

        let store = SqliteStore::open(directory.path()).unwrap();
        let again = SqliteStore::open(directory.path()).unwrap();

        let raw = raw(directory.path());
        assert_eq!(user_version(&raw), newest_version());
        assert_eq!(changes_of_schema(&raw), before);
        for store in [store, again] {
            let mut reader = store.read().await.unwrap();
            assert!(reader.users(environment, &[user_id("1")]).await.unwrap()[0].is_some());
        }
    }

    #[test]
    fn what_was_used_before_pricing_as_code_is_known_after() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for earlier in [
            include_str!("migrations/0001_foundation.sql"),
            include_str!("migrations/0002_client_api_and_lists.sql"),
            include_str!("migrations/0003_hot_paths.sql"),
            "INSERT INTO counters VALUES (1, x'01', x'02', 'counted', 0, 1),
                                         (1, x'02', x'02', 'counted', 0, 1);
             INSERT INTO events (environment_id, user_key, feature_id, action, delta, occurred_at,
                                 recorded_at)
             VALUES (2, x'01', 'uncounted', 'ADD', 1, 0, 0)",
            include_str!("migrations/0005_pricing_as_code.sql"),
        ] {
            connection.execute_batch(earlier).unwrap();
        }
        let mut known = connection.prepare("SELECT * FROM features_with_usage").unwrap();
        let known: Vec<(i64, String)> = known
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(known, [(1, "counted".to_owned()), (2, "uncounted".to_owned())]);
    }

    #[tokio::test]
    async fn counters_of_before_other_terms_are_of_the_first_terms_also_those_in_the_log() {
        let (store, environment, directory) = store_with_app().await;
        change(&store, environment, user_key(1), [create_user(1), subscribe(1, None)]).await;
        drop(store);
        let old = raw(directory.path());
        drop_user_facts(&old);
        old.execute_batch(
            "DROP VIEW current_counters; DROP VIEW current_usage_by_day; DROP VIEW events;
             DROP VIEW replays; DROP TABLE event_blocks; DROP TABLE replay_settings;
             DROP TABLE replay_log; DROP TABLE replay_runs; DROP TABLE replay_blocks;
             DROP TABLE replay_filters; DROP TABLE counters; DROP TABLE counter_log;
             DROP TABLE package_feature_terms; DROP TABLE change_heads; DROP TABLE changes;
             DROP TABLE audit_log; DROP TABLE jobs; DROP TABLE user_search; DROP TABLE sessions;
             DROP TABLE invitations; DROP TABLE admins; DROP TABLE user_imports;
             DROP TABLE user_import_lines; DROP TABLE user_import_names;
             DROP INDEX users_by_email; ALTER TABLE keys DROP COLUMN name;
             ALTER TABLE keys DROP COLUMN created_by; ALTER TABLE keys DROP COLUMN last_used_at;
             ALTER TABLE keys DROP COLUMN expires_at;
             DROP TABLE usage_by_day; DROP TABLE usage_totals; DROP TABLE usage_folding;
             DROP TABLE usage_since; DROP TABLE limit_crossings;
             DROP TRIGGER subscriber_added; DROP TRIGGER subscriber_changed_to;
             DROP TRIGGER subscriber_changed_from; DROP TRIGGER subscriber_deleted;
             DROP TABLE package_subscribers; DROP TABLE sent_forms; DROP TABLE overrides;
             DROP TABLE grants;
             DROP INDEX subscriptions_that_run;
             ALTER TABLE subscriptions DROP COLUMN quantities;
             CREATE INDEX subscriptions_that_run ON subscriptions (environment_id, user_key);
             DROP TABLE threshold_events; ALTER TABLE features DROP COLUMN thresholds;
             ALTER TABLE features DROP COLUMN draws_on; ALTER TABLE features DROP COLUMN cost;
             PRAGMA user_version = 5;",
        )
        .unwrap();
        let foundation = include_str!("migrations/0001_foundation.sql");
        for table in ["counters ", "events ", "replays "] {
            let sql = foundation.split("CREATE TABLE ").find(|sql| sql.starts_with(table));
            let (sql, _) = sql.unwrap().split_once(';').unwrap();
            old.execute_batch(&format!("CREATE TABLE {sql}")).unwrap();
        }
        old.execute_batch("CREATE INDEX replays_by_age ON replays (environment_id, kept_at)")
            .unwrap();
        old.execute_batch(include_str!("migrations/0004_recent_counters.sql")).unwrap();
        let [user, one, two] = [1, 1, 2].map(Uuid::from_u128);
        for (subscription, period, used) in [(one, 0, 3), (one, 5, 4), (two, 0, 5)] {
            let row = (environment.0, user, subscription, "api-calls", period, used);
            old.execute("INSERT INTO counters VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row).unwrap();
        }
        // The log takes precedence over the table.
        let logged = serde_json::to_string(&[(user, one, "api-calls", 5, 40)]).unwrap();
        let row = (environment.0, logged);
        let log = "INSERT INTO counter_log (number, environment_id, counters) VALUES (1, ?1, ?2)";
        old.execute(log, row).unwrap();
        drop(old);

        let store = SqliteStore::open_for_server(directory.path()).unwrap();
        let asked = [counter(1, 0), counter(1, 5), counter(2, 0), counter(2, 5)];
        let asked = asked.map(|counter| (user_key(1), counter));
        let mut reader = store.read().await.unwrap();
        let held = [Some(3.into()), Some(40.into()), Some(5.into()), None];
        assert_eq!(reader.counters(environment, &asked).await.unwrap(), held);
    }

    #[tokio::test]
    async fn a_database_in_which_usage_was_recorded_before_knows_since_when_it_counts_by_day() {
        let (store, test, directory) = store_with_app().await;
        let live = store.find_key(hash(EnvironmentKind::Live)).await.unwrap().unwrap().environment;
        drop(store);
        let old = raw(directory.path());
        let migration = include_str!("migrations/0012_usage_by_day.sql");
        let (_, since) = migration.split_once("INSERT INTO usage_since").unwrap();
        old.execute("INSERT INTO features_with_usage VALUES (?1, 'api-calls')", [live.0]).unwrap();
        old.execute_batch(&format!("INSERT INTO usage_since {since}")).unwrap();
        let today: i64 = old.query_row("SELECT unixepoch() / 86400", [], |row| row.get(0)).unwrap();
        let store = SqliteStore::open_for_server(directory.path()).unwrap();
        assert_eq!(store.usage_since(test).await.unwrap(), None);
        let since = store.usage_since(live).await.unwrap().unwrap();
        assert!((today..=today + 2).contains(&since.number()), "{today} {since}");
    }

    #[test]
    fn users_of_before_the_search_are_found_after() {
        let directory = tempfile::tempdir().unwrap();
        let version = SQLITE.iter().position(|sql| *sql == SQLITE_USER_SEARCH).unwrap();
        let old = raw(directory.path());
        old.execute_batch(&SQLITE[..version].concat()).unwrap();
        old.execute_batch(&format!(
            "PRAGMA user_version = {version};
             INSERT INTO users VALUES
                (1, x'02', 'One', 'ONE \"1\"', 'Straße', '', NULL),
                (1, x'01', 'two', NULL, NULL, NULL, '{{}}'),
                (2, x'02', 'One', NULL, 'one', NULL, NULL)"
        ))
        .unwrap();
        drop(old);

        drop(SqliteStore::open(directory.path()).unwrap());
        let new = raw(directory.path());
        let rows = "SELECT environment_id, shared, text, hex(user_key) FROM user_search";
        let mut rows = new.prepare(rows).unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            let [environment, shared] = [row.get(0)?, row.get(1)?];
            Ok((environment, shared, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
        };
        let rows: Vec<(i64, i64, String, String)> =
            rows.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap();
        let expected = [
            (1, 0, "one", "02"),
            (1, 0, "strasse", "02"),
            (1, 0, "two", "01"),
            (1, 3, "one \"1\"", "02"),
            (2, 0, "one", "02"),
        ];
        assert_eq!(rows, expected.map(|(e, s, text, key)| (e, s, text.into(), key.into())));
    }

    #[test]
    fn many_can_open_a_new_directory_at_once() {
        // Several times, since who meets whom where is left to chance.
        for _ in 0..10 {
            let directory = tempfile::tempdir().unwrap();
            let start = Barrier::new(8);
            let opened: Vec<_> = std::thread::scope(|scope| {
                let openers: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            start.wait();
                            SqliteStore::open(directory.path()).map(drop)
                        })
                    })
                    .collect();
                openers.into_iter().map(|opener| opener.join().unwrap()).collect()
            });
            for result in opened {
                result.unwrap();
            }
            assert_eq!(user_version(&raw(directory.path())), newest_version());
        }
    }

    #[test]
    fn many_can_open_a_database_that_exists_at_once() {
        let directory = tempfile::tempdir().unwrap();
        drop(SqliteStore::open(directory.path()).unwrap());
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    drop(SqliteStore::open(directory.path()).unwrap());
                });
            }
        });
        assert_eq!(user_version(&raw(directory.path())), newest_version());
    }

    #[tokio::test]
    async fn a_database_of_a_newer_release_is_refused_and_left_alone() {
        let (store, _environment, directory) = store_with_app().await;
        drop(store);
        let newer = newest_version() + 1;
        raw(directory.path())
            .pragma_update(None, "user_version", i64::try_from(newer).unwrap())
            .unwrap();

        let refused = SqliteStore::open(directory.path()).err().unwrap();

        let message = refused.to_string();
        let StoreError::NewerSchema { found, known } = refused else { panic!("{message}") };
        assert_eq!((found, known), (newer, newest_version()));
        assert!(message.contains(&format!("schema version {newer}")), "{message}");
        assert!(message.contains("run the release that migrated it, or a newer one"), "{message}");
        assert_eq!(user_version(&raw(directory.path())), newer);
    }

    #[test]
    fn one_server_at_a_time_holds_a_data_directory() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let held = SqliteStore::open_for_server(&data).unwrap();

        let refused = SqliteStore::open_for_server(&data).err().unwrap();
        let message = refused.to_string();
        assert!(
            matches!(&refused, StoreError::DataDirInUse { path } if *path == data),
            "{message}"
        );
        assert!(message.contains(data.to_str().unwrap()), "{message}");
        assert!(message.contains("--data-dir"), "{message}");
        // A tool works beside the server.
        SqliteStore::open(&data).unwrap();
        // And another directory is another server's.
        SqliteStore::open_for_server(&directory.path().join("other")).unwrap();

        drop(held);
        SqliteStore::open_for_server(&data).unwrap();
    }

    #[test]
    fn a_data_directory_that_is_a_file_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "not a directory").unwrap();

        for data_dir in [file.clone(), file.join("below")] {
            let refusals = [SqliteStore::open(&data_dir), SqliteStore::open_for_server(&data_dir)];
            for refused in refusals.map(Result::err) {
                let refused = refused.unwrap();
                let message = refused.to_string();
                assert!(
                    matches!(&refused, StoreError::DataDir { path, .. } if *path == data_dir),
                    "{message}"
                );
                assert!(message.contains(data_dir.to_str().unwrap()), "{message}");
            }
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "not a directory");
    }

    #[cfg(unix)]
    #[test]
    fn a_data_directory_is_made_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let opened = directory.path().join("deep/down/opened");
        let locked = directory.path().join("locked");
        drop(SqliteStore::open(&opened).unwrap());
        drop(SqliteStore::open_for_server(&locked).unwrap());

        for data_dir in [opened, locked] {
            let mode = fs::metadata(&data_dir).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", data_dir.display());
        }
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kana.db");
        let garbage = "no database at all. ".repeat(1_000);
        fs::write(&file, &garbage).unwrap();

        let refused = SqliteStore::open(directory.path()).err().unwrap();

        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused:?}");
        let message = refused.to_string();
        assert!(message.contains("not a database"), "{message}");
        assert!(message.contains(file.to_str().unwrap()), "{message}");
        assert_eq!(fs::read_to_string(&file).unwrap(), garbage);
    }

    /// A database with a few hundred users, closed, so that its log is empty.
    async fn database_of_many_pages() -> (TempDir, EnvironmentId) {
        let (store, environment, directory) = store_with_app().await;
        for n in 1..=500 {
            change(&store, environment, user_key(n), [create_user(n), subscribe(n, None)]).await;
        }
        drop(store);
        (directory, environment)
    }

    /// Opens what is in the directory and asks for everything; whether all of it was answered.
    async fn everything_answers(directory: &Path, environment: EnvironmentId) -> bool {
        let ask = async {
            let store = SqliteStore::open(directory)?;
            store.app().await?;
            store.keys().await?;
            crate::jobs::JobStore::jobs(&store, 10).await?;
            store.changes(environment, &ChangesQuery { limit: 1, ..Default::default() }).await?;
            store.audit_log(environment, &AuditQuery { limit: 1, ..Default::default() }).await?;
            let mut reader = store.read().await?;
            reader.catalog(environment).await?;
            let ids: Vec<_> = (1..=500).map(|n: u32| user_id(&n.to_string())).collect();
            let users = reader.users(environment, &ids).await?;
            let facts = reader.facts(environment, &ids).await?;
            let keys: Vec<_> = facts.users.iter().flatten().map(|user| user.key).collect();
            let subscriptions = reader.subscriptions_of(environment, &keys).await?;
            let complete = users.iter().all(Option::is_some)
                && subscriptions.iter().all(|subscriptions| subscriptions.len() == 1)
                && facts.users.iter().flatten().all(|user| user.subscriptions().len() == 1);
            Ok::<_, StoreError>(complete)
        };
        ask.await.unwrap_or(false)
    }

    #[tokio::test]
    async fn a_torn_database_gives_errors_and_no_panic() {
        let (whole, environment) = database_of_many_pages().await;
        assert!(everything_answers(whole.path(), environment).await);
        let bytes = fs::read(whole.path().join("kana.db")).unwrap();

        for part in [100, 512, 4_096, 5_000, bytes.len() / 2, bytes.len() - 4_096] {
            let torn = tempfile::tempdir().unwrap();
            fs::write(torn.path().join("kana.db"), &bytes[..part]).unwrap();
            assert!(!everything_answers(torn.path(), environment).await, "cut at {part}");
        }
    }

    #[tokio::test]
    async fn a_database_with_garbage_in_it_gives_errors_and_no_panic() {
        let (whole, environment) = database_of_many_pages().await;
        let bytes = fs::read(whole.path().join("kana.db")).unwrap();

        // Everything but the header, page by page; what is lost may also be a page that no
        // question needs.
        let mut unharmed = 0;
        let pages = bytes.len() / 4_096;
        for page in 1..pages {
            let mut damaged = bytes.clone();
            damaged[page * 4_096..][..4_096].fill(0x5A);
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("kana.db"), damaged).unwrap();
            unharmed += usize::from(everything_answers(directory.path(), environment).await);
        }
        assert!(unharmed < pages * 2 / 3, "{unharmed} of {pages} pages");
    }

    #[tokio::test]
    async fn what_was_committed_survives_a_server_that_was_killed() {
        let (store, environment, directory) = store_with_app().await;
        change(&store, environment, user_key(1), [create_user(1)]).await;
        let mut writer = store.write().await.unwrap();
        writer.change_facts(environment, &[(user_key(2), create_user(2))]).await.unwrap();

        // What is on the disk while the server still runs is what `kill -9` leaves behind. The
        // log's end may be torn besides, by a write that was under way.
        for torn_end in [&b""[..], &[0x5A; 24], &[0x5A; 3_000], &[0x5A; 9_000]] {
            let left = tempfile::tempdir().unwrap();
            for name in ["kana.db", "kana.db-wal"] {
                fs::copy(directory.path().join(name), left.path().join(name)).unwrap();
            }
            let log = left.path().join("kana.db-wal");
            let mut bytes = fs::read(&log).unwrap();
            assert!(!bytes.is_empty());
            bytes.extend_from_slice(torn_end);
            fs::write(&log, bytes).unwrap();

            let restarted = SqliteStore::open(left.path()).unwrap();
            let ids = ["1", "2"].map(user_id);
            let users = restarted.read().await.unwrap().users(environment, &ids).await.unwrap();
            assert!(users[0].is_some());
            assert_eq!(users[1], None);
            // And it goes on from there.
            change(&restarted, environment, user_key(2), [create_user(2)]).await;
        }
        drop(writer);
    }
}

mod columns {
    //! What stands in the tables, where no method of the traits tells.

    use super::*;

    type EventRow =
        (i64, Uuid, String, String, i64, i64, i64, Option<Uuid>, Option<String>, Option<String>);

    fn events(directory: &Path) -> Vec<EventRow> {
        raw(directory)
            .prepare(
                "SELECT environment_id, user_key, feature_id, action, delta, occurred_at,
                    recorded_at, subscription_id, idempotency_key, metadata
                 FROM events ORDER BY id",
            )
            .unwrap()
            .query_map([], |row| row.try_into())
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    }

    #[tokio::test]
    async fn the_log_holds_every_event_in_the_order_in_which_it_came() {
        let (store, environment, directory) = store_with_app().await;
        let live = store.find_key(hash(EnvironmentKind::Live)).await.unwrap().unwrap().environment;
        let counted = UsageEvent {
            feature: FeatureId::new("featureId", "api-calls").unwrap(),
            action: LoggedAction::Add,
            delta: -3,
            occurred_at: Timestamp::from_ms(5),
            recorded_at: Timestamp::from_ms(9),
            amount: -3,
            drawn: None,
            subscription: Some(SubscriptionId(Uuid::from_u128(7))),
            idempotency_key: Some(IdempotencyKey::new("idempotencyKey", "key").unwrap()),
            metadata: Some(
                Metadata::new("metadata", serde_json::json!({ "z": 1, "a": "é" })).unwrap(),
            ),
        };
        let not_counted = UsageEvent {
            action: LoggedAction::Set,
            delta: i64::MAX,
            // Earlier than the one before it, though it came later.
            occurred_at: Timestamp::from_ms(-1),
            amount: 0,
            drawn: None,
            subscription: None,
            idempotency_key: None,
            metadata: None,
            ..counted.clone()
        };
        let log = [counted.clone(), not_counted.clone()].map(Change::LogEvent);
        change(&store, environment, user_key(1), log).await;
        change(&store, live, user_key(2), [Change::LogEvent(not_counted)]).await;

        let named = |text: &str| text.to_owned();
        let uuid = Uuid::from_u128;
        let second = |environment: EnvironmentId, user| {
            let what = (named("api-calls"), named("SET"));
            (environment.0, uuid(user), what.0, what.1, i64::MAX, -1, 9, None, None, None)
        };
        assert_eq!(
            events(directory.path()),
            [
                (
                    environment.0,
                    uuid(1),
                    named("api-calls"),
                    named("ADD"),
                    -3,
                    5,
                    9,
                    Some(uuid(7)),
                    Some(named("key")),
                    Some(named(r#"{"z":1,"a":"é"}"#)),
                ),
                second(environment, 1),
                second(live, 2),
            ]
        );
    }

    #[tokio::test]
    async fn old_events_are_forgotten_oldest_first_and_counters_stay() {
        let (store, environment, directory) = store_with_app().await;
        let event = |day: i64| {
            Change::LogEvent(UsageEvent {
                feature: FeatureId::new("featureId", "api-calls").unwrap(),
                action: LoggedAction::Add,
                delta: day,
                occurred_at: NOW,
                recorded_at: Timestamp::from_ms(day),
                amount: 0,
                drawn: None,
                subscription: None,
                idempotency_key: None,
                metadata: None,
            })
        };
        let set = Change::SetCounter { counter: counter(1, 0), value: 7.into() };
        let changes = [create_user(1), set].into_iter().chain((1..=5).map(event));
        change(&store, environment, user_key(1), changes).await;
        let left = || -> Vec<i64> {
            let connection = raw(directory.path());
            let mut days = connection.prepare("SELECT delta FROM events ORDER BY id").unwrap();
            days.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };

        let before = Timestamp::from_ms(4);
        assert!(store.forget_events(before, 2).await.unwrap());
        assert_eq!(left(), [3, 4, 5]);
        assert!(store.forget_events(before, 2).await.unwrap());
        assert!(!store.forget_events(before, 2).await.unwrap());
        assert_eq!(left(), [4, 5]);
        let mut reader = store.read().await.unwrap();
        let asked = [(user_key(1), counter(1, 0))];
        assert_eq!(reader.counters(environment, &asked).await.unwrap(), [Some(7.into())]);
    }

    #[tokio::test]
    async fn an_event_that_is_not_committed_is_not_in_the_log() {
        let (store, environment, directory) = store_with_app().await;
        let event = UsageEvent {
            feature: FeatureId::new("featureId", "api-calls").unwrap(),
            action: LoggedAction::Add,
            delta: 1,
            occurred_at: NOW,
            recorded_at: NOW,
            amount: 0,
            drawn: None,
            subscription: None,
            idempotency_key: None,
            metadata: None,
        };
        let mut writer = store.write().await.unwrap();
        let changes = [(user_key(1), Change::LogEvent(event))];
        writer.change_facts(environment, &changes).await.unwrap();
        drop(writer);

        assert_eq!(events(directory.path()), []);
    }

    #[tokio::test]
    async fn a_key_is_stored_as_its_hash_and_its_last_four_characters() {
        let (_store, _environment, directory) = store_with_app().await;
        let (hash_bytes, last_four): (Vec<u8>, String) = raw(directory.path())
            .query_row("SELECT hash, last_four FROM keys ORDER BY id", [], |row| row.try_into())
            .unwrap();
        assert_eq!(hash_bytes, hash(EnvironmentKind::Test).0);
        assert_eq!(last_four, "abcd");
    }

    #[tokio::test]
    async fn a_value_that_no_release_wrote_is_an_error_that_names_it() {
        for (damage, named) in [
            ("UPDATE subscriptions SET status = 'PAUSED'", r#"subscription status "PAUSED""#),
            ("UPDATE subscriptions SET package_id = ''", "stored package id"),
            ("UPDATE users SET metadata = '{\"open\":'", "EOF while parsing"),
            ("UPDATE users SET metadata = '[]'", "stored metadata"),
            ("UPDATE features SET unit_label = char(0)", "stored label"),
            (
                "UPDATE features SET thresholds = '[{\"percent\":0}]'",
                "thresholds must have a percent",
            ),
            ("UPDATE features SET draws_on = ''", "stored feature id"),
            ("UPDATE features SET draws_on = 'g', cost = 0", "cost must be from 1"),
            ("DELETE FROM environments", "the environment is gone"),
        ] {
            let (store, environment, directory) = store_with_app().await;
            change(&store, environment, user_key(1), [create_user(1), subscribe(1, None)]).await;
            let raw = raw(directory.path());
            // Only the columns that the case is about matter.
            raw.execute_batch(
                "PRAGMA foreign_keys = OFF;
                 INSERT INTO features VALUES
                     (1, 'f', 1, 'f', 'CONSUMABLE', NULL, NULL, NULL, NULL, NULL, NULL);",
            )
            .unwrap();
            let ask = async || {
                let mut reader = store.read().await?;
                reader.users(environment, &[user_id("1")]).await?;
                reader.facts(environment, &[user_id("1")]).await?;
                reader.catalog(environment).await?;
                Ok::<_, StoreError>(())
            };
            ask().await.unwrap();

            raw.execute_batch(damage).unwrap();

            let error = ask().await.unwrap_err();
            assert!(matches!(error, StoreError::Unreadable(_)), "{damage}: {error:?}");
            assert!(error.to_string().contains(named), "{damage}: {error}");
        }
    }
}
