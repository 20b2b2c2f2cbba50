//! Nobody waits for a lane without a bound, and what may be committed is never answered as failed.

use std::future::pending;

use futures_util::FutureExt as _;
use kana_core::Timestamp;
use kana_core::catalog_command::CatalogCommand;
use kana_core::decide::CreateUser;
use kana_core::id::{FeatureId, UserId, UserKey};
use kana_core::user::User;
use kana_store::{App, Deadlines, EnvironmentKind, SqliteStore};
use tempfile::TempDir;
use uuid::Uuid;

use super::queue::{Answers, Replies, Reply};
use super::*;
use crate::clock::ManualClock;
use crate::kana::Kana;
use crate::readiness::NotReady;

const SECOND: Duration = Duration::from_secs(1);

/// A store with an app, on which a write waits for the one before it as long as a test can take.
async fn store() -> (Arc<dyn Store>, EnvironmentId, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let limits = Deadlines { writer: 600 * SECOND, ..Deadlines::DEFAULT };
    let store = SqliteStore::open_for_server_within(directory.path(), limits).unwrap();
    let app = App { name: "Kana".to_owned() };
    assert!(store.create_app(app, Vec::new(), Timestamp::from_ms(0)).await.unwrap());
    let access = store.client_access(EnvironmentKind::Test).await.unwrap().unwrap();
    (Arc::new(store), access.environment, directory)
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(Timestamp::from_ms(1_705_320_000_000)))
}

fn user_id(id: &str) -> UserId {
    UserId::new("userId", id).unwrap()
}

fn create(id: &str) -> Command {
    Command::CreateUser(CreateUser(User {
        key: UserKey(Uuid::now_v7()),
        ..User::named(user_id(id))
    }))
}

fn actor() -> Arc<Actor> {
    Arc::new(Actor::CommandLine)
}

/// A queue without a lane, and where things are handed in.
struct Queue {
    queue: LaneQueue,
    requests: mpsc::Sender<Waiting>,
    environment: EnvironmentId,
    since: Instant,
}

impl Queue {
    fn new(environment: EnvironmentId) -> Self {
        let (requests, arriving) = mpsc::channel(16);
        let queue = LaneQueue::new(arriving, WriterDeadlines::DEFAULT);
        Self { queue, requests, environment, since: Instant::now() }
    }

    fn hand_in(&self, request: Request) {
        let waiting = Waiting { request, since: self.since };
        assert!(self.requests.try_send(waiting).is_ok());
    }

    fn command(&self, id: &str) -> oneshot::Receiver<Result<Answered, Error>> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked::new(create(id), &actor());
        self.hand_in(Request::Command { environment: self.environment, asked, reply });
        answer
    }

    fn together(&self, id: &str) -> oneshot::Receiver<Result<Answers, Error>> {
        let (reply, answer) = oneshot::channel();
        let asked = vec![Asked::new(create(id), &actor())];
        let waiting = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let environment = self.environment;
        self.hand_in(Request::Together(Together { environment, asked, reply, waiting }));
        answer
    }

    fn catalog(&self) -> oneshot::Receiver<Result<CatalogDone, Error>> {
        let (reply, answer) = oneshot::channel();
        let feature = FeatureId::new("featureId", "calls").unwrap();
        let request = CatalogRequest::Command(CatalogCommand::DeleteFeature(feature));
        let environment = self.environment;
        self.hand_in(Request::Catalog {
            environment,
            actor: actor(),
            origin: None,
            request,
            reply,
        });
        answer
    }

    /// Takes what waits, and of that the next part, as a lane does after this time.
    async fn next(&self, after: Duration) -> Vec<Request> {
        let mut part = Vec::new();
        assert!(self.queue.take(&mut Vec::new()).await);
        self.queue.next(self.since + after, &mut part);
        part
    }

    /// Begins with the next part, which are commands. Returns their users.
    async fn begin(&self, after: Duration) -> Vec<String> {
        let (mut users, mut replies): (Vec<String>, Vec<Reply<Answered>>) = <_>::default();
        for request in self.next(after).await {
            let Request::Command { asked: Asked { command, .. }, reply, .. } = request else {
                panic!("it is no command");
            };
            let Command::CreateUser(CreateUser(user)) = command else {
                panic!("it creates no user");
            };
            users.push(user.id.as_str().to_owned());
            replies.push(reply);
        }
        self.queue.begin(Replies::Commands(replies));
        users
    }

    fn look(&self, after: Duration) {
        self.queue.look(self.since + after);
    }
}

fn is_unavailable<T>(answer: &mut oneshot::Receiver<Result<T, Error>>) -> bool {
    matches!(answer.try_recv(), Ok(Err(Error::Unavailable(_))))
}

fn is_unanswered<T>(answer: &mut oneshot::Receiver<Result<T, Error>>) -> bool {
    matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty))
}

#[tokio::test]
async fn what_waits_behind_a_commit_that_hangs_is_refused_and_what_is_committed_is_not() {
    let (_store, environment, _directory) = store().await;
    let queue = Queue::new(environment);
    let mut first = queue.command("first");
    assert_eq!(queue.begin(Duration::ZERO).await, ["first"]);
    let (mut alone, mut together) = (queue.command("alone"), queue.together("together"));
    let mut catalog = queue.catalog();

    queue.look(4 * SECOND);
    assert!(is_unanswered(&mut first) && is_unanswered(&mut alone));
    queue.look(5 * SECOND);
    assert!(is_unavailable(&mut alone));
    assert!(is_unavailable(&mut together));
    assert!(is_unavailable(&mut catalog));
    queue.look(23 * SECOND);
    assert!(is_unanswered(&mut first), "it may still be committed");

    queue.look(26 * SECOND);
    let answer = first.try_recv().unwrap();
    assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
    assert!(queue.queue.end().is_none(), "it is answered");
    drop(queue.requests);
    assert!(!queue.queue.take(&mut Vec::new()).await, "nothing is left of what was refused");
}

#[tokio::test]
async fn what_was_committed_in_time_is_answered_by_the_lane_alone() {
    let (_store, environment, _directory) = store().await;
    let queue = Queue::new(environment);
    let mut first = queue.command("first");
    assert_eq!(queue.begin(Duration::ZERO).await, ["first"]);
    let Some(Replies::Commands(replies)) = queue.queue.end() else {
        panic!("nobody is to be answered");
    };
    queue.look(60 * SECOND);
    assert!(is_unanswered(&mut first));
    assert_eq!(replies.len(), 1);
}

#[tokio::test]
async fn whoever_has_waited_too_long_is_refused_when_it_is_the_next() {
    let (_store, environment, _directory) = store().await;
    let queue = Queue::new(environment);
    let mut late = queue.command("late");
    // While a lane is not at work, what waits is its own to take.
    queue.look(6 * SECOND);
    assert!(is_unanswered(&mut late));
    assert!(queue.next(6 * SECOND).await.is_empty());
    assert!(is_unavailable(&mut late));
}

#[tokio::test]
async fn looking_at_a_queue_keeps_its_order() {
    let (_store, environment, _directory) = store().await;
    let queue = Queue::new(environment);
    let _first = queue.command("first");
    assert_eq!(queue.begin(Duration::ZERO).await, ["first"]);
    let _answers = ["a", "b", "c"].map(|id| queue.command(id));
    let (_together, _last) = (queue.together("d"), queue.command("e"));
    for _ in 0..3 {
        queue.look(SECOND);
    }
    assert!(queue.queue.end().is_some());
    assert_eq!(queue.begin(SECOND).await, ["a", "b", "c"]);
    assert!(matches!(queue.next(SECOND).await[..], [Request::Together(_)]));
    assert_eq!(queue.begin(SECOND).await, ["e"]);
}

#[tokio::test]
async fn callers_of_a_lane_that_hangs_are_answered_and_it_goes_on_afterwards() {
    let (store, environment, _directory) = store().await;
    let limits =
        WriterDeadlines { queue: Duration::from_millis(20), batch: Duration::from_millis(60) };
    let threads = NeededThreads::default();
    let on = LanesOn::Threads(&threads);
    let settings = (Settings::default(), limits);
    let (writer, mut finished) =
        Writer::start(&store, &Arc::default(), &clock(), settings, on).unwrap();
    let submit = async |id: &str| writer.submit(environment, &actor(), create(id)).await;

    let held = store.write().await.unwrap();
    // It waits in the store, and may be recorded.
    let first = submit("first").await;
    assert!(matches!(first, Err(Error::OutcomeUnknown(_))), "{first:?}");
    let second = submit("second").await;
    assert!(matches!(second, Err(Error::Unavailable(_))), "{second:?}");
    drop(held);
    while let Err(error) = submit("third").await {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
    drop(writer);
    let _ = finished.recv().await;

    let mut reader = store.read().await.unwrap();
    let ids = ["first", "second", "third"].map(user_id);
    let found = reader.users(environment, &ids).await.unwrap();
    let is_found: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(is_found, [true, false, true]);
}

#[tokio::test]
async fn a_server_whose_commit_hangs_is_not_ready() {
    let (store, _, _directory) = store().await;
    let kana = Kana::start(store, clock()).unwrap();
    let commits = Arc::clone(&kana.writer.commits[0]);
    let mut commit = Box::pin(commits.measure(pending::<()>()));
    assert_eq!(commit.as_mut().now_or_never(), None);
    let now = Instant::now();
    kana.check_ready_at(now + SECOND).await.unwrap();
    let reason = kana.check_ready_at(now + 6 * SECOND).await.unwrap_err();
    assert!(matches!(reason, NotReady::CommitHangs(_)), "{reason}");
    assert_eq!(reason.check(), ("database", "commit hangs"));
    drop(commit);
    kana.check_ready_at(now + 6 * SECOND).await.unwrap();
}
