//! Forgets usage events and idempotency keys that are older than the settings allow. Counters stay,
//! so users' entitlements do not change.

use std::sync::{Arc, Weak};
use std::time::Duration;

use kana_store::NeededThreads;
use tokio::runtime::Handle;

use crate::error::Error;
use crate::kana::Kana;

/// How often it is looked for events that have become too old.
const INTERVAL: Duration = Duration::from_secs(60);
/// How many are forgotten at once: commands wait for so many, and no longer.
const AT_ONCE: usize = 1000;

/// Forgets what has become too old now and again, for as long as there is this `Kana`.
pub(crate) fn start(kana: Weak<Kana>, threads: &NeededThreads) {
    let needed = threads.watch("kana-retention");
    tokio::spawn(async move {
        let _needed = needed;
        while let Some(running) = kana.upgrade() {
            if let Err(error) = running.forget_old_events().await {
                tracing::warn!(%error, "cannot forget old events; retrying in a minute");
            }
            if let Err(error) = running.forget_old_keys().await {
                tracing::warn!(%error, "cannot forget old idempotency keys; retrying in a minute");
            }
            drop(running);
            tokio::time::sleep(INTERVAL).await;
        }
    });
}

impl Kana {
    /// Forgets idempotency keys that are older than the settings allow, if the store does so in
    /// bulk. A running server does this once a minute.
    pub async fn forget_old_keys(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let before = now.saturating_add_ms(-self.settings.idempotency_ms());
        Ok(self.store.forget_old_keys(before, now).await?)
    }

    /// Forgets the events that are older than the settings want them, which a running server does by
    /// itself once a minute.
    pub async fn forget_old_events(&self) -> Result<(), Error> {
        let Some(kept_ms) = self.settings.events_ms() else {
            return Ok(());
        };
        let before = self.clock.now().saturating_add_ms(-kept_ms);
        loop {
            let (store, runtime) = (Arc::clone(&self.store), Handle::current());
            // A commit of the embedded engine waits for the disk, on a thread that nobody else needs.
            let forgetting = tokio::task::spawn_blocking(move || {
                runtime.block_on(store.forget_events(before, AT_ONCE))
            });
            let may_have_more =
                forgetting.await.map_err(|_| Error::Bug("forgetting events panicked"))??;
            if !may_have_more {
                return Ok(());
            }
        }
    }
}
