//! The names of the files in the data directory.

/// The database.
pub(super) const DATABASE_FILE: &str = "kana.db";
/// Locked by the server that runs on the directory.
pub const CLAIM_FILE: &str = "kana.lock";
/// The turn file: locked by the process that opens the database. Not empty once there is a
/// database.
pub(super) const TURN_FILE: &str = "kana.open";
/// SQLite's WAL: commits that are not yet in the database file.
pub(super) const LOG_FILE: &str = "kana.db-wal";

/// When the last backup ended well.
pub(super) const BACKUP_FILE: &str = "kana.backed-up";

/// All files that Kana and SQLite create in the directory.
pub const OUR_FILES: [&str; 7] =
    [DATABASE_FILE, LOG_FILE, "kana.db-shm", "kana.db-journal", CLAIM_FILE, TURN_FILE, BACKUP_FILE];
