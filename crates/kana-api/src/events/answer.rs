use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kana_graphql::ErrorBody;
use kana_telemetry::operation::Operation;
use kana_telemetry::request::{self, Outcome};
use serde::Serialize;

use crate::http_error::{HttpError, PROBLEM, Problem, add_headers};

/// The most characters of an event's id that are repeated.
const ID_CHARS_MAX: usize = 255;

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
    pub(super) fn refuse(&mut self, index: u64, id: Option<&str>, body: ErrorBody) {
        let ErrorBody { code, name, message } = body;
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
    stop: Option<HttpError>,
    tally: Option<Tally>,
}

impl From<HttpError> for Answer {
    /// No event was looked at.
    fn from(stop: HttpError) -> Self {
        Self { stop: Some(stop), tally: None }
    }
}

impl Answer {
    /// Notes the operation and the errors for the log.
    fn note(&self) {
        let refused =
            self.tally.iter().flat_map(|tally| &tally.refused).map(|refused| refused.code);
        let codes = refused.chain(self.stop.as_ref().map(|stop| stop.body.code));
        let outcome = codes.map(|code| {
            request::note_error(code);
            Outcome::of_code(code)
        });
        request::note_operation(Operation::EVENTS, outcome.max().unwrap_or(Outcome::Ok));
    }

    /// Lists the refused events in their order.
    pub(super) fn new(mut tally: Tally, stop: Option<HttpError>) -> Self {
        tally.refused.sort_by_key(|refused| refused.index);
        Self { stop, tally: Some(tally) }
    }
}

/// The JSON of an answer.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    problem: Option<Problem<'a>>,
    #[serde(flatten)]
    tally: Option<&'a Tally>,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = self.stop.as_ref().map_or(StatusCode::OK, |stop| stop.status);
        self.note();
        let problem = self.stop.as_ref().map(Problem::new).map(|problem| match self.tally {
            Some(_) => problem
                .with("; all events may be sent again: what was recorded is not recorded again"),
            None => problem,
        });
        let content_type = match problem {
            Some(_) => PROBLEM,
            None => "application/json; charset=utf-8",
        };
        let written = Written { problem, tally: self.tally.as_ref() };
        let mut response = match serde_json::to_vec(&written) {
            Ok(json) => (status, [(header::CONTENT_TYPE, content_type)], json).into_response(),
            Err(error) => {
                let body = ErrorBody::internal(&error);
                (StatusCode::INTERNAL_SERVER_ERROR, body.message).into_response()
            }
        };
        add_headers(&mut response);
        response
    }
}
