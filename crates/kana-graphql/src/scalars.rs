//! The scalars of a schema beside those of GraphQL.

use std::borrow::Cow;
use std::fmt::Debug;
use std::marker::PhantomData;

use bluejay_core::definition::ScalarTypeDefinition as _;
use bluejay_core::{Value, ValueReference};
use bluejay_parser::ast::definition::{Context, CustomScalarTypeDefinition};

/// The scalars of a schema that accept only some values; every other scalar accepts any value. A
/// schema without such scalars has `()`.
pub trait Scalars: Debug + Send + Sync + 'static {
    /// All of them. Values are checked before anything is executed.
    const CHECKED: &'static [CustomScalar];
}

impl Scalars for () {
    const CHECKED: &'static [CustomScalar] = &[];
}

/// A scalar that accepts only some values.
#[derive(Debug, Clone, Copy)]
pub struct CustomScalar {
    /// The scalar's name in the schema.
    pub name: &'static str,
    /// Returns true if the scalar accepts a value, as JSON.
    pub accepts: fn(&serde_json::Value) -> bool,
    /// Describes the strings that the scalar accepts, if any, for messages.
    pub format: Option<&'static str>,
}

impl CustomScalar {
    /// Says what a value is that the scalar does not accept.
    pub(crate) fn describe(&self, value: &serde_json::Value) -> Cow<'static, str> {
        match (self.format, value) {
            (Some(format), serde_json::Value::String(_)) => {
                format!("a string that is not {format}").into()
            }
            _ => json_kind(value).into(),
        }
    }
}

/// Lets the validator check the literals of scalars.
#[derive(Debug)]
pub(crate) struct Literals<S>(PhantomData<S>);

impl<S: Scalars> Context for Literals<S> {
    fn coerce_custom_scalar_input<const CONST: bool>(
        definition: &CustomScalarTypeDefinition<'_, Self>,
        value: &impl Value<CONST>,
    ) -> Result<(), Cow<'static, str>> {
        let Some(scalar) = S::CHECKED.iter().find(|scalar| scalar.name == definition.name()) else {
            return Ok(());
        };
        let literal = value.as_ref();
        let json: serde_json::Value = match literal {
            ValueReference::String(text) => text.into(),
            ValueReference::Boolean(boolean) => boolean.into(),
            ValueReference::Float(number) => number.into(),
            ValueReference::Integer(number) => {
                number.as_i64().map_or_else(|| number.as_f64().into(), Into::into)
            }
            _ => return Err(literal_kind(&literal).into()),
        };
        if (scalar.accepts)(&json) { Ok(()) } else { Err(scalar.describe(&json)) }
    }
}

/// Says what a literal is.
pub(crate) fn literal_kind<const CONST: bool, V: Value<CONST>>(
    value: &ValueReference<'_, CONST, V>,
) -> &'static str {
    match value {
        ValueReference::Variable(_) => "a variable",
        ValueReference::Null => "null",
        ValueReference::Boolean(_) => "a boolean",
        ValueReference::Integer(_) | ValueReference::Float(_) => "a number",
        ValueReference::String(_) => "a string",
        ValueReference::Enum(_) => "a name",
        ValueReference::List(_) => "a list",
        ValueReference::Object(_) => "an object",
    }
}

/// Says what a JSON value is.
pub(crate) fn json_kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "an object",
    }
}
