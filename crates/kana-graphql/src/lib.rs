//! GraphQL over HTTP, as the specification of that name has it. Knows no Kana: the schema, who may
//! ask and how a body is read come in from outside.
//!
//! An [`Endpoint`] reads a request (`request`). A text that was not seen before is parsed
//! (`document`), converted to the executor's form (`conversion`), held against the limits
//! (`limits`) and validated (`validation`), all that once (`prepared`). The variables are
//! coerced for each request (`variables`), and numbers that would be rounded are refused
//! ([`exact`]). Only then does it execute anything, with a limit on the size of the answer
//! (`answer`). A hot operation whose text was seen before is answered by its `plan` instead.

mod absent;
mod answer;
mod conversion;
mod document;
mod endpoint;
mod error;
mod escapes;
pub mod exact;
mod json_scalar;
mod limits;
mod media_type;
mod noted;
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
pub use response::refusal;
pub use scalars::{CustomScalar, Scalars};
