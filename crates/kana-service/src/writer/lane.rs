//! What takes commands from a queue, in batches, and answers each once its batch is durable.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use kana_core::decide::Command;
use kana_store::{Actor, EnvironmentId};

use super::batch::Decider;
use super::lane_queue::LaneQueue;
use super::queue::{
    Answered, Answers, Asked, BATCH_MAX, CatalogDone, CatalogRequest, ImportOutcome, ImportSlice,
    Replies, Reply, Request, Together, TogetherReply,
};
use crate::error::Error;
use crate::ids;
use crate::retry::retry_batch;

/// One of the threads that write.
pub(super) struct Lane {
    decider: Decider,
    queue: Arc<LaneQueue>,
}

/// Commands of one transaction, those of an environment together. Environments share nothing, so
/// that only the order within one matters. The environments have an order, so that two lanes do not
/// wait for each other's.
type Batch = BTreeMap<EnvironmentId, Vec<(Asked, Reply<Answered>)>>;

impl Lane {
    pub(super) fn new(decider: Decider, queue: Arc<LaneQueue>) -> Self {
        Self { decider, queue }
    }

    /// Serves what waits until nobody can hand in any more.
    pub(super) async fn run(&self) {
        let (mut buffer, mut part) = (Vec::with_capacity(BATCH_MAX), Vec::with_capacity(BATCH_MAX));
        while self.queue.take(&mut buffer).await {
            self.queue.next(Instant::now(), &mut part);
            let (mut batch, mut together) = (Batch::new(), Vec::new());
            // All are of one kind.
            for request in part.drain(..) {
                match request {
                    Request::Command { environment, mut asked, reply } => {
                        self.choose_ids(&mut asked.command);
                        batch.entry(environment).or_default().push((asked, reply));
                    }
                    Request::Together(next) => together.push(next),
                    Request::Catalog { environment, actor, origin, request, reply } => {
                        let run = self.run_catalog(environment, (&actor, &request), reply);
                        match origin {
                            Some(origin) => origin.scope(run).await,
                            None => run.await,
                        }
                    }
                    Request::Import { environment, slice, reply } => {
                        self.run_import(environment, &slice, reply).await;
                    }
                }
            }
            self.run_together(together).await;
            self.run_commands(batch).await;
        }
    }

    /// Sets the ids of what a command creates. Ids are chosen when the command has its turn, so
    /// that their order is the order of creation, in which lists are paged.
    fn choose_ids(&self, command: &mut Command) {
        if command.creates() {
            let now = self.decider.clock.now();
            command.set_ids(&mut || ids::next(now));
        }
    }

    async fn run_commands(&self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        let (mut commands, mut replies) = (Vec::new(), Vec::new());
        for (environment, entries) in batch {
            let (these, their_replies): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
            commands.push((environment, these));
            replies.extend(their_replies);
        }
        self.queue.begin(Replies::Commands(replies));
        let decided = contain_panic(self.decider.decide_and_commit(&commands)).await;
        let Some(Replies::Commands(replies)) = self.queue.end() else {
            return;
        };
        match decided {
            Ok(answers) => {
                let answers = answers.into_iter().map(|answer| answer.map_err(Error::Refused));
                answer_all(replies.into_iter().zip(answers));
            }
            Err(error) => {
                let answers = std::iter::repeat_with(move || Err(error.clone()));
                answer_all(replies.into_iter().zip(answers));
            }
        }
    }

    async fn run_together(&self, together: Vec<Together>) {
        if together.is_empty() {
            return;
        }
        let mut asked: BTreeMap<EnvironmentId, Vec<Asked>> = BTreeMap::new();
        let mut replies = Vec::with_capacity(together.len());
        for Together { environment, asked: these, reply, waiting } in together {
            let commands = these.len();
            replies.push(TogetherReply { environment, commands, reply, _waiting: waiting });
            asked.entry(environment).or_default().extend(these);
        }
        let commands: Vec<(EnvironmentId, Vec<Asked>)> = asked.into_iter().collect();
        self.queue.begin(Replies::Together(replies));
        let decided = contain_panic(self.decider.decide_and_commit(&commands)).await;
        let Some(Replies::Together(replies)) = self.queue.end() else {
            return;
        };
        let answers = match decided {
            Ok(answers) => answers,
            Err(error) => return Replies::Together(replies).fail(&error),
        };
        let mut answers = answers.into_iter();
        let mut of_environment: HashMap<EnvironmentId, _> = commands
            .iter()
            .map(|(environment, commands)| {
                let theirs: Answers = answers.by_ref().take(commands.len()).collect();
                (*environment, theirs.into_iter())
            })
            .collect();
        for TogetherReply { environment, commands, reply, _waiting } in replies {
            let theirs = of_environment.get_mut(&environment).into_iter().flatten();
            let _ = reply.send(Ok(theirs.take(commands).collect()));
        }
    }

    async fn run_catalog(
        &self,
        environment: EnvironmentId,
        (actor, request): (&Actor, &CatalogRequest),
        reply: Reply<CatalogDone>,
    ) {
        let change = || self.decider.change_catalog(environment, actor, request);
        self.queue.begin(Replies::Catalog(reply));
        let done = contain_panic(retry_batch(1, change)).await;
        if let Some(Replies::Catalog(reply)) = self.queue.end() {
            let _ = reply.send(done);
        }
    }

    async fn run_import(
        &self,
        environment: EnvironmentId,
        slice: &ImportSlice,
        reply: Reply<ImportOutcome>,
    ) {
        let import = || self.decider.import_users(environment, slice);
        self.queue.begin(Replies::Import(reply));
        let done = contain_panic(retry_batch(1, import)).await;
        if let Some(Replies::Import(reply)) = self.queue.end() {
            let _ = reply.send(done);
        }
    }
}

/// Answers everybody from within the runtime. From here each answer would wake a thread of it, which
/// costs more than to decide a command.
fn answer_all(
    answers: impl Iterator<Item = (Reply<Answered>, Result<Answered, Error>)> + Send + 'static,
) {
    tokio::spawn(async move {
        for (reply, answer) in answers {
            // Whoever asked may have gone away meanwhile.
            let _ = reply.send(answer);
        }
    });
}

/// A bug in one command must not end the lane: what it panicked in is refused as a whole, nothing
/// of it is stored, and the next batch is served.
async fn contain_panic<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or(Err(Error::Bug("the writer panicked; the panic stands in the log")))
}
