//! Values that are wrong whatever is stored.

/// A value that breaks its bounds, by the name of its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidValue {
    /// The field's name in the request, like `userId`.
    pub field: &'static str,
    /// What is wrong with it, as the rest of a sentence that starts with the field.
    pub problem: String,
}

impl InvalidValue {
    /// `field` is the field's name; `problem` continues the sentence that it starts.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}
