use std::ops::RangeInclusive;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::change::AuditKind;
use kana_core::id::UserId;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::parameters::{Parameter, column, count};
use super::rows::{instant, text};
use super::statements as sql;
use super::store::PostgresStore;
use super::transaction::{Pending, PostgresTransaction};
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::feed::{
    AUDIT_PAGE_BYTES, AuditPage, AuditQuery, AuditRow, ChangesPage, ChangesQuery, Feed, Records,
    SCANNED_MAX, StoredChange,
};

/// Returns the statements that add records to an environment's logs.
pub(super) fn appending(environment: EnvironmentId, records: &Records) -> Vec<Pending> {
    let mut statements = Vec::new();
    let changes = &records.changes;
    if !changes.is_empty() {
        let columns: Vec<Parameter> = vec![
            Box::new(environment.0),
            column(changes, |change| change.id),
            column(changes, |change| change.effect.type_name()),
            column(changes, |change| change.at.as_ms()),
            column(changes, |change| change.user.as_ref().map(|user| user.as_str().to_owned())),
            column(changes, |change| change.effect.data_json()),
            column(changes, |change| change.actor.clone()),
        ];
        statements.push((sql::APPEND_CHANGES, columns));
    }
    let entries = &records.audit;
    if !entries.is_empty() {
        let columns: Vec<Parameter> = vec![
            Box::new(environment.0),
            column(entries, |entry| entry.id),
            column(entries, |entry| entry.at.as_ms()),
            column(entries, |entry| entry.actor.clone()),
            column(entries, |entry| entry.action),
            column(entries, |entry| entry.kind.name()),
            column(entries, |entry| entry.subject.clone()),
            column(entries, |entry| entry.before.clone()),
            column(entries, |entry| entry.after.clone()),
            column(entries, |entry| entry.request_id.clone()),
        ];
        statements.push((sql::APPEND_AUDIT_LOG, columns));
    }
    statements
}

#[async_trait]
impl Feed for PostgresStore {
    async fn changes(
        &self,
        environment: EnvironmentId,
        query: &ChangesQuery,
    ) -> Result<ChangesPage, StoreError> {
        let ChangesQuery { after, limit, types, user } = query;
        let after = after.unwrap_or(0);
        let (scanned, limit) = (count(SCANNED_MAX), count(*limit));
        let user = user.as_ref().map(UserId::as_str);
        let page: &[&(dyn ToSql + Sync)] =
            &[&environment.0, &after, &scanned, types, &limit, &user];
        let scan: &[&(dyn ToSql + Sync)] = &[&environment.0, &after, &scanned, &user];
        let bounds: &[&(dyn ToSql + Sync)] = &[&environment.0];
        let questions = match user {
            None => [
                (sql::CHANGES, &page[..5]),
                (sql::CHANGES_SCANNED, &scan[..3]),
                (sql::CHANGES_BOUNDS, bounds),
            ],
            Some(_) => [
                (sql::CHANGES_OF_USER, page),
                (sql::CHANGES_OF_USER_SCANNED, scan),
                (sql::CHANGES_BOUNDS, bounds),
            ],
        };
        let answers = self.begin_read().ask(&questions).await?;
        let first = |answer: usize| answers.get(answer).and_then(|rows| rows.first());
        let missing = || StoreError::Engine("an answer went astray".into());
        let bounds = first(2).ok_or_else(missing)?;
        let scan = first(1).ok_or_else(missing)?;
        let (newest, oldest): (i64, i64) = (bounds.try_get(0)?, bounds.try_get(1)?);
        let changes: Vec<StoredChange> =
            answers.first().into_iter().flatten().map(stored_change).collect::<Result<_, _>>()?;
        let is_full = count(changes.len()) == limit;
        let is_cut = scan.try_get::<_, i64>(0)? == scanned;
        let read_to = match changes.last() {
            Some(last) if is_full => last.number,
            _ if is_cut => scan.try_get::<_, Option<i64>>(1)?.unwrap_or(after),
            _ => newest.max(after),
        };
        Ok(ChangesPage { changes, read_to, oldest, newest })
    }

    async fn audit_log(
        &self,
        environment: EnvironmentId,
        query: &AuditQuery,
    ) -> Result<AuditPage, StoreError> {
        audit_log(&mut self.begin_read(), environment, query).await
    }

    async fn forget_changes(
        &self,
        environment: EnvironmentId,
        kept: RangeInclusive<Timestamp>,
        kept_max: i64,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        let (from, to) = (kept.start().as_ms(), kept.end().as_ms());
        let at_most = count(at_most);
        let parameters: &[&(dyn ToSql + Sync)] = &[&environment.0, &from, &to, &kept_max, &at_most];
        forget(self.begin_write(), sql::FORGET_CHANGES, parameters).await
    }

    async fn forget_audit_log(
        &self,
        environment: EnvironmentId,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        let (before, at_most) = (before.as_ms(), count(at_most));
        let parameters: &[&(dyn ToSql + Sync)] = &[&environment.0, &before, &at_most];
        forget(self.begin_write(), sql::FORGET_AUDIT_LOG, parameters).await
    }
}

/// Returns a page of the audit log, newest first.
pub(super) async fn audit_log(
    transaction: &mut PostgresTransaction,
    environment: EnvironmentId,
    query: &AuditQuery,
) -> Result<AuditPage, StoreError> {
    let (at, id) = query.before();
    let since = query.since.unwrap_or(Timestamp::MIN).as_ms();
    // One more than asked for tells whether there are more.
    let (at, limit, full) = (at.as_ms(), count(query.limit + 1), count(AUDIT_PAGE_BYTES));
    let kind = query.kind.map(AuditKind::name);
    let mut parameters: Vec<&(dyn ToSql + Sync)> =
        vec![&environment.0, &at, &id, &since, &limit, &full];
    let statement = match (&query.subject, &kind) {
        (Some(subject), kind) => {
            parameters.extend([subject as &(dyn ToSql + Sync), kind]);
            sql::AUDIT_LOG_OF_SUBJECT
        }
        (None, Some(kind)) => {
            parameters.push(kind);
            sql::AUDIT_LOG_OF_KIND
        }
        (None, None) => sql::AUDIT_LOG,
    };
    let (mut page, mut bytes) = (AuditPage::default(), 0);
    let rows = transaction.ask_one(statement, &parameters).await?;
    for row in &rows {
        if !page.add(audit_row(row)?, (&mut bytes, query.limit)) {
            break;
        }
    }
    let found: i64 = rows.first().map_or(Ok(0), |row| row.try_get(9))?;
    page.has_more |= found > count(page.rows.len());
    Ok(page)
}

/// Runs a statement that deletes rows, in a transaction of its own. Returns how many.
pub(super) async fn forget(
    mut transaction: PostgresTransaction,
    statement: &'static str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<usize, StoreError> {
    let answers = transaction.change(&[(statement, parameters)]).await?;
    transaction.commit_changes().await?;
    Ok(answers.first().map_or(0, Vec::len))
}

fn stored_change(row: &Row) -> Result<StoredChange, StoreError> {
    Ok(StoredChange {
        number: row.try_get(0)?,
        id: row.try_get(1)?,
        type_name: text(row, 2)?.to_owned(),
        at: instant(row, 3)?,
        user_id: row.try_get(4)?,
        data: row.try_get(5)?,
    })
}

fn audit_row(row: &Row) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        id: row.try_get(0)?,
        at: instant(row, 1)?,
        actor: row.try_get(2)?,
        action: row.try_get(3)?,
        kind: row.try_get(4)?,
        subject: row.try_get(5)?,
        before: row.try_get(6)?,
        after: row.try_get(7)?,
        request_id: row.try_get(8)?,
    })
}
