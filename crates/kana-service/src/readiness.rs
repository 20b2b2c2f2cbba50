use std::time::Duration;

use kana_store::StoreError;

/// Why a server is not ready for requests.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The database returned an error, or its last commit failed.
    #[error(transparent)]
    Database(StoreError),
    /// The database did not answer in time.
    #[error("the database does not answer")]
    NoAnswer,
    /// A commit has been under way for longer than it may take.
    #[error("a commit has been under way for {0:?}")]
    CommitHangs(Duration),
    /// The process has been told to stop, and finishes what it has accepted.
    #[error("the server is stopping")]
    Stopping,
}

impl NotReady {
    /// Returns the name of the check that failed, and the problem in a few words, without internal
    /// details.
    #[must_use]
    pub fn check(&self) -> (&'static str, &'static str) {
        match self {
            Self::Database(error) => ("database", error.summary()),
            Self::NoAnswer => ("database", "no answer"),
            Self::CommitHangs(_) => ("database", "commit hangs"),
            Self::Stopping => ("server", "stopping"),
        }
    }
}
