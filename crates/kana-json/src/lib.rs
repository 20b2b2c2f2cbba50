//! JSON values as they stand in a text.
//!
//! `serde_json` reads a [`Value`] in another way as soon as any crate of a program turns on its feature
//! `raw_value`: an object whose first key has a certain private name is replaced by the JSON that its text
//! holds. So what was stored was not what a caller had sent, and could be nested too deep to be read again.
//! JSON that a caller wrote, also once it is stored, is read with [`parse`] or as a [`PlainValue`].

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Parses a JSON text, to a depth of 127 levels. Keys keep their order; the last of two equal ones counts.
pub fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text).map(|PlainValue(value)| value)
}

/// Like [`parse`], for bytes.
pub fn parse_bytes(text: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(text).map(|PlainValue(value)| value)
}

/// A JSON value that is read as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainValue(pub Value);

impl<'de> Deserialize<'de> for PlainValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Self)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(PlainValue(item)) = items.next_element()? {
            values.push(item);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, PlainValue(value))) = entries.next_entry::<String, _>()? {
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    const PRIVATE: &str = "$serde_json::private::RawValue";

    #[test]
    fn a_value_is_what_stands_in_the_text() {
        for text in [
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "2.5",
            r#""a""#,
            "[]",
            r#"{"b":[1,{"a":null}],"a":"é"}"#,
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
            assert_eq!(parse_bytes(text.as_bytes()).unwrap().to_string(), text);
        }
        assert_eq!(parse(r#"{"a":1,"b":2,"a":3}"#).unwrap().to_string(), r#"{"a":3,"b":2}"#);
        for text in ["", "{", "[1,]", "1 2", "{\"a\"}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_that_serde_json_reads_in_another_way_is_a_key_like_others() {
        // Only with this does serde_json look for it.
        let _raw: Box<RawValue> = serde_json::from_str("[1]").unwrap();
        for inner in [r#""[1,2]""#, "5", r#""{""#] {
            let text = format!(r#"{{"{PRIVATE}":{inner}}}"#);
            let read = parse(&text).unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(parse(&read.to_string()).unwrap(), read);
        }
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(127)).is_ok() && parse(&nested(128)).is_err());
    }
}
