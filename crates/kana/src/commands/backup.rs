//! `kana backup`: a copy of the embedded database (contract: `operations.md`, "Backup, restore, check,
//! doctor").

use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use kana_service::{Clock as _, SystemClock};
use kana_store::SqliteStore;
use kana_store::sqlite::BackupContents;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::progress::Bar;
use super::whole_file::WholeFile;
use super::{Failure, print};
use crate::settings::BackupSettings;

/// How much is read at once for the checksum.
const BUFFER_BYTES: usize = 256 * 1024;

/// What is printed of a backup.
#[derive(Serialize)]
struct Made<'a> {
    file: &'a Path,
    bytes: u64,
    events: u64,
    users: u64,
    sha256: String,
    took_ms: u64,
}

/// Copies the database to a file that is there once it is whole, checked and durable.
pub(crate) async fn run(settings: &BackupSettings) -> Result<(), Failure> {
    if settings.database.database_url.is_some() {
        return Err(Failure::EmbeddedOnly("kana backup"));
    }
    let since = Instant::now();
    let out = &settings.out;
    WholeFile::refuse_existing(out)?;
    let file = WholeFile::create(out)?;
    let stop = Arc::new(AtomicBool::new(false));
    let copying = {
        let (data_dir, to) = (settings.database.data_dir.clone(), file.path().to_owned());
        let stop = Arc::clone(&stop);
        tokio::task::spawn_blocking(move || copy(&data_dir, &to, &stop))
    };
    tokio::pin!(copying);
    let copied = tokio::select! {
        copied = &mut copying => copied,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            stop.store(true, Ordering::Relaxed);
            copying.await
        }
    };
    let copied = copied.map_err(std::io::Error::other)??;
    let (contents, bytes, sha256) = copied.ok_or(Failure::Interrupted)?;
    file.finish()?;
    // The backup is there in any case.
    if let Err(error) = SqliteStore::note_backup(&settings.database.data_dir, SystemClock.now()) {
        tracing::warn!(%error, "kana doctor will not know of this backup");
    }
    let BackupContents { events, users, .. } = contents;
    let took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    let made = Made { file: out, bytes, events, users, sha256, took_ms };
    let json = serde_json::to_string(&made).map_err(std::io::Error::other)?;
    print(&format!("{json}\n")).map_err(Failure::Output)
}

type Copied = (BackupContents, u64, String);

/// Copies and checks the database. Returns what the copy holds, its size and its checksum; `None` if it
/// was stopped.
fn copy(data_dir: &Path, to: &Path, stop: &AtomicBool) -> Result<Option<Copied>, Failure> {
    let bar = Bar::of_pages();
    let mut progress = |done, all| {
        bar.show_pages(done, all);
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let Some(contents) = SqliteStore::back_up(data_dir, to, &mut progress)? else {
        return Ok(None);
    };
    let (bytes, sha256) = checksum(to).map_err(|error| Failure::File(to.to_owned(), error))?;
    Ok(Some((contents, bytes, sha256)))
}

fn checksum(path: &Path) -> std::io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        bytes += part.len() as u64;
    }
    let hex = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((bytes, hex))
}
