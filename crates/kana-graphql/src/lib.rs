//! GraphQL over HTTP, as the specification of that name has it. Knows no Kana: the schema, who may
//! ask and how a body is read come in from outside.
//!
//! An [`Endpoint`] reads a request ([`request`]), parses its document ([`document`]), and holds it
//! against the limits ([`limits`]) and its arguments against the schema ([`arguments`]), all that
//! once for a text that comes again ([`prepared`]). It coerces the variables ([`variables`]) and
//! refuses numbers that would be rounded ([`exact`]). Only then does it execute anything, with a
//! limit on the size of the answer ([`answer`]). A hot operation whose text was seen before is
//! answered by its [`plan`] instead.

mod absent;
mod answer;
mod conversion;
mod document;
mod endpoint;
mod error;
mod escapes;
pub mod exact;
mod failure_log;
mod json_scalar;
mod limits;
mod media_type;
mod plan;
mod positions;
mod prepared;
mod request;
mod response;
mod scalars;
mod schema;
mod validation;
mod variables;

pub use answer::{AnswerBudget, List, Turn, loading};
pub use endpoint::Endpoint;
pub use error::{ErrorBody, Overloaded, RequestError};
pub use json_scalar::Json;
pub use media_type::prefers_html;
pub use plan::{NoPlan, Outcome, Plan};
pub use scalars::{CustomScalar, Scalars};
