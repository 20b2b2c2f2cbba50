use std::borrow::Cow;
use std::time::{Instant, SystemTime};

use crate::trace_parent::{SpanContext, SpanId};
use crate::trace_state::TraceState;

/// The most links of a span.
pub const LINKS_MAX: usize = 128;

/// On which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Within the server.
    Internal,
    /// An answer to a call from outside.
    Server,
    /// A call of something outside.
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text of the program.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
    /// Names of the program.
    Names(Vec<&'static str>),
}

/// A span that has ended.
#[derive(Debug, Clone)]
pub struct Span {
    /// The span and its trace.
    pub context: SpanContext,
    /// The span above it.
    pub parent: Option<SpanId>,
    /// What the caller's tracing systems say of the trace, where this continues the caller's span.
    pub trace_state: Option<TraceState>,
    /// On which side of a call it is.
    pub kind: SpanKind,
    /// Its name.
    pub name: Cow<'static, str>,
    /// When it began, in nanoseconds since 1970.
    pub began_ns: u64,
    /// When it ended, in nanoseconds since 1970.
    pub ended_ns: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans that it has to do with, at most [`LINKS_MAX`].
    pub links: Vec<SpanContext>,
    /// How many links there are beside those.
    pub links_left_out: u32,
    /// Whether it failed.
    pub is_error: bool,
}

/// Returns when a span began and ended, in nanoseconds since 1970. It ends now.
pub(super) fn times(began: Instant) -> (u64, u64) {
    #[expect(clippy::disallowed_methods, reason = "when a span was, which nothing is decided on")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = |duration: std::time::Duration| u64::try_from(duration.as_nanos());
    let ended = nanoseconds(now).unwrap_or(u64::MAX);
    (ended.saturating_sub(nanoseconds(began.elapsed()).unwrap_or(u64::MAX)), ended)
}
