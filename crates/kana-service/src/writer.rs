//! Group commit: while one batch is made durable, the next one gathers. No timers: full batches
//! under load, no added wait for a lone command.
//!
//! There are as many lanes as the store can use. Commands are spread over them by user, so that those
//! of one user do not wait for each other in the store. That is for speed alone: whoever decides on a
//! user has the user alone in the store, which keeps lanes and other nodes out of each other's way.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kana_core::catalog::{Catalog, CatalogVersion};
use kana_core::catalog_command::{self, CatalogAnswer, CatalogCommand};
use kana_core::decide::{Answer, Command, Subject, decide};
use kana_core::facts::{Change, CounterKey, Obstacle, UserFacts};
use kana_core::id::{IdempotencyKey, SubscriptionId, UserId, UserKey};
use kana_core::{Refusal, Timestamp};
use kana_store::{EnvironmentId, Store, WriteTransaction};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use uuid::Uuid;

use crate::catalogs::Catalogs;
use crate::clock::Clock;
use crate::configuration::Publish;
use crate::error::Error;
use crate::facts_in_use::{FactsInUse, ROUNDS_MAX, Wanted};
use crate::kana::Settings;
use crate::retries::insist;

/// Commands that may wait in a lane. One more is answered with [`Error::Overloaded`].
const WAITING_MAX: usize = 16 * 1024;
/// Commands decided in one transaction.
pub(crate) const BATCH_MAX: usize = 1024;
/// Commands that were handed in together and are decided in one transaction with others of their
/// kind. The more there are, the more of them change the same pages, each of which is written once
/// a commit; but a command that came alone waits for all of them.
const TOGETHER_MAX: usize = 8 * 1024;
/// Commands handed in together that may wait, beside the others. They are counted one by one.
const WAITING_TOGETHER_MAX: usize = 64 * 1024;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// Something to be written.
enum Job {
    Command { environment: EnvironmentId, command: Command, reply: Reply<Answer> },
    Together(Together),
    Catalog { environment: EnvironmentId, request: CatalogRequest, reply: Reply<CatalogDone> },
}

/// Commands of one environment that were handed in together, at most [`BATCH_MAX`]. Each stands or
/// falls alone; only a failure of the store answers them all.
struct Together {
    environment: EnvironmentId,
    commands: Vec<Command>,
    reply: Reply<Answers>,
    /// Their place in what may wait.
    waiting: OwnedSemaphorePermit,
}

impl Together {
    fn len(&self) -> usize {
        self.commands.len()
    }
}

/// A change of the catalog that is asked for.
pub(crate) enum CatalogRequest {
    /// One change.
    Command(CatalogCommand),
    /// All that makes the catalog what a configuration says.
    Publish(Publish),
}

/// A catalog as it is once a change is done.
pub(crate) struct CatalogDone {
    pub(crate) version: CatalogVersion,
    pub(crate) catalog: Arc<Catalog>,
    /// What a command was about.
    pub(crate) about: Option<CatalogAnswer>,
}

/// Where commands are handed in.
pub(crate) struct Writer {
    /// At least one.
    lanes: Vec<mpsc::Sender<Job>>,
    waiting_together: Arc<Semaphore>,
    /// The lane for the next commands that were handed in together.
    next: AtomicUsize,
}

/// Ends once the writer has finished everything that it had accepted.
pub(crate) type Finished = mpsc::Receiver<Infallible>;

/// Of what is to be made, the ids are to grow in the order of creation: it all goes this way.
const CREATING_LANE: usize = 0;

struct Lane {
    store: Arc<dyn Store>,
    catalogs: Arc<Catalogs>,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

impl Writer {
    /// Starts each lane on a thread of its own, since a commit of the embedded engine waits for
    /// the disk. The lanes end when every `Writer` is gone.
    pub(crate) fn start(
        store: &Arc<dyn Store>,
        catalogs: &Arc<Catalogs>,
        clock: &Arc<dyn Clock>,
        settings: Settings,
    ) -> std::io::Result<(Self, Finished)> {
        let (alive, finished) = mpsc::channel(1);
        let mut lanes = Vec::new();
        for number in 0..store.lanes().max(1) {
            let (jobs, waiting) = mpsc::channel(WAITING_MAX);
            let (store, catalogs, clock) = (store.clone(), catalogs.clone(), clock.clone());
            let lane = Lane { store, catalogs, clock, settings };
            let (runtime, alive) = (Handle::current(), alive.clone());
            std::thread::Builder::new().name(format!("kana-writer-{number}")).spawn(move || {
                lane.run(&runtime, waiting);
                // Whoever waits for the end may be about to open the same database again.
                drop(lane);
                drop(alive);
            })?;
            lanes.push(jobs);
        }
        let waiting_together = Arc::new(Semaphore::new(WAITING_TOGETHER_MAX));
        Ok((Self { lanes, waiting_together, next: AtomicUsize::new(0) }, finished))
    }

    /// Decides `command` and answers once that is durable.
    pub(crate) async fn submit(
        &self,
        environment: EnvironmentId,
        command: Command,
    ) -> Result<Answer, Error> {
        let (reply, answer) = oneshot::channel();
        let lane = self.lane_of(environment, &command);
        self.hand_in(lane, Job::Command { environment, command, reply })?;
        answer.await.map_err(|_| Error::ShuttingDown)?
    }

    /// Decides `commands`, at most [`BATCH_MAX`], in their order, and answers once all that is
    /// durable.
    pub(crate) async fn submit_together(
        &self,
        environment: EnvironmentId,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Answer, Refusal>>, Error> {
        let places = u32::try_from(commands.len()).unwrap_or(u32::MAX);
        let waiting = Arc::clone(&self.waiting_together).try_acquire_many_owned(places);
        let waiting = waiting.map_err(|_| Error::Overloaded)?;
        let (reply, answers) = oneshot::channel();
        let lane = self.next.fetch_add(1, Ordering::Relaxed);
        self.hand_in(lane, Job::Together(Together { environment, commands, reply, waiting }))?;
        answers.await.map_err(|_| Error::ShuttingDown)?
    }

    /// Plans what is asked for, applies it, and answers once that is durable.
    pub(crate) async fn submit_catalog(
        &self,
        environment: EnvironmentId,
        request: CatalogRequest,
    ) -> Result<CatalogDone, Error> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(CREATING_LANE, Job::Catalog { environment, request, reply })?;
        answer.await.map_err(|_| Error::ShuttingDown)?
    }

    /// The lane of a command. All commands of one user but those that make something have one.
    fn lane_of(&self, environment: EnvironmentId, command: &Command) -> usize {
        if self.lanes.len() == 1 || makes_something(command) {
            return CREATING_LANE;
        }
        let mut hasher = DefaultHasher::new();
        environment.hash(&mut hasher);
        match command.subject() {
            Subject::User(id) => id.hash(&mut hasher),
            Subject::Subscriber(subscription) => subscription.hash(&mut hasher),
        }
        // The remainder fits: there are few lanes.
        usize::try_from(hasher.finish() % self.lanes.len() as u64).unwrap_or(CREATING_LANE)
    }

    fn hand_in(&self, lane: usize, job: Job) -> Result<(), Error> {
        self.lanes[lane % self.lanes.len()].try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Error::ShuttingDown,
        })
    }
}

/// Commands of one transaction, those of an environment together. Environments share nothing, so
/// that only the order within one matters. The environments have an order, so that two lanes do not
/// wait for each other's.
type Batch = BTreeMap<EnvironmentId, Vec<(Command, Reply<Answer>)>>;

/// What each command of an environment is answered with, in their order.
type Answers = Vec<Result<Answer, Refusal>>;

/// What the commands of an environment come to.
struct Decided {
    answers: Answers,
    changes: Vec<(UserKey, Change)>,
    /// Keys that must be forgotten before they are used anew.
    outdated_keys: Vec<IdempotencyKey>,
}

impl Lane {
    fn run(&self, runtime: &Handle, mut waiting: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH_MAX);
        while runtime.block_on(waiting.recv_many(&mut jobs, BATCH_MAX)) > 0 {
            // Whoever woke this thread may be about to hand in more: with one core to share, it
            // was stopped in the middle of that. Alone, this takes no time.
            std::thread::yield_now();
            while jobs.len() < BATCH_MAX
                && let Ok(job) = waiting.try_recv()
            {
                jobs.push(job);
            }
            let mut batch = Batch::new();
            let mut together = Vec::new();
            for mut job in jobs.drain(..) {
                if let Job::Command { command, .. } = &mut job {
                    choose_ids(command);
                }
                if !matches!(job, Job::Together(_)) {
                    self.run_together(runtime, std::mem::take(&mut together));
                }
                match job {
                    Job::Command { environment, command, reply } if command.stands_alone() => {
                        self.run_commands(runtime, std::mem::take(&mut batch));
                        let alone = Batch::from([(environment, vec![(command, reply)])]);
                        self.run_commands(runtime, alone);
                    }
                    Job::Command { environment, command, reply } => {
                        batch.entry(environment).or_default().push((command, reply));
                    }
                    Job::Together(next) => {
                        self.run_commands(runtime, std::mem::take(&mut batch));
                        let count: usize = together.iter().map(Together::len).sum();
                        if count + next.len() > TOGETHER_MAX {
                            self.run_together(runtime, std::mem::take(&mut together));
                        }
                        together.push(next);
                    }
                    Job::Catalog { environment, request, reply } => {
                        // A catalog is changed between two batches, and so in one piece.
                        self.run_commands(runtime, std::mem::take(&mut batch));
                        self.run_catalog(runtime, environment, &request, reply);
                    }
                }
            }
            self.run_together(runtime, together);
            self.run_commands(runtime, batch);
        }
    }

    fn run_commands(&self, runtime: &Handle, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        let (mut commands, mut replies) = (Vec::new(), Vec::new());
        for (environment, entries) in batch {
            let (these, their_replies): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
            commands.push((environment, these));
            replies.extend(their_replies);
        }
        match contain_panic(|| runtime.block_on(self.decide_and_commit(&commands))) {
            Ok(answers) => {
                let answers = answers.into_iter().map(|answer| answer.map_err(Error::Refused));
                answer_all(runtime, replies.into_iter().zip(answers));
            }
            Err(error) => {
                let answers = std::iter::repeat_with(move || Err(error.clone()));
                answer_all(runtime, replies.into_iter().zip(answers));
            }
        }
    }

    fn run_together(&self, runtime: &Handle, together: Vec<Together>) {
        if together.is_empty() {
            return;
        }
        let mut commands: BTreeMap<EnvironmentId, Vec<Command>> = BTreeMap::new();
        let mut replies = Vec::with_capacity(together.len());
        for Together { environment, commands: these, reply, waiting } in together {
            replies.push((environment, reply, these.len(), waiting));
            commands.entry(environment).or_default().extend(these);
        }
        let commands: Vec<(EnvironmentId, Vec<Command>)> = commands.into_iter().collect();
        match contain_panic(|| runtime.block_on(self.decide_and_commit(&commands))) {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                let mut of_environment: HashMap<EnvironmentId, _> = commands
                    .iter()
                    .map(|(environment, commands)| {
                        let theirs: Answers = answers.by_ref().take(commands.len()).collect();
                        (*environment, theirs.into_iter())
                    })
                    .collect();
                for (environment, reply, count, _waiting) in replies {
                    let theirs = of_environment.get_mut(&environment).into_iter().flatten();
                    let _ = reply.send(Ok(theirs.take(count).collect()));
                }
            }
            Err(error) => {
                for (_, reply, _, _waiting) in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Decides all commands in one transaction and commits it, anew where another writer was faster
    /// or the database went away for a moment.
    async fn decide_and_commit(
        &self,
        commands: &[(EnvironmentId, Vec<Command>)],
    ) -> Result<Answers, Error> {
        insist(async || self.try_to_commit(commands).await).await
    }

    async fn try_to_commit(
        &self,
        commands: &[(EnvironmentId, Vec<Command>)],
    ) -> Result<Answers, Error> {
        let mut transaction = self.store.write().await?;
        let mut answers = Answers::new();
        let mut changed = false;
        for (environment, commands) in commands {
            let Decided { answers: theirs, changes, outdated_keys } =
                self.decide_all(transaction.as_mut(), *environment, commands).await?;
            answers.extend(theirs);
            if !changes.is_empty() {
                self.forget_keys(transaction.as_mut(), *environment, &changes, outdated_keys)
                    .await?;
                transaction.change_facts(*environment, &changes).await?;
                changed = true;
            }
        }
        if changed {
            transaction.commit().await?;
        }
        Ok(answers)
    }

    /// Forgets keys whose time is over: those that are about to be used anew, and for each key that
    /// is about to be kept two of the oldest, so that there are ever fewer and no one has to look
    /// for them.
    async fn forget_keys(
        &self,
        transaction: &mut dyn WriteTransaction,
        environment: EnvironmentId,
        changes: &[(UserKey, Change)],
        mut outdated: Vec<IdempotencyKey>,
    ) -> Result<(), Error> {
        let is_kept = |change: &&(UserKey, Change)| matches!(change.1, Change::KeepReplay { .. });
        let kept = changes.iter().filter(is_kept).count();
        if kept == 0 {
            return Ok(());
        }
        let before = self.kept_since(self.clock.now());
        outdated.extend(transaction.keys_kept_before(environment, before, 2 * kept).await?);
        if !outdated.is_empty() {
            transaction.forget_keys(environment, &outdated).await?;
        }
        Ok(())
    }

    /// Since when keys must have been kept to count at `now`.
    fn kept_since(&self, now: Timestamp) -> Timestamp {
        now.saturating_add_ms(-self.settings.idempotency_ms())
    }

    /// Decides the commands in turn, each on the facts as the ones before it left them.
    async fn decide_all(
        &self,
        transaction: &mut dyn WriteTransaction,
        environment: EnvironmentId,
        commands: &[Command],
    ) -> Result<Decided, Error> {
        let subjects = resolve(transaction, environment, commands).await?;
        let mut users: Vec<UserId> = subjects.iter().flatten().cloned().collect();
        users.sort_unstable();
        users.dedup();
        let now = self.clock.now();
        let mut facts = FactsInUse::load(transaction, &self.catalogs, environment, users)
            .await?
            .with_keys_kept_since(self.kept_since(now));

        // First for all commands at once, as if each were alone. What one needs only because of
        // another before it is loaded below.
        for _ in 0..ROUNDS_MAX {
            let mut wanted = Wanted::default();
            for (command, user) in commands.iter().zip(&subjects) {
                let about = user.as_ref().and_then(|user| facts.user(user));
                let decision = decide(&facts.catalog, about, &facts.replays, command, now);
                if let Err(Obstacle::Needs(need)) = decision {
                    facts.want(user.as_ref(), need, &mut wanted);
                }
            }
            if wanted.is_empty() {
                break;
            }
            facts.supply(transaction, wanted).await?;
        }

        let mut answers = Answers::with_capacity(commands.len());
        let mut changes = Changes::default();
        for (command, user) in commands.iter().zip(&subjects) {
            let rule = |facts: &FactsInUse| {
                let about = user.as_ref().and_then(|user| facts.user(user));
                decide(&facts.catalog, about, &facts.replays, command, now)
            };
            let decided = facts.ask(transaction, user.as_ref(), rule).await?;
            answers.push(decided.map(|decision| {
                for change in decision.changes {
                    changes.add(&mut facts, user.as_ref(), change);
                }
                decision.answer
            }));
        }
        Ok(Decided { answers, changes: changes.list, outdated_keys: facts.outdated })
    }

    fn run_catalog(
        &self,
        runtime: &Handle,
        environment: EnvironmentId,
        request: &CatalogRequest,
        reply: Reply<CatalogDone>,
    ) {
        let change = async || self.change_catalog(environment, request).await;
        let done = contain_panic(|| runtime.block_on(insist(change)));
        let _ = reply.send(done);
    }

    async fn change_catalog(
        &self,
        environment: EnvironmentId,
        request: &CatalogRequest,
    ) -> Result<CatalogDone, Error> {
        let mut transaction = self.store.write().await?;
        let version = transaction.catalog_version(environment).await?;
        let catalog = self.catalogs.at(transaction.as_mut(), environment, version).await?;
        let now = self.clock.now();
        let (changes, about) = match request {
            CatalogRequest::Command(command) => {
                let (changes, about) = catalog_command::plan(&catalog, command.clone(), now)?;
                (changes, Some(about))
            }
            CatalogRequest::Publish(publish) => {
                let at = (version, &*catalog);
                (publish.changes(transaction.as_mut(), environment, at, now).await?, None)
            }
        };
        if changes.is_empty() {
            return Ok(CatalogDone { version, catalog, about });
        }
        let version = transaction.change_catalog(environment, version, &changes).await?;
        transaction.commit().await?;
        let mut changed = Catalog::clone(&catalog);
        for change in &changes {
            changed.apply(change);
        }
        let catalog = Arc::new(changed);
        self.catalogs.publish(environment, version, &catalog);
        Ok(CatalogDone { version, catalog, about })
    }
}

/// Chooses the ids of what a command makes, now that it has its turn: their order is the order of
/// creation, by which lists are told.
fn choose_ids(command: &mut Command) {
    match command {
        Command::CreateUser(user) => user.key = UserKey(Uuid::now_v7()),
        Command::Subscribe(subscribe) => {
            for (_, id) in &mut subscribe.packages {
                *id = SubscriptionId(Uuid::now_v7());
            }
        }
        Command::UpdateUser { .. }
        | Command::RecordUsage(_)
        | Command::UseFeature(_)
        | Command::CancelSubscription(_) => {}
    }
}

/// Whether ids are chosen for the command.
fn makes_something(command: &Command) -> bool {
    matches!(command, Command::CreateUser(_) | Command::Subscribe(_))
}

/// Answers everybody from within the runtime. From here each answer would wake a thread of it, which
/// costs more than to decide a command.
fn answer_all(
    runtime: &Handle,
    answers: impl Iterator<Item = (Reply<Answer>, Result<Answer, Error>)> + Send + 'static,
) {
    runtime.spawn(async move {
        for (reply, answer) in answers {
            // Whoever asked may have gone away meanwhile.
            let _ = reply.send(answer);
        }
    });
}

/// Whose facts each command is about; `None` when that cannot be told, since there is no such
/// subscription.
async fn resolve(
    transaction: &mut dyn WriteTransaction,
    environment: EnvironmentId,
    commands: &[Command],
) -> Result<Vec<Option<UserId>>, Error> {
    let subscriptions: Vec<_> = commands
        .iter()
        .filter_map(|command| match command.subject() {
            Subject::Subscriber(subscription) => Some(subscription),
            Subject::User(_) => None,
        })
        .collect();
    let owners = if subscriptions.is_empty() {
        Vec::new()
    } else {
        transaction.subscriptions(environment, &subscriptions).await?
    };
    let mut owners = owners.into_iter();
    Ok(commands
        .iter()
        .map(|command| match command.subject() {
            Subject::User(id) => Some(id.clone()),
            Subject::Subscriber(_) => owners.next().flatten().map(|(owner, _)| owner),
        })
        .collect())
}

/// What a batch will write. A counter that changes many times in it is written once.
#[derive(Default)]
struct Changes {
    list: Vec<(UserKey, Change)>,
    counters: HashMap<CounterKey, usize>,
}

impl Changes {
    /// Makes the change to the facts in use, for the commands that follow, and keeps it.
    fn add(&mut self, facts: &mut FactsInUse, user: Option<&UserId>, change: Change) {
        facts.replays.apply(&change);
        let Some(slot) = user.and_then(|user| facts.users.get_mut(user)) else {
            return;
        };
        if let Change::CreateUser(user) = &change {
            let mut facts = UserFacts::new(user.key, user.id.clone(), Vec::new());
            // The store does not have it before the batch ends.
            facts.load_profile(user.clone());
            *slot = Some(facts);
        }
        let Some(about) = slot else {
            return;
        };
        about.apply(&change);
        if let Change::SetCounter { counter, .. } = &change {
            if let Some(index) = self.counters.get(counter) {
                self.list[*index].1 = change;
                return;
            }
            self.counters.insert(counter.clone(), self.list.len());
        }
        self.list.push((about.key, change));
    }
}

/// A bug in one command must not end the lane: what it panicked in is refused as a whole, nothing
/// of it is stored, and the next batch is served.
fn contain_panic<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or(Err(Error::Bug("the writer panicked; the panic stands in the log")))
}
