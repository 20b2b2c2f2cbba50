//! What is known of an import, as the database keeps it.

use std::sync::Arc;

use kana_core::Timestamp;
use kana_store::people::AdminId;
use kana_store::user_imports::UserImport;
use kana_store::{Actor, StoreError};
use serde::{Deserialize, Serialize};

use super::line::UserImportLineKind;

/// How long a preview, and the result of an import, can be looked at, in milliseconds.
const PREVIEW_MS: i64 = 60 * 60 * 1000;
/// How many lines of a kind are shown.
pub(crate) const SHOWN_MAX: u32 = 100;
/// How many lines are imported in one transaction, and answered at once.
pub(crate) const WHOLE_MAX: u32 = 1000;

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UserImportState {
    /// Its file arrives.
    Reading,
    /// It can be looked at, and perhaps be applied.
    Ready,
    /// It is being applied.
    Applying,
    /// It was applied.
    Done,
    /// Nobody can look at it any more.
    Forgotten,
}

/// How many lines of a file there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserImportCounts {
    /// Users that are new.
    pub create: u32,
    /// Users that would change.
    pub update: u32,
    /// Users that are so already.
    pub unchanged: u32,
    /// Lines that another one, or a user, is in the way of.
    pub conflict: u32,
    /// Lines that cannot be read.
    pub error: u32,
    /// Lines with an e-mail that another user has.
    pub warning: u32,
}

impl UserImportCounts {
    /// Returns how many lines change something.
    #[must_use]
    pub fn changes(&self) -> u32 {
        self.create + self.update
    }

    /// Returns true if neither a conflict nor an error is in the way.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.conflict == 0 && self.error == 0
    }

    /// Counts a line. Returns how many of its kind there are now.
    pub(crate) fn count(&mut self, kind: UserImportLineKind) -> u32 {
        let count = self.of(kind);
        *count = count.saturating_add(1);
        *count
    }

    /// Counts a line no longer.
    pub(crate) fn uncount(&mut self, kind: UserImportLineKind) {
        let count = self.of(kind);
        *count = count.saturating_sub(1);
    }

    fn of(&mut self, kind: UserImportLineKind) -> &mut u32 {
        match kind {
            UserImportLineKind::Create => &mut self.create,
            UserImportLineKind::Update => &mut self.update,
            UserImportLineKind::Unchanged => &mut self.unchanged,
            UserImportLineKind::Conflict => &mut self.conflict,
            UserImportLineKind::Warning => &mut self.warning,
            UserImportLineKind::Error | UserImportLineKind::LeftAlone => &mut self.error,
        }
    }
}

/// What was done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserImportResult {
    /// Users that were created.
    pub created: u32,
    /// Users that were changed.
    pub updated: u32,
    /// Users that were so already.
    pub unchanged: u32,
    /// Lines that no longer fitted.
    pub left_alone: u32,
}

/// Where an import goes on: after this line of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) kind: UserImportLineKind,
    pub(crate) line: u32,
}

/// Whoever applies an import. It goes on when they have signed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ImportActor {
    /// Somebody who is signed in to the dashboard.
    Person {
        /// The admin's number.
        id: i64,
        /// The admin's e-mail.
        email: String,
    },
    /// Another surface, which has no previews today.
    Other,
}

impl ImportActor {
    pub(crate) fn of(actor: &Actor) -> Self {
        match actor {
            Actor::Person { id, email } => Self::Person { id: id.0, email: email.to_string() },
            Actor::Key { .. } | Actor::CommandLine | Actor::Job => Self::Other,
        }
    }

    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Person { id, email } => {
                Actor::Person { id: AdminId(*id), email: Arc::from(email.as_str()) }
            }
            Self::Other => Actor::Job,
        }
    }
}

/// What is known of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportData {
    pub(crate) state: UserImportState,
    /// When nobody can look at it any more, in milliseconds since 1970. It does not hold for one that is
    /// being applied.
    expires_at: i64,
    /// Whether an empty cell clears the value.
    pub(crate) clears_empty: bool,
    /// Whether the file has a column of packages, which is not read.
    pub(crate) ignores_packages: bool,
    pub(crate) counts: UserImportCounts,
    /// Whoever applies it.
    pub(crate) actor: Option<ImportActor>,
    pub(crate) progress: Progress,
    pub(crate) result: UserImportResult,
}

impl ImportData {
    /// An import whose file begins to arrive.
    pub(crate) fn new(clears_empty: bool, now: Timestamp) -> Self {
        Self {
            state: UserImportState::Reading,
            expires_at: now.saturating_add_ms(PREVIEW_MS).as_ms(),
            clears_empty,
            ignores_packages: false,
            counts: UserImportCounts::default(),
            actor: None,
            progress: Progress { kind: UserImportLineKind::Create, line: 0 },
            result: UserImportResult::default(),
        }
    }

    pub(crate) fn read(stored: &UserImport) -> Result<Self, StoreError> {
        serde_json::from_str(&stored.data)
            .map_err(|error| StoreError::Unreadable(format!("import {}: {error}", stored.id)))
    }

    pub(crate) fn written(&self) -> String {
        // Numbers and texts can be written to memory.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Lets the import be looked at for some time from now on.
    pub(crate) fn enter(&mut self, state: UserImportState, now: Timestamp) {
        self.state = state;
        self.expires_at = now.saturating_add_ms(PREVIEW_MS).as_ms();
    }

    /// Returns true if nobody can look at it any more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        match self.state {
            UserImportState::Forgotten => true,
            UserImportState::Applying => false,
            _ => self.expires_at <= now.as_ms(),
        }
    }

    /// Returns true if it can be applied.
    pub(crate) fn is_importable(&self) -> bool {
        self.state == UserImportState::Ready
            && self.counts.is_clean()
            && self.counts.changes() + self.counts.unchanged > 0
    }
}
