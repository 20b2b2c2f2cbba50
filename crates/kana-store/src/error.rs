use std::path::PathBuf;

/// What a store could not do. Nothing of what was asked has been stored then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine failed or cannot be reached.
    #[error("the database failed: {0}")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored value is none that this release writes.
    #[error("the database holds a value that this release cannot read: {0}")]
    Unreadable(String),
    /// The catalog has changed since the version that a change was planned on.
    #[error("the catalog has changed meanwhile")]
    StaleCatalog,
    /// The database was migrated by a newer release.
    #[error(
        "the database has schema version {found}, and this release knows versions up to {known}: \
         run the release that migrated it, or a newer one"
    )]
    NewerSchema {
        /// The version of the database.
        found: usize,
        /// The newest version that this release knows.
        known: usize,
    },
    /// The data directory cannot be made or opened.
    #[error("cannot use the data directory {}: {source}", path.display())]
    DataDir {
        /// The directory or a file in it.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Another server uses the data directory.
    #[error(
        "another kana server runs on the data directory {}: stop it, or choose another directory \
         with --data-dir",
        path.display()
    )]
    DataDirInUse {
        /// The directory.
        path: PathBuf,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(Box::new(error))
    }
}
