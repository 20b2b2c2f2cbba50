//! What is known of the request that is being answered.
//!
//! The server opens a [`RequestRecord`] for each request and answers it within [`RequestRecord::scope`].
//! Whatever runs there, in the same task, can read the request's id and note what it finds out; outside
//! of a request, notes go nowhere. The record has no lock, and takes no memory of its own but for an id that the
//! caller chose.

use std::cell::Cell;
use std::pin::pin;

use tokio::task_local;

use crate::metrics::operations;
use crate::operation::Operation;
use crate::request_id::RequestId;
use crate::sampling::RequestTrace;
use crate::trace_parent::{SpanContext, SpanId, TraceId};

/// The most operations of a request that its record has.
pub const OPERATIONS_MAX: usize = 5;

task_local! {
    static CURRENT: RequestRecord;
}

/// What became of something that was asked for. The later ones are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was refused, which is the caller's fault.
    Refused,
    /// It was not done, since too much else was. The caller can retry.
    Overloaded,
    /// It failed, which is our fault.
    Error,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Refused, Self::Overloaded, Self::Error];

    /// Returns the name in metrics and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Overloaded => "overloaded",
            Self::Error => "error",
        }
    }

    /// Returns what an HTTP status says of the outcome.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            ..400 => Self::Ok,
            400..500 => Self::Refused,
            503 => Self::Overloaded,
            _ => Self::Error,
        }
    }

    /// Returns what an error's code says of the outcome.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        match code {
            "OVERLOADED" => Self::Overloaded,
            "INTERNAL_SERVER_ERROR" => Self::Error,
            _ => Self::Refused,
        }
    }
}

/// The environment that a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// None, or none that is known.
    None,
    /// `test`.
    Test,
    /// `live`.
    Live,
}

impl Environment {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Test, Self::Live];

    /// Returns the name in metrics and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Test => "test",
            Self::Live => "live",
        }
    }
}

/// What is known of a request.
#[derive(Debug)]
pub struct RequestRecord {
    /// Its id.
    pub id: RequestId,
    /// The trace that it belongs to, if its caller began one, or it is traced.
    pub trace_id: Option<TraceId>,
    /// `None` if it is not traced.
    trace: Option<Box<RequestTrace>>,
    environment: Cell<Environment>,
    key_id: Cell<Option<i64>>,
    operations: Cell<([Operation; OPERATIONS_MAX], usize)>,
    outcome: Cell<Option<Outcome>>,
    code: Cell<Option<(Outcome, &'static str)>>,
}

impl RequestRecord {
    /// Creates the record of a request about which nothing else is known yet.
    #[must_use]
    pub fn new(id: RequestId, trace_id: Option<TraceId>) -> Self {
        Self {
            id,
            trace_id,
            trace: None,
            environment: Cell::new(Environment::None),
            key_id: Cell::new(None),
            operations: Cell::new(([Operation::OTHER; OPERATIONS_MAX], 0)),
            outcome: Cell::new(None),
            code: Cell::new(None),
        }
    }

    /// Has the request traced. It then belongs to that trace.
    pub fn set_trace(&mut self, trace: RequestTrace) {
        self.trace_id = Some(trace.server.trace_id);
        self.trace = Some(Box::new(trace));
    }

    /// Returns what is recorded of the request, if it is traced.
    #[must_use]
    pub fn trace(&self) -> Option<&RequestTrace> {
        self.trace.as_deref()
    }

    /// Notes the code of an error that the request is answered with.
    pub fn set_error(&self, code: &'static str) {
        let outcome = Outcome::of_code(code);
        if self.code.get().is_none_or(|(noted, _)| noted < outcome) {
            self.code.set(Some((outcome, code)));
        }
        note_outcome_in(self, outcome);
    }

    /// Runs `answering`, which can note things in the record, and returns what it returns with the record.
    pub async fn scope<T>(self, answering: impl Future<Output = T>) -> (T, Option<Self>) {
        let mut scoped = pin!(CURRENT.scope(self, answering));
        let answer = scoped.as_mut().await;
        (answer, scoped.as_mut().take_value())
    }

    /// Returns the environment that the request is about.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.environment.get()
    }

    /// Returns the number of the key that the request came with.
    #[must_use]
    pub fn key_id(&self) -> Option<i64> {
        self.key_id.get()
    }

    /// Returns the first operations of the request, at most [`OPERATIONS_MAX`].
    pub fn operations(&self) -> impl Iterator<Item = Operation> + use<> {
        let (operations, count) = self.operations.get();
        operations.into_iter().take(count)
    }

    /// Returns the worst outcome that was noted.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.get()
    }

    /// Returns the code of the worst error that was noted, the first of those.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.code.get().map(|(_, code)| code)
    }
}

/// Returns the id of the request that is being answered.
#[must_use]
pub fn current_id() -> Option<RequestId> {
    CURRENT.try_with(|record| record.id.clone()).ok()
}

/// A request, as work for it elsewhere knows it.
#[derive(Debug)]
pub struct Origin {
    id: RequestId,
    span: Option<Box<SpanContext>>,
}

impl Origin {
    /// Returns the request that is being answered.
    #[must_use]
    pub fn current() -> Option<Self> {
        let of = |record: &RequestRecord| {
            let span = record.trace.as_ref().map(|trace| Box::new(trace.current()));
            Self { id: record.id.clone(), span }
        };
        CURRENT.try_with(of).ok()
    }

    /// Runs `work` for the request.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        let mut record = RequestRecord::new(self.id, None);
        if let Some(span) = self.span {
            record.set_trace(RequestTrace::within(*span, None));
        }
        record.scope(work).await.0
    }
}

/// Returns the span that is open in the request that is being answered, if it is traced.
#[must_use]
pub fn span() -> Option<SpanContext> {
    noted(|record| record.trace().map(RequestTrace::current)).flatten()
}

/// Sets the span that new ones of the request are below.
pub fn set_span(span: SpanId) {
    note(|record| {
        if let Some(trace) = record.trace() {
            trace.set_current(span);
        }
    });
}

/// Returns something of the record of the request that is being answered; `None` outside of one.
pub(crate) fn noted<T>(what: impl FnOnce(&RequestRecord) -> T) -> Option<T> {
    CURRENT.try_with(what).ok()
}

/// Returns the environment that the request is about.
#[must_use]
pub fn environment() -> Environment {
    CURRENT.try_with(|record| record.environment.get()).unwrap_or(Environment::None)
}

/// Notes which environment the request is about, and the number of its key.
pub fn note_environment(environment: Environment, key_id: Option<i64>) {
    note(|record| {
        record.environment.set(environment);
        record.key_id.set(key_id.or(record.key_id.get()));
    });
}

/// Notes an operation of the request, and what became of it.
pub fn note_operation(operation: Operation, outcome: Outcome) {
    operations::ended(operation, environment(), outcome);
    note(|record| {
        let (mut operations, count) = record.operations.get();
        if let Some(place) = operations.get_mut(count) {
            *place = operation;
            record.operations.set((operations, count + 1));
        }
        note_outcome_in(record, outcome);
    });
}

/// Counts a request that was refused before it was known which operations it has.
pub fn count_refused(outcome: Outcome) {
    operations::ended(Operation::OTHER, environment(), outcome);
}

/// Notes the code of an error that the request is answered with.
pub fn note_error(code: &'static str) {
    operations::failed(code);
    note(|record| record.set_error(code));
}

fn note_outcome_in(record: &RequestRecord, outcome: Outcome) {
    record.outcome.set(record.outcome.get().max(Some(outcome)));
}

fn note(what: impl FnOnce(&RequestRecord)) {
    // Without a request, as in a job, there is nothing to note.
    let _ = CURRENT.try_with(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RequestRecord {
        RequestRecord::new(RequestId::new(), None)
    }

    #[tokio::test]
    async fn what_is_noted_while_a_request_is_answered_is_in_its_record() {
        let record = record();
        let id = record.id.clone();
        let (answer, record) = record
            .scope(async {
                note_environment(Environment::Live, Some(7));
                note_environment(Environment::Live, None);
                tokio::task::yield_now().await;
                for operation in (0..7).map(|_| Operation::EVENTS) {
                    note_operation(operation, Outcome::Ok);
                }
                note_error("NOT_FOUND");
                note_error("INTERNAL_SERVER_ERROR");
                note_error("OVERLOADED");
                current_id()
            })
            .await;
        let record = record.unwrap();
        assert_eq!(answer, Some(id));
        assert_eq!((record.environment(), record.key_id()), (Environment::Live, Some(7)));
        assert_eq!(record.operations().count(), OPERATIONS_MAX);
        assert_eq!(record.outcome(), Some(Outcome::Error));
        assert_eq!(record.code(), Some("INTERNAL_SERVER_ERROR"), "the worst");
    }

    #[tokio::test]
    async fn outside_of_a_request_nothing_is_noted() {
        note_environment(Environment::Test, Some(1));
        note_operation(Operation::OTHER, Outcome::Ok);
        note_error("NOT_FOUND");
        assert_eq!((current_id(), environment()), (None, Environment::None));
    }
}
