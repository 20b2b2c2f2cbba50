use std::ops::RangeInclusive;

use kana_core::Timestamp;
use kana_core::change::AuditKind;
use kana_core::id::UserId;
use rusqlite::{OptionalExtension as _, Row, params};

use super::connection::Connection;
use super::rows::{limit, text};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::feed::{
    AuditPage, AuditQuery, AuditRow, ChangesPage, ChangesQuery, NewAuditEntry, NewChange, Records,
    SCANNED_MAX, StoredChange,
};

/// Adds changes and entries of the audit log within the transaction that is open. Returns how many
/// rows were written.
pub(super) fn append(
    connection: &Connection,
    environment: EnvironmentId,
    records: &Records,
) -> Result<usize, StoreError> {
    let count = limit(records.changes.len());
    if count > 0 {
        let mut head = connection.statement(sql::ADVANCE_CHANGES)?;
        let newest: i64 = head.query_row(params![environment.0, count], |row| row.get(0))?;
        for (number, change) in (newest - count + 1..).zip(&records.changes) {
            add_change(connection, environment, number, change)?;
        }
    }
    for entry in &records.audit {
        add_entry(connection, environment, entry)?;
    }
    Ok(records.changes.len() + records.audit.len())
}

fn add_change(
    connection: &Connection,
    environment: EnvironmentId,
    number: i64,
    change: &NewChange,
) -> Result<(), StoreError> {
    let NewChange { id, at, user, actor, effect } = change;
    let user = user.as_ref().map(UserId::as_str);
    connection.statement(sql::ADD_CHANGE)?.execute(params![
        environment.0,
        number,
        id,
        effect.type_name(),
        at.as_ms(),
        user,
        effect.data_json(),
        actor,
    ])?;
    Ok(())
}

fn add_entry(
    connection: &Connection,
    environment: EnvironmentId,
    entry: &NewAuditEntry,
) -> Result<(), StoreError> {
    let NewAuditEntry { id, at, actor, action, kind, subject, before, after, request_id } = entry;
    connection.statement(sql::ADD_AUDIT_ENTRY)?.execute(params![
        environment.0,
        id,
        at.as_ms(),
        actor,
        action,
        kind.name(),
        subject,
        before,
        after,
        request_id,
    ])?;
    Ok(())
}

/// Reads the newest number first and the oldest one last: changes that are added or deleted
/// meanwhile are then beyond the page, or make the caller say that changes are gone.
pub(super) fn changes(
    connection: &Connection,
    environment: EnvironmentId,
    query: &ChangesQuery,
) -> Result<ChangesPage, StoreError> {
    let head = connection
        .statement(sql::NEWEST_CHANGE)?
        .query_row([environment.0], |row| row.get(0))
        .optional()?;
    let newest = head.unwrap_or(0);
    let (changes, read_to) = page(connection, environment, query, newest)?;
    let oldest: Option<i64> =
        connection.statement(sql::FIRST_CHANGE)?.query_row([environment.0], |row| row.get(0))?;
    Ok(ChangesPage { changes, read_to, oldest: oldest.unwrap_or(newest + 1), newest })
}

/// Reads changes up to `newest`. Returns them, and the number up to which everything was looked at.
fn page(
    connection: &Connection,
    environment: EnvironmentId,
    query: &ChangesQuery,
    newest: i64,
) -> Result<(Vec<StoredChange>, i64), StoreError> {
    let after = query.after.unwrap_or(0);
    let scanned = limit(SCANNED_MAX);
    let mut statement;
    let mut rows = match &query.user {
        None => {
            statement = connection.statement(sql::CHANGES)?;
            statement.query(params![environment.0, after, newest, scanned])?
        }
        Some(user) => {
            statement = connection.statement(sql::CHANGES_OF_USER)?;
            statement.query(params![environment.0, after, newest, scanned, user.as_str()])?
        }
    };
    let (mut changes, mut seen, mut read_to) = (Vec::new(), 0, after);
    while changes.len() < query.limit {
        let Some(row) = rows.next()? else {
            let whole = if seen < SCANNED_MAX { newest.max(after) } else { read_to };
            return Ok((changes, whole));
        };
        seen += 1;
        read_to = row.get(0)?;
        let type_name = text(row, 2)?;
        if query.types.as_ref().is_none_or(|types| types.contains(&type_name)) {
            changes.push(stored_change(row)?);
        }
    }
    Ok((changes, read_to))
}

fn stored_change(row: &Row<'_>) -> Result<StoredChange, StoreError> {
    Ok(StoredChange {
        number: row.get(0)?,
        id: row.get(1)?,
        type_name: row.get(2)?,
        at: Timestamp::from_ms(row.get(3)?),
        user_id: row.get(4)?,
        data: row.get(5)?,
    })
}

pub(super) fn audit_log(
    connection: &Connection,
    environment: EnvironmentId,
    query: &AuditQuery,
) -> Result<AuditPage, StoreError> {
    let (at, id) = query.before();
    let since = query.since.unwrap_or(Timestamp::MIN).as_ms();
    // One more than asked for tells whether there are more.
    let (at, limit) = (at.as_ms(), limit(query.limit + 1));
    let kind = query.kind.map(AuditKind::name);
    let mut statement;
    let mut rows = match (&query.subject, kind) {
        (Some(subject), kind) => {
            statement = connection.statement(sql::AUDIT_LOG_OF_SUBJECT)?;
            statement.query(params![environment.0, at, id, since, limit, subject, kind])?
        }
        (None, Some(kind)) => {
            statement = connection.statement(sql::AUDIT_LOG_OF_KIND)?;
            statement.query(params![environment.0, at, id, since, limit, kind])?
        }
        (None, None) => {
            statement = connection.statement(sql::AUDIT_LOG)?;
            statement.query(params![environment.0, at, id, since, limit])?
        }
    };
    let (mut page, mut bytes) = (AuditPage::default(), 0);
    while let Some(row) = rows.next()? {
        let entry = AuditRow {
            id: row.get(0)?,
            at: Timestamp::from_ms(row.get(1)?),
            actor: row.get(2)?,
            action: row.get(3)?,
            kind: row.get(4)?,
            subject: row.get(5)?,
            before: row.get(6)?,
            after: row.get(7)?,
            request_id: row.get(8)?,
        };
        if !page.add(entry, (&mut bytes, query.limit)) {
            break;
        }
    }
    Ok(page)
}

pub(super) fn forget_changes(
    connection: &Connection,
    environment: EnvironmentId,
    kept: &RangeInclusive<Timestamp>,
    kept_max: i64,
    at_most: usize,
) -> Result<usize, StoreError> {
    let (from, to) = (kept.start().as_ms(), kept.end().as_ms());
    let parameters = params![environment.0, from, to, kept_max, limit(at_most)];
    Ok(connection.statement(sql::FORGET_CHANGES)?.execute(parameters)?)
}

pub(super) fn forget_audit_log(
    connection: &Connection,
    environment: EnvironmentId,
    before: Timestamp,
    at_most: usize,
) -> Result<usize, StoreError> {
    let parameters = params![environment.0, before.as_ms(), limit(at_most)];
    Ok(connection.statement(sql::FORGET_AUDIT_LOG)?.execute(parameters)?)
}
