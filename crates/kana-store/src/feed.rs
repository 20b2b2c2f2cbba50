//! The changes feed and the audit log of an environment (contract: `changes.md`, "The log", and
//! `operations.md`, "Audit log").
//!
//! Both are written in the transaction of what they tell. Changes have numbers 1, 2, 3 … per
//! environment, without gaps: the number of the newest one is a row that a transaction takes last
//! and holds until it is committed. So numbers appear in their order, and a transaction that is
//! rolled back leaves none.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::change::{AuditKind, Effect};
use kana_core::id::UserId;
use uuid::Uuid;

use crate::app::EnvironmentId;
use crate::error::StoreError;

/// How many changes are looked at for one page, whatever its filter lets through.
pub const SCANNED_MAX: usize = 10_000;

/// What a transaction adds to the log of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Changes, in their order.
    pub changes: Vec<NewChange>,
    /// Entries of the audit log.
    pub audit: Vec<NewAuditEntry>,
}

impl Records {
    /// Returns true if there is nothing to add.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.audit.is_empty()
    }
}

/// A change to be stored. It gets its number as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChange {
    /// Its id, which is never used again.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// Whom it concerns.
    pub user: Option<UserId>,
    /// Who asked for it. It is stored and never told.
    pub actor: String,
    /// What happened.
    pub effect: Effect,
}

/// An entry of the audit log to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// Its id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: &'static str,
    /// What it was done to.
    pub kind: AuditKind,
    /// The id of that.
    pub subject: Option<String>,
    /// What it was, as JSON.
    pub before: Option<String>,
    /// What it is now, as JSON.
    pub after: Option<String>,
    /// The id of the request that it was done by.
    pub request_id: Option<String>,
}

/// A change as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChange {
    /// Its number, 1 or more.
    pub number: i64,
    /// Its id.
    pub id: Uuid,
    /// The name of its type, like `user.created`.
    pub type_name: String,
    /// When it happened.
    pub at: Timestamp,
    /// The id that the user had then.
    pub user_id: Option<String>,
    /// The object `data`, as JSON.
    pub data: String,
}

/// Which changes are asked for.
#[derive(Debug, Clone, Default)]
pub struct ChangesQuery {
    /// Only those with a greater number. `None`: from the oldest that is kept.
    pub after: Option<i64>,
    /// How many at most.
    pub limit: usize,
    /// Only those of these types.
    pub types: Option<Vec<&'static str>>,
    /// Only those that concern the user who had this id.
    pub user: Option<UserId>,
}

/// A page of the changes feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesPage {
    /// The changes, by their numbers. After [`SCANNED_MAX`] changes that the filter did not let
    /// through, a page ends, however few it has.
    pub changes: Vec<StoredChange>,
    /// Everything up to this number was looked at: where the next page begins.
    pub read_to: i64,
    /// The number of the oldest change that is kept; one more than the newest number if there is
    /// none.
    pub oldest: i64,
    /// The number of the newest change; 0 before the first.
    pub newest: i64,
}

/// Which entries of the audit log are asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only those older than the one with this time and id.
    pub after: Option<(Timestamp, Uuid)>,
    /// How many at most.
    pub limit: usize,
    /// Only those about this kind of thing.
    pub kind: Option<AuditKind>,
    /// Only those about the thing with this id.
    pub subject: Option<String>,
    /// Only those of this instant or later.
    pub since: Option<Timestamp>,
    /// Only those before this instant.
    pub until: Option<Timestamp>,
}

impl AuditQuery {
    /// The time and id that all entries asked for are before.
    pub(crate) fn before(&self) -> (Timestamp, Uuid) {
        // No entry has the nil id, so it stands for the first of its instant.
        let until = self.until.map(|until| (until, Uuid::nil()));
        let after = self.after.into_iter().chain(until).min();
        after.unwrap_or((Timestamp::MAX, Uuid::max()))
    }
}

/// A page of the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries. A page ends after about 8 MiB, however few entries it has; it has at least one
    /// if there is one.
    pub rows: Vec<AuditRow>,
    /// Whether there are older ones.
    pub has_more: bool,
}

/// How many bytes of `before` and `after` make a page of the audit log full.
pub(crate) const AUDIT_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// An entry of the audit log as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub kind: String,
    /// The id of that.
    pub subject: Option<String>,
    /// What it was, as JSON.
    pub before: Option<String>,
    /// What it is now, as JSON.
    pub after: Option<String>,
    /// The request that asked for it.
    pub request_id: Option<String>,
}

impl AuditPage {
    /// Adds a row, unless the page is full. Returns false if it is.
    pub(crate) fn add(&mut self, row: AuditRow, (bytes, limit): (&mut usize, usize)) -> bool {
        if self.rows.len() >= limit || *bytes >= AUDIT_PAGE_BYTES {
            self.has_more = true;
            return false;
        }
        let length = |json: &Option<String>| json.as_ref().map_or(0, String::len);
        *bytes += length(&row.before) + length(&row.after);
        self.rows.push(row);
        true
    }
}

/// Reads and shortens the changes feed and the audit log. Both are written by
/// [`append`](crate::store::WriteTransaction::append).
#[async_trait]
pub trait Feed: Send + Sync {
    /// Returns a page of changes. If the query's number is below the oldest or above the newest
    /// one, the page is empty, and the caller says so.
    async fn changes(
        &self,
        environment: EnvironmentId,
        query: &ChangesQuery,
    ) -> Result<ChangesPage, StoreError>;

    /// Returns a page of the audit log, newest first.
    async fn audit_log(
        &self,
        environment: EnvironmentId,
        query: &AuditQuery,
    ) -> Result<AuditPage, StoreError>;

    /// Deletes the oldest changes, at most `at_most`: those from before the times that are `kept`, and those
    /// beyond the newest `kept_max`. Returns how many it deleted.
    ///
    /// No change from those times is deleted, unless there are too many, and none after it, although clocks
    /// go back. What is from after those times, a clock that was ahead has dated: it goes with those around it.
    async fn forget_changes(
        &self,
        environment: EnvironmentId,
        kept: RangeInclusive<Timestamp>,
        kept_max: i64,
        at_most: usize,
    ) -> Result<usize, StoreError>;

    /// Deletes entries of the audit log from before `before`, oldest first, at most `at_most`.
    /// Returns how many it deleted.
    async fn forget_audit_log(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError>;
}
