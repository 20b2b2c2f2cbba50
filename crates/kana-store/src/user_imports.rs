//! Files of users that wait to be imported, line by line (contract: `dashboard.md`, "CSV").
//!
//! What a line would do, and how far an import is, is decided above the store, which keeps it as JSON.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::id::UserId;
use kana_core::metadata::Label;
use uuid::Uuid;

use crate::app::EnvironmentId;
use crate::error::StoreError;

/// How many users with an e-mail are told at most.
pub const EMAIL_OWNERS_MAX: usize = 2;

/// The id of an import. Ids grow with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserImportId(pub Uuid);

impl fmt::Display for UserImportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UserImportId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// An import as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserImport {
    /// Its id.
    pub id: UserImportId,
    /// When its file began to arrive.
    pub created_at: Timestamp,
    /// How far it is, and what is known of it, as JSON.
    pub data: String,
}

/// A line of an import as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserImportLine {
    /// What is said of the line. A line may be there once for each kind.
    pub kind: String,
    /// The line of the file, from 1.
    pub line: u32,
    /// What there is to know of it, as JSON.
    pub data: String,
}

/// An id that a line of an import is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserImportName {
    /// The id.
    pub name: UserId,
    /// The line of the file, from 1.
    pub line: u32,
    /// What is said of the line.
    pub kind: String,
}

/// Reads imports.
#[async_trait]
pub trait UserImports: Send {
    /// Returns every import of the environment, oldest first. There are few.
    async fn user_imports(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Vec<UserImport>, StoreError>;

    /// Returns the first `limit` lines of a kind after the line `after`, in the order of the file.
    async fn user_import_lines(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        kind: &str,
        after: u32,
        limit: usize,
    ) -> Result<Vec<UserImportLine>, StoreError>;

    /// Returns each name as it was stored; `None` for one that was not. No name may stand twice.
    async fn user_import_names(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        names: &[UserId],
    ) -> Result<Vec<Option<UserImportName>>, StoreError>;

    /// Returns users with each e-mail, compared exactly, [`EMAIL_OWNERS_MAX`] at most. No e-mail may
    /// stand twice.
    async fn users_with_email(
        &mut self,
        environment: EnvironmentId,
        emails: &[Label],
    ) -> Result<Vec<Vec<UserId>>, StoreError>;
}

/// Changes imports.
#[async_trait]
pub trait UserImportTransaction: Send {
    /// Waits until no other transaction that has called this changes imports of the environment, and
    /// keeps others from it. Call it before users are locked.
    async fn lock_user_imports(&mut self, environment: EnvironmentId) -> Result<(), StoreError>;

    /// Stores an import, or its new data.
    async fn put_user_import(
        &mut self,
        environment: EnvironmentId,
        import: &UserImport,
    ) -> Result<(), StoreError>;

    /// Stores lines of an import, and the ids that lines are about. Fails if one is there already.
    async fn add_user_import_lines(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        lines: &[UserImportLine],
        names: &[UserImportName],
    ) -> Result<(), StoreError>;

    /// Deletes lines and names of an import, at most `at_most` of each, and once there are none the
    /// import itself. Returns how many rows it deleted; 0 if nothing was left.
    async fn forget_user_import(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        at_most: usize,
    ) -> Result<usize, StoreError>;
}
