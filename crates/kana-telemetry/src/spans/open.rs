//! Spans that are open, and the one that is open in this task.

use std::borrow::Cow;
use std::time::Instant;

use tokio::task_local;

use super::queue;
use super::span::{LINKS_MAX, Span, SpanKind, Value, times};
use crate::operation::Operation;
use crate::request::{self, Outcome, RequestRecord};
use crate::sampling::{is_on, new_span_id};
use crate::trace_parent::{SpanContext, SpanId};

task_local! {
    /// The span that work for others is below, in a task that answers no request.
    static BELOW: SpanContext;
}

/// A span that is open, if its request is traced. Dropping it records it.
#[derive(Debug)]
#[must_use = "dropping it ends the span"]
pub struct OpenSpan(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    since: Instant,
    span: Span,
}

/// Opens a span below the current one.
#[inline]
pub fn begin(name: &'static str) -> OpenSpan {
    if is_on() { begin_below(name, current()) } else { OpenSpan(None) }
}

/// Opens a span below another one, if there is that.
pub fn begin_below(name: &'static str, parent: Option<SpanContext>) -> OpenSpan {
    OpenSpan(parent.map(|parent| Box::new(Open::below(name.into(), parent))))
}

/// Returns the span that is open in this task; `None` if nothing is traced.
#[must_use]
pub fn current() -> Option<SpanContext> {
    if !is_on() {
        return None;
    }
    BELOW.try_with(|below| *below).ok().or_else(request::span)
}

/// Runs `work` below this span, if there is one: new spans are below it.
pub async fn scope<T>(below: Option<SpanContext>, work: impl Future<Output = T>) -> T {
    match below {
        Some(below) => BELOW.scope(below, work).await,
        None => work.await,
    }
}

impl OpenSpan {
    /// Returns the span, if there is one.
    #[must_use]
    pub fn context(&self) -> Option<SpanContext> {
        self.0.as_ref().map(|open| open.span.context)
    }

    /// Adds an attribute. The value is a text or a number of the program.
    pub fn set(&mut self, name: &'static str, value: impl FnOnce() -> Value) {
        if let Some(open) = &mut self.0 {
            open.span.attributes.push((name, value()));
        }
    }

    /// Links other spans. Above [`LINKS_MAX`], they are only counted.
    pub fn link(&mut self, others: &[SpanContext]) {
        if let Some(open) = &mut self.0 {
            let room = LINKS_MAX.saturating_sub(open.span.links.len());
            let (linked, left_out) = others.split_at(others.len().min(room));
            open.span.links.extend_from_slice(linked);
            let left_out = u32::try_from(left_out.len()).unwrap_or(u32::MAX);
            open.span.links_left_out = open.span.links_left_out.saturating_add(left_out);
        }
    }

    /// Notes whether it failed.
    pub fn set_failed(&mut self, is_error: bool) {
        if let Some(open) = &mut self.0 {
            open.span.is_error = is_error;
        }
    }
}

impl Drop for OpenSpan {
    #[inline]
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.end();
        }
    }
}

impl Open {
    fn below(name: Cow<'static, str>, parent: SpanContext) -> Self {
        let context = SpanContext { span_id: new_span_id(), ..parent };
        Self::new(name, SpanKind::Internal, context, Some(parent.span_id), Instant::now())
    }

    fn new(
        name: Cow<'static, str>,
        kind: SpanKind,
        context: SpanContext,
        parent: Option<SpanId>,
        since: Instant,
    ) -> Self {
        let (attributes, links) = (Vec::new(), Vec::new());
        let span = Span {
            context,
            parent,
            trace_state: None,
            kind,
            name,
            began_ns: 0,
            ended_ns: 0,
            attributes,
            links,
            links_left_out: 0,
            is_error: false,
        };
        Self { since, span }
    }

    #[cold]
    fn end(mut self) {
        (self.span.began_ns, self.span.ended_ns) = times(self.since);
        queue::push(self.span);
    }
}

/// The type of an operation of GraphQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// `query`.
    Query,
    /// `mutation`.
    Mutation,
}

impl OperationKind {
    fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
        }
    }
}

/// The span of an operation of GraphQL. What is opened meanwhile is below it. Dropping it records it, with what
/// was noted of the request's operations.
#[derive(Debug)]
#[must_use = "dropping it ends the span"]
pub struct OperationSpan(OpenSpan);

/// Opens the span of an operation of the request that is being answered.
#[inline]
pub fn begin_operation(kind: OperationKind) -> OperationSpan {
    if is_on() { open_operation(kind) } else { OperationSpan(OpenSpan(None)) }
}

#[cold]
fn open_operation(kind: OperationKind) -> OperationSpan {
    let mut span = begin_below(kind.name(), request::span());
    span.set("graphql.operation.type", || Value::Text(kind.name().into()));
    if let Some(context) = span.context() {
        request::set_span(context.span_id);
    }
    OperationSpan(span)
}

impl Drop for OperationSpan {
    #[inline]
    fn drop(&mut self) {
        if let OpenSpan(Some(open)) = &mut self.0 {
            open.note_operation();
        }
    }
}

impl Open {
    /// Adds what was noted of the request's operations. From here on, spans are below the one above this.
    #[cold]
    fn note_operation(&mut self) {
        if let Some(parent) = self.span.parent {
            request::set_span(parent);
        }
        let (names, outcome) = request::noted(|record| {
            let names: Vec<&'static str> = record.operations().map(Operation::name).collect();
            (names, record.outcome())
        })
        .unwrap_or_default();
        self.span.attributes.push(("kana.operations", Value::Names(names)));
        self.span.is_error = is_fault(outcome);
    }
}

fn is_fault(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Overloaded | Outcome::Error))
}

/// The span of a statement of PostgreSQL. Dropped before it is ended, it has failed: nobody waited for the answer.
#[derive(Debug)]
#[must_use = "dropping it ends the span"]
pub struct StatementSpan(OpenSpan);

/// Opens the span of a statement below the current span. `name` is our name for it.
#[inline]
pub fn begin_statement(name: impl FnOnce() -> &'static str) -> StatementSpan {
    StatementSpan(match current() {
        Some(parent) => open_statement(name(), parent),
        None => OpenSpan(None),
    })
}

#[cold]
fn open_statement(name: &'static str, parent: SpanContext) -> OpenSpan {
    let mut open = Open::below(name.into(), parent);
    let span = &mut open.span;
    span.kind = SpanKind::Client;
    span.is_error = true;
    span.attributes.push(("db.system.name", Value::Text("postgresql".into())));
    span.attributes.push(("db.query.summary", Value::Text(name.into())));
    OpenSpan(Some(Box::new(open)))
}

impl StatementSpan {
    /// Ends the span of a statement that was answered.
    pub fn end(mut self) {
        self.0.set_failed(false);
    }

    /// Ends the span of a statement that failed. `code` is its SQLSTATE, if the server said one.
    pub fn fail(mut self, code: Option<&str>) {
        if let Some(code) = code {
            let code = || Value::Text(code.to_owned().into());
            self.0.set("db.response.status_code", code);
            self.0.set("error.type", code);
        }
    }
}

impl Drop for StatementSpan {
    #[inline]
    fn drop(&mut self) {
        let OpenSpan(Some(open)) = &mut self.0 else { return };
        let Span { is_error, attributes, .. } = &mut open.span;
        if *is_error && attributes.iter().all(|(name, _)| *name != "error.type") {
            attributes.push(("error.type", Value::Text("_OTHER".into())));
        }
    }
}

/// Records the span of a whole request, if it is traced. `scheme` is `http` or `https`; its head began at `since`.
pub fn record_request(record: &RequestRecord, scheme: &'static str, status: u16, since: Instant) {
    let Some(trace) = record.trace() else { return };
    let (method, route) = (trace.method, trace.route);
    let name: Cow<'static, str> = match (method, route) {
        (Some(method), Some(route)) => format!("{method} {route}").into(),
        (Some(method), None) => method.into(),
        (None, Some(route)) => format!("HTTP {route}").into(),
        (None, None) => "HTTP".into(),
    };
    let mut open = Open::new(name, SpanKind::Server, trace.server, trace.parent, since);
    let span = &mut open.span;
    span.trace_state = trace.state.clone();
    let text = |text: &'static str| Value::Text(text.into());
    span.attributes.push(("http.request.method", text(method.unwrap_or("_OTHER"))));
    if let Some(route) = route {
        span.attributes.push(("http.route", text(route)));
    }
    span.attributes.push(("url.scheme", text(scheme)));
    span.attributes.push(("http.response.status_code", Value::Number(status.into())));
    span.attributes.push(("kana.environment", text(record.environment().name())));
    if status >= 500 {
        span.is_error = true;
        span.attributes.push(("error.type", Value::Text(status.to_string().into())));
    }
    open.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestId;
    use crate::sampling::{RequestTrace, turn_on};
    use crate::trace_parent::TraceId;

    fn context(trace: u128, span: u64) -> SpanContext {
        let trace_id = TraceId::of_bits(trace).unwrap();
        SpanContext { trace_id, span_id: SpanId::of_bits(span).unwrap() }
    }

    #[tokio::test]
    async fn spans_are_below_the_one_that_is_open_in_their_task() {
        turn_on(0.0);
        let server = context(1, 2);
        let mut record = RequestRecord::new(RequestId::new(), None);
        record.set_trace(RequestTrace::within(server, None));
        let (inner, _) = record
            .scope(async {
                assert_eq!(current(), Some(server));
                let operation = begin_operation(OperationKind::Query);
                let inner = current().unwrap();
                assert_eq!(Some(inner), operation.0.context());
                let decide = begin("decide");
                assert_eq!(decide.0.as_ref().unwrap().span.parent, Some(inner.span_id));
                let below = scope(decide.context(), async { current() }).await;
                assert_eq!(below, decide.context());
                drop(decide);
                drop(operation);
                assert_eq!(current(), Some(server));
                inner
            })
            .await;
        assert_eq!(inner.trace_id, server.trace_id);
        assert_eq!((current(), begin("decide").context()), (None, None));
        let elsewhere = context(3, 4);
        scope(Some(elsewhere), async { assert_eq!(current(), Some(elsewhere)) }).await;
        scope(None, async { assert_eq!(current(), None) }).await;
    }

    #[tokio::test]
    async fn a_statement_has_failed_unless_it_was_answered() {
        turn_on(0.0);
        let read = |span: &StatementSpan| {
            let span = &span.0.0.as_ref().unwrap().span;
            (span.name.clone(), span.kind, span.is_error)
        };
        let below = Some(context(8, 9));
        let span = scope(below, async { begin_statement(|| "FACTS") }).await;
        assert_eq!(read(&span), ("FACTS".into(), SpanKind::Client, true));
        span.fail(Some("40001"));
        let mut span = scope(below, async { begin_statement(|| "FACTS") }).await;
        span.0.set_failed(false);
        assert!(!read(&span).2);
        assert!(begin_statement(|| "FACTS").0.0.is_none());
    }

    #[test]
    fn links_above_the_most_are_counted() {
        let mut span = begin_below("commit", Some(context(5, 6)));
        let others: Vec<SpanContext> = (1..=100).map(|id| context(7, id)).collect();
        span.link(&others);
        span.link(&others);
        let open = &span.0.as_ref().unwrap().span;
        assert_eq!((open.links.len(), open.links_left_out), (LINKS_MAX, 72));
    }
}
