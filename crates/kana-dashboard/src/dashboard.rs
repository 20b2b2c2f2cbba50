//! What all pages share.

use std::sync::Arc;
use std::time::Duration;

use kana_http::body::BodyMemory;
use kana_service::Kana;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::nonce::UsedNonces;
use crate::problem::Problem;
use crate::settings::Settings;

/// How many pages read the database at once, so that a crowd of people does not slow down recording.
const READING_MAX: usize = 4;
/// How long a page waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(2);
/// How many files arrive at once.
const UPLOADS_MAX: usize = 2;
/// The memory of all forms that are being read, in bytes.
const FORMS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What all pages share.
pub(crate) struct Dashboard {
    pub(crate) kana: Arc<Kana>,
    pub(crate) settings: Settings,
    pub(crate) body_memory: Arc<BodyMemory>,
    pub(crate) used_nonces: UsedNonces,
    turns: Semaphore,
    uploads: Semaphore,
}

impl Dashboard {
    pub(crate) fn new(kana: &Arc<Kana>, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            kana: Arc::clone(kana),
            settings,
            body_memory: BodyMemory::new(FORMS_BYTES_MAX),
            used_nonces: UsedNonces::default(),
            turns: Semaphore::new(READING_MAX),
            uploads: Semaphore::new(UPLOADS_MAX),
        })
    }

    /// Takes a place to receive a file. Fails with [`Busy`](Problem::Busy) if too many arrive already.
    pub(crate) fn upload_place(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.uploads.try_acquire().map_err(|_| Problem::Busy)
    }

    /// Waits for a turn to read the database. Fails with [`Busy`](Problem::Busy) if too many others
    /// were first.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        match timeout(TURN_WAIT_MAX, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Problem::Busy),
        }
    }
}
