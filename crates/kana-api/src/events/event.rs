//! One CloudEvent as a request to record usage (`docs/events.md`).
//!
//! An event is read without a copy of its text. Whatever is wrong with it is told by the name of
//! its attribute, and with its id where that can be read.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kana_core::Refusal;
use kana_core::Timestamp;
use kana_core::id::{FeatureId, IdempotencyKey, UserId};
use kana_core::metadata::Metadata;
use kana_core::refusal::InvalidValue;
use kana_core::usage::{RecordUsage, UsageAction};
use kana_graphql::ErrorBody;
use kana_graphql::exact::{self, Problem, Unkept};
use kana_json::PlainValue;
use kana_service::Error;
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use super::form::is_json;
use super::key::idempotency_key;
use crate::error::{ApiError, error_body};

/// The most characters of a reader's message, which can repeat what was sent.
const MESSAGE_CHARS_MAX: usize = 300;

/// A request to record usage, and the id of the event that asks for it.
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) usage: RecordUsage,
}

/// An event that cannot be recorded. `id` is `None` if it cannot be read.
#[derive(Debug)]
pub(super) struct RejectedEvent<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) error: ErrorBody,
}

/// What the attributes of an event are, whatever they should be. JSON's null is an attribute that
/// is absent, as the specification has it.
#[derive(Deserialize)]
#[serde(expecting = "a CloudEvent")]
struct Attributes<'a> {
    #[serde(borrow, default)]
    specversion: Given<'a>,
    #[serde(borrow, default)]
    id: Given<'a>,
    #[serde(borrow, default)]
    source: Given<'a>,
    #[serde(borrow, default)]
    r#type: Given<'a>,
    #[serde(borrow, default)]
    subject: Given<'a>,
    #[serde(borrow, default)]
    time: Given<'a>,
    #[serde(borrow, default)]
    datacontenttype: Given<'a>,
    #[serde(borrow, default)]
    data: Given<'a, Data<'a>>,
    #[serde(borrow, default)]
    data_base64: Given<'a>,
}

/// The same of `data`. What it has beside these is refused, as in GraphQL's input: a `delta` that
/// is misspelt must not count as 1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "the data of an event")]
struct Data<'a> {
    #[serde(borrow, default)]
    feature_id: Given<'a>,
    #[serde(borrow, default)]
    delta: Given<'a>,
    #[serde(borrow, default)]
    action: Given<'a>,
    metadata: Option<PlainValue>,
}

/// The id of an event that cannot be read otherwise.
#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow, default)]
    id: Given<'a>,
}

/// A JSON value, as far as anything here looks at it.
#[derive(Default)]
enum Given<'a, Object = IgnoredAny> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Whole(i64),
    /// A number with a point or an exponent.
    Double(f64),
    Object(Object),
    Other,
}

/// Reads a CloudEvent.
pub(super) fn read(text: &[u8]) -> Result<Event<'_>, RejectedEvent<'_>> {
    let reject = |id, message: String| RejectedEvent { id, error: ErrorBody::bad_request(message) };
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(reject(None, "The event is not encoded as UTF-8".to_owned()));
    };
    // The derived reader would take an array for an object.
    if !text.trim_ascii_start().starts_with('{') {
        let message = match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => "The event is not a JSON object".to_owned(),
            Err(error) => format!("The event is not valid JSON: {error}"),
        };
        return Err(reject(None, message));
    }
    let mut attributes: Attributes<'_> = serde_json::from_str(text)
        .map_err(|error| reject(identify(text), why_unreadable("The event", text, &error)))?;
    match usage(&mut attributes, text) {
        Ok(usage) => Ok(Event { id: attributes.id.into_text().unwrap_or_default(), usage }),
        Err(error) => {
            Err(RejectedEvent { id: attributes.id.into_text(), error: ErrorBody::from(&error) })
        }
    }
}

fn usage(attributes: &mut Attributes<'_>, text: &str) -> Result<RecordUsage, ApiError> {
    if attributes.specversion.required("specversion")? != "1.0" {
        return Err(InvalidValue::new("specversion", "must be 1.0").into());
    }
    let id = attributes.id.required("id")?;
    let source = attributes.source.required("source")?;
    let key = idempotency_key(source, id)?;
    if attributes.r#type.required("type")?.is_empty() {
        return Err(InvalidValue::new("type", "must not be empty").into());
    }
    let content_type = attributes.datacontenttype.optional("datacontenttype")?;
    if content_type.is_some_and(|content_type| !is_json(content_type)) {
        return Err(InvalidValue::new("datacontenttype", "must be JSON").into());
    }
    let decoded = decode(&attributes.data_base64, &attributes.data)?;
    let user = UserId::new("subject", attributes.subject.required("subject")?)?;
    let time = attributes.time.optional("time")?;
    let occurred_at = time.map(|time| Timestamp::parse("time", time)).transpose()?;
    let attributes_of_usage = UsageAttributes { user, occurred_at, key };
    match decoded {
        Some(text) => {
            attributes_of_usage.usage(&mut read_data(&text)?, &DataText { text: &text, path: &[] })
        }
        None => {
            attributes_of_usage.usage(&mut attributes.data, &DataText { text, path: &["data"] })
        }
    }
}

/// The usage that an event's attributes describe.
struct UsageAttributes {
    user: UserId,
    occurred_at: Option<Timestamp>,
    key: IdempotencyKey,
}

impl UsageAttributes {
    /// Combines the attributes with the data of the event.
    fn usage(
        self,
        data: &mut Given<'_, Data<'_>>,
        text: &DataText<'_>,
    ) -> Result<RecordUsage, ApiError> {
        let data = match data {
            Given::Object(data) => data,
            Given::Absent => return Err(InvalidValue::new("data", "is missing").into()),
            _ => return Err(InvalidValue::new("data", "must be a JSON object").into()),
        };
        let feature = data.feature_id.required("data.featureId")?;
        let action = match data.action.optional("data.action")? {
            None | Some("ADD") => UsageAction::Add,
            Some("SET") => UsageAction::Set,
            Some(_) => return Err(InvalidValue::new("data.action", "must be ADD or SET").into()),
        };
        Ok(RecordUsage {
            user: self.user,
            feature: FeatureId::new("data.featureId", feature)?,
            action,
            delta: delta(&data.delta, text)?,
            occurred_at: self.occurred_at,
            idempotency_key: Some(self.key),
            metadata: data
                .metadata
                .take()
                .map(|PlainValue(value)| metadata(value, text))
                .transpose()?,
        })
    }
}

/// Decodes `data_base64`. Returns `None` if the event has none.
fn decode(encoded: &Given<'_>, data: &Given<'_, Data<'_>>) -> Result<Option<String>, InvalidValue> {
    let Some(encoded) = encoded.optional("data_base64")? else {
        return Ok(None);
    };
    if !matches!(data, Given::Absent) {
        return Err(InvalidValue::new("data_base64", "must not stand beside data"));
    }
    let problem = |problem: &str| InvalidValue::new("data_base64", problem.to_owned());
    let decoded = BASE64_STANDARD.decode(encoded).map_err(|_| problem("is not valid Base64"))?;
    let text = String::from_utf8(decoded).map_err(|_| problem("does not hold JSON in UTF-8"))?;
    Ok(Some(text))
}

fn read_data(text: &str) -> Result<Given<'_, Data<'_>>, ApiError> {
    serde_json::from_str(text)
        .map_err(|error| ApiError::Malformed(why_unreadable("data_base64", text, &error)))
}

/// The text that contains the data of an event.
struct DataText<'a> {
    text: &'a str,
    /// The path of the data within the text.
    path: &'static [&'static str],
}

impl DataText<'_> {
    /// Returns the first number in this field of the data that cannot be kept exactly.
    fn problem_in(&self, field: &str) -> Option<Problem> {
        exact::problem_in_json(self.text.as_bytes(), |problem| {
            let mut steps = problem.path.iter();
            self.path.iter().chain([&field]).all(|step| steps.next().is_some_and(|at| at == step))
        })
    }
}

/// As large as GraphQL's `Int`.
fn delta(given: &Given<'_>, text: &DataText<'_>) -> Result<i64, InvalidValue> {
    let whole = match given {
        Given::Absent => Some(1),
        Given::Whole(whole) => i32::try_from(*whole).ok(),
        Given::Double(double) => {
            let whole = Number::from_f64(*double).as_ref().and_then(exact::whole_as_read);
            whole
                .and_then(|whole| i32::try_from(whole).ok())
                .filter(|_| text.problem_in("delta").is_none())
        }
        _ => None,
    };
    whole.map(i64::from).ok_or_else(|| {
        let problem = "must be a whole number of 32 bits, -2147483648 to 2147483647";
        InvalidValue::new("data.delta", problem)
    })
}

/// Reads metadata, and fails if a number in it cannot be kept exactly.
fn metadata(value: Value, text: &DataText<'_>) -> Result<Metadata, ApiError> {
    if exact::has_double(&value)
        && let Some(problem) = text.problem_in("metadata")
    {
        return Err(ApiError::Malformed(problem.to_string()));
    }
    Ok(Metadata::new("data.metadata", value)?)
}

/// The id, where the text is a JSON object in which it can be found.
fn identify(text: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Identified<'_>>(text).ok()?.id.into_text()
}

/// Describes why the text of `what` could not be parsed. It may still be valid JSON, with a number
/// that is too large for the parser, or nested too deeply.
fn why_unreadable(what: &str, text: &str, error: &serde_json::Error) -> String {
    let mut message = if error.is_data() {
        format!("{what} cannot be read: {error}")
    } else if serde_json::from_str::<IgnoredAny>(text).is_ok()
        && let Some(problem) = exact::problem_in_json(text.as_bytes(), |problem| {
            !matches!(problem.what, Unkept::Inexact { .. })
        })
    {
        problem.to_string()
    } else {
        format!("{what} is not valid JSON: {error}")
    };
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
        message.truncate(end);
        message.push('…');
    }
    message
}

/// Returns the error of refused usage, with the fields' names in an event.
pub(super) fn refused(refusal: Refusal) -> ErrorBody {
    let refusal = match refusal {
        Refusal::Invalid(InvalidValue { field, problem }) => {
            let field = match field {
                "delta" => "data.delta",
                "occurredAt" => "time",
                field => field,
            };
            InvalidValue { field, problem }.into()
        }
        refusal => refusal,
    };
    let message = match refusal {
        Refusal::IdempotencyConflict => Some(
            "An event with this source and id was sent before, with other content; a new event \
             needs a new id",
        ),
        _ => None,
    };
    let mut body = error_body(&Error::Refused(refusal));
    if let Some(message) = message {
        message.clone_into(&mut body.message);
    }
    body
}

impl<'a, Object> Given<'a, Object> {
    fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn optional(&self, field: &'static str) -> Result<Option<&str>, InvalidValue> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            _ => Err(InvalidValue::new(field, "must be a string")),
        }
    }

    fn required(&self, field: &'static str) -> Result<&str, InvalidValue> {
        self.optional(field)?.ok_or_else(|| InvalidValue::new(field, "is missing"))
    }
}

impl<'de: 'a, 'a, Object: Deserialize<'de>> Deserialize<'de> for Given<'a, Object> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GivenVisitor(PhantomData))
    }
}

struct GivenVisitor<Object>(PhantomData<Object>);

impl<'de, Object: Deserialize<'de>> Visitor<'de> for GivenVisitor<Object> {
    type Value = Given<'de, Object>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Given::Absent)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Given::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Given::Text(text.to_owned().into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Given::Whole(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Given::Other, Given::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Given::Double(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Given::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Object::deserialize(MapAccessDeserializer::new(map)).map(Given::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Given::Other)
    }
}
