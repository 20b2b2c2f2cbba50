//! `POST /cli/simulate`: what recorded usage would have come to under the packages of a file (contract:
//! `beyond.md`, "Replay").

use std::ops::Range;

use axum::http::StatusCode;
use kana_core::Timestamp;
use kana_core::configuration::{Configuration, Place, Problem};
use kana_core::refusal::InvalidValue;
use kana_core::simulation::{Simulated, SimulatedFeature, SimulatedUsage};
use kana_graphql::ErrorBody;
use kana_service::{Error, SimulationError};
use serde::Serialize;
use serde_json::Value;

use super::answer::Failed;
use super::json;
use crate::http_error::HttpError;

/// What a request asks for.
pub(super) struct Asked {
    pub(super) configuration: Configuration,
    pub(super) occurred: Range<Timestamp>,
}

impl Asked {
    /// Reads the body: `{"from", "to", "configuration"}`.
    pub(super) fn read(text: &[u8]) -> Result<Self, Failed> {
        let mut value: Value = json::read(text).map_err(|error| {
            vec![Problem::new(Place::root(), format!("is no JSON that can be read: {error}"))]
        })?;
        let instant = |field: &'static str| {
            let text = value.get(field).and_then(Value::as_str).unwrap_or_default();
            Timestamp::parse(field, text)
        };
        let read = || Ok::<_, InvalidValue>(instant("from")?..instant("to")?);
        let occurred = read().map_err(Error::from)?;
        let configuration = value.get_mut("configuration").map(Value::take).unwrap_or_default();
        Ok(Self { configuration: Configuration::read(&configuration)?, occurred })
    }
}

/// The answer.
#[derive(Serialize)]
pub(super) struct Answer {
    rows: Vec<Row>,
    not_granted: i64,
    events: u64,
}

#[derive(Serialize)]
struct Row {
    package: String,
    feature: String,
    users: u64,
    users_over_limit: u64,
    used: i64,
    refused: i64,
    overage: i64,
}

impl From<Simulated> for Answer {
    fn from(simulated: Simulated) -> Self {
        let Simulated { rows, not_granted, events } = simulated;
        Self {
            rows: rows.into_iter().map(Row::from).collect(),
            not_granted: number(not_granted),
            events,
        }
    }
}

impl From<(SimulatedFeature, SimulatedUsage)> for Row {
    fn from((of, usage): (SimulatedFeature, SimulatedUsage)) -> Self {
        let SimulatedUsage { users, users_over_limit, used, refused, overage } = usage;
        Self {
            package: of.package.as_str().to_owned(),
            feature: of.feature.as_str().to_owned(),
            users,
            users_over_limit,
            used: number(used),
            refused: number(refused),
            overage: number(overage),
        }
    }
}

/// Returns a sum as a number that others can read: the largest one where it does not fit.
fn number(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}

impl From<SimulationError> for Failed {
    fn from(error: SimulationError) -> Self {
        let message = error.to_string();
        let (status, body) = match error {
            SimulationError::Failed(error) => return error.into(),
            SimulationError::Running => {
                let (code, name) = ("CONFLICT", "ConflictError");
                (StatusCode::CONFLICT, ErrorBody { code, name, message })
            }
            SimulationError::TooLong => {
                (StatusCode::GATEWAY_TIMEOUT, ErrorBody::overloaded(message))
            }
        };
        HttpError { status, body }.into()
    }
}
