//! JSON read within bounds.

use std::cell::Cell;
use std::fmt;

use kana_graphql::exact;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The most values of a configuration, each of which takes many times its text in memory.
const VALUES_MAX: usize = 1_000_000;

/// Parses a JSON value, and fails if an object has a key twice. Numbers like `2.0` and `2e0` become
/// integers.
pub(super) fn read(text: &[u8]) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let values = Cell::new(0);
    let mut value = Bounded { values: &values }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    exact::make_whole(&mut value, text);
    Ok(value)
}

#[derive(Clone, Copy)]
struct Bounded<'a> {
    /// How many there are so far.
    values: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > VALUES_MAX {
            return Err(D::Error::custom(format!("there are more than {VALUES_MAX} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if object.contains_key(&key) {
                let key: String = key.chars().take(64).collect();
                return Err(A::Error::custom(format!("the key {key:?} stands twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_read_as_it_is() {
        let text = r#"{"z":[1,-2,3.5,null,true,"é"],"a":{"b":18446744073709551615}}"#;
        assert_eq!(read(text.as_bytes()).unwrap().to_string(), text);
    }

    #[test]
    fn what_is_not_is_refused_with_its_place() {
        for (text, problem) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{} x", "trailing characters at line 1 column 4"),
            ("{\n\"a\":1,\n\"a\":2}", "the key \"a\" stands twice at line 3 column 6"),
            ("NaN", "expected value at line 1 column 1"),
            (
                "\"\u{0}\"",
                "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 2",
            ),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err().to_string(), problem);
        }
        assert!(read(b"\"\xff\"").is_err());
    }

    #[test]
    fn what_is_too_deep_or_too_much_is_refused() {
        let deep = "[".repeat(1_000_000);
        assert!(read(deep.as_bytes()).unwrap_err().to_string().contains("recursion limit"));
        let many = format!("[{}0]", "0,".repeat(VALUES_MAX));
        assert!(
            read(many.as_bytes()).unwrap_err().to_string().contains("more than 1000000 values")
        );
    }
}
