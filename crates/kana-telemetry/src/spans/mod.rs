//! Spans of requests that are traced (contract: `operations.md`, "Traces").
//!
//! [`begin`] opens a span below the one that is open in this task, and dropping it records it. Where nothing
//! is traced, that is one look at a flag. What was recorded waits in a queue with a bound until
//! [`take`] hands it to whoever exports it; nothing that answers requests waits for that.
//!
//! Names and texts of spans are those of the program. Of what a caller chose, only the ids of its trace and a
//! valid `tracestate` have a way in.

mod open;
mod queue;
mod span;

pub use open::{OpenSpan, OperationKind, OperationSpan, begin, begin_operation, current, scope};
pub use open::{StatementSpan, begin_below, begin_statement, record_request};
pub use queue::{SPANS_MAX, Taken, stop, take, take_without_room, wait_for_stop};
pub use span::{LINKS_MAX, Span, SpanKind, Value};
