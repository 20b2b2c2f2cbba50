//! Kinds of errors, and how they affect readiness.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use rusqlite::ffi;

use super::*;
use crate::Loss;

/// How long anything may take, even on a busy machine.
const SOON: Duration = Duration::from_secs(30);

fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Busy(_) => "busy",
        StoreError::Full { .. } => "full",
        StoreError::Damaged { .. } => "damaged",
        StoreError::NotPermitted { .. } => "not permitted",
        StoreError::Engine(_) => "engine",
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_code_of_sqlite_has_a_kind() {
    for (code, expected) in [
        (ffi::SQLITE_BUSY, "busy"),
        (ffi::SQLITE_BUSY_RECOVERY, "busy"),
        (ffi::SQLITE_BUSY_SNAPSHOT, "busy"),
        (ffi::SQLITE_LOCKED, "busy"),
        (ffi::SQLITE_FULL, "full"),
        (ffi::SQLITE_CORRUPT, "damaged"),
        (ffi::SQLITE_CORRUPT_INDEX, "damaged"),
        (ffi::SQLITE_NOTADB, "damaged"),
        (ffi::SQLITE_READONLY, "not permitted"),
        (ffi::SQLITE_READONLY_DIRECTORY, "not permitted"),
        (ffi::SQLITE_PERM, "not permitted"),
        (ffi::SQLITE_AUTH, "not permitted"),
        (ffi::SQLITE_CANTOPEN, "not permitted"),
        (ffi::SQLITE_CANTOPEN_ISDIR, "not permitted"),
        (ffi::SQLITE_IOERR_WRITE, "engine"),
        (ffi::SQLITE_CONSTRAINT_UNIQUE, "engine"),
        (ffi::SQLITE_MISUSE, "engine"),
    ] {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let directory = tempfile::tempdir().unwrap();
        let error = errors::located(error.into(), directory.path());
        assert_eq!(kind(&error), expected, "{code}: {error}");
        let place = directory.path().to_str().unwrap();
        let is_somewhere = ["full", "damaged", "not permitted"].contains(&expected);
        assert_eq!(error.to_string().contains(place), is_somewhere, "{error}");
    }
}

#[test]
fn a_directory_that_is_gone_is_no_full_disk() {
    let error = ffi::Error::new(ffi::SQLITE_IOERR_WRITE);
    let error = rusqlite::Error::SqliteFailure(error, None);
    let error = errors::located(error.into(), Path::new("/nowhere/at/all"));
    assert_eq!(kind(&error), "engine", "{error}");
}

/// A small commit.
async fn turn_simple_mode_off(store: &SqliteStore) {
    try_to_turn_simple_mode_off(store).await.unwrap();
}

async fn try_to_turn_simple_mode_off(store: &SqliteStore) -> Result<(), StoreError> {
    let mut transaction = store.write().await.unwrap();
    transaction.set_simple_mode(EnvironmentKind::Test, false).await.unwrap();
    transaction.commit().await
}

#[tokio::test]
async fn a_database_that_others_hold_is_busy_and_only_the_first_call_waits() {
    let (tool, _, directory) = store_with_app().await;
    drop(tool);
    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    let other = raw(directory.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let since = Instant::now();
    assert_eq!(kind(&store.write().await.err().unwrap()), "busy");
    assert!(since.elapsed() >= Duration::from_secs(1), "it waits: others are soon done");
    let waited = Instant::now();
    for _ in 0..100 {
        assert_eq!(kind(&store.write().await.err().unwrap()), "busy");
    }
    assert!(waited.elapsed() < Duration::from_secs(1), "{:?}", waited.elapsed());
    assert_eq!(kind(&store.check_ready().await.unwrap_err()), "busy");

    other.execute_batch("ROLLBACK").unwrap();
    turn_simple_mode_off(&store).await;
    store.check_ready().await.unwrap();
    // Afterwards, calls wait again.
    let writer = store.writer.lock().await;
    assert!(store.pool.health().patience_to_write() >= Duration::from_secs(1));
    drop(writer);
}

#[tokio::test]
async fn a_node_that_gets_no_writes_finds_out_that_commits_work_again() {
    let (tool, _, directory) = store_with_app().await;
    drop(tool);
    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    let full = StoreError::Full { place: String::new(), source: "no room".into() };
    store.pool.health().noted_write::<()>(Err(full)).unwrap_err();
    let since = Instant::now();
    while store.check_ready().await.is_err() {
        assert!(since.elapsed() < SOON);
    }

    // It tries a commit at most once a second.
    store.pool.health().noted_write::<()>(Err(StoreError::Busy("busy".into()))).unwrap_err();
    let before = store.pool.commits();
    for _ in 0..50 {
        let _ = store.check_ready().await;
    }
    assert!(store.pool.commits() - before <= 2 + since.elapsed().as_secs(), "it tries too often");
}

#[tokio::test]
async fn a_damaged_page_is_named_and_remembered() {
    let (store, environment, directory) = store_with_app().await;
    for n in 1..=300 {
        change(&store, environment, user_key(n), [create_user(n), subscribe(n, None)]).await;
    }
    drop(store);
    let file = directory.path().join(DATABASE_FILE);
    let page: i64 = raw(directory.path())
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'users'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[(usize::try_from(page).unwrap() - 1) * 4_096..][..4_096].fill(0x5A);
    fs::write(&file, bytes).unwrap();

    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    store.check_ready().await.unwrap();
    let mut reader = store.read().await.unwrap();
    let error = reader.users_after(environment, None, 10).await.unwrap_err();
    assert_eq!(kind(&error), "damaged");
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    drop(reader);
    // A later commit may succeed, but does not clear the damage.
    turn_simple_mode_off(&store).await;
    assert_eq!(kind(&store.check_ready().await.unwrap_err()), "damaged");
}

#[tokio::test]
async fn a_server_with_too_little_free_space_refuses_writes_and_takes_them_again() {
    let (tool, environment, directory) = store_with_app().await;
    drop(tool);
    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    turn_simple_mode_off(&store).await;
    store.pool.health().room().unwrap().reserve(u64::MAX);
    for _ in 0..3 {
        let error = try_to_turn_simple_mode_off(&store).await.unwrap_err();
        assert_eq!(kind(&error), "full");
        assert!(error.to_string().contains("MiB are free"), "{error}");
    }
    assert_eq!(kind(&store.check_ready().await.unwrap_err()), "full");
    let mut reader = store.read().await.unwrap();
    assert!(reader.users_after(environment, None, 10).await.unwrap().is_empty());
    drop(reader);
    // A command like kana keys revoke may use what is left.
    let tool = SqliteStore::open_existing(directory.path()).unwrap();
    turn_simple_mode_off(&tool).await;

    store.pool.health().room().unwrap().reserve(0);
    turn_simple_mode_off(&store).await;
    store.check_ready().await.unwrap();
}

#[tokio::test]
async fn a_server_with_too_little_free_space_is_not_ready_before_anything_is_written() {
    let (tool, _, directory) = store_with_app().await;
    drop(tool);
    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    store.check_ready().await.unwrap();
    store.pool.health().room().unwrap().reserve(u64::MAX);
    assert_eq!(kind(&store.check_ready().await.unwrap_err()), "full");
    store.pool.health().room().unwrap().reserve(0);
    store.check_ready().await.unwrap();
}

/// Overwrites the beginning of a page.
fn damage(directory: &Path, page: i64) {
    use std::os::unix::fs::FileExt as _;

    let file = fs::OpenOptions::new().write(true).open(directory.join(DATABASE_FILE)).unwrap();
    file.write_all_at(&[0x5A; 100], (u64::try_from(page).unwrap() - 1) * 4_096).unwrap();
}

/// Moves everything to the database file, and has others read it anew.
fn checkpoint(directory: &Path) {
    let sql = "UPDATE app SET name = 'other'; PRAGMA wal_checkpoint(TRUNCATE);";
    raw(directory).execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_writer_that_cannot_write_at_all_is_a_loss() {
    let (tool, _, directory) = store_with_app().await;
    drop(tool);
    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    let lost = store.needed_threads().lost();
    checkpoint(directory.path());
    damage(directory.path(), 1);
    assert_eq!(kind(&store.write().await.err().unwrap()), "damaged");
    let Some(Loss::Damaged(error)) = lost.now_or_never() else { panic!("it goes on") };
    let file = directory.path().join(DATABASE_FILE);
    assert!(error.contains(file.to_str().unwrap()), "{error}");
    assert!(error.contains("kana check") && error.contains("kana restore"), "{error}");
    assert_eq!(error.matches("kana check").count(), 1, "{error}");
    assert_eq!(kind(&store.check_ready().await.unwrap_err()), "damaged");
}

#[tokio::test]
async fn a_writer_that_meets_a_damaged_page_of_one_table_goes_on_with_the_others() {
    let (tool, environment, directory) = store_with_app().await;
    drop(tool);
    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    checkpoint(directory.path());
    let page = "SELECT rootpage FROM sqlite_schema WHERE name = 'users'";
    damage(directory.path(), raw(directory.path()).query_row(page, [], |row| row.get(0)).unwrap());
    let mut transaction = store.write().await.unwrap();
    let changes = [(user_key(1), create_user(1))];
    let error = transaction.change_facts(environment, &changes).await.unwrap_err();
    assert_eq!(kind(&error), "damaged");
    drop(transaction);
    assert_eq!(store.needed_threads().lost().now_or_never(), None);
    turn_simple_mode_off(&store).await;
    assert_eq!(kind(&store.check_ready().await.unwrap_err()), "damaged");
}
