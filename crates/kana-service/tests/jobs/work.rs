//! A kind of job that does what its key says, and notes what it did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use kana_service::jobs::{Due, Failure, JobKind, Policy, Progress, Slice};
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Step<'a> = BoxFuture<'a, Result<Progress, Failure>>;
type Script = Box<dyn for<'a> Fn(&'a Slice, &'a mut u32) -> Step<'a> + Send + Sync>;

/// What jobs have done, by key.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<BTreeMap<String, Done>>>, Arc<watch::Sender<()>>);

/// What the job of a key has done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    /// When slices began.
    pub(crate) begun: Vec<Instant>,
    /// Slices that returned, with whether they went well.
    pub(crate) ended: Vec<bool>,
    /// Slices that were dropped or panicked.
    pub(crate) dropped: u32,
    /// Slices that run now.
    pub(crate) running: u32,
}

impl Log {
    pub(crate) fn of(&self, key: &str) -> Done {
        self.all().get(key).cloned().unwrap_or_default()
    }

    pub(crate) fn all(&self) -> MutexGuard<'_, BTreeMap<String, Done>> {
        self.0.lock().unwrap()
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Done)) {
        change(self.all().entry(key.to_owned()).or_default());
        self.1.send_replace(());
    }

    /// Waits until the job of a key has done what is asked about.
    pub(crate) async fn until(&self, key: &str, has: impl Fn(&Done) -> bool) -> Done {
        let mut changes = self.1.subscribe();
        loop {
            let done = self.of(key);
            if has(&done) {
                return done;
            }
            changes.changed().await.unwrap();
        }
    }

    pub(crate) async fn begun(&self, key: &str, times: usize) -> Done {
        self.until(key, |done| done.begun.len() >= times).await
    }

    pub(crate) async fn ended(&self, key: &str, times: usize) -> Done {
        self.until(key, |done| done.ended.len() >= times).await
    }

    pub(crate) async fn dropped(&self, key: &str, times: u32) -> Done {
        self.until(key, |done| done.dropped >= times).await
    }
}

/// Jobs named `work`. What each does is up to a script.
pub(crate) struct Work {
    pub(crate) log: Log,
    pub(crate) policy: Policy,
    pub(crate) script: Script,
}

impl Work {
    pub(crate) fn new(
        log: &Log,
        policy: Policy,
        script: impl for<'a> Fn(&'a Slice, &'a mut u32) -> Step<'a> + Send + Sync + 'static,
    ) -> Self {
        Self { log: log.clone(), policy, script: Box::new(script) }
    }
}

/// Notes a slice that is dropped.
struct Running<'a> {
    log: &'a Log,
    key: &'a str,
    ended: Option<bool>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.log.change(self.key, |done| {
            done.running -= 1;
            match self.ended {
                Some(well) => done.ended.push(well),
                None => done.dropped += 1,
            }
        });
    }
}

impl JobKind for Work {
    const NAME: &'static str = "work";
    type State = u32;

    fn policy(&self) -> Policy {
        self.policy
    }

    async fn run(&self, slice: &Slice, state: &mut u32) -> Result<Progress, Failure> {
        self.log.change(slice.key(), |done| {
            done.begun.push(Instant::now());
            done.running += 1;
            assert_eq!(done.running, 1, "a job runs twice at once");
        });
        let mut running = Running { log: &self.log, key: slice.key(), ended: None };
        let result = (self.script)(slice, state).await;
        running.ended = Some(result.is_ok());
        result
    }
}

/// The same, of another name.
pub(crate) struct Other(pub(crate) Work);

impl JobKind for Other {
    const NAME: &'static str = "other";
    type State = u32;

    fn policy(&self) -> Policy {
        self.0.policy
    }

    async fn run(&self, slice: &Slice, state: &mut u32) -> Result<Progress, Failure> {
        self.0.run(slice, state).await
    }
}

/// A slice that is done at once.
pub(crate) fn done<'a>() -> Step<'a> {
    async { Ok(Progress::Done) }.boxed()
}

pub(crate) const GO_ON: Progress = Progress::GoOn { due: Due::NOW };
