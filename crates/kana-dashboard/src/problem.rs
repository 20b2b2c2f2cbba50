//! Why a page cannot be shown or a change was not made: one page for each kind.

use axum::http::StatusCode;
use kana_core::Refusal;
use kana_http::body::BodyError;
use kana_service::{Error, NotAllowed};
use kana_telemetry::failures;

use crate::address::Address;

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Nobody is signed in. A GET leads to the sign-in and from there back to `next`.
    NotSignedIn,
    /// The page leads elsewhere.
    Elsewhere(Address),
    /// There is no such page, or nothing with this id.
    NotFound,
    /// The role does not suffice.
    NotAllowed,
    /// The request was not sent by a page of this server and session.
    Forged,
    /// Somebody else changed the same thing meanwhile.
    ChangedMeanwhile,
    /// The form was sent before, and where it led is not known.
    SentBefore,
    /// A rule refuses, on a page without a form.
    Refused(String),
    /// The form cannot be read.
    Unreadable(StatusCode, String),
    /// Too many others were first.
    Busy,
    /// The service could not answer.
    Service(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(Refusal::StaleCatalog) => Self::ChangedMeanwhile,
            Error::Refused(
                Refusal::FeatureNotFound(_)
                | Refusal::PackageNotFound(_)
                | Refusal::UserNotFound(_)
                | Refusal::SubscriptionNotFound(_),
            ) => Self::NotFound,
            Error::Refused(refusal) => Self::Refused(refusal.to_string()),
            Error::Overloaded => Self::Busy,
            error => Self::Service(error),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Error::from(refusal).into()
    }
}

impl From<NotAllowed> for Problem {
    fn from(_: NotAllowed) -> Self {
        Self::NotAllowed
    }
}

impl From<getrandom::Error> for Problem {
    fn from(error: getrandom::Error) -> Self {
        Self::Service(error.into())
    }
}

impl From<&BodyError> for Problem {
    fn from(error: &BodyError) -> Self {
        let status = match error {
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::NoMemory(_) => return Self::Busy,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::Unreadable(status, format!("{error}."))
    }
}

/// What a page about a problem says.
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    /// The heading.
    pub(crate) title: &'static str,
    /// What happened, and what to do.
    pub(crate) text: String,
    /// Whether a change was refused, which a screen reader should say at once.
    pub(crate) is_refusal: bool,
}

impl Said {
    fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self { status, title, text: text.into(), is_refusal: false }
    }

    fn refusal(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self { is_refusal: true, ..Self::new(status, title, text) }
    }
}

impl Problem {
    /// Returns what the page about the problem says. What nobody but the operator can mend is logged
    /// under the id that the page shows.
    pub(crate) fn say(self) -> Said {
        match self {
            Self::NotSignedIn | Self::Elsewhere(_) => Said::new(
                StatusCode::UNAUTHORIZED,
                "Signed out",
                "Your session has ended, and nothing was changed. Sign in and try again.",
            ),
            Self::NotFound => Said::new(
                StatusCode::NOT_FOUND,
                "Not found",
                "There is nothing here. It may be in the other environment, or have been deleted.",
            ),
            Self::NotAllowed => Said::new(
                StatusCode::FORBIDDEN,
                "Not allowed",
                "Your role does not let you do this. An owner can change your role.",
            ),
            Self::Forged => Said::new(
                StatusCode::FORBIDDEN,
                "Not allowed",
                "This form was not sent by a page of this server, or your session is another one \
                 by now. Nothing was changed. Open the page again and repeat your change.",
            ),
            Self::ChangedMeanwhile => Said::refusal(
                StatusCode::CONFLICT,
                "Someone changed this meanwhile.",
                "Nothing was saved. Open the page again to see how it is now.",
            ),
            Self::SentBefore => Said::refusal(
                StatusCode::CONFLICT,
                "This form was sent before.",
                "It makes one thing only. Look whether that was made before you fill in another form.",
            ),
            Self::Refused(sentence) => {
                Said::refusal(StatusCode::UNPROCESSABLE_ENTITY, "There is a problem", sentence)
            }
            Self::Unreadable(status, sentence) => {
                Said::new(status, "The form cannot be read", sentence)
            }
            Self::Busy => busy("Too many pages were asked for at once. Try again in a moment."),
            Self::Service(error) => say_service_error(&error),
        }
    }
}

fn busy(text: &str) -> Said {
    Said::new(StatusCode::SERVICE_UNAVAILABLE, "Busy", text)
}

fn say_service_error(error: &Error) -> Said {
    match error {
        Error::Overloaded | Error::ShuttingDown => {
            busy("Nothing was changed. Try again in a moment.")
        }
        Error::Unavailable(_) => Said::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The database does not answer",
            "Nothing was changed. Try again in a moment.",
        ),
        Error::OutcomeUnknown(_) => Said::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The database does not answer",
            "It went away during the change. Look whether the change was made before you repeat it.",
        ),
        error => {
            let id = failures::log("a page failed", error);
            Said::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong",
                format!("The server's log has the reason under the id {id}."),
            )
        }
    }
}
