//! The kinds of jobs that a node can run.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use kana_store::jobs::{Due, NewJob, Room, STATE_BYTES_MAX};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::kind::{Failure, JobKind, Policy, Progress, Slice};

/// The kinds of jobs that a node can run. Jobs of other kinds are left to nodes that know them.
#[derive(Default)]
pub struct JobKinds(BTreeMap<&'static str, Arc<Registered>>);

/// A kind of job on this node.
pub(super) struct Registered {
    kind: Box<dyn AnyKind>,
    pub(super) policy: Policy,
    places: Arc<Semaphore>,
}

impl JobKinds {
    /// No kinds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind. One of the same name gives way.
    #[must_use]
    pub fn with<K: JobKind>(mut self, kind: K) -> Self {
        let policy = kind.policy();
        let places = Arc::new(Semaphore::new(policy.at_once));
        self.0.insert(K::NAME, Arc::new(Registered { kind: Box::new(kind), policy, places }));
        self
    }

    /// Returns the names of the kinds.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Registered>> {
        self.0.get(name)
    }

    /// How many jobs of each kind can be run now, besides those that are.
    pub(super) fn rooms(&self) -> Vec<Room> {
        let room = |(kind, registered): (&&'static str, &Arc<Registered>)| Room {
            kind,
            jobs: registered.places.available_permits(),
        };
        self.0.iter().map(room).filter(|room| room.jobs > 0).collect()
    }

    /// The job of each kind that recurs.
    pub(super) fn recurring(&self) -> Vec<NewJob> {
        let recurs = self.0.iter().filter(|(_, registered)| registered.policy.every.is_some());
        recurs.map(|(kind, _)| NewJob::only(kind)).collect()
    }
}

impl JobKinds {
    /// Runs each job that recurs to its end, one after the other, beside the table of jobs. A server
    /// has a [`JobRunner`](super::JobRunner) for that; a test need not wait for one.
    pub async fn run_now(&self) -> Result<(), Failure> {
        let (_never_stops, stops) = watch::channel(false);
        for registered in self.0.values().filter(|kind| kind.policy.every.is_some()) {
            let mut state = None;
            loop {
                let slice = Slice::detached(stops.clone());
                let (progress, now_at) = registered.run(&slice, state.as_deref()).await?;
                if progress == Progress::Done {
                    break;
                }
                state = now_at;
            }
        }
        Ok(())
    }
}

impl Registered {
    /// A place among the jobs of this kind; `None` if there is no room.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Runs a slice of a job that is at `state`. Returns how far it came, and where the job is now.
    pub(super) async fn run(
        &self,
        slice: &Slice,
        state: Option<&str>,
    ) -> Result<(Progress, Option<String>), Failure> {
        self.kind.run(slice, state).await
    }

    /// When a job is due that has made this progress; `None` if everything is done.
    pub(super) fn due_after(&self, progress: Progress) -> Option<Due> {
        match progress {
            Progress::Done => self.policy.every.map(Due::After),
            Progress::GoOn { due } => Some(due),
        }
    }
}

/// A kind of job, whatever its states are.
#[async_trait]
trait AnyKind: Send + Sync {
    async fn run(
        &self,
        slice: &Slice,
        state: Option<&str>,
    ) -> Result<(Progress, Option<String>), Failure>;
}

#[async_trait]
impl<K: JobKind> AnyKind for K {
    async fn run(
        &self,
        slice: &Slice,
        state: Option<&str>,
    ) -> Result<(Progress, Option<String>), Failure> {
        let mut state = self::state::<K>(state, self.policy().every.is_some())?;
        let progress = JobKind::run(self, slice, &mut state).await?;
        let state = serde_json::to_string(&state)?;
        if state.len() > STATE_BYTES_MAX {
            return Err(format!("its state is longer than {STATE_BYTES_MAX} bytes").into());
        }
        // A job without a state is always at its beginning.
        Ok((progress, Some(state).filter(|state| state != "null")))
    }
}

/// Reads where a job is. If that was written by another release, a job that recurs begins anew.
fn state<K: JobKind>(state: Option<&str>, recurs: bool) -> Result<K::State, Failure> {
    let Some(state) = state else {
        return Ok(K::State::default());
    };
    match serde_json::from_str(state) {
        Ok(state) => Ok(state),
        Err(error) if recurs => {
            tracing::warn!(kind = K::NAME, %error, "a job begins anew: its state cannot be read");
            Ok(K::State::default())
        }
        Err(error) => Err(format!("its state cannot be read: {error}").into()),
    }
}
