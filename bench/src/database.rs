use std::path::PathBuf;

/// Where a server keeps what it stores.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// In a directory of its own.
    Embedded(PathBuf),
    /// In PostgreSQL, at this URL.
    Shared(String),
}
