use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kana_core::Refusal;
use kana_service::Error;
use serde::Serialize;

use crate::body_memory::NoMemory;
use crate::content_encoding::UnsupportedEncoding;
use crate::error::Told;

/// The most characters of an event's id that are repeated.
const ID_CHARS_MAX: usize = 255;

/// Why a request was not taken to its end.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) status: StatusCode,
    pub(crate) told: Told,
}

impl Stop {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, told: Told::bad_request(message) }
    }

    /// The body is malformed as a whole, or cannot be read on.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The body is of a kind that is not taken.
    pub(super) fn unsupported(message: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// The body is larger than it may be.
    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// Nothing arrives any more.
    pub(super) fn too_slow(message: &str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, message)
    }
}

impl From<NoMemory> for Stop {
    fn from(no_memory: NoMemory) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, told: no_memory.into() }
    }
}

impl From<UnsupportedEncoding> for Stop {
    fn from(unsupported: UnsupportedEncoding) -> Self {
        Self::unsupported(&unsupported.to_string())
    }
}

impl From<&Error> for Stop {
    fn from(error: &Error) -> Self {
        let status = match error {
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Refused(Refusal::StaleCatalog) => StatusCode::PRECONDITION_FAILED,
            Error::Refused(_) => StatusCode::BAD_REQUEST,
            Error::Overloaded | Error::ShuttingDown | Error::Unavailable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::OutcomeUnknown(_) | Error::Store(_) | Error::Bug(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self { status, told: Told::from(error) }
    }
}

/// What has become of the events.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tally {
    received: u64,
    recorded: u64,
    not_counted: u64,
    refused: Vec<Refused>,
}

/// An event that was refused.
#[derive(Debug, Serialize)]
struct Refused {
    id: Option<String>,
    index: u64,
    code: &'static str,
    name: &'static str,
    message: String,
}

impl Tally {
    /// One more event; its place among them all, from 0 on.
    pub(super) fn receive(&mut self) -> u64 {
        let index = self.received;
        self.received += 1;
        index
    }

    /// An event is durable.
    pub(super) fn record(&mut self, counted: bool) {
        *(if counted { &mut self.recorded } else { &mut self.not_counted }) += 1;
    }

    /// An event is refused. `id` is `None` where it could not be read.
    pub(super) fn refuse(&mut self, index: u64, id: Option<&str>, told: Told) {
        let Told { code, name, message } = told;
        let id = id.map(|id| id.chars().take(ID_CHARS_MAX).collect());
        self.refused.push(Refused { id, index, code, name, message });
    }

    /// How many were refused so far.
    pub(super) fn refused(&self) -> usize {
        self.refused.len()
    }
}

/// The answer to a request: what has become of its events, where any was looked at, and why the
/// rest was not, if there may be any.
#[derive(Debug)]
pub(super) struct Answer {
    stop: Option<Stop>,
    tally: Option<Tally>,
}

impl From<Stop> for Answer {
    /// No event was looked at.
    fn from(stop: Stop) -> Self {
        Self { stop: Some(stop), tally: None }
    }
}

impl Answer {
    /// What is refused is told in the order of the events.
    pub(super) fn new(mut tally: Tally, stop: Option<Stop>) -> Self {
        tally.refused.sort_by_key(|refused| refused.index);
        Self { stop, tally: Some(tally) }
    }
}

/// The JSON of an answer.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<WrittenError<'a>>,
    #[serde(flatten)]
    tally: Option<&'a Tally>,
}

#[derive(Serialize)]
struct WrittenError<'a> {
    code: &'a str,
    name: &'a str,
    message: String,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = self.stop.as_ref().map_or(StatusCode::OK, |stop| stop.status);
        let error = self.stop.as_ref().map(|Stop { told, .. }| {
            let again = "all events may be sent again: what was recorded is not recorded again";
            let message = match self.tally {
                Some(_) => format!("{}; {again}", told.message),
                None => told.message.clone(),
            };
            WrittenError { code: told.code, name: told.name, message }
        });
        let written = Written { error, tally: self.tally.as_ref() };
        let mut response = match serde_json::to_vec(&written) {
            Ok(json) => (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], json)
                .into_response(),
            Err(error) => {
                let told = Told::internal(&error);
                (StatusCode::INTERNAL_SERVER_ERROR, told.message).into_response()
            }
        };
        add_headers(&mut response);
        response
    }
}

/// What a status says to a client by a header too.
pub(crate) fn add_headers(response: &mut Response) {
    let more = match response.status() {
        StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
        StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
        _ => None,
    };
    let more = more.map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(more);
}
