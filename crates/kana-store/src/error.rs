use std::path::PathBuf;

use tokio_postgres::error::SqlState;

/// The error of an engine.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a call of a store failed. Nothing was stored, except perhaps for
/// [`OutcomeUnknown`](StoreError::OutcomeUnknown).
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine failed.
    #[error("the database failed: {0}")]
    Engine(#[source] Cause),
    /// Another writer was faster. The call can be retried at once, on what is stored now.
    #[error("another writer was faster: {0}")]
    Conflict(#[source] Cause),
    /// The database cannot be reached, or went away before the commit. The call can be retried once it
    /// is back.
    #[error("the database cannot be reached: {0}")]
    Unavailable(#[source] Cause),
    /// Another process holds the database. The call can be retried.
    #[error("another process holds the database: {0}")]
    Busy(#[source] Cause),
    /// The disk has no room for a write. The call can be retried once there is room.
    #[error("the disk is full: {place} cannot grow: {source}")]
    Full {
        /// The directory or database that cannot grow.
        place: String,
        /// The error of the engine.
        source: Cause,
    },
    /// A page or file of the database is corrupt, or a table is missing.
    #[error("the database is damaged: {place}: {source}")]
    Damaged {
        /// The file or table.
        place: String,
        /// The error of the engine.
        source: Cause,
    },
    /// The operating system or the database denies this process reading or writing.
    #[error("not permitted: {place}: {source}")]
    NotPermitted {
        /// The file, table or role.
        place: String,
        /// The error of the engine.
        source: Cause,
    },
    /// The connection broke during a commit, and the database could not be asked whether it happened.
    /// Only a request with an idempotency key can be repeated without counting twice.
    #[error(
        "the database went away while it committed, and whether it did is not known: send the \
         request again with the same idempotency key ({0})"
    )]
    OutcomeUnknown(#[source] Cause),
    /// A stored value is not one that this release writes.
    #[error("the database holds a value that this release cannot read: {0}")]
    Unreadable(String),
    /// Another node has claimed the job since, or it is done. Whoever had it must stop.
    #[error("the lease of the job is lost")]
    LostLease,
    /// The catalog has changed since the version that a change was planned on.
    #[error("the catalog has changed meanwhile")]
    StaleCatalog,
    /// The database has an app, but must be empty.
    #[error("the database has an app already: an import needs an empty database")]
    NotEmpty,
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
    /// The database was migrated by an older release, and the caller does not migrate.
    #[error(
        "the database has schema version {found}, and this release needs version {needed}: run \
         kana migrate, or use the kana of the release that runs on it"
    )]
    OlderSchema {
        /// The version of the database.
        found: usize,
        /// The version that this release works with.
        needed: usize,
    },
    /// There is no database, and the caller does not create one.
    #[error("there is no database in {place}: kana init creates one")]
    NoDatabaseIn {
        /// The directory or the schema.
        place: String,
    },
    /// There was a database, and its file is gone or empty.
    #[error(
        "{} {problem}, though {} shows that there was a database: restore it from a backup, or \
         remove the whole directory to start with a new app",
        file.display(),
        evidence.display()
    )]
    DatabaseLost {
        /// The file of the database.
        file: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// What shows that there was a database.
        evidence: PathBuf,
    },
    /// The database URL is invalid. The problem repeats nothing of the URL, which may contain a
    /// password.
    #[error(
        "the database URL is wrong: {problem}; it is like postgres://user:password@host:5432/database"
    )]
    DatabaseUrl {
        /// What is wrong with it.
        problem: String,
    },
    /// The database refuses the user or password.
    #[error("the database refuses the user or the password of the database URL: {0}")]
    AccessDenied(#[source] Cause),
    /// There is no TLS connection as the database URL asks for: the server has no TLS, or one side
    /// refuses the other's certificate.
    #[error(
        "there is no connection to the database as safe as the database URL asks for: {0}; {advice}",
        advice = advice_on_tls(.0)
    )]
    TlsFailed(#[source] Cause),
    /// A session has not the settings that promises need.
    #[error(
        "the session is not as Kana needs it: {problem}. If there is a pooler in between, set \
         --database-pooler transaction (KANA_DATABASE_POOLER), and settings go with each \
         transaction; if not, see the options of the database URL"
    )]
    SessionDiffers {
        /// The setting that differs, or what a pooler said.
        problem: String,
    },
    /// There is no such database on the server.
    #[error("the server of the database URL has no such database: {0}")]
    NoDatabase(#[source] Cause),
    /// The database accepts no changes.
    #[error(
        "the database is a read-only standby, or does not allow changes (default_transaction_read_only): \
         give the URL of the primary, or of all servers (postgres://user@one,two/database)"
    )]
    ReadOnly,
    /// The data directory cannot be created or opened.
    #[error("cannot use the data directory {}: {source}", path.display())]
    DataDir {
        /// The directory or a file in it.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something is in the data directory, which must be empty.
    #[error(
        "the data directory {} is not empty: kana restore --replace moves what is there out of the way",
        path.display()
    )]
    DataDirNotEmpty {
        /// The directory.
        path: PathBuf,
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

/// Returns what to do if there is no TLS connection.
fn advice_on_tls(cause: &Cause) -> &'static str {
    let cause = cause.to_string();
    let is_about_time = ["certificate expired", "certificate not valid yet"];
    if is_about_time.iter().any(|about| cause.contains(about)) {
        "renew the certificate of the database's server, or see this machine's clock"
    } else if cause.contains("alert: CertificateExpired") {
        "renew the certificate of sslcert"
    } else {
        "see its sslmode, sslrootcert, sslcert and channel_binding"
    }
}

impl StoreError {
    /// Returns true if two writers waited for each other, and the database has ended one of them.
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        let Self::Conflict(cause) = self else { return false };
        let error = cause.downcast_ref::<tokio_postgres::Error>();
        error.and_then(tokio_postgres::Error::code) == Some(&SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// Describes the kind of error in a few words, without internal details. `/readyz` shows it.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        match self {
            Self::Busy(_) => "held by another process",
            Self::Full { .. } => "disk full",
            Self::Damaged { .. } => "damaged",
            Self::NotPermitted { .. } => "not permitted",
            Self::ReadOnly => "read-only",
            Self::AccessDenied(_) => "access denied",
            Self::TlsFailed(_) => "TLS failed",
            Self::SessionDiffers { .. } => "wrong session settings",
            Self::Unavailable(_) | Self::NoDatabase(_) => "unavailable",
            _ => "failed",
        }
    }
}
