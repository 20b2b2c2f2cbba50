//! Responses: which status they have, and how they are written.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_graphql::parser::types::{OperationDefinition, OperationType, Selection};
use async_graphql::{PathSegment, ServerError, Value};
use axum::body::{Body as HttpBody, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kana_telemetry::operation::Operation;
use serde::Serialize;

use crate::answer::{AnswerSize, Held, to_json};
use crate::error::{ErrorBody, RequestError, finish_errors, server_error};
use crate::media_type::MediaType;
use crate::noted;
use crate::plan::Outcome;

/// The `data` of an answer without any.
const NULL: Value = Value::Null;
/// The `Retry-After` of a 503, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A response body. Errors without data are those of a request that was never executed.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "<[ServerError]>::is_empty")]
    errors: &'a [ServerError],
}

/// What became of a request that is not refused as a whole.
pub(crate) enum Answered {
    /// The whole response body, which has data and no errors.
    Body(Vec<u8>),
    /// The response of the general executor, or the failure of a plan.
    Response(Box<Executed>),
}

/// A response that is not written yet.
pub(crate) struct Executed {
    pub(crate) response: async_graphql::Response,
    /// The size of the answer, if it has lists.
    pub(crate) size: Option<Arc<AnswerSize>>,
    /// Whether the client may repeat the whole request if the response has no data.
    pub(crate) can_be_repeated: bool,
}

impl Answered {
    /// What a plan made of a request for this operation.
    pub(crate) fn by_plan(outcome: Outcome, operation: Operation, took: Duration) -> Self {
        match outcome {
            Outcome::Data { open_body: mut body, mut errors } => {
                noted::note_only(operation, &errors, took);
                if !errors.is_empty() {
                    finish_errors(&mut errors);
                    noted::note_errors(&errors);
                    body.extend_from_slice(b",\"errors\":");
                    // Writing to memory does not fail, and errors have no keys but strings.
                    let _ = serde_json::to_writer(&mut body, &errors);
                }
                body.push(b'}');
                Self::Body(body)
            }
            Outcome::Failed(error) => {
                let mut errors = vec![error];
                finish_errors(&mut errors);
                noted::note_only(operation, &errors, took);
                let response = async_graphql::Response::from_errors(errors);
                let executed = Executed { response, size: None, can_be_repeated: true };
                Self::Response(Box::new(executed))
            }
        }
    }
}

/// Returns true if the client may repeat the whole request if the response has no data. The root
/// fields of a mutation are executed in order up to the first that fails. So nothing took effect if
/// the first root field failed, and the error is its own and not that of a field below it.
pub(crate) fn can_be_repeated(operation: &OperationDefinition, errors: &[ServerError]) -> bool {
    if operation.ty == OperationType::Query {
        return true;
    }
    let Some(Selection::Field(first)) =
        operation.selection_set.node.items.first().map(|item| &item.node)
    else {
        return false;
    };
    let first = first.node.response_key().node.as_str();
    errors
        .iter()
        .all(|error| matches!(error.path.as_slice(), [PathSegment::Field(field)] if field == first))
}

/// Writes the response to a request that was executed.
pub(crate) fn write_answer(media_type: MediaType, answered: Answered) -> Response {
    match answered {
        Answered::Body(body) => write_bytes(media_type, StatusCode::OK, body),
        Answered::Response(executed) => write_response(media_type, &executed),
    }
}

/// Writes the response to a request that was refused before an [`Endpoint`](crate::Endpoint) saw it.
#[must_use]
pub fn refusal(headers: &HeaderMap, refusal: &RequestError) -> Response {
    refuse(MediaType::accepted(headers).unwrap_or(MediaType::Json), refusal)
}

/// Writes the response to a request that was refused.
pub(crate) fn refuse(media_type: MediaType, refusal: &RequestError) -> Response {
    noted::note_refused(&refusal.errors);
    let status = match media_type {
        MediaType::Json => refusal.status_as_json,
        MediaType::GraphqlResponse => refusal.status,
    };
    let mut response = write(media_type, status, &Body { data: None, errors: &refusal.errors });
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// An answer of the general executor.
fn write_response(media_type: MediaType, executed: &Executed) -> Response {
    let Executed { response, size, can_be_repeated } = executed;
    let executed =
        response.data != Value::Null || response.errors.iter().any(|error| !error.path.is_empty());
    if executed {
        noted::note_errors(&response.errors);
        let body = Body { data: Some(&response.data), errors: &response.errors };
        let failed = *can_be_repeated && has_nothing(&response.data);
        if failed && response.errors.iter().any(is_overload) {
            // Whatever stands between us and the caller knows this status, and so do clients that
            // repeat by themselves. It is the one error that has a status as application/json.
            let mut response = write(media_type, StatusCode::SERVICE_UNAVAILABLE, &body);
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
            return response;
        }
        match size {
            Some(size) => write_sized(media_type, &body, size),
            None => write(media_type, StatusCode::OK, &body),
        }
    } else {
        let errors = response.errors.clone();
        refuse(media_type, &RequestError::invalid(StatusCode::BAD_REQUEST, errors))
    }
}

/// Returns true if no field has data.
fn has_nothing(data: &Value) -> bool {
    match data {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(|value| *value == Value::Null),
        _ => false,
    }
}

fn is_overload(error: &ServerError) -> bool {
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    code.is_some_and(|code| *code == Value::from("OVERLOADED"))
}

/// Room for the headers of an answer, those that the server adds included.
const HEADERS: usize = 12;

/// The headers that each answer of a media type has. To copy them costs far less than to insert them.
static HEADERS_OF: LazyLock<[HeaderMap; 2]> =
    LazyLock::new(|| [MediaType::Json, MediaType::GraphqlResponse].map(headers_of));

fn headers_of(media_type: MediaType) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    for (name, value) in [
        (header::CONTENT_TYPE, media_type.name()),
        // The Accept header has chosen the media type.
        (header::VARY, "Accept"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

fn write_bytes(media_type: MediaType, status: StatusCode, body: impl Into<HttpBody>) -> Response {
    let [json, graphql_response] = &*HEADERS_OF;
    let headers = match media_type {
        MediaType::Json => json,
        MediaType::GraphqlResponse => graphql_response,
    };
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    *response.headers_mut() = headers.clone();
    response
}

fn write(media_type: MediaType, status: StatusCode, body: &Body<'_>) -> Response {
    let mut json = Vec::with_capacity(128);
    match to_json(&mut json, body) {
        Ok(()) => write_bytes(media_type, status, json),
        Err(error) => unwritten(&error),
    }
}

/// Writes an answer with lists, which may be large.
fn write_sized(media_type: MediaType, body: &Body<'_>, size: &AnswerSize) -> Response {
    let mut json = Vec::with_capacity(size.bytes_at_least());
    if let Err(error) = to_json(&mut json, body) {
        return unwritten(&error);
    }
    if let Err(body) = size.check_whole(&json) {
        drop(json);
        let errors = [server_error(&body)];
        noted::note_errors(&errors);
        return write(media_type, StatusCode::OK, &Body { data: Some(&NULL), errors: &errors });
    }
    match size.take_permits() {
        Some(permits) => {
            let json = Bytes::from_owner(Held::new(json, permits));
            write_bytes(media_type, StatusCode::OK, json)
        }
        None => write_bytes(media_type, StatusCode::OK, json),
    }
}

fn unwritten(error: &serde_json::Error) -> Response {
    let body = ErrorBody::internal(error);
    (StatusCode::INTERNAL_SERVER_ERROR, body.message).into_response()
}
