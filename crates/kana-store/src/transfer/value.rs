//! What a column may hold, the same in every engine and on a line.

use kana_core::Timestamp;
use kana_core::id::FeatureId;
use kana_core::idempotency::WrittenAnswer;
use kana_core::threshold::Thresholds;
use uuid::Uuid;

use crate::error::StoreError;
use crate::override_row::read_history;
use crate::quantities_column::quantities_from_text;
use crate::threshold_event_row::read_threshold;
use crate::timing_column::timing_from_text;

/// A value as it travels. Those of one column are ordered as every engine orders them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    /// Text, or JSON exactly as it is stored.
    Text(String),
    Integer(i64),
    Boolean(bool),
    Uuid(Uuid),
    Bytes(Vec<u8>),
}

impl Value {
    /// About how many bytes it takes, beside what every value takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Null | Self::Integer(_) | Self::Boolean(_) | Self::Uuid(_) => 0,
        }
    }
}

/// What a value is to an engine and on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    Text,
    Json,
    Integer,
    Boolean,
    Uuid,
    Bytes,
}

/// What a column holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// An id that the product chose, or an idempotency key, which has the same bounds.
    Id,
    Label,
    /// Any text that every engine can store.
    Text,
    /// One of a few names.
    Name(fn(&str) -> bool),
    Metadata,
    /// Any JSON.
    Json,
    /// The terms that an override has had.
    History,
    /// The quantities that a subscription has had.
    Quantities,
    /// When a subscription is set to begin and to end.
    Timing,
    /// What was answered under an idempotency key.
    Answer,
    /// The thresholds of a feature.
    Thresholds,
    /// The threshold of an event.
    Threshold,
    /// Milliseconds since 1970.
    Instant,
    Integer {
        min: i64,
        max: i64,
    },
    Flag,
    Uuid,
    /// SHA-256.
    Hash,
    Secret,
}

/// What a check says of a value that is not what the column holds at all.
const MISPLACED: &str = "is of the wrong type";

/// The most bytes of a secret.
const SECRET_BYTES_MAX: usize = 1024;

impl Form {
    pub(crate) fn stored(self) -> Stored {
        match self {
            Self::Id | Self::Label | Self::Text | Self::Name(_) => Stored::Text,
            Self::Metadata
            | Self::Json
            | Self::History
            | Self::Quantities
            | Self::Timing
            | Self::Answer
            | Self::Thresholds
            | Self::Threshold => Stored::Json,
            Self::Instant | Self::Integer { .. } => Stored::Integer,
            Self::Flag => Stored::Boolean,
            Self::Uuid => Stored::Uuid,
            Self::Hash | Self::Secret => Stored::Bytes,
        }
    }

    /// Checks a value that is not null. The problem continues a sentence that begins with the column.
    pub(crate) fn check(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            // All ids have the same bounds.
            (Self::Id, Value::Text(text)) => told(FeatureId::new("", text)),
            (Self::Label, Value::Text(text)) => told(kana_core::metadata::Label::new("", text)),
            (Self::Text, Value::Text(text)) => must(
                !text.contains('\0'),
                "must not contain the character U+0000, which not every database can store",
            ),
            (Self::Name(is_name), Value::Text(text)) => must(
                is_name(text),
                &format!("must not be {text:?}, which this release does not know"),
            ),
            (Self::Metadata, Value::Text(text)) => {
                on_one_line(text)?;
                let value =
                    kana_json::parse(text).map_err(|error| format!("must be JSON: {error}"))?;
                told(kana_core::metadata::Metadata::new("", value))
            }
            (Self::Json, Value::Text(text)) => {
                on_one_line(text)?;
                serde_json::from_str::<serde::de::IgnoredAny>(text)
                    .map(|_| ())
                    .map_err(|error| format!("must be JSON: {error}"))
            }
            (Self::History, Value::Text(text)) => {
                on_one_line(text)?;
                read_history(text)
                    .map(|_| ())
                    .map_err(|error| format!("must be terms of an override: {error}"))
            }
            (Self::Quantities, Value::Text(text)) => {
                on_one_line(text)?;
                read(quantities_from_text(Some(text)), "quantities of a subscription")
            }
            (Self::Timing, Value::Text(text)) => {
                on_one_line(text)?;
                read(timing_from_text(Some(text)), "the timing of a subscription")
            }
            (Self::Answer, Value::Text(text)) => {
                on_one_line(text)?;
                WrittenAnswer::read(text)
                    .map(|_| ())
                    .map_err(|error| format!("must be an answer of Kana: {error}"))
            }
            (Self::Thresholds, Value::Text(text)) => {
                on_one_line(text)?;
                told(Thresholds::read(text))
            }
            (Self::Threshold, Value::Text(text)) => {
                on_one_line(text)?;
                read_threshold(text)
                    .map(|_| ())
                    .map_err(|error| format!("must be a threshold: {error}"))
            }
            (Self::Instant, Value::Integer(ms)) => must(
                Timestamp::from_ms(*ms).as_ms() == *ms,
                "must be milliseconds since 1970 within the years 0000 to 9999",
            ),
            (Self::Integer { min, max }, Value::Integer(number)) => {
                must(*number >= min, &format!("must be {min} or more"))?;
                must(*number <= max, &format!("must be {max} or less"))
            }
            (Self::Flag, Value::Boolean(_)) | (Self::Uuid, Value::Uuid(_)) => Ok(()),
            (Self::Hash, Value::Bytes(bytes)) => must(bytes.len() == 32, "must have 32 bytes"),
            (Self::Secret, Value::Bytes(bytes)) => {
                must((1..=SECRET_BYTES_MAX).contains(&bytes.len()), "must have 1 to 1024 bytes")
            }
            _ => Err(MISPLACED.to_owned()),
        }
    }
}

fn must(holds: bool, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem.to_owned()) }
}

/// Passes on why a text cannot be read as what it should be.
fn read<T>(result: Result<T, StoreError>, what: &str) -> Result<(), String> {
    result.map(|_| ()).map_err(|error| format!("must be {what}: {error}"))
}

fn told<T>(checked: Result<T, kana_core::refusal::InvalidValue>) -> Result<(), String> {
    checked.map(|_| ()).map_err(|invalid| invalid.problem)
}

/// JSON stands on a line exactly as it is stored, and so must not break the line.
fn on_one_line(json: &str) -> Result<(), String> {
    must(!json.contains(['\n', '\r']), "must not contain a line break")
}
