//! Databases of releases that had a row for each usage event.

use super::*;
use crate::migration_files::SQLITE_EVENT_BLOCKS;

type Row =
    (i64, i64, Uuid, String, String, i64, i64, i64, Option<Uuid>, Option<String>, Option<String>);

const COLUMNS: &str = "id, environment_id, user_key, feature_id, action, delta, occurred_at,
    recorded_at, subscription_id, idempotency_key, metadata";

/// Makes a database as it was before, with so many events.
fn old_database(directory: &Path, events: i64) {
    let version = SQLITE.iter().position(|sql| *sql == SQLITE_EVENT_BLOCKS).unwrap();
    let old = raw(directory);
    old.execute_batch(&SQLITE[..version].concat()).unwrap();
    old.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
    // Some are gone, and not only the first ones; environments take turns now and then.
    let insert = format!(
        "WITH RECURSIVE n (n) AS (SELECT 7 UNION ALL SELECT n + 1 FROM n WHERE n < 6 + ?1)
         INSERT INTO events ({COLUMNS})
         SELECT n, 1 + (n % 1000 > 990), randomblob(16), iif(n % 3 = 0, 'calls', 'seats'),
             iif(n % 7 = 0, 'SET', 'ADD'), n - 50, 1700000000000 + n - n % 5, 1700000000000 + n,
             iif(n % 4 = 0, NULL, randomblob(16)),
             CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN 'key-' || n ELSE
                 '0190d3a8-1f2b-7c3d-8e4f-' || printf('%012x', n) END,
             iif(n % 2 = 0, NULL, '{{\"n\":' || n || '}}')
         FROM n WHERE n % 1777 <> 0"
    );
    old.execute(&insert, [events]).unwrap();
}

fn rows(connection: &rusqlite::Connection) -> Vec<Row> {
    let mut rows =
        connection.prepare(&format!("SELECT {COLUMNS} FROM events ORDER BY id")).unwrap();
    let rows = rows.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
            row.get(6)?,
            row.get(7)?,
            row.get(8)?,
            row.get(9)?,
            row.get(10)?,
        ))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn events_of_before_blocks_are_all_there_after_with_their_ids() {
    let directory = tempfile::tempdir().unwrap();
    old_database(directory.path(), 100_000);
    let before = rows(&raw(directory.path()));
    assert!(before.len() > 99_900);
    drop(SqliteStore::open(directory.path()).unwrap());
    let new = raw(directory.path());
    assert!(rows(&new) == before);
    let count = |sql| new.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert!((200..600).contains(&count("SELECT count(*) FROM event_blocks")));
    assert_eq!(count("SELECT count(*) FROM sqlite_schema WHERE name = 'events'"), 1);
}

#[test]
fn a_migration_that_fails_leaves_the_old_database() {
    let directory = tempfile::tempdir().unwrap();
    old_database(directory.path(), 2_000);
    let count = || {
        let count = "SELECT count(*) FROM events";
        raw(directory.path()).query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = count();
    // It fails at its beginning, and then near its end.
    raw(directory.path()).execute_batch("CREATE TABLE event_blocks (id)").unwrap();
    SqliteStore::open(directory.path()).map(drop).unwrap_err();
    raw(directory.path()).execute_batch("DROP TABLE event_blocks").unwrap();
    let damage = "UPDATE events SET subscription_id = x'01' WHERE id = 1900";
    raw(directory.path()).execute_batch(damage).unwrap();
    SqliteStore::open(directory.path()).map(drop).unwrap_err();
    assert_eq!(count(), before);
    let repair = "UPDATE events SET subscription_id = NULL WHERE id = 1900";
    raw(directory.path()).execute_batch(repair).unwrap();
    drop(SqliteStore::open(directory.path()).unwrap());
    assert_eq!(count(), before);
}
