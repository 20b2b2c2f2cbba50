//! Watches the threads and tasks that a server needs for a panic.

use std::future::{Future, pending};

use tokio::sync::watch;

/// Reports whether one of the threads or tasks that a server needs has panicked. Clones share what
/// they report.
#[derive(Debug, Clone)]
pub struct NeededThreads(watch::Sender<Option<String>>);

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

    /// Resolves with the name of the first thread or task that panics, even if it already has.
    /// Never resolves if all of them end normally. The future does not keep them alive.
    pub fn lost(&self) -> impl Future<Output = String> + Send + use<> {
        let mut lost = self.0.subscribe();
        async move {
            let name = match lost.wait_for(Option::is_some).await {
                Ok(name) => name.clone(),
                Err(_) => None,
            };
            match name {
                Some(name) => name,
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
        self.all.0.send_if_modified(|lost| {
            let is_first = lost.is_none();
            lost.get_or_insert_with(|| self.name.clone());
            is_first
        });
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
    async fn the_first_thread_that_panics_is_told() {
        let threads = NeededThreads::default();
        let lost = threads.lost();
        ends(&threads, "fine", false);
        assert_eq!(threads.lost().now_or_never(), None);
        ends(&threads, "first", true);
        ends(&threads, "second", true);
        assert_eq!(lost.await, "first");
        assert_eq!(threads.lost().await, "first");
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
        assert_eq!(threads.lost().await, "task");
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
