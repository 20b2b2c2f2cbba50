//! The scalars of the contract. What describes each to callers stands at its implementation, where
//! the library looks for it.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use kana_core::Timestamp;
use kana_graphql::{CustomScalar, Scalars};

/// The scalars of the Admin API that accept only some values.
#[derive(Debug)]
pub(crate) struct AdminScalars;

impl Scalars for AdminScalars {
    const CHECKED: &'static [CustomScalar] = &[CustomScalar {
        name: "DateTime",
        accepts: |value| value.as_str().is_some_and(is_date_time),
        format: Some(Timestamp::FORMAT),
    }];
}

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

/// Returns true if the text is an instant as the scalar reads it.
fn is_date_time(text: &str) -> bool {
    Timestamp::parse("DateTime", text).is_ok()
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
