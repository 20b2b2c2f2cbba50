//! Records as lines of JSON. Each has exactly one spelling, so that lines can be compared by their
//! bytes: fields in the order of the columns, nulls left out, no spaces.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::batch::{Counts, Row};
use super::checksum::{Checksum, Tally};
use super::hex;
use super::kinds::Kind;
use super::row_rules;
use super::value::{Stored, Value};
use crate::app::EnvironmentKind;
use crate::columns::Named;

/// The field that every line begins with, and what it says on the last line.
const RECORD: &str = "record";
const END: &str = "end";

const ENVIRONMENT: &str = "environment";

/// Writes a record, without the line's end.
pub(crate) fn write(kind: Kind, row: &Row, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"record\":\"");
    line.extend_from_slice(kind.name().as_bytes());
    line.push(b'"');
    if let Some(environment) = row.environment {
        line.extend_from_slice(b",\"environment\":\"");
        line.extend_from_slice(environment.name().as_bytes());
        line.push(b'"');
    }
    for (column, value) in kind.columns().iter().zip(&row.values) {
        if *value == Value::Null || column.left_out.map(Value::Integer).as_ref() == Some(value) {
            continue;
        }
        line.extend_from_slice(b",\"");
        line.extend_from_slice(column.name.as_bytes());
        line.extend_from_slice(b"\":");
        match value {
            Value::Null => {}
            Value::Text(json) if column.form.stored() == Stored::Json => {
                line.extend_from_slice(json.as_bytes());
            }
            Value::Text(text) => write_json(text, line),
            Value::Integer(number) => write_json(number, line),
            Value::Boolean(flag) => write_json(flag, line),
            Value::Uuid(uuid) => {
                line.push(b'"');
                let digits = &mut [0; uuid::fmt::Hyphenated::LENGTH];
                line.extend_from_slice(uuid.hyphenated().encode_lower(digits).as_bytes());
                line.push(b'"');
            }
            Value::Bytes(bytes) => write_json(&hex::write(bytes), line),
        }
    }
    line.push(b'}');
}

fn write_json<T: Serialize + ?Sized>(value: &T, line: &mut Vec<u8>) {
    // Writing text and numbers to memory cannot fail.
    let _ = serde_json::to_writer(line, value);
}

/// Writes the last line, without its end.
pub(crate) fn write_end(tally: &Tally, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"record\":\"end\",\"counts\":{");
    for (place, (kind, count)) in tally.counts.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        line.extend_from_slice(format!("{comma}\"{}\":{count}", kind.name()).as_bytes());
    }
    line.extend_from_slice(format!("}},\"checksum\":\"{}\"}}", tally.checksum).as_bytes());
}

/// A line after the first.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there is one of the largest in a file")]
pub(crate) enum Line {
    Record(Kind, Row),
    /// The last one, and what all before it come to.
    End(Tally),
}

/// Reads a line and checks every value of it.
pub(crate) fn parse(line: &[u8]) -> Result<Line, String> {
    let parsed: Line = serde_json::from_slice(line).map_err(|error| problem(&error))?;
    if let Line::Record(kind, row) = &parsed {
        let checked = row.check(*kind).and_then(|()| row_rules::check(*kind, row));
        checked.map_err(|problem| format!("{}: {problem}", kind.name()))?;
    }
    Ok(parsed)
}

/// What the parser says, without its count of lines, of which it has seen one.
pub(crate) fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(problem) if error.column() > 0 => format!("{problem} (column {})", error.column()),
        Some(problem) => problem.to_owned(),
        None => text,
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        if map.next_key::<String>()?.as_deref() != Some(RECORD) {
            return Err(A::Error::custom("a line must begin with the field record"));
        }
        let name: String = map.next_value()?;
        if name == END {
            return end(map);
        }
        let Some(kind) = Kind::from_name(&name) else {
            let problem = format!("there is no kind of record {name:?} in this release");
            return Err(A::Error::custom(problem));
        };
        record(kind, map)
    }
}

fn record<'de, A: MapAccess<'de>>(kind: Kind, mut map: A) -> Result<Line, A::Error> {
    let mut environment = None;
    let mut values = vec![Value::Null; kind.columns().len()];
    while let Some(field) = map.next_key_seed(FieldOf(kind))? {
        let (name, repeated) = match field {
            Field::Environment => {
                let repeated = environment.is_some();
                let name: String = map.next_value()?;
                let known = EnvironmentKind::from_name(&name);
                let unknown = || A::Error::custom(format!("there is no environment {name:?}"));
                environment = Some(known.map_err(|_| unknown())?);
                (ENVIRONMENT, repeated)
            }
            Field::Column(place) => {
                let (Some(column), Some(value)) =
                    (kind.columns().get(place), values.get_mut(place))
                else {
                    continue;
                };
                let read = map.next_value_seed(ValueAs(column.form.stored()));
                let named = |error| {
                    A::Error::custom(format_args!("{}: {}: {error}", kind.name(), column.name))
                };
                let earlier = std::mem::replace(value, read.map_err(named)?);
                (column.name, earlier != Value::Null)
            }
        };
        if repeated {
            return Err(A::Error::custom(format_args!("{}: {name} stands twice", kind.name())));
        }
    }
    for (column, value) in kind.columns().iter().zip(&mut values) {
        if let (Value::Null, Some(left_out)) = (&value, column.left_out) {
            *value = Value::Integer(left_out);
        }
    }
    if kind.is_of_environment() && environment.is_none() {
        return Err(A::Error::custom(format_args!("{}: environment is missing", kind.name())));
    }
    Ok(Line::Record(kind, Row { environment, values }))
}

fn end<'de, A: MapAccess<'de>>(mut map: A) -> Result<Line, A::Error> {
    let (mut counts, mut checksum) = (None, None);
    while let Some(field) = map.next_key::<String>()? {
        match field.as_str() {
            "counts" => counts = Some(map.next_value::<HashMap<String, u64>>()?),
            "checksum" => checksum = Some(map.next_value::<String>()?),
            other => {
                return Err(A::Error::custom(format_args!("end: there is no field {other:?}")));
            }
        }
    }
    let missing = |field| A::Error::custom(format_args!("end: {field} is missing"));
    let mut tally = Tally::default();
    for (name, count) in counts.ok_or_else(|| missing("counts"))? {
        let unknown = || A::Error::custom(format_args!("end: there is no kind of record {name:?}"));
        tally.counts.add(Kind::from_name(&name).ok_or_else(unknown)?, count);
    }
    let checksum = checksum.ok_or_else(|| missing("checksum"))?;
    tally.checksum = Checksum::parse(&checksum)
        .ok_or_else(|| A::Error::custom("end: checksum must be 64 hexadecimal digits"))?;
    Ok(Line::End(tally))
}

enum Field {
    Environment,
    Column(usize),
}

/// Reads the name of a field of a kind.
struct FieldOf(Kind);

impl<'de> DeserializeSeed<'de> for FieldOf {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldOf {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Field, E> {
        let Self(kind) = self;
        if name == ENVIRONMENT && kind.is_of_environment() {
            return Ok(Field::Environment);
        }
        let place = kind.columns().iter().position(|column| column.name == name);
        place.map(Field::Column).ok_or_else(|| {
            E::custom(format_args!("{}: there is no field {name:?} in this release", kind.name()))
        })
    }
}

/// Reads a value of a column.
struct ValueAs(Stored);

impl<'de> DeserializeSeed<'de> for ValueAs {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Ok(match self.0 {
            Stored::Text => Value::Text(String::deserialize(deserializer)?),
            Stored::Json => {
                // As it stands there, to the last digit.
                let raw = Box::<RawValue>::deserialize(deserializer)?;
                Value::Text(raw.get().to_owned())
            }
            Stored::Integer => Value::Integer(i64::deserialize(deserializer)?),
            Stored::Boolean => Value::Boolean(bool::deserialize(deserializer)?),
            Stored::Uuid => {
                let text = String::deserialize(deserializer)?;
                let uuid = Uuid::try_parse(&text).ok();
                // Other spellings are not the one that was written.
                let uuid = uuid.filter(|uuid| uuid.to_string() == text);
                let problem = "must be a UUID like 01890a5d-ac96-774b-bcce-b302099a8057";
                Value::Uuid(uuid.ok_or_else(|| D::Error::custom(problem))?)
            }
            Stored::Bytes => {
                let bytes = hex::parse(&String::deserialize(deserializer)?);
                let problem = "must be hexadecimal digits, two for each byte";
                Value::Bytes(bytes.ok_or_else(|| D::Error::custom(problem))?)
            }
        })
    }
}

/// What the counts of two tallies differ in, for a person.
pub(crate) fn difference(expected: &Counts, found: &Counts) -> Option<String> {
    let mut differing = expected.iter().zip(found.iter()).filter(|(one, other)| one != other);
    differing.next().map(|((kind, expected), (_, found))| {
        format!("{expected} records of {} and not {found}", kind.name())
    })
}
