//! What a client is told.

use kana_service::Error;
use kana_test_model::answer::Answer;
use kana_test_model::client::refused;
use kana_test_model::request::{Id, Request};
use serde_json::Value;

use crate::http;

/// What a client is told, sorted by what it says of the request as a whole.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// An answer of the service.
    Answer(Answer),
    /// An answer over HTTP.
    Json(Value),
    /// The request failed, and nothing of it was recorded.
    NotDone(String),
    /// The request failed, and nobody knows whether it was recorded.
    Unknown(String),
    /// What nobody may be told.
    Wrong(String),
}

impl Told {
    pub(crate) fn by_service(answered: Result<Answer, Error>) -> Self {
        match answered {
            Ok(answer) => Self::Answer(answer),
            Err(error @ Error::Refused(_)) => Self::Answer(refused(error)),
            Err(error @ Error::OutcomeUnknown(_)) => Self::Unknown(error.to_string()),
            Err(error @ (Error::Bug(_) | Error::Unauthenticated(_))) => {
                Self::Wrong(error.to_string())
            }
            Err(
                error @ (Error::Overloaded
                | Error::ShuttingDown
                | Error::Unavailable(_)
                | Error::Store(_)),
            ) => Self::NotDone(error.to_string()),
        }
    }

    /// The ids of what was made, if they are told.
    pub(crate) fn made(&self, request: &Request) -> Option<Vec<Id>> {
        match (request, self) {
            (
                Request::CreateUser { .. }
                | Request::Subscribe { .. }
                | Request::ChangePackage { .. },
                Self::Answer(answer),
            ) => Some(answer.ids()),
            (Request::Subscribe { .. } | Request::ChangePackage { .. }, Self::Json(body)) => {
                Some(http::subscriptions_in(body))
            }
            _ => None,
        }
    }

    /// Whether this is what the model answers.
    pub(crate) fn is(&self, request: &Request, answer: &Answer) -> bool {
        match self {
            Self::Answer(told) => told == answer,
            Self::Json(body) => http::says(body, request, answer),
            Self::NotDone(_) | Self::Unknown(_) | Self::Wrong(_) => false,
        }
    }
}
