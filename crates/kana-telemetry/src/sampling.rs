//! Which requests are traced (contract: `operations.md`, "Traces"), and the ids of what is recorded of them.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::trace_parent::{SpanContext, SpanId, TraceId, TraceParent};
use crate::trace_state::TraceState;

static IS_ON: AtomicBool = AtomicBool::new(false);
/// A request without a parent is traced if a random number is below this; `u64::MAX` stands for all.
static THRESHOLD: AtomicU64 = AtomicU64::new(0);
/// A secret function that makes random numbers of consecutive ones.
static RANDOM: OnceLock<RandomState> = OnceLock::new();
static MADE: AtomicU64 = AtomicU64::new(0);

/// Starts tracing. `ratio` is the share of requests without a parent that are traced, from 0 to 1.
pub fn turn_on(ratio: f64) {
    THRESHOLD.store(threshold(ratio), Ordering::Relaxed);
    IS_ON.store(true, Ordering::Relaxed);
}

#[expect(clippy::float_arithmetic, reason = "a share of requests, which nothing else depends on")]
fn threshold(ratio: f64) -> u64 {
    // The conversion stops at the largest number.
    (ratio * 18_446_744_073_709_551_616.0) as u64
}

/// Returns true if requests are traced.
#[must_use]
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Decides whether a request is traced. A parent is asked first: what it records is continued, and what it
/// does not is left alone.
#[must_use]
pub fn sample(parent: Option<&TraceParent>) -> Option<RequestTrace> {
    if !is_on() {
        return None;
    }
    sample_at(THRESHOLD.load(Ordering::Relaxed), parent)
}

fn sample_at(threshold: u64, parent: Option<&TraceParent>) -> Option<RequestTrace> {
    match parent {
        Some(TraceParent { context, is_sampled: true }) => {
            Some(RequestTrace::new(context.trace_id, Some(context.span_id)))
        }
        Some(_) => None,
        None => is_chosen(random(), threshold).then(RequestTrace::new_trace),
    }
}

fn is_chosen(number: u64, threshold: u64) -> bool {
    number < threshold || threshold == u64::MAX
}

/// What is recorded of a request.
#[derive(Debug)]
pub struct RequestTrace {
    /// The span of the whole request.
    pub server: SpanContext,
    /// The caller's span.
    pub parent: Option<SpanId>,
    /// What the caller's tracing systems say of the trace.
    pub state: Option<TraceState>,
    /// The method of the request; `None` if it is not one of HTTP's.
    pub method: Option<&'static str>,
    /// The template of its path, `None` if there is none.
    pub route: Option<&'static str>,
    current: Cell<SpanId>,
}

impl RequestTrace {
    fn new(trace_id: TraceId, parent: Option<SpanId>) -> Self {
        Self::within(SpanContext { trace_id, span_id: new_span_id() }, parent)
    }

    fn new_trace() -> Self {
        Self::new(new_trace_id(), None)
    }

    /// Returns what is recorded of a part of a request that runs elsewhere, within this span.
    #[must_use]
    pub fn within(server: SpanContext, parent: Option<SpanId>) -> Self {
        let (state, method, route) = (None, None, None);
        Self { server, parent, state, method, route, current: Cell::new(server.span_id) }
    }

    /// Returns the span that new ones are below.
    #[must_use]
    pub fn current(&self) -> SpanContext {
        SpanContext { span_id: self.current.get(), ..self.server }
    }

    /// Sets the span that new ones are below.
    pub fn set_current(&self, span: SpanId) {
        self.current.set(span);
    }
}

fn new_trace_id() -> TraceId {
    loop {
        if let Some(id) = TraceId::of_bits(u128::from(random()) << 64 | u128::from(random())) {
            return id;
        }
    }
}

/// Returns an id that no other span has.
#[must_use]
pub fn new_span_id() -> SpanId {
    loop {
        if let Some(id) = SpanId::of_bits(random()) {
            return id;
        }
    }
}

/// Returns a number that nobody outside can predict, without a call of the operating system.
fn random() -> u64 {
    RANDOM.get_or_init(RandomState::new).hash_one(MADE.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ() {
        let spans: HashSet<SpanId> = (0..1000).map(|_| new_span_id()).collect();
        let traces: HashSet<[u8; 16]> = (0..1000).map(|_| new_trace_id().to_bytes()).collect();
        assert_eq!((spans.len(), traces.len()), (1000, 1000));
    }

    #[test]
    fn a_parent_decides_and_the_ratio_decides_on_the_rest() {
        let header = |flags: &str| {
            let header = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            TraceParent::read(header.as_bytes()).unwrap()
        };
        let (sampled, unsampled) = (header("01"), header("00"));
        for (ratio, range) in
            [(0.0, 0..=0), (0.01, 120..=280), (0.5, 9_500..=10_500), (1.0, 20_000..=20_000)]
        {
            let threshold = threshold(ratio);
            let chosen = (0..20_000).filter(|_| sample_at(threshold, None).is_some()).count();
            assert!(range.contains(&chosen), "{ratio}: {chosen}");
            let continued = sample_at(threshold, Some(&sampled)).unwrap();
            assert_eq!(continued.server.trace_id, sampled.context.trace_id);
            assert_eq!(continued.parent, Some(sampled.context.span_id));
            assert_ne!(continued.server.span_id, sampled.context.span_id);
            assert!(sample_at(threshold, Some(&unsampled)).is_none());
        }
    }
}
