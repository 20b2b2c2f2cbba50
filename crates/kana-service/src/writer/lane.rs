//! What takes commands from a queue, in batches, and answers each once its batch is durable.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use kana_core::decide::Command;
use kana_store::{Actor, EnvironmentId};
use tokio::sync::mpsc;

use super::batch::Decider;
use super::queue::{
    Answered, Answers, Asked, BATCH_MAX, CatalogDone, CatalogRequest, Reply, Request, Together,
};
use crate::error::Error;
use crate::ids;
use crate::retry::retry_batch;

/// Commands that were handed in together and are decided in one transaction with others of their
/// kind. The more there are, the more of them change the same pages, each of which is written once
/// a commit; but a command that came alone waits for all of them.
const TOGETHER_MAX: usize = 8 * 1024;

/// One of the threads that write.
pub(super) struct Lane {
    decider: Decider,
}

/// Commands of one transaction, those of an environment together. Environments share nothing, so
/// that only the order within one matters. The environments have an order, so that two lanes do not
/// wait for each other's.
type Batch = BTreeMap<EnvironmentId, Vec<(Asked, Reply<Answered>)>>;

impl Lane {
    pub(super) fn new(decider: Decider) -> Self {
        Self { decider }
    }

    /// Serves what waits until nobody can hand in any more.
    pub(super) async fn run(&self, mut waiting: mpsc::Receiver<Request>) {
        let mut requests = Vec::with_capacity(BATCH_MAX);
        while waiting.recv_many(&mut requests, BATCH_MAX).await > 0 {
            // Whoever woke this thread may be about to hand in more: with one core to share, it
            // was stopped in the middle of that. Alone, this takes no time.
            std::thread::yield_now();
            while requests.len() < BATCH_MAX
                && let Ok(request) = waiting.try_recv()
            {
                requests.push(request);
            }
            let mut batch = Batch::new();
            let mut together = Vec::new();
            for mut request in requests.drain(..) {
                if let Request::Command { asked, .. } = &mut request {
                    self.choose_ids(&mut asked.command);
                }
                if !matches!(request, Request::Together(_)) {
                    self.run_together(std::mem::take(&mut together)).await;
                }
                match request {
                    Request::Command { environment, asked, reply } => {
                        batch.entry(environment).or_default().push((asked, reply));
                    }
                    Request::Together(next) => {
                        self.run_commands(std::mem::take(&mut batch)).await;
                        let count: usize = together.iter().map(Together::len).sum();
                        if count + next.len() > TOGETHER_MAX {
                            self.run_together(std::mem::take(&mut together)).await;
                        }
                        together.push(next);
                    }
                    Request::Catalog { environment, actor, request, reply } => {
                        // A catalog is changed between two batches, and so in one piece.
                        self.run_commands(std::mem::take(&mut batch)).await;
                        self.run_catalog(environment, (&actor, &request), reply).await;
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
        match contain_panic(self.decider.decide_and_commit(&commands)).await {
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
        let mut commands: BTreeMap<EnvironmentId, Vec<Asked>> = BTreeMap::new();
        let mut replies = Vec::with_capacity(together.len());
        for Together { environment, asked: these, reply, waiting } in together {
            replies.push((environment, reply, these.len(), waiting));
            commands.entry(environment).or_default().extend(these);
        }
        let commands: Vec<(EnvironmentId, Vec<Asked>)> = commands.into_iter().collect();
        match contain_panic(self.decider.decide_and_commit(&commands)).await {
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

    async fn run_catalog(
        &self,
        environment: EnvironmentId,
        (actor, request): (&Actor, &CatalogRequest),
        reply: Reply<CatalogDone>,
    ) {
        let change = || self.decider.change_catalog(environment, actor, request);
        let done = contain_panic(retry_batch(1, change)).await;
        let _ = reply.send(done);
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
