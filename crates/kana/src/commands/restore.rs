//! `kana restore`: a backup becomes the embedded database (contract: `operations.md`, "Backup, restore,
//! check, doctor").

use std::path::{Path, PathBuf};

use kana_core::Timestamp;
use kana_service::{Clock as _, SystemClock};
use kana_store::SqliteStore;

use super::Failure;
use crate::settings::RestoreSettings;

/// Puts a backup into the data directory.
pub(crate) fn run(settings: &RestoreSettings) -> Result<(), Failure> {
    if settings.database.database_url.is_some() {
        return Err(Failure::EmbeddedOnly("kana restore"));
    }
    let data_dir = &settings.database.data_dir;
    let moved_to = settings.replace.then(|| before(data_dir, SystemClock.now()));
    let (contents, is_moved) = SqliteStore::restore(&settings.file, data_dir, moved_to.as_deref())?;
    let (events, users) = (contents.events, contents.users);
    tracing::info!(
        "restored {} with {users} users and {events} events into {}",
        settings.file.display(),
        data_dir.display()
    );
    if let Some(moved_to) = moved_to.filter(|_| is_moved) {
        tracing::info!("what was there is now in {}", moved_to.display());
    }
    Ok(())
}

/// Returns the directory for what was in the data directory, beside it: `kana-data.before-20261129T090311Z`.
fn before(data_dir: &Path, now: Timestamp) -> PathBuf {
    let time = now.to_string();
    let (seconds, _) = time.split_once('.').unwrap_or((&time, ""));
    let time: String = seconds.chars().filter(char::is_ascii_alphanumeric).collect();
    // Without a slash at the end, and also where it is `.`.
    let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.components().collect());
    let mut name = data_dir.into_os_string();
    name.push(format!(".before-{time}Z"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_goes_beside_the_data_directory() {
        let now = Timestamp::parse("now", "2026-11-29T09:03:11.250Z").unwrap();
        for data_dir in ["/absent/kana-data", "/absent/kana-data/"] {
            let expected = "/absent/kana-data.before-20261129T090311Z";
            assert_eq!(before(Path::new(data_dir), now), Path::new(expected));
        }
    }
}
