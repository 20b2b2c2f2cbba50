use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use kana_core::Refusal;
use kana_graphql::ErrorBody;
use kana_http::body::{BodyError, NoMemory, UnsupportedEncoding};
use kana_service::Error;
use serde::Serialize;

use crate::error::error_body;

/// The media type of a [`Problem`].
pub(crate) const PROBLEM: &str = "application/problem+json";

/// Why a request beside GraphQL was not carried out, or not to its end.
#[derive(Debug)]
pub(crate) struct HttpError {
    pub(crate) status: StatusCode,
    pub(crate) body: ErrorBody,
}

impl HttpError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, body: ErrorBody::bad_request(message) }
    }

    /// The body is malformed as a whole, or cannot be read on.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The body is of a kind that is not taken.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// The body is larger than it may be.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// The body could not be read. `too_large` says what its limit is.
    pub(crate) fn unreadable(error: &BodyError, too_large: &str) -> Self {
        match error {
            BodyError::TooLarge => Self::too_large(too_large),
            error => Self::from(error),
        }
    }
}

impl From<&BodyError> for HttpError {
    fn from(error: &BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::too_large(error.to_string()),
            BodyError::TooSlow => Self::new(StatusCode::REQUEST_TIMEOUT, error.to_string()),
            BodyError::NoMemory(no_memory) => {
                let body = no_memory_body(*no_memory);
                Self { status: StatusCode::SERVICE_UNAVAILABLE, body }
            }
            BodyError::Cut
            | BodyError::CutGzip
            | BodyError::AfterGzip
            | BodyError::InvalidGzip(_) => Self::bad_request(error.to_string()),
        }
    }
}

fn no_memory_body(no_memory: NoMemory) -> ErrorBody {
    ErrorBody::overloaded(format!(
        "{no_memory}, and nothing of this one was recorded; try again shortly"
    ))
}

impl From<UnsupportedEncoding> for HttpError {
    fn from(unsupported: UnsupportedEncoding) -> Self {
        Self::unsupported(unsupported.to_string())
    }
}

impl From<&Error> for HttpError {
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
        Self { status, body: error_body(error) }
    }
}

/// The body that says why a request was not carried out, or not to its end (RFC 9457).
#[derive(Debug, Serialize)]
pub(crate) struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: Cow<'a, str>,
    code: &'a str,
    name: &'a str,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(HttpError { status, body }: &'a HttpError) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: Cow::Borrowed(&body.message),
            code: body.code,
            name: body.name,
        }
    }

    /// Appends to what is said to people.
    pub(crate) fn with(mut self, more: &str) -> Self {
        self.detail.to_mut().push_str(more);
        self
    }
}

/// Adds the headers that belong to a response's status.
pub(crate) fn add_headers(response: &mut Response) {
    let more = match response.status() {
        StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
        StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
        _ => None,
    };
    let more = more.map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(more);
}
