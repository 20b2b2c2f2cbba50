use async_graphql::{InputValueResult, Scalar, ScalarType, Value};

/// Any JSON value.
#[derive(Debug, Clone, PartialEq)]
pub struct Json(pub serde_json::Value);

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
