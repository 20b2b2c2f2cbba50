use std::sync::Arc;

use kana_core::Refusal;
use kana_core::refusal::InvalidValue;
use kana_store::StoreError;

use crate::database_failures;

/// Why a call failed. Nothing was stored, except perhaps for
/// [`OutcomeUnknown`](Error::OutcomeUnknown).
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A rule refuses the request. The caller can correct it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The key or token is not valid.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// A queue is full. The caller can retry.
    #[error("too much is waiting to be written; nothing was recorded. Retry")]
    Overloaded,
    /// The server is about to stop. The caller can retry on another one.
    #[error("the server is shutting down; nothing was recorded. Retry")]
    ShuttingDown,
    /// The database is unavailable or full, or other writers were always faster. The caller can retry.
    #[error("{}; nothing was recorded. Retry", unavailable(.0))]
    Unavailable(#[source] Arc<StoreError>),
    /// The connection broke during a commit, and the database could not be asked whether it happened.
    #[error(
        "the database went away during the commit; whether this was recorded is not known. If the \
         request has an idempotency key, retry"
    )]
    OutcomeUnknown(#[source] Arc<StoreError>),
    /// The store failed. One failure can be the answer to a whole batch.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// A bug in Kana.
    #[error("a bug: {0}")]
    Bug(&'static str),
}

/// Why a request is not authenticated. Clients look for the first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// No key was sent.
    #[error("Unauthenticated: send a private key in the Authorization header")]
    Missing,
    /// The key is unknown or was revoked.
    #[error("Unauthenticated: the key in the Authorization header is unknown or was revoked")]
    Unknown,
    /// The key's time is over.
    #[error("Unauthenticated: the key has expired")]
    ExpiredKey,
    /// No user token and no public key was sent to the Client API.
    #[error(
        "Unauthenticated: send a user token, as Bearer, or a public key with X-User-ID, in the \
         Authorization header"
    )]
    MissingForClient,
    /// A private key was sent to the Client API.
    #[error(
        "Unauthenticated: this is a private key, which must not be used in a browser; send a user \
         token or a public key"
    )]
    PrivateKeyInBrowser,
    /// A public key was sent without a user's id.
    #[error("Unauthenticated: with a public key, the X-User-ID header must name the user")]
    UserIdMissing,
    /// The environment accepts user tokens only.
    #[error(
        "Unauthenticated: this environment does not let a public key read a user's entitlements; \
         send a user token"
    )]
    SimpleModeOff,
    /// The user token has no valid signature, or its secret was withdrawn.
    #[error("Unauthenticated: the user token is invalid")]
    InvalidToken,
    /// The user token has expired.
    #[error("Unauthenticated: the user token has expired")]
    ExpiredToken,
    /// A public key was sent to the Admin API.
    #[error(
        "Unauthenticated: the Admin API needs a private key, and the Authorization header holds \
         a public one"
    )]
    PublicKey,
}

/// Describes an unavailable database to callers, without internal details.
fn unavailable(cause: &StoreError) -> &'static str {
    match cause {
        StoreError::Full { .. } => "the disk is full",
        StoreError::Busy(_) => "another process holds the database",
        _ => "the database is unavailable",
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        database_failures::count(&error);
        let error = Arc::new(error);
        match *error {
            // A read-only server is a standby that has yet to take over. While a server runs, TLS
            // fails when a certificate expires or is replaced, a session differs behind another
            // pooler, and a new connection is refused once a password has changed.
            StoreError::Conflict(_)
            | StoreError::Unavailable(_)
            | StoreError::TlsFailed(_)
            | StoreError::SessionDiffers { .. }
            | StoreError::AccessDenied(_)
            | StoreError::NoDatabase(_)
            | StoreError::Busy(_)
            | StoreError::Full { .. }
            | StoreError::ReadOnly => Self::Unavailable(error),
            StoreError::OutcomeUnknown(_) => Self::OutcomeUnknown(error),
            _ => Self::Store(error),
        }
    }
}

impl From<InvalidValue> for Error {
    fn from(invalid: InvalidValue) -> Self {
        Self::Refused(invalid.into())
    }
}

impl From<getrandom::Error> for Error {
    /// Converts the error of an operating system without randomness for a key or secret.
    fn from(error: getrandom::Error) -> Self {
        StoreError::Engine(Box::new(error)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_accepts_no_changes_or_connections_has_recorded_nothing() {
        let failures: [fn() -> StoreError; 4] = [
            || StoreError::ReadOnly,
            || StoreError::AccessDenied("the password has changed".into()),
            || StoreError::NoDatabase("it was renamed".into()),
            || StoreError::SessionDiffers { problem: "there is a pooler".to_owned() },
        ];
        for failure in failures {
            let error = Error::from(failure());
            assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
            assert!(error.to_string().contains("nothing was recorded"), "{error}");
        }
    }
}
