use std::pin::Pin;
use std::sync::Arc;

use axum::http::HeaderMap;
use futures_util::FutureExt as _;
use kana_http::body::BodyMemory;
use kana_service::{Environment, Error, Kana, Unauthenticated};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::authorisation::presented;

/// How many batches of all requests are handed to the writer at the same time. One can wait while
/// another is made durable; more would only make everybody else wait longer.
const RECORDING_MAX: usize = 2;

/// What all senders share.
pub(super) struct EventsApi {
    kana: Arc<Kana>,
    pub(super) body_memory: Arc<BodyMemory>,
    /// Turns to hand a batch to the writer. They are given in the order of asking.
    turns: Arc<Semaphore>,
}

/// Waits for a turn to hand a batch to the writer.
pub(super) type Turn = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

/// The holder of a private key, who sends events.
pub(super) struct Sender {
    api: Arc<EventsApi>,
    key: String,
}

impl EventsApi {
    pub(super) fn new(kana: &Arc<Kana>, body_memory: &Arc<BodyMemory>) -> Arc<Self> {
        Arc::new(Self {
            kana: Arc::clone(kana),
            body_memory: Arc::clone(body_memory),
            turns: Arc::new(Semaphore::new(RECORDING_MAX)),
        })
    }
}

impl Sender {
    /// Checks the key in the `Authorization` header, as the Admin API does.
    pub(super) async fn authorise(api: Arc<EventsApi>, headers: &HeaderMap) -> Result<Self, Error> {
        let key = presented(headers, Unauthenticated::Missing)?.to_owned();
        let sender = Self { api, key };
        sender.environment().await?;
        Ok(sender)
    }

    /// Waits for a turn to hand a batch to the writer. The semaphore is never closed.
    pub(super) fn turn(&self) -> Turn {
        Box::pin(Arc::clone(&self.api.turns).acquire_owned().map(Result::ok))
    }

    /// Returns the environment that the key opens now. A stream can last for longer than its key is
    /// valid.
    pub(super) async fn environment(&self) -> Result<Environment, Error> {
        self.api.kana.authorise_private(&self.key).await
    }

    pub(super) fn body_memory(&self) -> &Arc<BodyMemory> {
        &self.api.body_memory
    }
}
