//! The free space below which a server refuses writes (contract: `operations.md`, "Backup, restore, check,
//! doctor").

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::statvfs;

use crate::error::StoreError;

/// What is left to the WAL that is being copied, and to commands like `kana keys revoke`.
const RESERVE_BYTES: u64 = 64 << 20;

/// How long enough space counts as enough. What is written meanwhile is far less than the reserve.
const REMEMBERED: Duration = Duration::from_millis(100);

/// Whether the file system of a data directory has room for writes.
pub(super) struct Room {
    reserve_bytes: AtomicU64,
    /// When there last was enough.
    enough_at: Mutex<Option<Instant>>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self { reserve_bytes: AtomicU64::new(RESERVE_BYTES), enough_at: Mutex::new(None) }
    }

    /// Fails with [`Full`](StoreError::Full) if less than the reserve is free. A file system that does not
    /// say how much is free counts as one with room.
    pub(super) fn check(&self, directory: &Path) -> Result<(), StoreError> {
        let now = Instant::now();
        let mut enough_at = self.enough_at.lock().unwrap_or_else(PoisonError::into_inner);
        if enough_at.is_some_and(|at| now.duration_since(at) < REMEMBERED) {
            return Ok(());
        }
        let reserve = self.reserve_bytes.load(Ordering::Relaxed);
        if free_bytes(directory).is_some_and(|free| free < reserve) {
            *enough_at = None;
            let place = directory.display().to_string();
            let source = format!("less than {} MiB are free", reserve >> 20).into();
            return Err(StoreError::Full { place, source });
        }
        *enough_at = Some(now);
        Ok(())
    }

    /// Changes how much must be free, as a test without a small disk needs it.
    #[cfg(test)]
    pub(super) fn reserve(&self, bytes: u64) {
        self.reserve_bytes.store(bytes, Ordering::Relaxed);
        *self.enough_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Returns how many bytes this process could still write to the file system of a directory; `None` if that
/// is not known.
pub(super) fn free_bytes(directory: &Path) -> Option<u64> {
    let of = statvfs(directory).ok()?;
    Some(of.f_bavail.saturating_mul(of.f_frsize))
}
