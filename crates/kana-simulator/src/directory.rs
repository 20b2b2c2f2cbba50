//! Data directories that leave nothing behind.

use std::path::Path;

use tempfile::TempDir;

/// What the database consists of. It comes before its WAL: what is copied from the WAL into the
/// database while both are copied is then in the WAL's copy.
pub(crate) const FILES: [&str; 3] = ["kana.db", "kana.db-wal", "kana.open"];

/// Copies a data directory as it is.
pub(crate) fn copied(from: &Path) -> TempDir {
    let copy = directory();
    for name in FILES {
        let file = from.join(name);
        if file.exists() {
            std::fs::copy(file, copy.path().join(name)).unwrap();
        }
    }
    copy
}

/// A directory in memory where there is one, since nobody is to lose power.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.unwrap()
}
