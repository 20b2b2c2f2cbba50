//! The scalars of the contract. What describes each to callers stands at its implementation, where
//! the library looks for it.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use kana_core::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateTime(pub(crate) Timestamp);

/// UTC instant, RFC 3339 with exactly three fractional digits: 2022-08-10T15:07:01.803Z
#[Scalar(name = "DateTime")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        Ok(Self(Timestamp::parse("DateTime", text)?))
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if is_date_time(text))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// Whether the text is an instant as the scalar reads it.
pub(super) fn is_date_time(text: &str) -> bool {
    Timestamp::parse("DateTime", text).is_ok()
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Json(pub(crate) serde_json::Value);

/// Any JSON value (ECMA-404)
#[Scalar(name = "JSON")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        // As JSON, which the writer of answers copies. A tree would take many times the memory.
        serde_json::to_vec(&self.0).map(|json| Value::Binary(json.into())).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BigInt(pub(crate) i64);

/// Whole number of any size up to 2^63-1, as a JSON string
#[Scalar(name = "BigInt")]
impl ScalarType for BigInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(Self(text.parse()?)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}
