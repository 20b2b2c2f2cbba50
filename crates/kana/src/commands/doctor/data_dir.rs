//! Checks of the embedded database: its directory, its server, the file, and the last backup.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kana_core::Timestamp;
use kana_service::{Clock as _, SystemClock};
use kana_store::sqlite::{CLAIM_FILE, OUR_FILES};
use kana_store::{SqliteStore, StoreError};
use rustix::fs::{Access, access};
use rustix::process::geteuid;

use super::disk;
use super::report::Check;

/// How long the database may take to open.
const PATIENCE: Duration = Duration::from_millis(4500);
/// A day, and a backup that takes its time.
const OLD_HOURS: i64 = 26;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// Checks a data directory, whether it is there or not.
pub(super) async fn check(data_dir: &Path) -> Vec<Check> {
    let mut checks = directory(data_dir);
    checks.extend(disk::check(&existing(data_dir)));
    checks.push(server(data_dir));
    let opened = open(data_dir).await;
    let has_database = !matches!(opened, Err(StoreError::NoDatabaseIn { .. }));
    checks.push(database(opened));
    checks.push(backup(data_dir, has_database));
    checks
}

/// Returns the directory, or the nearest one above it that exists.
fn existing(data_dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let found = absolute.ancestors().find(|directory| directory.is_dir());
    found.unwrap_or(Path::new("/")).to_owned()
}

fn directory(data_dir: &Path) -> Vec<Check> {
    let shown = data_dir.display();
    let metadata = match fs::metadata(data_dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let above = existing(data_dir);
            if access(&above, Access::WRITE_OK).is_err() {
                let text =
                    format!("{shown} is not there, and cannot be made in {}", above.display());
                return vec![Check::fail("directory", text, "choose another with --data-dir")];
            }
            let text = format!("{shown} is not there yet: kana serve makes it");
            return vec![Check::ok("directory", text)];
        }
        Err(error) => {
            let text = format!("cannot use {shown}: {error}");
            return vec![Check::fail("directory", text, "choose another with --data-dir")];
        }
    };
    if !metadata.is_dir() {
        let text = format!("{shown} is no directory");
        return vec![Check::fail("directory", text, "choose another with --data-dir")];
    }
    if access(data_dir, Access::WRITE_OK).is_err() {
        let text = format!("{shown} cannot be written by this user");
        return vec![Check::fail(
            "directory",
            text,
            "run kana as its owner, or give it to this user",
        )];
    }
    let files = OUR_FILES.iter().map(|name| data_dir.join(name));
    let all = std::iter::once(data_dir.to_owned()).chain(files);
    let of_all = all.filter_map(|path| Some((path.clone(), fs::metadata(path).ok()?)));
    let mut checks: Vec<Check> =
        of_all.flat_map(|(path, metadata)| owner_and_mode(&path, &metadata)).collect();
    if checks.is_empty() {
        let text = format!("{shown} is this user's, and nobody else may use it");
        checks.push(Check::ok("directory", text));
    }
    checks
}

/// Returns what is wrong with the owner and the mode of a directory or a file.
fn owner_and_mode(path: &Path, metadata: &Metadata) -> Vec<Check> {
    let (shown, mut checks) = (path.display(), Vec::new());
    let (owner, this) = (metadata.uid(), geteuid());
    if owner != this.as_raw() {
        let text = format!("{shown} is of user {owner}, and this is user {}", this.as_raw());
        checks.push(if this.is_root() {
            Check::warn("directory", text, format!("run kana as user {owner}"))
        } else {
            Check::fail("directory", text, format!("run kana as user {owner}, or chown it"))
        });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let right = if metadata.is_dir() { "700" } else { "600" };
        let text = format!("others may use {shown}: its mode is {mode:04o}");
        checks.push(Check::warn("directory", text, format!("chmod {right} {shown}")));
    }
    checks
}

/// Whether a server runs on the directory.
fn server(data_dir: &Path) -> Check {
    let lock = data_dir.join(CLAIM_FILE);
    let Ok(metadata) = fs::metadata(&lock) else {
        return Check::ok("lock", "no server has run here");
    };
    // To try the lock could keep a server from starting at this very moment.
    let Ok(locks) = fs::read_to_string("/proc/locks") else {
        return Check::ok("lock", format!("who holds {} cannot be found out here", lock.display()));
    };
    match holder(&locks, metadata.ino()) {
        Some(process) => {
            Check::ok("lock", format!("the server with process id {process} runs here"))
        }
        None => Check::ok("lock", "no server runs here"),
    }
}

/// Returns the process that has locked a file, in the format of Linux:
/// `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`.
fn holder(locks: &str, inode: u64) -> Option<u32> {
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", process, file, ..] = words[..] else { return None };
        let found: u64 = file.rsplit(':').next()?.parse().ok()?;
        (found == inode).then(|| process.parse().ok())?
    };
    locks.lines().find_map(of_line)
}

/// Opens the database, as a command that changes nothing does.
async fn open(data_dir: &Path) -> Result<(), StoreError> {
    let path = data_dir.to_owned();
    let opening = tokio::task::spawn_blocking(move || SqliteStore::open_existing(&path).map(drop));
    match tokio::time::timeout(PATIENCE, opening).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => Err(StoreError::Engine(Box::new(error))),
        Err(_) => Err(StoreError::Busy(format!("it did not open within {PATIENCE:?}").into())),
    }
}

fn database(opened: Result<(), StoreError>) -> Check {
    match opened {
        Ok(()) => Check::ok("database", "it can be opened, and has the schema of this release"),
        Err(StoreError::NoDatabaseIn { .. }) => {
            // Beside a server on PostgreSQL, somebody may have looked in the wrong place.
            let text = "there is none yet: kana serve makes it; one in PostgreSQL is looked at with \
                --database-url or --database-url-file";
            Check::ok("database", text)
        }
        Err(error @ StoreError::OlderSchema { .. }) => {
            let advice = "kana serve and kana migrate migrate it";
            Check::warn("schema", error.to_string(), advice)
        }
        Err(error @ StoreError::NewerSchema { .. }) => Check::fail(
            "schema",
            error.to_string(),
            "run the release that migrated it, or a newer one",
        ),
        Err(error) => {
            let advice = "see what the error says; kana check reads all of a database that opens";
            Check::fail("database", error.to_string(), advice)
        }
    }
}

fn backup(data_dir: &Path, has_database: bool) -> Check {
    match SqliteStore::last_backup(data_dir) {
        Ok(None) if !has_database => Check::ok("backup", "there is nothing to back up yet"),
        Ok(last) => judge_backup(last, SystemClock.now()),
        Err(error) => Check::warn("backup", error.to_string(), "run kana backup every day"),
    }
}

fn judge_backup(last: Option<Timestamp>, now: Timestamp) -> Check {
    let advice = "run kana backup every day, from a timer";
    let Some(last) = last else {
        return Check::warn("backup", "there was none yet", advice);
    };
    let age = now.as_ms().saturating_sub(last.as_ms());
    let text = format!("the last one ended at {last}, {} hours ago", age / HOUR_MS);
    if age > OLD_HOURS * HOUR_MS {
        return Check::warn("backup", text, advice);
    }
    Check::ok("backup", text)
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_backup_may_be_26_hours_old() {
        let now = Timestamp::from_ms(1_000 * HOUR_MS);
        for (hours_ago, status) in [(0, Status::Ok), (26, Status::Ok), (27, Status::Warn)] {
            let last = Timestamp::from_ms(now.as_ms() - hours_ago * HOUR_MS);
            assert_eq!(judge_backup(Some(last), now).status, status, "{hours_ago}");
        }
        assert_eq!(judge_backup(None, now).status, Status::Warn);
    }

    #[test]
    fn the_holder_of_a_lock_is_found_by_the_file() {
        let locks = "1: POSIX  ADVISORY  WRITE 12 08:01:5678 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 34 08:01:56 0 EOF\n\
            3: FLOCK  ADVISORY  WRITE 56 08:01:5678 0 EOF\n";
        assert_eq!(holder(locks, 5678), Some(56));
        assert_eq!(holder(locks, 567), None);
        assert_eq!(holder("", 5678), None);
    }
}
