//! Group commit: while one batch is made durable, the next one gathers. No timers: full batches
//! under load, no added wait for a lone command.
//!
//! There are as many lanes as the store can use. Commands are spread over them by user, so that those
//! of one user do not wait for each other in the store. That is for speed alone: whoever decides on a
//! user has the user alone in the store, which keeps lanes and other nodes out of each other's way.
//!
//! Lanes on threads are watched (`watch`): however long a commit takes, each caller has an answer
//! within 30 seconds.

mod batch;
mod catalog_change;
mod commit_timer;
mod lane;
mod lane_queue;
mod publish;
mod queue;
#[cfg(test)]
mod tests;
mod traced;
mod user_import;
mod watch;

use std::collections::HashSet;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, Hash, Hasher as _};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use foldhash::quality::FixedState;
use kana_core::decide::Command;
use kana_core::subjects::Subject;
use kana_store::{Actor, EnvironmentId, NeededThreads, Store};
use kana_telemetry::request::Origin;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::batch::Decider;
use self::commit_timer::CommitTimer;
use self::lane::Lane;
use self::lane_queue::LaneQueue;
pub(crate) use self::publish::{Publish, features_with_usage};
pub(crate) use self::queue::{
    Answered, BATCH_MAX, CatalogDone, CatalogRequest, ImportOutcome, ImportSlice,
};
use self::queue::{Asked, Request, Together, Waiting};
use crate::clock::Clock;
use crate::deadlines::WriterDeadlines;
use crate::error::Error;
use crate::reader::Catalogs;
use crate::settings::Settings;

/// Commands that may wait in a lane. One more is answered with [`Error::Overloaded`].
const WAITING_MAX: usize = 16 * 1024;
/// Commands handed in together that may wait, beside the others. They are counted one by one.
const WAITING_TOGETHER_MAX: usize = 64 * 1024;

/// What runs the lanes.
#[derive(Clone, Copy)]
pub(crate) enum LanesOn<'a> {
    /// A thread for each, since a commit of the embedded engine waits for the disk. If one ends,
    /// the server cannot go on.
    Threads(&'a NeededThreads),
    /// Tasks of the runtime, in whose order everything then happens. A commit holds up the others, and
    /// nothing watches how long it takes.
    Tasks,
}

impl LanesOn<'_> {
    fn start(
        self,
        number: usize,
        lane: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        match self {
            Self::Threads(threads) => {
                let name = format!("kana-writer-{number}");
                let (needed, runtime) = (threads.watch(name.as_str()), Handle::current());
                std::thread::Builder::new().name(name).spawn(move || {
                    let _needed = needed;
                    runtime.block_on(lane);
                })?;
            }
            Self::Tasks => drop(tokio::spawn(lane)),
        }
        Ok(())
    }
}

/// Where commands are handed in.
pub(crate) struct Writer {
    /// At least one.
    lanes: Vec<mpsc::Sender<Waiting>>,
    /// The commits of each lane.
    commits: Vec<Arc<CommitTimer>>,
    /// The queue of each lane.
    queues: Vec<Weak<LaneQueue>>,
    waiting_together: Arc<Semaphore>,
}

/// The answer to commands whose lane panicked. They may or may not be recorded.
const UNANSWERED: Error = Error::Bug("the writer ended before it answered");

/// Ends once the writer has finished everything that it had accepted.
pub(crate) type Finished = mpsc::Receiver<Infallible>;

/// Of what is to be made, the ids are to grow in the order of creation: it all goes this way.
const CREATING_LANE: usize = 0;

impl Writer {
    /// Starts the lanes. They end when every `Writer` is gone.
    pub(crate) fn start(
        store: &Arc<dyn Store>,
        catalogs: &Arc<Catalogs>,
        clock: &Arc<dyn Clock>,
        (settings, limits): (Settings, WriterDeadlines),
        on: LanesOn<'_>,
    ) -> std::io::Result<(Self, Finished)> {
        let (alive, finished) = mpsc::channel(1);
        let (mut lanes, mut commits, mut queues) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..store.lanes().max(1) {
            let (requests, waiting) = mpsc::channel(WAITING_MAX);
            let (store, catalogs, clock) = (store.clone(), catalogs.clone(), clock.clone());
            let timer = Arc::new(CommitTimer::default());
            commits.push(Arc::clone(&timer));
            let queue = Arc::new(LaneQueue::new(waiting, limits));
            queues.push(Arc::downgrade(&queue));
            let decider = Decider { store, catalogs, clock, settings, commits: timer };
            let lane = Lane::new(decider, queue);
            let alive = alive.clone();
            on.start(number, async move {
                lane.run().await;
                // Whoever waits for the end may be about to open the same database again.
                drop(lane);
                drop(alive);
            })?;
            lanes.push(requests);
        }
        if let LanesOn::Threads(threads) = on {
            watch::start(queues.clone(), limits, threads)?;
        }
        let waiting_together = Arc::new(Semaphore::new(WAITING_TOGETHER_MAX));
        Ok((Self { lanes, commits, queues, waiting_together }, finished))
    }

    /// Returns how long the longest commit has been under way at `now`; zero if there is none.
    pub(crate) fn commit_under_way_for(&self, now: Instant) -> Duration {
        let lanes = self.commits.iter().map(|commits| commits.under_way_for(now));
        lanes.max().unwrap_or_default()
    }

    /// Returns how many requests wait in each lane, and how many may.
    pub(crate) fn depths(&self) -> (Vec<u64>, u64) {
        let lanes = self.lanes.iter().zip(&self.queues);
        let depths = lanes.map(|(lane, queue)| {
            let arriving = lane.max_capacity() - lane.capacity();
            let taken = queue.upgrade().map_or(0, |queue| queue.taken());
            (arriving + taken) as u64
        });
        (depths.collect(), WAITING_MAX as u64)
    }

    /// Decides `command` and answers once that is durable.
    pub(crate) async fn submit(
        &self,
        environment: EnvironmentId,
        actor: &Arc<Actor>,
        command: Command,
    ) -> Result<Answered, Error> {
        let (reply, answer) = oneshot::channel();
        let lane = self.lane_of(environment, &command);
        let asked = Asked::new(command, actor);
        self.hand_in(lane, Request::Command { environment, asked, reply })?;
        answer.await.unwrap_or(Err(UNANSWERED))
    }

    /// Decides `commands`, at most [`BATCH_MAX`], and answers each once it is durable. Those of one
    /// user are decided in their order.
    pub(crate) async fn submit_together(
        &self,
        environment: EnvironmentId,
        actor: &Arc<Actor>,
        commands: Vec<Command>,
    ) -> Vec<Result<Answered, Error>> {
        let count = commands.len();
        let places = u32::try_from(count).unwrap_or(u32::MAX);
        let Ok(mut waiting) = Arc::clone(&self.waiting_together).try_acquire_many_owned(places)
        else {
            return all(count, &Error::Overloaded);
        };
        let mut parts = Vec::with_capacity(self.lanes.len());
        for (lane, (places, commands)) in self.spread(environment, commands).into_iter().enumerate()
        {
            let Some(waiting) = waiting.split(commands.len()).filter(|_| !places.is_empty()) else {
                continue;
            };
            let (reply, answers) = oneshot::channel();
            let asked = commands.into_iter().map(|command| Asked::new(command, actor)).collect();
            let request = Request::Together(Together { environment, asked, reply, waiting });
            parts.push((places, self.hand_in(lane, request), answers));
        }
        let mut in_order = all(count, &Error::Bug("a command was not answered"));
        for (places, handed_in, answers) in parts {
            let answers = match handed_in {
                Ok(()) => answers.await.unwrap_or(Err(UNANSWERED)),
                Err(error) => Err(error),
            };
            let answers = match answers {
                Ok(answers) => {
                    answers.into_iter().map(|answer| answer.map_err(Error::Refused)).collect()
                }
                Err(error) => all(places.len(), &error),
            };
            for (place, answer) in places.into_iter().zip(answers) {
                in_order[place] = answer;
            }
        }
        in_order
    }

    /// The commands of each lane, with their places among all. They go to the lanes of their users,
    /// so that the lanes do not wait for each other's; but to one, should the same idempotency key
    /// stand twice, since the first of the two is the one that counts.
    fn spread(
        &self,
        environment: EnvironmentId,
        commands: Vec<Command>,
    ) -> Vec<(Vec<usize>, Vec<Command>)> {
        let mut parts = vec![(Vec::new(), Vec::new()); self.lanes.len()];
        let mut keys = HashSet::new();
        let twice =
            commands.iter().filter_map(Command::idempotency_key).any(|key| !keys.insert(key));
        for (place, command) in commands.into_iter().enumerate() {
            let lane = if twice { CREATING_LANE } else { self.lane_of(environment, &command) };
            parts[lane].0.push(place);
            parts[lane].1.push(command);
        }
        parts
    }

    /// Plans what is asked for, applies it, and answers once that is durable.
    pub(crate) async fn submit_catalog(
        &self,
        environment: EnvironmentId,
        actor: &Arc<Actor>,
        request: CatalogRequest,
    ) -> Result<CatalogDone, Error> {
        let (reply, answer) = oneshot::channel();
        let (actor, origin) = (Arc::clone(actor), Origin::current());
        let request = Request::Catalog { environment, actor, origin, request, reply };
        self.hand_in(CREATING_LANE, request)?;
        answer.await.unwrap_or(Err(UNANSWERED))
    }

    /// Applies a slice of an import of users, and answers once that is durable.
    pub(crate) async fn submit_import(
        &self,
        environment: EnvironmentId,
        slice: ImportSlice,
    ) -> Result<ImportOutcome, Error> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(CREATING_LANE, Request::Import { environment, slice, reply })?;
        answer.await.unwrap_or(Err(UNANSWERED))
    }

    /// The lane of a command: that of the user whom it names first, unless it makes something.
    fn lane_of(&self, environment: EnvironmentId, command: &Command) -> usize {
        if self.lanes.len() == 1 || command.creates() {
            return CREATING_LANE;
        }
        let mut hasher = FixedState::default().build_hasher();
        environment.hash(&mut hasher);
        match command.subjects().first {
            Subject::User(id) => id.hash(&mut hasher),
            Subject::Subscriber(subscription) => subscription.hash(&mut hasher),
            Subject::Recorder(key) => key.hash(&mut hasher),
        }
        // The remainder fits: there are few lanes.
        usize::try_from(hasher.finish() % self.lanes.len() as u64).unwrap_or(CREATING_LANE)
    }

    fn hand_in(&self, lane: usize, request: Request) -> Result<(), Error> {
        let waiting = Waiting { request, since: Instant::now() };
        self.lanes[lane % self.lanes.len()].try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Error::ShuttingDown,
        })
    }
}

/// Returns the same failure for `count` commands.
fn all(count: usize, error: &Error) -> Vec<Result<Answered, Error>> {
    std::iter::repeat_with(|| Err(error.clone())).take(count).collect()
}
