//! A store with jobs, and a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kana_core::Timestamp;
use kana_service::jobs::{Due, JobKinds, JobRunner, NewJob};
use kana_service::{Clock, Kana};
use kana_store::jobs::{ClaimedJob, Job, JobStatus, JobStore as _, Room};
use kana_store::{SqliteStore, Store};
use tempfile::TempDir;
use tokio::time::{Instant, advance};

/// A clock that follows the runtime's, which a test can pause and advance. It can be set back.
pub(crate) struct RuntimeClock {
    begun_at: Instant,
    offset_ms: AtomicI64,
}

impl RuntimeClock {
    fn new() -> Self {
        let offset_ms = AtomicI64::new(1_705_320_000_000);
        Self { begun_at: Instant::now(), offset_ms }
    }

    pub(crate) fn go_back(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap();
        self.offset_ms.fetch_sub(ms, Ordering::SeqCst);
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.begun_at.elapsed().as_millis()).unwrap();
        Timestamp::from_ms(self.offset_ms.load(Ordering::SeqCst) + elapsed)
    }
}

/// The embedded engine, which is enough for whatever is not about nodes.
pub(crate) struct World {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<RuntimeClock>,
    _dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open_for_server(dir.path()).unwrap());
        Self { store, clock: Arc::new(RuntimeClock::new()), _dir: dir }
    }

    pub(crate) fn start(&self, kinds: JobKinds) -> JobRunner {
        start(Arc::clone(&self.store) as _, Arc::clone(&self.clock) as _, kinds)
    }

    pub(crate) async fn schedule<const N: usize>(&self, keys: [&str; N]) {
        self.schedule_jobs(&keys.map(work)).await;
    }

    pub(crate) async fn schedule_jobs(&self, jobs: &[NewJob]) {
        schedule(self.store.as_ref(), jobs, self.clock.now()).await;
    }

    /// Claims jobs as another node would.
    pub(crate) async fn claim(&self, now: Timestamp) -> Vec<ClaimedJob> {
        let rooms = [Room { kind: "work", jobs: 100 }, Room { kind: "other", jobs: 100 }];
        self.store.claim_jobs(&rooms, 100, now).await.unwrap()
    }

    pub(crate) async fn job(&self, key: &str) -> Option<Job> {
        let jobs = self.store.jobs(1000).await.unwrap();
        jobs.into_iter().find(|job| job.key == key)
    }

    /// Waits until the job of a key is so.
    pub(crate) async fn until(&self, key: &str, is: impl Fn(Option<&Job>) -> bool) -> Option<Job> {
        loop {
            let job = self.job(key).await;
            if is(job.as_ref()) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the job of a key is so, while no time passes.
    pub(crate) async fn settled(
        &self,
        key: &str,
        is: impl Fn(Option<&Job>) -> bool,
    ) -> Option<Job> {
        loop {
            let job = self.job(key).await;
            if is(job.as_ref()) {
                return job;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn until_status(&self, key: &str, status: JobStatus) -> Job {
        let is = |job: Option<&Job>| job.is_some_and(|job| job.status == status);
        self.until(key, is).await.unwrap()
    }

    pub(crate) async fn until_gone(&self, key: &str) {
        self.until(key, |job| job.is_none()).await;
    }
}

/// Starts to run jobs of a node.
pub(crate) fn start(store: Arc<dyn Store>, clock: Arc<dyn Clock>, kinds: JobKinds) -> JobRunner {
    JobRunner::start(&Kana::start(store, clock).unwrap(), kinds)
}

/// A job of the kind `work`, due at once.
pub(crate) fn work(key: &str) -> NewJob {
    NewJob { key: key.to_owned(), ..NewJob::only("work") }
}

pub(crate) fn work_after(key: &str, wait: Duration) -> NewJob {
    NewJob { due: Due::After(wait), ..work(key) }
}

pub(crate) async fn schedule(store: &dyn Store, jobs: &[NewJob], now: Timestamp) {
    let mut transaction = store.write().await.unwrap();
    transaction.schedule_jobs(jobs, now).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Lets time pass, though a slice runs: by itself it only passes when nothing is at work.
pub(crate) async fn pass(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        step(Duration::from_millis(500)).await;
    }
}

/// Lets time pass until the lease of a slice that runs must be renewed, and waits for that, which is up
/// to a thread that knows nothing of the time that passes here.
pub(crate) async fn pass_with_renewal(world: &World, key: &str) {
    let before = world.job(key).await.map(|job| job.due_at);
    pass(Duration::from_millis(5500)).await;
    world.settled(key, |job| job.map(|job| job.due_at) != before).await;
}

/// Tells a story, and lets time pass meanwhile, though a slice runs.
pub(crate) async fn passing<T>(story: impl Future<Output = T>) -> T {
    let passing = async {
        loop {
            step(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        told = story => told,
        () = passing => unreachable!(),
    }
}

async fn step(time: Duration) {
    advance(time).await;
    // For whatever is due now.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}
