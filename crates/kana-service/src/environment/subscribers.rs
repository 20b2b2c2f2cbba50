//! How many users subscribe to packages.

use std::sync::Arc;

use kana_core::id::PackageId;

use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;
use crate::subscriber_counts::{AGE_MAX_MS, RENEWED_AFTER_MS};

impl EnvironmentView {
    /// Counts the users to whom a subscription to each package grants something now, in the order of the
    /// packages. Takes as long as there are subscribers; on the embedded engine, as long as there are whose
    /// subscription was set to begin or to end.
    pub async fn count_subscribers(&self, packages: &[PackageId]) -> Result<Vec<u64>, Error> {
        let packages = packages.to_vec();
        self.off_thread(move |view| async move {
            retry(|| async {
                let mut transaction = view.begin().await?;
                Ok(transaction.active_subscribers(view.id(), &packages, view.now()).await?)
            })
            .await
        })
        .await
    }

    /// Returns numbers as [`count_subscribers`](Self::count_subscribers) does, which are at most ten
    /// seconds old. Whoever asks within ten seconds of somebody else does not wait.
    pub async fn recent_subscribers(&self, packages: &[PackageId]) -> Result<Vec<u64>, Error> {
        let (id, counts) = (self.id(), &self.kana().subscribers);
        if let Some(known) = counts.known(id, packages, self.now(), RENEWED_AFTER_MS) {
            return Ok(known);
        }
        if let Some(known) = counts.known(id, packages, self.now(), AGE_MAX_MS) {
            let (view, packages) = (self.clone(), Arc::<[PackageId]>::from(packages));
            tokio::spawn(async move {
                // Unless somebody counts already. Whoever asks later gets an error, if there is one.
                if let Ok(_counting) = view.kana().subscribers.counting.try_lock() {
                    let _ = view.count_and_keep(&packages).await;
                }
            });
            return Ok(known);
        }
        let _counting = counts.counting.lock().await;
        match counts.known(id, packages, self.now(), AGE_MAX_MS) {
            Some(known) => Ok(known),
            None => self.count_and_keep(packages).await,
        }
    }

    async fn count_and_keep(&self, packages: &[PackageId]) -> Result<Vec<u64>, Error> {
        // The time before the snapshot, so that no number is older than it says.
        let at = self.now();
        let subscribers = self.count_subscribers(packages).await?;
        self.kana().subscribers.keep(self.id(), packages, &subscribers, at);
        Ok(subscribers)
    }
}
