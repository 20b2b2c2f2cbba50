//! What a server tells its operator. Every crate that answers requests uses this one, and it uses none of
//! them.
//!
//! - [`request`]: what is known of the request that is being answered: its id, and what became of it.
//!   Whoever finds something out notes it there; the server logs it when the answer has been sent.
//! - [`failures`]: the log of failures, which stays short however many requests fail.
//! - [`metrics`]: numbers for Prometheus.
//! - [`sampling`], [`spans`]: which requests are traced, and what is recorded of those.
//! - [`operation`], [`error_code`]: the names of operations, and the codes of errors.

pub mod error_code;
pub mod failures;
pub mod metrics;
pub mod operation;
pub mod request;
mod request_id;
pub mod sampling;
pub mod slow;
pub mod spans;
mod surface;
mod trace_parent;
mod trace_state;

pub use request_id::RequestId;
pub use surface::Surface;
pub use trace_parent::{SpanContext, SpanId, TraceId, TraceParent};
pub use trace_state::TraceState;
