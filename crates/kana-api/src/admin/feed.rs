//! The changes feed and the audit log (contract: `changes.md`, "Admin API"; `operations.md`,
//! "Audit log").

use async_graphql::{Context, Object, SimpleObject};
use kana_core::Timestamp;
use kana_core::change::{AuditKind, types_named};
use kana_core::id::UserId;
use kana_core::refusal::InvalidValue;
use kana_graphql::{Json, List, loading};
use kana_service::{AuditPage, AuditQuery, AuditRow, ChangesQuery, StoredChange};
use uuid::Uuid;

use super::connection::{PageInfo, page_length};
use super::environment::environment;
use crate::error::ApiError;
use crate::scalars::{BigInt, DateTime};

/// Something that happened in the environment.
pub(super) struct Change(StoredChange);

/// Something that happened, with a number of its own. Usage is not told here.
#[Object(name = "Change")]
impl Change {
    /// Its id, which no other change ever has
    async fn id(&self) -> String {
        format!("chg_{}", self.0.id.simple())
    }

    /// 1, 2, 3 … in the order of commits, without gaps
    async fn number(&self) -> BigInt {
        BigInt(self.0.number)
    }

    /// What happened, like subscription.started
    #[graphql(name = "type")]
    async fn type_name(&self) -> &str {
        &self.0.type_name
    }

    /// When it happened
    async fn timestamp(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// The id that the user whom it concerns had then; null if it concerns no user
    async fn user_id(&self) -> Option<&str> {
        self.0.user_id.as_deref()
    }

    /// The rest, in the shape of the type
    async fn data(&self) -> Json {
        json(&self.0.data)
    }
}

/// Changes in the order of their numbers.
#[derive(SimpleObject)]
pub(super) struct ChangePage {
    /// The changes of this page. A page with a filter can have fewer than asked for, or none, though
    /// more follow
    nodes: List<Change>,
    /// Hand it to after for the next page
    end_cursor: String,
    /// Whether there are numbers after this page
    has_next_page: bool,
}

/// One line of the audit log.
pub(super) struct AuditLogEntry(AuditRow);

/// A change that somebody made, with the state before and after
#[Object(name = "AuditLogEntry")]
impl AuditLogEntry {
    /// Its id
    async fn id(&self) -> String {
        format!("aud_{}", self.0.id.simple())
    }

    /// When it happened
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// Who did it: key 7 (CI, …3f9a), command line, job
    async fn actor(&self) -> &str {
        &self.0.actor
    }

    /// What was done, like createFeature or revokeKey
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// feature, package, key, setting, configuration, user or person
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The item's id; null where there is none
    async fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// What it was, never a secret; of a user only the names of fields
    async fn before(&self) -> Option<Json> {
        self.0.before.as_deref().map(json)
    }

    /// What it is now
    async fn after(&self) -> Option<Json> {
        self.0.after.as_deref().map(json)
    }

    /// The request that asked for it; null where it is not known
    async fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }
}

/// A line of the audit log in a page.
#[derive(SimpleObject)]
pub(super) struct AuditLogEdge {
    /// Where a page after this entry starts
    cursor: String,
    /// The entry
    node: AuditLogEntry,
}

/// Lines of the audit log, newest first.
#[derive(SimpleObject)]
pub(super) struct AuditLogConnection {
    /// The entries of this page
    edges: List<AuditLogEdge>,
    /// Where the page lies
    page_info: PageInfo,
}

/// JSON as it is stored.
fn json(text: &str) -> Json {
    Json(kana_json::parse(text).unwrap_or_default())
}

/// What is asked of the changes feed.
pub(super) struct ChangesFilter {
    pub(super) after: Option<String>,
    pub(super) first: Option<i32>,
    pub(super) types: Option<Vec<String>>,
    pub(super) user_id: Option<String>,
}

/// Answers the field `changes`.
pub(super) async fn changes(
    context: &Context<'_>,
    filter: ChangesFilter,
) -> Result<ChangePage, ApiError> {
    let limit = page_length(filter.first)?;
    let user = filter.user_id.map(|id| UserId::new("userId", &id)).transpose()?;
    let types = filter.types.map(|filters| types_in(&filters)).transpose()?;
    let after = filter.after.as_deref().map(change_number).transpose()?;
    let turn = loading(context, limit).await?;
    let query = ChangesQuery { after, limit, types, user };
    let page = environment(context)?.changes(&query).await?;
    let nodes = page.changes.into_iter().map(Change).collect();
    Ok(ChangePage {
        nodes: List::loaded(nodes, turn),
        end_cursor: page.read_to.to_string(),
        has_next_page: page.read_to < page.newest,
    })
}

fn types_in(filters: &[String]) -> Result<Vec<&'static str>, InvalidValue> {
    if filters.is_empty() {
        return Err(InvalidValue::new("types", "must name at least one type, or be left out"));
    }
    let mut types = Vec::new();
    for filter in filters {
        let named = types_named(filter).ok_or_else(|| {
            let shown: String = filter.chars().take(64).collect();
            let problem = format!(
                "has no type {shown:?}: name a type like user.created, a group like user.*, or *"
            );
            InvalidValue::new("types", problem)
        })?;
        types.extend(named);
    }
    Ok(types)
}

/// The number of a change, as a cursor has it.
fn change_number(text: &str) -> Result<i64, InvalidValue> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { text.parse().ok() } else { None };
    number.ok_or_else(|| {
        InvalidValue::new("after", "must be the number of a change, like an endCursor")
    })
}

/// What is asked of the audit log.
pub(super) struct AuditFilter {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) since: Option<DateTime>,
    pub(super) until: Option<DateTime>,
}

/// Answers the field `auditLog`.
pub(super) async fn audit_log(
    context: &Context<'_>,
    filter: AuditFilter,
) -> Result<AuditLogConnection, ApiError> {
    let limit = page_length(filter.first)?;
    let after = filter.after.as_deref().map(audit_cursor).transpose()?;
    let kind = filter.kind.as_deref().map(audit_kind).transpose()?;
    let instant = |at: Option<DateTime>| at.map(|DateTime(at)| at);
    let (since, until) = (instant(filter.since), instant(filter.until));
    let turn = loading(context, limit).await?;
    let query = AuditQuery { after, limit, kind, subject: filter.subject, since, until };
    let AuditPage { rows, has_more } = environment(context)?.audit_log(&query).await?;
    let edge = |row: AuditRow| AuditLogEdge {
        cursor: format!("{}.{}", row.at.as_ms(), row.id.simple()),
        node: AuditLogEntry(row),
    };
    let edges: Vec<_> = rows.into_iter().map(edge).collect();
    let page_info = PageInfo::new(edges.iter().map(|edge| &edge.cursor), has_more, after.is_some());
    Ok(AuditLogConnection { page_info, edges: List::loaded(edges, turn) })
}

fn audit_cursor(text: &str) -> Result<(Timestamp, Uuid), InvalidValue> {
    let read = |text: &str| {
        let (at, id) = text.split_once('.')?;
        Some((Timestamp::from_ms(at.parse().ok()?), Uuid::try_parse(id).ok()?))
    };
    read(text)
        .ok_or_else(|| InvalidValue::new("after", "must be a cursor that a page has answered"))
}

fn audit_kind(name: &str) -> Result<AuditKind, InvalidValue> {
    AuditKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let names = AuditKind::ALL.map(AuditKind::name).join(", ");
        InvalidValue::new("kind", format!("must be one of {names}"))
    })
}
