//! Errors as callers see them: the one place where a refusal gets its code and its name
//! (contract: `admin-api.md`, "Errors").

use kana_core::Refusal;
use kana_core::refusal::InvalidValue;
use kana_graphql::{ErrorBody, Overloaded};
use kana_service::Error;

/// Why a field could not be answered, or an event not be recorded.
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
    /// What was sent is malformed.
    Malformed(String),
    /// Too many large answers are being built.
    AnswersFull,
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

impl From<Overloaded> for ApiError {
    fn from(_: Overloaded) -> Self {
        Self::AnswersFull
    }
}

/// The message for a nested field that could not be read. Unlike the message for a root field, it
/// does not say that nothing was recorded.
const UNREAD: &str = "this field cannot be read at the moment; ask for it again";

impl From<&ApiError> for ErrorBody {
    fn from(error: &ApiError) -> Self {
        match error {
            ApiError::Service(error) => error_body(error),
            ApiError::Nested(error) => {
                let body = error_body(error);
                match body.code {
                    "OVERLOADED" => Self { message: UNREAD.to_owned(), ..body },
                    _ => body,
                }
            }
            ApiError::Malformed(message) => Self::bad_request(message),
            ApiError::AnswersFull => Overloaded.into(),
            ApiError::ValueTooLarge { exact_field } => Self {
                code: "VALUE_TOO_LARGE",
                name: "ValueTooLargeError",
                message: format!("The value does not fit an Int; {exact_field} has it exactly"),
            },
        }
    }
}

/// Returns what clients see of an error of the service.
pub(crate) fn error_body(error: &Error) -> ErrorBody {
    let (name, code) = match error {
        Error::Unauthenticated(_) => ("AuthenticationError", "UNAUTHENTICATED"),
        Error::Refused(refusal) => name_and_code(refusal),
        Error::Overloaded | Error::ShuttingDown | Error::Unavailable(_) => {
            return ErrorBody::overloaded(error.to_string());
        }
        // Our fault, and the one that the caller must know what to do about.
        Error::OutcomeUnknown(_) => ("InternalError", "INTERNAL_SERVER_ERROR"),
        Error::Store(_) | Error::Bug(_) => return ErrorBody::internal(error),
    };
    ErrorBody { code, name, message: error.to_string() }
}

fn name_and_code(refusal: &Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::Invalid(_) => ("ValidationError", "BAD_USER_INPUT"),
        Refusal::FeatureNotFound(_) => ("FeatureNotFoundError", "NOT_FOUND"),
        Refusal::PackageNotFound(_) => ("PackageNotFoundError", "NOT_FOUND"),
        Refusal::UserNotFound(_) => ("UserNotFoundError", "NOT_FOUND"),
        Refusal::SubscriptionNotFound(_) => ("SubscriptionNotFoundError", "NOT_FOUND"),
        Refusal::UsageNotFound(_) => ("UsageNotFoundError", "NOT_FOUND"),
        Refusal::GrantNotFound(_) => ("GrantNotFoundError", "NOT_FOUND"),
        Refusal::HoldNotFound(_) => ("HoldNotFoundError", "NOT_FOUND"),
        Refusal::FeatureIdTaken(_) | Refusal::PackageIdTaken(_) | Refusal::UserIdTaken(_) => {
            ("ConflictError", "CONFLICT")
        }
        Refusal::Configuration(_) => ("ValidationError", "BAD_USER_INPUT"),
        Refusal::StaleCatalog | Refusal::HoldIsOver { .. } => ("ConflictError", "CONFLICT"),
        Refusal::ChangesGone { .. } => ("ChangesGoneError", "CHANGES_GONE"),
        Refusal::IdempotencyConflict | Refusal::IdConflict | Refusal::HoldSettledOtherwise(_) => {
            ("ConflictError", "IDEMPOTENCY_CONFLICT")
        }
        Refusal::NoBillingProvider => ("SubscriptionLinkError", "BAD_USER_INPUT"),
        Refusal::TooMany { .. } => ("ValidationError", "BAD_USER_INPUT"),
        Refusal::SubscribePackageNotFound(_) => ("PackageNotFoundError", "BAD_USER_INPUT"),
        Refusal::Subscribe(_) => ("SubscriptionError", "BAD_USER_INPUT"),
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(error: ApiError) -> Self {
        let body = ErrorBody::from(&error);
        let extensions = Some(body.extensions());
        Self { message: body.message, source: None, extensions }
    }
}
