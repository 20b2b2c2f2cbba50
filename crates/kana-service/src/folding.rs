//! Folding old counters into one sum in the background, so that a user's counters do not grow
//! for ever (contract: `entitlements.md`, "When a published file changes terms"). No answer changes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use kana_core::Timestamp;
use kana_core::decide::Command;
use kana_core::facts::CounterKey;
use kana_core::folding::{FoldCounters, oldest_kept};
use kana_core::id::UserKey;
use kana_store::{EnvironmentId, EnvironmentKind, Store, StoreError};
use tokio::runtime::Handle;

use crate::error::Error;
use crate::kana::Kana;

/// How long after the start the first pass over all counters begins, and how long after each the
/// next. A counter may be folded long after it could be, see
/// [`FOLDED_LATE_MAX`](kana_core::folding::FOLDED_LATE_MAX).
const FIRST: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// Counters that are looked at in one go, and how long others go first afterwards.
const AT_ONCE: usize = 1000;
const PAUSE: Duration = Duration::from_millis(100);
/// Counters that one command folds.
const FOLDED_AT_ONCE: usize = 500;

/// Folds what has become old once a day, for as long as there is this `Kana`.
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
    /// Folds the counters that are old by now, which a running server does by itself once a day.
    pub async fn fold_old_counters(self: &Arc<Self>) -> Result<(), Error> {
        fold_all(&Arc::downgrade(self)).await
    }
}

/// Looks at all counters, some at a time, and folds those that are old. Between two goes it keeps
/// nobody from stopping.
async fn fold_all(kana: &Weak<Kana>) -> Result<(), Error> {
    for kind in EnvironmentKind::ALL {
        let mut after: Option<(UserKey, CounterKey)> = None;
        while let Some(kana) = kana.upgrade() {
            let Some(access) = kana.store.client_access(kind).await? else {
                return Ok(());
            };
            let environment = access.environment;
            let counters = next_counters(&kana.store, environment, after.take()).await?;
            for command in commands(&counters, kana.clock.now()) {
                kana.writer.submit(environment, Command::FoldCounters(command)).await?;
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
    // The embedded engine reads where it is asked: not on a thread that answers requests.
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

/// The commands that fold what may be old of `counters`, which stand in the order of their table. The
/// rule decides what is.
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
