use serde_json::Value;

/// A scalar of a schema that accepts only some values. The values of arguments and variables are
/// checked before anything is executed.
#[derive(Debug, Clone, Copy)]
pub struct CustomScalar {
    /// The scalar's name in the schema.
    pub name: &'static str,
    /// Returns true if the scalar accepts a value, as JSON.
    pub accepts: fn(&Value) -> bool,
    /// Describes the strings that the scalar accepts, if any, for messages.
    pub format: Option<&'static str>,
}
