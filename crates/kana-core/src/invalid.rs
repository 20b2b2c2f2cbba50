//! Values that are invalid whatever is stored.

/// An invalid value of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidValue {
    /// The field's name in the request, like `userId`.
    pub field: &'static str,
    /// What is wrong, as the rest of a sentence that starts with the field.
    pub problem: String,
}

impl InvalidValue {
    /// Creates the error; `problem` continues the sentence that `field` starts.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}
