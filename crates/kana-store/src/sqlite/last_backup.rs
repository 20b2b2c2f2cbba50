//! When the last backup ended well, in a file of the data directory. It is no part of the database: a backup
//! is no change of what is backed up, and a copy that is restored does not bring the time of another one.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

use kana_core::Timestamp;

use super::SqliteStore;
use super::data_dir::{create_private_file, failed};
use super::file_names::BACKUP_FILE;
use crate::error::StoreError;

/// The new content until it has its name. Two backups that end at the same time may both write it.
const NEW_FILE: &str = "kana.backed-up.new";

impl SqliteStore {
    /// Notes that a backup of the database in `data_dir` has ended well, in a file of the directory's owner.
    pub fn note_backup(data_dir: &Path, at: Timestamp) -> Result<(), StoreError> {
        let (path, new) = (data_dir.join(BACKUP_FILE), data_dir.join(NEW_FILE));
        let written = create_private_file(&new).and_then(|mut file| {
            file.set_len(0)?;
            file.write_all(format!("{at}\n").as_bytes())?;
            // If root made the backup, the server must be able to read this. Others cannot give files away.
            let owner = fs::metadata(data_dir)?;
            let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
            fs::rename(&new, &path)
        });
        written.map_err(|error| failed(&path, error))
    }

    /// Returns when the last backup of the database in `data_dir` ended well; `None` if there was none, or
    /// what stands in the file is no time.
    pub fn last_backup(data_dir: &Path) -> Result<Option<Timestamp>, StoreError> {
        let path = data_dir.join(BACKUP_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Timestamp::parse("time", text.trim_end()).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    #[test]
    fn the_time_of_a_backup_is_remembered_and_the_next_replaces_it() {
        let directory = tempfile::tempdir().unwrap();
        let last = || SqliteStore::last_backup(directory.path()).unwrap();
        assert_eq!(last(), None);
        for at in [1_000, 2_000].map(Timestamp::from_ms) {
            SqliteStore::note_backup(directory.path(), at).unwrap();
            assert_eq!(last(), Some(at));
        }
        let file = directory.path().join(BACKUP_FILE);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(file, "yesterday").unwrap();
        assert_eq!(last(), None);
    }

    #[test]
    fn the_time_of_a_backup_that_root_made_is_the_servers() {
        let directory = tempfile::tempdir().unwrap();
        let user = 61_234;
        // Only root gives files away, and only root makes backups of others' databases.
        if chown(directory.path(), Some(user), Some(user)).is_err() {
            return;
        }
        SqliteStore::note_backup(directory.path(), Timestamp::from_ms(1_000)).unwrap();
        let file = directory.path().join(BACKUP_FILE).metadata().unwrap();
        assert_eq!((file.uid(), file.gid()), (user, user));
    }
}
