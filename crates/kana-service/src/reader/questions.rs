//! Answers questions that are asked at the same time from one snapshot of the database.
//!
//! Reading over a network takes as long for a thousand users as for one. So questions that arrive while
//! others are being read are read together afterwards: no timers, and no added wait for a lone question.
//! A snapshot begins after the last of its questions arrived, so no question is answered from a state
//! older than a write that was acknowledged before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::facts::{Need, Obstacle};
use kana_core::id::UserId;
use kana_core::subjects::Subjects;
use kana_store::{EnvironmentId, NeededThreads, Store};
use kana_telemetry::{SpanContext, spans};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::catalogs::Catalogs;
use super::facts_in_use::{FactsInUse, ROUNDS_MAX, Wanted};
use super::rule::{Rule, apply};
use crate::error::Error;
use crate::retry::{Retries, warn_if_unavailable};

/// The maximum number of waiting questions. One more fails with [`Error::Overloaded`].
const WAITING_MAX: usize = 16 * 1024;
/// The maximum number of questions answered from one snapshot.
const TOGETHER_MAX: usize = 1024;

/// The queue of questions.
pub(super) struct Questions {
    waiting: mpsc::Sender<Box<dyn Question>>,
}

/// A question about one user, with any type of answer.
trait Question: Send {
    fn environment(&self) -> EnvironmentId;
    fn user(&self) -> &UserId;
    /// Returns the span of the question, if it is traced.
    fn span(&self) -> Option<SpanContext>;
    /// Answers if the facts suffice. Otherwise returns what it needs.
    fn ask(&mut self, facts: &FactsInUse) -> Result<(), Need>;
    fn is_answered(&self) -> bool;
    /// Answers with an error.
    fn fail(&mut self, error: Error);
}

struct Asked<T, R> {
    environment: EnvironmentId,
    user: UserId,
    rule: R,
    now: Timestamp,
    span: Option<SpanContext>,
    /// `None` once it is answered.
    reply: Option<oneshot::Sender<Result<T, Error>>>,
}

impl<T, R> Asked<T, R> {
    fn reply(&mut self, answer: Result<T, Error>) {
        if let Some(reply) = self.reply.take() {
            // The caller may be gone.
            let _ = reply.send(answer);
        }
    }
}

impl<T: Send, R: Rule<T>> Question for Asked<T, R> {
    fn environment(&self) -> EnvironmentId {
        self.environment
    }

    fn user(&self) -> &UserId {
        &self.user
    }

    fn span(&self) -> Option<SpanContext> {
        self.span
    }

    fn ask(&mut self, facts: &FactsInUse) -> Result<(), Need> {
        match apply(&self.rule, facts, &self.user, self.now) {
            Ok(answer) => self.reply(Ok(answer)),
            Err(Obstacle::Refused(refusal)) => self.reply(Err(refusal.into())),
            Err(Obstacle::Needs(need)) => return Err(need),
        }
        Ok(())
    }

    fn is_answered(&self) -> bool {
        self.reply.is_none()
    }

    fn fail(&mut self, error: Error) {
        self.reply(Err(error));
    }
}

impl Questions {
    /// Starts this number of readers. They end when the `Questions` are dropped.
    pub(super) fn start(
        readers: usize,
        store: &Arc<dyn Store>,
        catalogs: &Arc<Catalogs>,
        threads: &NeededThreads,
    ) -> Self {
        let (waiting, questions) = mpsc::channel(WAITING_MAX);
        let questions = Arc::new(Mutex::new(questions));
        for _ in 0..readers.max(1) {
            let (store, catalogs) = (Arc::clone(store), Arc::clone(catalogs));
            let (questions, needed) = (Arc::clone(&questions), threads.watch("kana-reader"));
            tokio::spawn(async move {
                let _needed = needed;
                read_all(questions, store, catalogs).await;
            });
        }
        Self { waiting }
    }

    /// Asks `rule` about the facts of a user at `now`, within `span` if that is traced.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        environment: EnvironmentId,
        user: UserId,
        now: Timestamp,
        rule: impl Rule<T>,
        span: Option<SpanContext>,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked { environment, user, rule, now, span, reply: Some(reply) };
        self.waiting.try_send(Box::new(asked)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Error::ShuttingDown,
        })?;
        answer.await.map_err(|_| Error::Bug("a question was not answered"))?
    }
}

async fn read_all(
    waiting: Arc<Mutex<mpsc::Receiver<Box<dyn Question>>>>,
    store: Arc<dyn Store>,
    catalogs: Arc<Catalogs>,
) {
    loop {
        let mut questions = Vec::new();
        if waiting.lock().await.recv_many(&mut questions, TOGETHER_MAX).await == 0 {
            return;
        }
        let (store, catalogs) = (Arc::clone(&store), Arc::clone(&catalogs));
        // In a task of its own, so that a bug in a rule does not end the reader. The callers then get
        // an error.
        let _ = tokio::spawn(async move {
            let mut retries = Retries::new();
            // They share the statements, which stand in one trace.
            let span = questions.iter().find_map(|question| question.span());
            while let Err(error) =
                spans::scope(span, answer_all(store.as_ref(), &catalogs, &mut questions)).await
            {
                questions.retain(|question| !question.is_answered());
                if !retries.wait_after(&error).await {
                    warn_if_unavailable(&error);
                    questions.iter_mut().for_each(|question| question.fail(error.clone()));
                    break;
                }
            }
        })
        .await;
    }
}

/// Answers all questions from one snapshot.
async fn answer_all(
    store: &dyn Store,
    catalogs: &Catalogs,
    questions: &mut [Box<dyn Question>],
) -> Result<(), Error> {
    let mut by_environment: BTreeMap<EnvironmentId, Vec<&mut Box<dyn Question>>> = BTreeMap::new();
    for question in questions {
        by_environment.entry(question.environment()).or_default().push(question);
    }
    let mut transaction = store.read().await?;
    let transaction = transaction.as_mut();
    for (environment, mut questions) in by_environment {
        let mut users: Vec<UserId> = questions.iter().map(|asked| asked.user().clone()).collect();
        users.sort_unstable();
        users.dedup();
        let mut facts = FactsInUse::load(transaction, catalogs, environment, users).await?;
        for _ in 0..ROUNDS_MAX {
            let mut wanted = Wanted::default();
            questions.retain_mut(|question| match question.ask(&facts) {
                Ok(()) => false,
                Err(need) => {
                    let about = Subjects::one(facts.place(question.user()));
                    facts.want(need, &about, &mut wanted);
                    true
                }
            });
            if questions.is_empty() {
                break;
            }
            facts.supply(transaction, wanted).await?;
        }
        for question in questions {
            question.fail(Error::Bug("a rule went on asking for facts"));
        }
    }
    Ok(())
}
