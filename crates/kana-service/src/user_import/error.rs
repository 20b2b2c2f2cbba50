//! Why an import cannot be.

use kana_store::StoreError;

use crate::error::Error;
use crate::user_csv::CsvError;

/// Why an import cannot be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UserImportError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] CsvError),
    /// As many are under way as there may be, or earlier ones are still being deleted.
    #[error("Too many imports of this environment are under way. Try again in some minutes.")]
    TooMany,
    /// Newer files took the place of this one.
    #[error("Newer files took the place of this one. Choose it again.")]
    Replaced,
    /// There is no such import, or it waited for too long.
    #[error("There is no such preview. It waits for an hour: choose the file again.")]
    NotFound,
    /// Conflicts or errors stand in the way, or there is nothing to import.
    #[error("This file cannot be imported as it is.")]
    NotImportable,
    /// The service could not answer.
    #[error(transparent)]
    Other(#[from] Error),
}

impl From<StoreError> for UserImportError {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}
