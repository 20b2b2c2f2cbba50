use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kana_telemetry::metrics::writer::COMMITS;
use kana_telemetry::slow;

/// Measures how long the commit of a lane has been under way.
#[derive(Debug, Default)]
pub(crate) struct CommitTimer(Mutex<Option<Instant>>);

impl CommitTimer {
    /// Waits for a commit, and measures it meanwhile.
    pub(super) async fn measure<T>(&self, commit: impl Future<Output = T>) -> T {
        let since = Instant::now();
        *self.since() = Some(since);
        let _ended = Ended(self);
        let committed = commit.await;
        let took = since.elapsed();
        COMMITS.observe(took);
        slow::note_statement(|| "COMMIT", took);
        committed
    }

    /// Returns how long a commit has been under way at `now`; zero if there is none.
    pub(crate) fn under_way_for(&self, now: Instant) -> Duration {
        self.since().map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the measurement, also after a panic.
struct Ended<'a>(&'a CommitTimer);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        *self.0.since() = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_commit_is_under_way_until_it_ends_or_is_given_up() {
        let (timer, later) = (CommitTimer::default(), Instant::now() + Duration::from_secs(10));
        assert_eq!(timer.under_way_for(later), Duration::ZERO);
        let mut commit = Box::pin(timer.measure(pending::<()>()));
        assert_eq!(commit.as_mut().now_or_never(), None);
        assert!(timer.under_way_for(later) > Duration::from_secs(5));
        drop(commit);
        assert_eq!(timer.under_way_for(later), Duration::ZERO);
        timer.measure(ready(())).await;
        assert_eq!(timer.under_way_for(later), Duration::ZERO);
    }
}
