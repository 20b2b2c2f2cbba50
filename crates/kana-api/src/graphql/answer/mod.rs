//! The size of answers. An answer is refused while it is built once it is too large, and all answers
//! that are being built or sent have a bound together.
//!
//! The library builds a tree of an answer, which takes some ten times the memory of its JSON. So a
//! [`List`] writes each of its items as JSON as soon as the item is resolved, and counts the bytes
//! ([`AnswerSize`]). Operations without lists are bounded by the number of their fields, and pay
//! nothing.

mod json;
mod list;
mod list_fields;
mod size;

pub(super) use json::{Held, to_json};
pub(crate) use list::{List, loading};
pub(super) use list_fields::{ListFields, merge};
pub(super) use size::AnswerSize;
pub(crate) use size::{AnswerBudget, Turn};
