//! Telling a lost database from one that was never created.

use super::*;

const FILES: [&str; 3] = [DATABASE_FILE, "kana.open", "kana.lock"];

type Open = fn(&Path) -> Result<SqliteStore, StoreError>;

/// Every way to open a database.
const OPEN: [Open; 4] = [
    SqliteStore::open,
    SqliteStore::open_for_server,
    SqliteStore::open_existing,
    SqliteStore::migrate,
];

/// Returns the names and contents of all files in the directory.
fn content(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut content: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into(), fs::read(&path).unwrap()))
        .collect();
    content.sort();
    content
}

fn assert_lost(directory: &Path, problem: &str) {
    let before = content(directory);
    for open in OPEN {
        let refused = open(directory).err().unwrap();
        let message = refused.to_string();
        assert!(matches!(refused, StoreError::DatabaseLost { .. }), "{message}");
        let file = directory.join(DATABASE_FILE);
        assert!(message.starts_with(&format!("{} {problem}", file.display())), "{message}");
        assert!(message.contains("restore it from a backup"), "{message}");
    }
    let locks = |(name, _): &(String, Vec<u8>)| name != "kana.lock";
    let (before, after) = (before.into_iter().filter(locks), content(directory));
    assert_eq!(before.collect::<Vec<_>>(), after.into_iter().filter(locks).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_database_that_is_empty_or_gone_is_never_a_new_app() {
    let (store, _, directory) = store_with_app().await;
    drop(store);
    let file = directory.path().join(DATABASE_FILE);
    fs::write(&file, "").unwrap();
    assert_lost(directory.path(), "is empty");
    fs::remove_file(&file).unwrap();
    assert_lost(directory.path(), "is gone");
    // There was a backup of it, and the turn file was lost, too.
    let alone = tempfile::tempdir().unwrap();
    fs::write(alone.path().join("kana.open"), "").unwrap();
    SqliteStore::note_backup(alone.path(), NOW).unwrap();
    assert_lost(alone.path(), "is gone");
    // The data is still in the WAL, and only the database file was copied.
    let alone = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(alone.path()).unwrap());
    fs::remove_file(alone.path().join(DATABASE_FILE)).unwrap();
    raw(alone.path()).execute_batch("PRAGMA journal_mode = WAL; PRAGMA user_version = 0").unwrap();
    for open in [SqliteStore::open, SqliteStore::open_for_server] {
        let message = open(alone.path()).err().unwrap().to_string();
        assert!(message.contains("holds nothing"), "{message}");
    }
}

#[tokio::test]
async fn a_log_beside_an_empty_database_of_an_earlier_release_is_kept() {
    let (store, _, directory) = store_with_app().await;
    let left = tempfile::tempdir().unwrap();
    fs::copy(directory.path().join("kana.db-wal"), left.path().join("kana.db-wal")).unwrap();
    drop(store);
    for name in FILES {
        fs::write(left.path().join(name), "").unwrap();
    }
    assert_lost(left.path(), "is empty");
    fs::remove_file(left.path().join(DATABASE_FILE)).unwrap();
    assert_lost(left.path(), "is gone");
}

#[test]
fn a_first_start_that_was_killed_starts_again() {
    // The steps of a first start, in order. After the last, the file is in WAL mode without tables.
    let in_wal_mode = |directory: &Path| {
        raw(directory).execute_batch("PRAGMA journal_mode = WAL").unwrap();
    };
    for steps in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        for name in ["kana.lock", "kana.open", DATABASE_FILE].iter().take(steps) {
            fs::write(directory.path().join(name), "").unwrap();
        }
        if steps == 4 {
            in_wal_mode(directory.path());
        }
        for open in [SqliteStore::open_existing, SqliteStore::migrate] {
            let refused = open(directory.path()).err();
            // A file that has a header but no tables is migrated.
            let Some(refused) = refused else {
                assert_eq!(steps, 4);
                continue;
            };
            assert!(matches!(refused, StoreError::NoDatabaseIn { .. }), "{steps}: {refused}");
        }
        drop(SqliteStore::open_for_server(directory.path()).unwrap());
    }
}

#[tokio::test]
async fn a_database_of_an_earlier_release_goes_on_and_is_missed_from_then_on() {
    let (store, environment, directory) = store_with_app().await;
    change(&store, environment, user_key(1), [create_user(1)]).await;
    drop(store);
    // Earlier releases leave the turn file empty.
    let turn = directory.path().join("kana.open");
    fs::write(&turn, "").unwrap();

    let store = SqliteStore::open_for_server(directory.path()).unwrap();
    let mut reader = store.read().await.unwrap();
    let users = reader.users(environment, &[user_id("1")]).await.unwrap();
    assert!(users[0].is_some());
    drop((reader, store));
    let noted = fs::read(&turn).unwrap();
    drop(SqliteStore::open(directory.path()).unwrap());
    assert_eq!(fs::read(&turn).unwrap(), noted, "it is noted once");
    fs::remove_file(directory.path().join(DATABASE_FILE)).unwrap();
    assert_lost(directory.path(), "is gone");
}

#[test]
fn what_is_opened_as_it_is_creates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    for open in [SqliteStore::open_existing, SqliteStore::migrate] {
        for data_dir in [&missing, directory.path()] {
            let message = open(data_dir).err().unwrap().to_string();
            let expected = format!("there is no database in {}", data_dir.display());
            assert!(message.starts_with(&expected), "{message}");
        }
        assert!(content(directory.path()).is_empty());
    }
}

/// Creates a database as the release before the last migration left it. Returns its version.
fn of_an_older_release(directory: &Path) -> usize {
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sqlite/migrations");
    let mut files: Vec<_> =
        fs::read_dir(files).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.pop();
    let database = raw(directory);
    database.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    for file in &files {
        database.execute_batch(&fs::read_to_string(file).unwrap()).unwrap();
    }
    database.pragma_update(None, "user_version", i64::try_from(files.len()).unwrap()).unwrap();
    files.len()
}

#[test]
fn a_database_of_an_older_release_is_left_as_it_is_unless_it_is_to_be_migrated() {
    let directory = tempfile::tempdir().unwrap();
    let older = of_an_older_release(directory.path());
    let version = || -> usize {
        let database = raw(directory.path());
        let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        version.try_into().unwrap()
    };

    let refused = SqliteStore::open_existing(directory.path()).err().unwrap();
    let message = refused.to_string();
    assert!(matches!(refused, StoreError::OlderSchema { found, .. } if found == older));
    assert!(message.contains("kana migrate"), "{message}");
    assert_eq!(version(), older);

    // Stands for a running server of that release.
    let server = data_dir::claim(directory.path()).unwrap();
    for open in [SqliteStore::open, SqliteStore::migrate] {
        let refused = open(directory.path()).err().unwrap();
        assert!(matches!(refused, StoreError::DataDirInUse { .. }), "{refused}");
    }
    assert_eq!(version(), older);
    drop(server);

    drop(SqliteStore::migrate(directory.path()).unwrap());
    assert_eq!(version(), older + 1);
    drop(SqliteStore::open_existing(directory.path()).unwrap());
}

#[cfg(unix)]
#[test]
fn a_directory_that_holds_something_else_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let open_to = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, before, after) in [
        ("kana.db.before-5", 0o755, 0o700),
        ("lost+found", 0o750, 0o700),
        ("notes.txt", 0o755, 0o755),
        ("kana.lock", 0o1777, 0o1777),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(name), "").unwrap();
        open_to(directory.path(), before);
        drop(SqliteStore::open(directory.path()).unwrap());
        assert_eq!(mode(directory.path()), after, "{name}");
        assert_eq!(mode(&directory.path().join(DATABASE_FILE)), 0o600, "{name}");
    }
}
