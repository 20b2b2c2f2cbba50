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
}

impl NotReady {
    /// Describes the problem in a few words, without internal details.
    #[must_use]
    pub fn database(&self) -> &'static str {
        match self {
            Self::Database(error) => error.summary(),
            Self::NoAnswer => "no answer",
        }
    }
}
