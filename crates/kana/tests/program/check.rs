//! `kana check`: it finds each kind of damage, and nothing in a database that is sound.

use std::fs;
use std::os::unix::fs::FileExt as _;

use serde_json::Value;
use tempfile::TempDir;

use crate::engines::{Engine, engines};
use crate::process::{Server, run, text};

const CATALOG: &str = r#"mutation {
    calls: createFeature(input: { id: "calls", type: CONSUMABLE }) { id }
    seats: createFeature(input: { id: "seats", type: CONSUMABLE }) { id }
    sso: createFeature(input: { id: "sso", type: BINARY }) { id }
    credits: createFeature(input: { id: "credits", type: CONSUMABLE }) { id }
    images: createFeature(input: { id: "images", type: CONSUMABLE, drawsOn: "credits", cost: 5 }) { id }
    createPackage(input: { id: "pro", features: [
        { id: "calls", entitlement: { limit: 9, resetPeriod: DAY } }, { id: "seats" }, { id: "sso" },
        { id: "credits" }, { id: "images" }
    ] }) { id }
    other: createPackage(input: { id: "other", features: [{ id: "calls" }] }) { id }
    extra: createPackage(input: { id: "extra", isAddon: true, features: [{ id: "seats" }] }) { id }
    draft: createPackage(input: { id: "draft", features: [] }) { id }
    next: createPackage(input: { id: "next", features: [
        { id: "calls", entitlement: { limit: 30, resetPeriod: DAY } }
    ] }) { id }
    publishPackage(id: "pro") { id }
    a: publishPackage(id: "other") { id }
    b: publishPackage(id: "extra") { id }
    c: publishPackage(id: "next") { id }
}"#;

const USAGE: &str = r#"mutation {
    a: createUser(input: { id: "ada" }) { id }
    b: createUser(input: { id: "bob" }) { id }
    c: createUser(input: { id: "cyd" }) { id }
    o: createUser(input: { id: "dan" }) { id }
    p: createGrant(input: { id: "gift", userId: "dan", featureId: "calls", amount: 40 }) { id }
    q: recordUsage(input: { userId: "dan", featureId: "calls", delta: 21 }) { recorded }
    subscribe(packageIds: ["pro", "extra"], userId: "ada", quantities: [1, 3]) { id }
    d: subscribe(packageIds: ["pro"], userId: "bob") { id }
    e: recordUsage(input: { userId: "ada", featureId: "calls", delta: 3 }) { recorded }
    f: recordUsage(input: { userId: "bob", featureId: "seats", delta: 7 }) { recorded }
    g: recordUsage(input: { userId: "bob", featureId: "seats", delta: 2, action: SET }) { recorded }
    h: recordUsage(input: { userId: "bob", featureId: "seats", delta: -5 }) { recorded }
    i: recordUsage(input: { userId: "bob", featureId: "sso", delta: 1 }) { recorded }
    j: recordUsage(input: { userId: "cyd", featureId: "calls", delta: 1, idempotencyKey: "kept" }) { recorded }
    k: useFeature(input: { userId: "bob", featureId: "calls", delta: 4, idempotencyKey: "used" }) { granted }
    l: useFeature(input: { userId: "bob", featureId: "calls", delta: 99, idempotencyKey: "denied" }) { granted }
    n: recordUsage(input: { userId: "ada", featureId: "images", delta: 11 }) { recorded }
    m: recordUsage(input: { userId: "bob", featureId: "seats", delta: 6, idempotencyKey: "sent" }) { recorded }
}"#;

/// A user whose usage, of which a grant gave a part, comes along to another package.
const BEFORE_THE_CHANGE: &str = r#"mutation {
    a: createUser(input: { id: "eve" }) { id }
    b: createGrant(input: { id: "more", userId: "eve", featureId: "calls", amount: 50 }) { id }
    c: subscribe(packageIds: ["pro"], userId: "eve") { id }
    d: recordUsage(input: { userId: "eve", featureId: "calls", delta: 35 }) { recorded }
}"#;

const CHANGE: &str = r#"mutation {
    a: changePackage(input: { subscriptionId: "$old", packageId: "next", carryUsage: true }) { id }
    b: recordUsage(input: { userId: "eve", featureId: "calls", delta: 8 }) { recorded }
    c: recordUsage(input: { userId: "eve", featureId: "calls", delta: -41 }) { recorded }
}"#;

/// Damage that both engines can have: how to do it and undo it, the checks that find it, and what they say.
const DAMAGES: &[(&str, &str, &[&str], &str)] = &[
    (
        "UPDATE events SET delta = 4 WHERE delta = 3",
        "UPDATE events SET delta = 3 WHERE delta = 4 AND idempotency_key IS NULL",
        &["counters"],
        "is 3, and its events make 4",
    ),
    (
        // Beside what came along.
        "UPDATE events SET delta = 7 WHERE delta = 8",
        "UPDATE events SET delta = 8 WHERE delta = 7 AND action = 'ADD' AND user_key IN
             (SELECT key FROM users WHERE id = 'eve')",
        &["counters"],
        "is 2, and its events make 1",
    ),
    (
        "UPDATE events SET action = 'ADD' WHERE action = 'SET'",
        "UPDATE events SET action = 'SET' WHERE delta = 2",
        &["counters"],
        "is 6, and its events make 10",
    ),
    (
        "INSERT INTO counters (environment_id, user_key, subscription_id, feature_id, terms, period_start, used)
             SELECT environment_id, user_key, id, 'seats', 1, started_at, 8 FROM subscriptions
             WHERE package_id = 'extra'",
        "DELETE FROM counters WHERE used = 8",
        &["periods"],
        "is of terms that never were",
    ),
    (
        "INSERT INTO counters (environment_id, user_key, subscription_id, feature_id, terms, period_start, used)
             SELECT environment_id, user_key, id, 'calls', 0, started_at + 1, 8 FROM subscriptions
             WHERE package_id = 'pro' AND user_key = (SELECT key FROM users WHERE id = 'ada')",
        "DELETE FROM counters WHERE used = 8",
        &["periods"],
        "starts on no period",
    ),
    (
        "INSERT INTO counters (environment_id, user_key, subscription_id, feature_id, terms, period_start, used)
             SELECT environment_id, user_key, id, 'calls', 0, started_at + 86400000, 8 FROM subscriptions
             WHERE package_id = 'pro' AND user_key = (SELECT key FROM users WHERE id = 'ada')",
        "DELETE FROM counters WHERE used = 8",
        &["counters"],
        "is 8, and its events make 0",
    ),
    (
        "UPDATE subscriptions SET package_id = 'other' WHERE package_id = 'extra'",
        "UPDATE subscriptions SET package_id = 'extra' WHERE package_id = 'other'",
        &["subscriptions"],
        "has 2 base packages that grant",
    ),
    (
        "UPDATE subscriptions SET status = 'UNPAID' WHERE package_id = 'pro'
             AND user_key = (SELECT key FROM users WHERE id = 'ada')",
        "UPDATE subscriptions SET status = 'ACTIVE' WHERE status = 'UNPAID'",
        &["subscriptions"],
        "has the add-on extra, and no base package that grants",
    ),
    (
        "UPDATE subscriptions SET quantities = '[0,[]]' WHERE package_id = 'extra'",
        "UPDATE subscriptions SET quantities = '[3,[]]' WHERE package_id = 'extra'",
        &["subscriptions"],
        "has quantities that cannot be read: stored quantity must be from 1 to 1000000",
    ),
    (
        "UPDATE packages SET status = 'PUBLISHED' WHERE id = 'draft'",
        "UPDATE packages SET status = 'DRAFT' WHERE id = 'draft'",
        &["packages"],
        "is published, and has no features",
    ),
    (
        "UPDATE events SET idempotency_key = 'lost' WHERE idempotency_key = 'kept'",
        "UPDATE events SET idempotency_key = 'kept' WHERE idempotency_key = 'lost'",
        &["replays"],
        "was recorded, and there is no event of it",
    ),
    (
        "UPDATE events SET delta = 5 WHERE idempotency_key = 'kept'",
        "UPDATE events SET delta = 1 WHERE idempotency_key = 'kept'",
        &["replays"],
        "is about another usage than its event",
    ),
    (
        "UPDATE events SET idempotency_key = 'denied' WHERE delta = 3;
         UPDATE events SET recorded_at = (SELECT kept_at FROM replays WHERE idempotency_key = 'denied')
             WHERE delta = 3",
        "UPDATE events SET idempotency_key = NULL WHERE delta = 3",
        &["replays"],
        "was refused, and there is an event of it",
    ),
    (
        "UPDATE events SET delta = 22 WHERE delta = 21",
        "UPDATE events SET delta = 21 WHERE delta = 22",
        &["counters"],
        "is 21, and its events make 22",
    ),
    (
        "UPDATE grants SET drawn = 20 WHERE id = 'gift'",
        "UPDATE grants SET drawn = 21 WHERE id = 'gift'",
        &["grants"],
        "says that 20 of it is drawn, and counters drew 21",
    ),
    (
        "UPDATE change_heads SET number = number - 1",
        "UPDATE change_heads SET number = number + 1",
        &["ids"],
        "would be given again",
    ),
    (
        "INSERT INTO features_with_usage (environment_id, feature_id)
             SELECT id, 'gone' FROM environments WHERE kind = 'test'",
        "DELETE FROM features_with_usage WHERE feature_id = 'gone'",
        &["references"],
        "names a feature that is not there",
    ),
    (
        "UPDATE features SET draws_on = 'gone' WHERE id = 'images'",
        "UPDATE features SET draws_on = 'credits' WHERE id = 'images'",
        &["counters", "references"],
        "names a balance that is not there",
    ),
    (
        "UPDATE events SET subscription_id =
             (SELECT id FROM subscriptions WHERE package_id = 'extra') WHERE feature_id = 'sso'",
        "UPDATE events SET subscription_id = (SELECT id FROM subscriptions WHERE package_id = 'pro'
             AND user_key = (SELECT key FROM users WHERE id = 'bob')) WHERE feature_id = 'sso'",
        &["references"],
        "event of sso by user bob",
    ),
];

/// What only the embedded engine has.
const OF_SQLITE: &[(&str, &str, &[&str], &str)] = &[
    (
        "UPDATE package_subscribers SET subscribers = 9 WHERE package_id = 'pro'",
        "UPDATE package_subscribers SET subscribers = 2 WHERE package_id = 'pro'",
        &["copies"],
        "is said to have 9 subscribers, and has 2",
    ),
    (
        "UPDATE user_facts SET running = x'' WHERE user_id = 'bob'",
        "UPDATE subscriptions SET status = status",
        &["copies"],
        "has other facts than the tables of users, subscriptions, overrides, grants and holds say",
    ),
    (
        "DELETE FROM user_facts WHERE user_id = 'bob'",
        "UPDATE users SET id = 'rob' WHERE id = 'bob'; UPDATE users SET id = 'bob' WHERE id = 'rob'",
        &["copies"],
        "has no row among the facts of users",
    ),
    (
        "UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'keys'",
        "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'keys'",
        &["ids"],
        "id 4 would be given again",
    ),
    (
        "PRAGMA foreign_keys = OFF; UPDATE keys SET environment_id = 77 WHERE id = 4",
        "PRAGMA foreign_keys = OFF; UPDATE keys SET environment_id = 2 WHERE id = 4",
        &["references"],
        "names an environment that is not there",
    ),
];

/// What only PostgreSQL has.
const OF_POSTGRES: &[(&str, &str, &[&str], &str)] = &[
    (
        "CREATE TABLE saved AS SELECT key, recent_counters FROM users;
         UPDATE users SET recent_counters = (
             SELECT json_agg(one) FROM (
                 SELECT one FROM json_array_elements(recent_counters::json) one
                 UNION ALL SELECT one FROM json_array_elements(recent_counters::json) one) twice)
         WHERE id = 'ada'",
        "UPDATE users u SET recent_counters = s.recent_counters FROM saved s WHERE s.key = u.key;
         DROP TABLE saved",
        &["copies", "counters"],
        "has the counter of calls twice",
    ),
    (
        "ALTER TABLE keys ALTER COLUMN id RESTART WITH 4",
        "ALTER TABLE keys ALTER COLUMN id RESTART WITH 5",
        &["ids"],
        "id 4 would be given again",
    ),
    (
        "DO $$ BEGIN EXECUTE 'DROP TABLE events_' || to_char(now() + interval '1 month', 'YYYY_MM'); END $$",
        "SELECT make_events_partition(extract(epoch FROM now() + interval '1 month')::bigint * 1000)",
        &["partitions"],
        "there is no partition events_",
    ),
];

/// Returns the exit code and the findings.
fn check(engine: &Engine) -> (Option<i32>, Vec<Value>) {
    let output = engine.kana(&["check", "--json"]).output().unwrap();
    let found = serde_json::from_slice(&output.stdout);
    (output.status.code(), found.unwrap_or_else(|_| panic!("{}", text(&output.stderr))))
}

/// Makes a small history, and checks the database beside the server.
fn filled(engine: &Engine) {
    let (mut server, key) = engine.start();
    server.data(&key, CATALOG);
    server.data(&key, USAGE);
    let old = server.data(&key, BEFORE_THE_CHANGE)["c"][0]["id"].clone();
    server.data(&key, &CHANGE.replace("$old", old.as_str().unwrap()));
    if engine.is_shared() {
        engine.execute("SELECT make_events_partition(extract(epoch FROM now() + interval '1 month')::bigint * 1000)");
    }
    assert_eq!(check(engine), (Some(0), vec![]), "beside a server");
    server.signal("TERM");
    server.wait();
    assert_eq!(check(engine), (Some(0), vec![]), "without a server");
}

#[test]
fn each_kind_of_damage_is_found_and_nothing_else() {
    for engine in engines() {
        filled(&engine);
        let own = if engine.is_shared() { OF_POSTGRES } else { OF_SQLITE };
        for (damage, repair, checks, said) in DAMAGES.iter().chain(own) {
            engine.execute(damage);
            let (exit_code, found) = check(&engine);
            let mut by: Vec<&str> =
                found.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
            by.sort_unstable();
            by.dedup();
            // PostgreSQL has subscriptions twice, and only one of them was damaged.
            if !checks.contains(&"copies") && damage.contains("UPDATE subscriptions") {
                by.retain(|check| *check != "copies");
            }
            assert_eq!(by, *checks, "{damage}: {found:?}");
            assert_eq!(exit_code, Some(i32::from(!checks.is_empty())), "{damage}");
            let has = |finding: &Value| {
                let text = format!("{} {}", finding["subject"], finding["found"]);
                text.contains(said)
            };
            assert!(checks.is_empty() || found.iter().any(has), "{said}: {found:?}");
            engine.execute(repair);
            assert_eq!(check(&engine), (Some(0), vec![]), "repaired: {damage}");
        }
        // Old events may be deleted; nobody knows then what counters should be.
        for deleted in ["WHERE delta = 3", ""] {
            engine.execute(&format!("DELETE FROM events {deleted}"));
            assert_eq!(check(&engine), (Some(0), vec![]), "deleted: {deleted}");
        }
    }
}

#[test]
fn a_damaged_index_and_a_damaged_table_are_found_page_by_page() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = Server::start_new(&dir);
    server.data(&key, CATALOG);
    server.data(&key, USAGE);
    server.signal("TERM");
    server.wait();
    let file = dir.path().join("kana-data/kana.db");
    let sqlite = rusqlite::Connection::open(&file).unwrap();
    sqlite.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let page = |name: &str| -> u64 {
        let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        let page: u32 = sqlite.query_row(root, [name], |row| row.get(0)).unwrap();
        page.into()
    };
    let pages = ["users_by_id", "event_blocks", "packages"].map(|name| (name, page(name)));
    drop(sqlite);
    let sound = fs::read(&file).unwrap();
    for (name, page) in pages {
        let damaged = fs::OpenOptions::new().write(true).open(&file).unwrap();
        damaged.write_all_at(&[0x5A; 64], (page - 1) * 4096).unwrap();
        let output = run(dir.path(), &["check"]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let found = text(&output.stdout);
        assert!(found.lines().any(|line| line.starts_with("pages: kana.db: ")), "{name}: {found}");
        assert!(text(&output.stderr).contains("the database is not sound"));
        fs::write(&file, &sound).unwrap();
    }
    let output = run(dir.path(), &["check"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(0), ""),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn without_a_database_nothing_is_checked_and_nothing_made() {
    let dir = TempDir::new().unwrap();
    let output = run(dir.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no database in"), "{}", text(&output.stderr));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
