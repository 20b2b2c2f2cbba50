//! Errors as clients see them.

use async_graphql::{ErrorExtensionValues, Name, Pos, ServerError, Value};
use axum::http::StatusCode;
use kana_telemetry::failures;

/// The most errors of one response.
pub(crate) const ERRORS_MAX: usize = 20;
/// The most characters of a message. Two ids and a sentence fit.
const MESSAGE_CHARS_MAX: usize = 1000;

/// An error: `code` and `exception.name` are for programs, `message` is for people
/// (contract: `admin-api.md`, "Errors").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBody {
    /// The kind of the error.
    pub code: &'static str,
    /// The name that clients map to their own exception types.
    pub name: &'static str,
    /// What was wrong and what to do.
    pub message: String,
}

impl ErrorBody {
    /// The error of a request that is malformed before anything in it is looked at.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { code: "BAD_USER_INPUT", name: "ValidationError", message: message.into() }
    }

    /// The error of a request that was not executed since too much else is being done.
    #[must_use]
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self { code: "OVERLOADED", name: "OverloadedError", message: message.into() }
    }

    /// An internal error. The cause is logged, and the client gets the id under which it is: that of the
    /// request (contract: `operations.md`, "Logs").
    #[must_use]
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        let request_id = failures::log("a request failed", cause);
        Self {
            code: "INTERNAL_SERVER_ERROR",
            name: "InternalError",
            message: format!("Something went wrong on our side. It is logged as {request_id}."),
        }
    }

    /// The error of an answer that is too large.
    pub(crate) fn answer_too_large(message: String) -> Self {
        Self { code: "ANSWER_TOO_LARGE", name: "AnswerTooLargeError", message }
    }

    /// The error of a request that is valid JSON, but not valid GraphQL for the schema.
    fn invalid_graphql(message: &str) -> Self {
        let (code, name) = ("GRAPHQL_VALIDATION_FAILED", "GraphQLError");
        Self { code, name, message: message.to_owned() }
    }

    /// Returns `code` and `exception`, as they stand under `extensions`.
    #[must_use]
    pub fn extensions(&self) -> ErrorExtensionValues {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", self.code);
        let exception = [
            (Name::new("name"), Value::from(self.name)),
            (Name::new("message"), Value::from(self.message.as_str())),
        ];
        extensions.set("exception", Value::Object(exception.into_iter().collect()));
        extensions
    }
}

/// The memory for large answers is used up. Nothing was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded;

impl From<Overloaded> for ErrorBody {
    fn from(_: Overloaded) -> Self {
        Self::overloaded("too many large answers are being built or sent; try again shortly")
    }
}

/// Why a request was refused before anything was executed.
#[derive(Debug)]
pub struct RequestError {
    /// The status where the media type gives statuses a meaning.
    pub(crate) status: StatusCode,
    pub(crate) status_as_json: StatusCode,
    pub(crate) errors: Vec<ServerError>,
}

impl RequestError {
    /// Creates the error of a request that has this status in both media types: one that is
    /// malformed as HTTP or JSON, or comes at a bad time.
    #[must_use]
    pub fn malformed(status: StatusCode, body: &ErrorBody) -> Self {
        Self { status, status_as_json: status, errors: vec![server_error(body)] }
    }

    /// Creates the error of a request that is well-formed, but refused: `application/json` answers
    /// it with 200.
    #[must_use]
    pub fn refused(status: StatusCode, body: &ErrorBody) -> Self {
        Self::invalid(status, vec![server_error(body)])
    }

    pub(crate) fn invalid(status: StatusCode, errors: Vec<ServerError>) -> Self {
        Self { status, status_as_json: StatusCode::OK, errors }
    }
}

/// Returns the error of a document that cannot be parsed.
pub(crate) fn parse_failed(message: &str, positions: &[Pos]) -> ServerError {
    let (code, name) = ("GRAPHQL_PARSE_FAILED", "GraphQLError");
    let mut error = server_error(&ErrorBody { code, name, message: message.to_owned() });
    error.locations = positions.to_vec();
    error
}

/// Returns the error of an invalid document or variable, with its position in the document, if any.
pub(crate) fn refusal(message: &str, at: Option<Pos>) -> ServerError {
    let mut error = server_error(&ErrorBody::invalid_graphql(message));
    error.locations.extend(at);
    error
}

pub(crate) fn server_error(body: &ErrorBody) -> ServerError {
    let mut message = body.message.clone();
    shorten(&mut message);
    let body = ErrorBody { message: message.clone(), ..*body };
    let mut error = ServerError::new(message, None);
    error.extensions = Some(body.extensions());
    error
}

/// Cuts a message that repeats what was sent, which may be long.
fn shorten(message: &mut String) {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
        message.truncate(end);
        message.push('…');
    }
}

/// Drops errors beyond [`ERRORS_MAX`], and gives each of the rest a code.
pub(crate) fn finish_errors(errors: &mut Vec<ServerError>) {
    // The library says some things twice.
    errors.dedup();
    errors.truncate(ERRORS_MAX);
    errors.iter_mut().for_each(set_missing_code);
}

/// Errors that the library itself finds have no code yet.
fn set_missing_code(error: &mut ServerError) {
    let has_code =
        error.extensions.as_ref().is_some_and(|extensions| extensions.get("code").is_some());
    if !has_code {
        shorten(&mut error.message);
        error.extensions = Some(ErrorBody::invalid_graphql(&error.message).extensions());
    }
}
