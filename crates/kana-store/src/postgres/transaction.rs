use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use kana_core::id::{FeatureId, UserId, UserKey};
use kana_telemetry::spans;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::asking::{self, Ready};
use super::connections::take;
use super::errors::{cause, says_it_was_not_committed};
use super::fate::{self, Mark};
use super::locks;
use super::parameters::Parameter;
use super::recent_counters::RecentCounters;
use super::replays_table::ReplaysTable;
use super::shared::Shared;
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::deadlines::{Deadlines, no_answer, within};
use crate::error::StoreError;

/// A statement with its parameters.
pub(super) type Question<'a> = (&'static str, &'a [&'a (dyn ToSql + Sync)]);

/// A statement that owns its parameters, and waits to be sent with others.
pub(super) type Pending = (&'static str, Vec<Parameter>);

/// How many connections are tried that turn out to be broken before anything was asked on them.
const TRIES_MAX: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// An open transaction on a connection that only it uses. Dropped before it is committed, it leaves
/// everything as it was.
///
/// It begins with the first question, in the same round trip, and what is asked together is answered
/// in one round trip, however many statements that are.
pub(super) struct PostgresTransaction {
    pub(super) shared: Arc<Shared>,
    pub(super) kind: Kind,
    connection: Option<Object>,
    is_open: bool,
    has_failed: bool,
    /// Comes with the lock of users, or with the first change.
    pub(super) mark: Option<Mark>,
    /// When all questions of a read transaction must be answered; set by the first one.
    read_until: Option<Instant>,
    /// The environments whose catalog nobody else changes before we end.
    pub(super) catalogs: HashSet<EnvironmentId>,
    /// Those that nobody else decides on either.
    pub(super) claimed: HashSet<EnvironmentId>,
    /// The counters beside users, as they are after all that was changed here.
    pub(super) recent_counters: HashMap<(EnvironmentId, UserKey), RecentCounters>,
    /// Where the rows of users are that were locked and have not changed since.
    pub(super) places: HashMap<(EnvironmentId, UserKey), String>,
    /// Features that were used for the first time, as far as this node knows.
    pub(super) used_features: Vec<(EnvironmentId, FeatureId)>,
    /// The table that takes new idempotency keys, if it is known.
    pub(super) replays_table: Option<ReplaysTable>,
    pub(super) schedules_jobs: bool,
    /// Whose subscriptions were looked up by their own ids, before the users were locked.
    pub(super) owners: HashMap<(EnvironmentId, UserId), UserKey>,
    /// Changes that are sent with the next questions, before them, or with the commit.
    staged: Vec<Pending>,
    /// What is sent with the commit, right before it.
    pub(super) appending: Vec<Pending>,
}

impl PostgresTransaction {
    pub(super) fn new(shared: &Arc<Shared>, kind: Kind) -> Self {
        Self {
            shared: Arc::clone(shared),
            kind,
            connection: None,
            is_open: false,
            has_failed: false,
            mark: None,
            read_until: None,
            catalogs: HashSet::new(),
            claimed: HashSet::new(),
            recent_counters: HashMap::new(),
            places: HashMap::new(),
            used_features: Vec::new(),
            replays_table: None,
            schedules_jobs: false,
            owners: HashMap::new(),
            staged: Vec::new(),
            appending: Vec::new(),
        }
    }

    /// Asks all questions in one round trip: the rows of each. What is staged goes with them.
    pub(super) async fn ask(
        &mut self,
        questions: &[Question<'_>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let staged = mem::take(&mut self.staged);
        if staged.is_empty() {
            return self.ask_within_deadline(questions).await;
        }
        let parameters: Vec<_> = staged.iter().map(parameters_of).collect();
        let first = staged.iter().zip(&parameters);
        let first = first.map(|((statement, _), parameters)| (*statement, parameters.as_slice()));
        let together: Vec<Question<'_>> = first.chain(questions.iter().copied()).collect();
        let mut answers = self.ask_within_deadline(&together).await?;
        answers.drain(..staged.len());
        Ok(answers)
    }

    async fn ask_within_deadline(
        &mut self,
        questions: &[Question<'_>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let (until, limit) = self.deadline();
        let answers = match timeout_at(until, self.ask_on_a_good_connection(questions)).await {
            Ok(answers) => answers,
            Err(_) => {
                self.discard_connection();
                Err(no_answer(limit))
            }
        };
        if let Err(error) = &answers {
            self.has_failed = true;
            if self.kind == Kind::Write {
                self.shared.last_change.failed(error);
            }
        }
        answers
    }

    /// Returns when the next questions must be answered, and the limit that this comes from.
    fn deadline(&mut self) -> (Instant, Duration) {
        let Deadlines { read, answer, .. } = self.shared.connections.deadlines;
        match self.kind {
            Kind::Read => (*self.read_until.get_or_insert_with(|| Instant::now() + read), read),
            Kind::Write => (Instant::now() + answer, answer),
        }
    }

    async fn ask_on_a_good_connection(
        &mut self,
        questions: &[Question<'_>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let begins = !self.is_open;
        let mut answers = self.ask_once(questions).await;
        for _ in 1..TRIES_MAX {
            // The connection broke while it was idle, or its server takes no changes any more. Nothing was
            // done through it yet.
            let is_of_connection =
                matches!(answers, Err(StoreError::Unavailable(_) | StoreError::ReadOnly));
            if !begins || !is_of_connection {
                break;
            }
            // It can still be in the transaction that has failed.
            self.close_connection();
            answers = self.ask_once(questions).await;
        }
        answers
    }

    /// Closes the connection instead of returning it to the pool: the next user would wait for the
    /// answers that are still due.
    fn discard_connection(&mut self) {
        self.close_connection();
        self.shared.connections.forget_idle();
    }

    fn close_connection(&mut self) {
        self.is_open = false;
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }

    /// Asks one question.
    pub(super) async fn ask_one(
        &mut self,
        statement: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let mut answers = self.ask(&[(statement, parameters)]).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// Asks what changes something. The first time, the transaction is marked, so that its fate can
    /// be asked for should the connection break while it commits.
    pub(super) async fn change(
        &mut self,
        questions: &[Question<'_>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        if self.mark.is_some() {
            return self.ask(questions).await;
        }
        let mut questions = questions.to_vec();
        questions.push((sql::OWN_TRANSACTION, &[]));
        let mut answers = self.ask(&questions).await?;
        let row = answers.pop().and_then(|mut rows| rows.pop());
        self.mark = row.map(|row| Mark::read(&row, 0)).transpose()?;
        Ok(answers)
    }

    /// Makes changes whose answers nobody needs. Those that may wait are sent with the next questions, or
    /// with the commit, which fails if one of them does.
    pub(super) async fn make(
        &mut self,
        changes: Vec<Pending>,
        may_wait: bool,
    ) -> Result<(), StoreError> {
        self.staged.extend(changes);
        if self.mark.is_none() {
            // Without a mark they cannot go with the commit.
            self.change(&[]).await?;
        } else if !may_wait {
            self.ask(&[]).await?;
        }
        Ok(())
    }

    async fn ask_once(&mut self, questions: &[Question<'_>]) -> Result<Vec<Vec<Row>>, StoreError> {
        if self.connection.is_none() {
            self.shared.connections.server_sessions.check()?;
            let pool = match self.kind {
                Kind::Read => &self.shared.connections.readers,
                Kind::Write => &self.shared.connections.writers,
            };
            self.connection = Some(take(pool).await?);
        }
        let answers = self.ask_on_connection(questions).await;
        self.shared.connections.server_sessions.note(&answers);
        answers
    }

    async fn ask_on_connection(
        &mut self,
        questions: &[Question<'_>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let Some(connection) = &self.connection else {
            return Err(StoreError::Engine("a connection went astray".into()));
        };
        let session = &self.shared.connections.session;
        let begin = match self.kind {
            Kind::Read => &session.begin_read,
            Kind::Write => &session.begin_write,
        };
        let mut statements = Vec::with_capacity(questions.len());
        for (statement, _) in questions {
            statements.push(Ready::new(connection, session.pooler, statement).await?);
        }
        let begins = !self.is_open;
        self.is_open = true;
        self.shared.count_round_trip();
        // They are polled, and so sent, in their order, and nobody waits in between.
        let asking = join_all(
            statements
                .iter()
                .zip(questions)
                .map(|(statement, (_, parameters))| statement.query(connection, parameters)),
        );
        let answers = if begins {
            let (begun, answers) = join(connection.batch_execute(begin), asking).await;
            begun?;
            answers
        } else {
            asking.await
        };
        // The first error is the cause of those after it.
        Ok(answers.into_iter().collect::<Result<_, _>>()?)
    }

    /// Makes everything durable.
    pub(super) async fn commit_changes(mut self) -> Result<(), StoreError> {
        if self.has_failed {
            // The server would take a commit for a rollback, and call it a success.
            return Err(StoreError::Engine("a part of the transaction has failed".into()));
        }
        if !self.is_open && !self.appending.is_empty() {
            self.change(&[]).await?;
        }
        let limit = self.shared.connections.deadlines.commit;
        let until = Instant::now() + limit;
        let mut last = mem::take(&mut self.staged);
        last.append(&mut self.appending);
        let statements = match within(limit, self.prepare(&last)).await {
            Ok(statements) => statements,
            Err(error) => {
                self.discard_connection();
                return Err(error);
            }
        };
        let Some(connection) = self.connection.take().filter(|_| self.is_open) else {
            return Ok(());
        };
        self.is_open = false;
        self.shared.count_round_trip();
        let committing = change_and_commit(&connection, &statements, &last);
        let why = match timeout_at(until, committing).await {
            Ok(Ok(())) => {
                self.shared.note_used(self.used_features.drain(..));
                self.shared.last_change.succeeded();
                if self.schedules_jobs {
                    self.shared.jobs_scheduled.notify_one();
                }
                return Ok(());
            }
            Ok(Err(error)) if says_it_was_not_committed(&error) => {
                let error = StoreError::from(error);
                self.shared.last_change.failed(&error);
                let failed = Err(error);
                self.shared.connections.server_sessions.note(&failed);
                return failed;
            }
            Ok(Err(error)) => StoreError::Unavailable(cause(&error)),
            Err(_) => {
                self.shared.connections.forget_idle();
                no_answer(limit)
            }
        };
        // Whatever this connection is good for, it is not that.
        drop(Object::take(connection));
        match self.mark.take() {
            None => Err(why),
            Some(mark) => fate::ask(&self.shared.connections, &mark, why).await,
        }
    }

    async fn prepare(&self, pending: &[Pending]) -> Result<Vec<Ready>, StoreError> {
        let pooler = self.shared.connections.session.pooler;
        let mut statements = Vec::with_capacity(pending.len());
        if let Some(connection) = &self.connection {
            for (statement, _) in pending {
                statements.push(Ready::new(connection, pooler, statement).await?);
            }
        }
        Ok(statements)
    }

    /// The question that shares an environment's catalog, unless it is held already.
    pub(super) fn shares_catalog(&mut self, environment: EnvironmentId) -> Option<[i32; 2]> {
        (self.kind == Kind::Write && self.catalogs.insert(environment))
            .then(|| locks::catalog(environment))
    }
}

/// Sends the last changes and the commit in one round trip. If one of the former fails, the server
/// takes the commit for a rollback, and the first error is what counts.
async fn change_and_commit(
    connection: &Object,
    statements: &[Ready],
    last: &[Pending],
) -> Result<(), tokio_postgres::Error> {
    let asking = statements.iter().zip(last).map(|(statement, change)| async move {
        statement.query(connection, &parameters_of(change)).await
    });
    let committing = async {
        let span = spans::begin_statement(|| "COMMIT");
        let committed = connection.batch_execute("COMMIT").await;
        asking::end(span, &committed);
        committed
    };
    let (changed, committed) = join(join_all(asking), committing).await;
    changed.into_iter().collect::<Result<Vec<_>, _>>()?;
    committed
}

fn parameters_of((_, parameters): &Pending) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter.as_ref() as _).collect()
}

impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.is_open
        {
            // Polled once, it is sent; whoever has the connection next is served after it.
            let _ = connection.batch_execute("ROLLBACK").now_or_never();
        }
    }
}
