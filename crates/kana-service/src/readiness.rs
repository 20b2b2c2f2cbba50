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
}

impl NotReady {
    /// Describes the problem in a few words, without internal details.
    #[must_use]
    pub fn database(&self) -> &'static str {
        match self {
            Self::Database(error) => error.summary(),
            Self::NoAnswer => "no answer",
            Self::CommitHangs(_) => "commit hangs",
        }
    }
}
