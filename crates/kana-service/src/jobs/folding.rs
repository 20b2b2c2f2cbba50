//! Folds old counters into one sum in the background, so that a user's counters do not grow without
//! bound (contract: `entitlements.md`, "When a published file changes terms"). No answer changes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use kana_core::Timestamp;
use kana_core::decide::Command;
use kana_core::facts::CounterKey;
use kana_core::folding::{FoldCounters, oldest_kept};
use kana_core::id::UserKey;
use kana_store::{Actor, EnvironmentId, EnvironmentKind, Store, StoreError};
use tokio::runtime::Handle;

use crate::error::Error;
use crate::kana::Kana;

/// The pause between the start of the server and the first pass over all counters.
const FIRST: Duration = Duration::from_secs(60);
/// The pause between two passes. It may be long, since counters may be folded late; see
/// [`FOLDED_LATE_MAX`](kana_core::folding::FOLDED_LATE_MAX).
const INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// How many counters are read at once.
const AT_ONCE: usize = 1000;
/// The pause after each read, in which other work goes first.
const PAUSE: Duration = Duration::from_millis(100);
/// How many counters one command folds.
const FOLDED_AT_ONCE: usize = 500;

/// Starts the task that folds old counters once a day until `kana` is dropped.
pub(crate) fn start(kana: Weak<Kana>) {
    tokio::spawn(async move {
        tokio::time::sleep(FIRST).await;
        while kana.strong_count() > 0 {
            if let Err(error) = fold_all(&kana).await {
                tracing::warn!(%error, "old counters were not folded; trying again tomorrow");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    });
}

impl Kana {
    /// Folds the counters that are old by now. A running server does this once a day.
    pub async fn fold_old_counters(self: &Arc<Self>) -> Result<(), Error> {
        fold_all(&Arc::downgrade(self)).await
    }
}

/// Reads all counters, a batch at a time, and folds the old ones. Between batches it holds no
/// `Kana`, so the server can stop.
async fn fold_all(kana: &Weak<Kana>) -> Result<(), Error> {
    let actor = Arc::new(Actor::Job);
    for kind in EnvironmentKind::ALL {
        let mut after: Option<(UserKey, CounterKey)> = None;
        while let Some(kana) = kana.upgrade() {
            let Some(access) = kana.store.client_access(kind).await? else {
                return Ok(());
            };
            let environment = access.environment;
            let counters = next_counters(&kana.store, environment, after.take()).await?;
            for command in commands(&counters, kana.clock.now()) {
                let folding = Command::FoldCounters(command);
                kana.writer.submit(environment, &actor, folding).await?;
            }
            drop(kana);
            if counters.len() < AT_ONCE {
                break;
            }
            after = counters.into_iter().next_back();
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

async fn next_counters(
    store: &Arc<dyn Store>,
    environment: EnvironmentId,
    after: Option<(UserKey, CounterKey)>,
) -> Result<Vec<(UserKey, CounterKey)>, Error> {
    let (store, runtime) = (Arc::clone(store), Handle::current());
    // The embedded engine reads on the calling thread, which must not be one that answers requests.
    let reading = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            let mut transaction = store.read().await?;
            transaction.counters_after(environment, after.as_ref(), AT_ONCE).await
        })
    });
    let read: Result<_, StoreError> =
        reading.await.map_err(|_| Error::Bug("reading counters panicked"))?;
    Ok(read?)
}

/// Returns commands that fold those of `counters` that may be old; the rule decides which are.
/// `counters` are in the order of their table.
fn commands(counters: &[(UserKey, CounterKey)], now: Timestamp) -> Vec<FoldCounters> {
    let kept = oldest_kept(now);
    let mut commands: Vec<FoldCounters> = Vec::new();
    for (_, counter) in counters {
        if counter.period_start >= kept || counter.is_folded() {
            continue;
        }
        let same = commands.last_mut().filter(|last| {
            last.subscription == counter.subscription
                && last.feature == counter.feature
                && last.terms == counter.terms
                && last.period_starts.len() < FOLDED_AT_ONCE
        });
        if let Some(last) = same {
            last.period_starts.push(counter.period_start);
        } else {
            commands.push(FoldCounters {
                subscription: counter.subscription,
                feature: counter.feature.clone(),
                terms: counter.terms,
                period_starts: vec![counter.period_start],
            });
        }
    }
    commands
}
