//! Puts a backup in the place of a database (contract: `operations.md`, "Backup, restore, check, doctor").

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::backup::BackupContents;
use super::data_dir::failed;
use super::errors;
use super::file_names::{CLAIM_FILE, DATABASE_FILE, TURN_FILE};
use super::{SqliteStore, data_dir};
use crate::deadlines::Deadlines;
use crate::error::StoreError;

/// The copy of the backup until it is whole.
const COPY_FILE: &str = "kana.db.restoring";

/// What may be in a data directory without a database.
const OF_NO_DATABASE: [&str; 4] = [CLAIM_FILE, TURN_FILE, COPY_FILE, "lost+found"];

impl SqliteStore {
    /// Checks the backup `file`, and puts it into `data_dir`, which must be absent or empty. What is there
    /// is moved to `moved_to`, a directory that does not exist yet, if one is given and there is anything.
    /// Returns what the backup holds, and true if something was moved.
    ///
    /// Whenever it ends, the old database or the new one is there, or the next start says that a database
    /// is gone and opens none. Fails with [`DataDirInUse`](StoreError::DataDirInUse) while a server runs
    /// on the directory, with [`DataDirNotEmpty`](StoreError::DataDirNotEmpty), and as
    /// [`check_backup`](Self::check_backup) does; nothing was moved then.
    pub fn restore(
        file: &Path,
        data_dir: &Path,
        moved_to: Option<&Path>,
    ) -> Result<(BackupContents, bool), StoreError> {
        let contents = Self::check_backup(file)?;
        let is_moved =
            put(file, data_dir, moved_to).map_err(|error| errors::located(error, data_dir))?;
        Ok((contents, is_moved))
    }
}

fn put(file: &Path, data_dir: &Path, moved_to: Option<&Path>) -> Result<bool, StoreError> {
    if data_dir.is_dir() && moved_to.is_none() {
        refuse(data_dir, &contents(data_dir)?)?;
    }
    data_dir::create(data_dir)?;
    // Until the end, no server and no command opens what is here.
    let _claim = data_dir::claim(data_dir)?;
    let turn = data_dir::wait_for_turn(data_dir, Deadlines::DEFAULT)?;
    let found = contents(data_dir)?;
    if moved_to.is_none() {
        refuse(data_dir, &found)?;
    }
    let copy = data_dir.join(COPY_FILE);
    if let Err(error) = copy_durably(file, &copy) {
        // If that fails, the next restore overwrites it.
        let _ = fs::remove_file(&copy);
        return Err(failed(&copy, error));
    }
    if let Some(moved_to) = moved_to.filter(|_| !found.is_empty()) {
        // From here on, a start without a database is an error.
        if turn.metadata().is_ok_and(|turn| turn.len() == 0) {
            data_dir::note_made(&turn);
        }
        move_all(data_dir, &found, moved_to)?;
    }
    let database = data_dir.join(DATABASE_FILE);
    let renamed = fs::rename(&copy, &database).and_then(|()| sync_directory(data_dir));
    renamed.map_err(|error| failed(&database, error))?;
    if turn.metadata().is_ok_and(|turn| turn.len() == 0) {
        data_dir::note_made(&turn);
    }
    Ok(!found.is_empty() && moved_to.is_some())
}

/// Returns what is in a directory beside what the claim and the turn need, the database first.
fn contents(data_dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = data_dir.read_dir().map_err(|error| failed(data_dir, error))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| failed(data_dir, error))?.file_name();
        if !OF_NO_DATABASE.iter().any(|of_none| name == *of_none) {
            found.push(PathBuf::from(name));
        }
    }
    found.sort_by_key(|name| (name.as_os_str() != DATABASE_FILE, name.clone()));
    Ok(found)
}

fn refuse(data_dir: &Path, found: &[PathBuf]) -> Result<(), StoreError> {
    if found.is_empty() {
        Ok(())
    } else {
        Err(StoreError::DataDirNotEmpty { path: data_dir.to_owned() })
    }
}

fn copy_durably(file: &Path, copy: &Path) -> io::Result<()> {
    let _ = fs::remove_file(copy);
    let mut to = data_dir::create_private_file(copy)?;
    io::copy(&mut File::open(file)?, &mut to)?;
    to.sync_all()
}

fn move_all(data_dir: &Path, found: &[PathBuf], moved_to: &Path) -> Result<(), StoreError> {
    if moved_to.symlink_metadata().is_ok() {
        return Err(failed(moved_to, io::ErrorKind::AlreadyExists.into()));
    }
    data_dir::create(moved_to)?;
    for name in found {
        let (from, to) = (data_dir.join(name), moved_to.join(name));
        fs::rename(&from, &to).map_err(|error| failed(&from, error))?;
    }
    sync_directory(moved_to).map_err(|error| failed(moved_to, error))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
