//! Watches what a server cannot go on without: its threads and tasks, and a database that its writer can
//! write to (contract: `operations.md`, "Health and endings").

use std::future::{Future, pending};

use tokio::sync::watch;

/// Why a server cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// The thread or task of this name has panicked, which is a bug.
    Panicked(String),
    /// The database is damaged where every write needs it. Has the error, with the file.
    Damaged(String),
}

/// Reports whether one of the threads or tasks that a server needs has panicked, or no longer has a
/// database. Clones share what they report.
#[derive(Debug, Clone)]
pub struct NeededThreads(watch::Sender<Option<Loss>>);

/// Watches the thread or task that owns it. Reports the thread if it is dropped by a panic.
#[derive(Debug)]
pub struct NeededThread {
    name: String,
    all: NeededThreads,
}

impl Default for NeededThreads {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl NeededThreads {
    /// Returns a guard that watches the thread or task that owns it.
    #[must_use]
    pub fn watch(&self, name: impl Into<String>) -> NeededThread {
        NeededThread { name: name.into(), all: self.clone() }
    }

    /// Reports that the database is damaged where every write needs it.
    pub(crate) fn report_damaged(&self, error: String) {
        self.report(|| Loss::Damaged(error));
    }

    /// Keeps the first loss.
    fn report(&self, loss: impl FnOnce() -> Loss) {
        self.0.send_if_modified(|lost| {
            let is_first = lost.is_none();
            lost.get_or_insert_with(loss);
            is_first
        });
    }

    /// Resolves with the first loss, even if it has happened already. Never resolves if all threads and
    /// tasks end normally. The future does not keep them alive.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        let mut lost = self.0.subscribe();
        async move {
            let loss = match lost.wait_for(Option::is_some).await {
                Ok(loss) => loss.clone(),
                Err(_) => None,
            };
            match loss {
                Some(loss) => loss,
                // All have ended normally.
                None => pending().await,
            }
        }
    }
}

impl Drop for NeededThread {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        // The receiver logs it. Logging here could panic again, which would abort the process.
        self.all.report(|| Loss::Panicked(self.name.clone()));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn ends(threads: &NeededThreads, name: &'static str, by_panic: bool) {
        let watched = threads.watch(name);
        let thread = std::thread::spawn(move || {
            let _watched = watched;
            assert!(!by_panic, "a bug");
        });
        assert_eq!(thread.join().is_err(), by_panic);
    }

    #[tokio::test]
    async fn the_first_loss_is_told() {
        let threads = NeededThreads::default();
        let lost = threads.lost();
        ends(&threads, "fine", false);
        assert_eq!(threads.lost().now_or_never(), None);
        ends(&threads, "first", true);
        ends(&threads, "second", true);
        threads.report_damaged("the database is damaged".to_owned());
        let first = Loss::Panicked("first".to_owned());
        assert_eq!(lost.await, first);
        assert_eq!(threads.lost().await, first);
    }

    #[tokio::test]
    async fn a_task_that_panics_is_told() {
        let threads = NeededThreads::default();
        let watched = threads.watch("task");
        let task = tokio::spawn(async move {
            let _watched = watched;
            tokio::task::yield_now().await;
            panic!("a bug");
        });
        assert!(task.await.is_err());
        assert_eq!(threads.lost().await, Loss::Panicked("task".to_owned()));
    }

    #[tokio::test]
    async fn nothing_is_lost_when_all_have_ended() {
        let threads = NeededThreads::default();
        let lost = threads.lost();
        ends(&threads, "fine", false);
        drop(threads);
        assert_eq!(lost.now_or_never(), None);
    }
}
