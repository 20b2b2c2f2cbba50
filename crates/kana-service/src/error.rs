use std::sync::Arc;

use kana_core::Refusal;
use kana_core::refusal::InvalidValue;
use kana_store::StoreError;

/// Why something was not answered. Nothing of it has been stored then, but for
/// [`OutcomeUnknown`](Error::OutcomeUnknown).
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// What was asked for is refused; the caller can mend it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The key opens nothing here.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// More is waiting to be written than Kana holds. The caller may try again.
    #[error("too much is waiting to be written; try again shortly")]
    Overloaded,
    /// The server is about to stop. The caller may try again elsewhere.
    #[error("the server is shutting down; try again")]
    ShuttingDown,
    /// The database is away, or others are always faster. The caller may try again.
    #[error("{}, and nothing was recorded; try again", unavailable(.0))]
    Unavailable(#[source] Arc<StoreError>),
    /// The database went away while it committed, and has not come back to say whether it did.
    #[error(
        "the database went away while this was recorded, and whether it was is not known; with an \
         idempotency key, send it again"
    )]
    OutcomeUnknown(#[source] Arc<StoreError>),
    /// The store failed. One failure can answer a whole batch.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// Kana itself is wrong.
    #[error("a bug: {0}")]
    Bug(&'static str),
}

/// Why a request has no environment. Clients look for the first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// No key was sent.
    #[error("Unauthenticated: send a private key in the Authorization header")]
    Missing,
    /// What was sent is no key that is known and valid.
    #[error("Unauthenticated: the key in the Authorization header is unknown or was revoked")]
    Unknown,
    /// Nothing that opens the Client API was sent.
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
    /// A public key does not say who the user is.
    #[error("Unauthenticated: with a public key, the X-User-ID header must name the user")]
    UserIdMissing,
    /// The environment takes user tokens only.
    #[error(
        "Unauthenticated: this environment does not let a public key read a user's entitlements; \
         send a user token"
    )]
    SimpleModeOff,
    /// The user token was not made here, or its secret was withdrawn.
    #[error("Unauthenticated: the user token is invalid")]
    InvalidToken,
    /// The user token's time is over.
    #[error("Unauthenticated: the user token has expired")]
    ExpiredToken,
    /// A public key was sent where a private one belongs.
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
        _ => "the database cannot do this at the moment",
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let error = Arc::new(error);
        match *error {
            // A server that takes no changes is a standby that has yet to take over.
            StoreError::Conflict(_)
            | StoreError::Unavailable(_)
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
    /// The operating system gave no randomness for a key or a secret.
    fn from(error: getrandom::Error) -> Self {
        StoreError::Engine(Box::new(error)).into()
    }
}
