//! Limits the size of answers: of each answer, which is refused while it is built, and of all
//! answers that are being built or sent.
//!
//! The library builds a tree of an answer, which takes about ten times the memory of its JSON. So a
//! [`List`] writes each item as JSON as soon as it is resolved, and counts the bytes
//! ([`AnswerSize`]). Answers without lists are bounded by the number of their fields and are not
//! counted.

mod json;
mod list;
mod list_fields;
mod size;

pub(crate) use json::{Held, to_json};
pub use list::{List, loading};
pub(crate) use list_fields::{ListFields, merge};
pub(crate) use size::AnswerSize;
pub use size::{AnswerBudget, Turn};
