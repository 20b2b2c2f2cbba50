//! Errors as callers see them: the one place where a refusal gets its code and its name
//! (contract: `admin-api.md`, "Errors").

use async_graphql::{ErrorExtensionValues, Value};
use kana_core::Refusal;
use kana_core::refusal::InvalidValue;
use kana_service::Error;

use crate::failure_log::FailureLog;

/// One for the process, as the log is.
static FAILURES: FailureLog = FailureLog::new();

/// Why a field could not be answered.
///
/// It has no `Display` on purpose: the GraphQL library would turn anything that has one into an
/// error without a code, internals included.
#[derive(Debug, Clone)]
pub(crate) enum ApiError {
    /// The service refused or failed.
    Service(Error),
    /// A question below a root field failed. The root field may be a mutation that was recorded, so
    /// the message must not say that nothing was.
    Nested(Error),
    /// A counter is too large for a 32-bit field.
    ValueTooLarge {
        /// The field that has the exact value.
        exact_field: &'static str,
    },
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::Service(error)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Service(refusal.into())
    }
}

impl From<InvalidValue> for ApiError {
    fn from(invalid: InvalidValue) -> Self {
        Self::Service(invalid.into())
    }
}

/// The message for a nested field that could not be read. Unlike the message for a root field, it
/// does not say that nothing was recorded.
const UNREAD: &str = "this field cannot be read at the moment; ask for it again";

/// An error as every surface tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// For programs, by kind.
    pub(crate) code: &'static str,
    /// For programs: existing clients map it to their own exceptions.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) message: String,
}

impl Told {
    /// A request that is malformed before anything in it is looked at.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self { code: "BAD_USER_INPUT", name: "ValidationError", message: message.into() }
    }

    /// The error of an answer that is too large.
    pub(crate) fn answer_too_large(message: String) -> Self {
        Self { code: "ANSWER_TOO_LARGE", name: "AnswerTooLargeError", message }
    }

    /// An internal error. The cause is logged, and the caller gets the id of the log line.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        let error_id = FAILURES.add(cause);
        Self {
            code: "INTERNAL_SERVER_ERROR",
            name: "InternalError",
            message: format!("Something went wrong on our side. It is logged as {error_id}."),
        }
    }

    /// `code` and `exception`, as they stand under `extensions`.
    pub(crate) fn extensions(&self) -> ErrorExtensionValues {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", self.code);
        let exception = [
            (async_graphql::Name::new("name"), Value::from(self.name)),
            (async_graphql::Name::new("message"), Value::from(self.message.as_str())),
        ];
        extensions.set("exception", Value::Object(exception.into_iter().collect()));
        extensions
    }
}

impl From<&ApiError> for Told {
    fn from(error: &ApiError) -> Self {
        match error {
            ApiError::Service(error) => Self::from(error),
            ApiError::Nested(error) => {
                let body = Self::from(error);
                match body.code {
                    "OVERLOADED" => Self { message: UNREAD.to_owned(), ..body },
                    _ => body,
                }
            }
            ApiError::ValueTooLarge { exact_field } => Self {
                code: "VALUE_TOO_LARGE",
                name: "ValueTooLargeError",
                message: format!("The value does not fit an Int; {exact_field} has it exactly"),
            },
        }
    }
}

impl From<&Error> for Told {
    fn from(error: &Error) -> Self {
        let (name, code) = match error {
            Error::Unauthenticated(_) => ("AuthenticationError", "UNAUTHENTICATED"),
            Error::Refused(refusal) => name_and_code(refusal),
            Error::Overloaded | Error::ShuttingDown | Error::Unavailable(_) => {
                ("OverloadedError", "OVERLOADED")
            }
            // Our fault, and the one that the caller must know what to do about.
            Error::OutcomeUnknown(_) => ("InternalError", "INTERNAL_SERVER_ERROR"),
            Error::Store(_) | Error::Bug(_) => return Self::internal(error),
        };
        Self { code, name, message: error.to_string() }
    }
}

fn name_and_code(refusal: &Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::Invalid(_) => ("ValidationError", "BAD_USER_INPUT"),
        Refusal::FeatureNotFound(_) => ("FeatureNotFoundError", "NOT_FOUND"),
        Refusal::PackageNotFound(_) => ("PackageNotFoundError", "NOT_FOUND"),
        Refusal::UserNotFound(_) => ("UserNotFoundError", "NOT_FOUND"),
        Refusal::SubscriptionNotFound(_) => ("SubscriptionNotFoundError", "NOT_FOUND"),
        Refusal::FeatureIdTaken(_) | Refusal::PackageIdTaken(_) | Refusal::UserIdTaken(_) => {
            ("ConflictError", "CONFLICT")
        }
        Refusal::Configuration(_) => ("ValidationError", "BAD_USER_INPUT"),
        Refusal::StaleCatalog => ("ConflictError", "CONFLICT"),
        Refusal::ChangesGone { .. } => ("ChangesGoneError", "CHANGES_GONE"),
        Refusal::IdempotencyConflict => ("ConflictError", "IDEMPOTENCY_CONFLICT"),
        Refusal::NoBillingProvider => ("SubscriptionLinkError", "BAD_USER_INPUT"),
        Refusal::TooMany { .. } => ("ValidationError", "BAD_USER_INPUT"),
        Refusal::SubscribePackageNotFound(_) => ("PackageNotFoundError", "BAD_USER_INPUT"),
        Refusal::Subscribe(_) => ("SubscriptionError", "BAD_USER_INPUT"),
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(error: ApiError) -> Self {
        let told = Told::from(&error);
        let extensions = Some(told.extensions());
        Self { message: told.message, source: None, extensions }
    }
}
