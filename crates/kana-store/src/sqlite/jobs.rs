//! Jobs of the embedded engine. One server runs them. So a lease is lost only if the clock is set forward,
//! and a server that starts ends all leases, since the server that had them is gone.

use std::sync::Arc;

use async_trait::async_trait;
use kana_core::Timestamp;
use rusqlite::{Params, Row, params};
use tokio::sync::Notify;

use super::connection::Connection;
use super::rows::{limit, text};
use super::statements as sql;
use super::store::SqliteStore;
use super::transaction::{SqliteTransaction, WriteLease};
use crate::app::{EnvironmentId, EnvironmentKind};
use crate::columns::Named;
use crate::error::StoreError;
use crate::jobs::{
    ClaimedJob, Due, Ended, Job, JobId, JobStatus, JobStore, JobTransaction, LEASE, LEASE_RAN_OUT,
    Lease, MENDED_AT_ONCE, NewJob, Retried, Room, cut, in_order, milliseconds,
};

#[async_trait]
impl JobStore for SqliteStore {
    async fn claim_jobs(
        &self,
        rooms: &[Room],
        at_most: usize,
        now: Timestamp,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        // Mostly nothing is due, and then nobody waits for the writer.
        if !self.ask(|connection| is_anything_due(connection, rooms, now))? {
            return Ok(Vec::new());
        }
        self.change(|connection| claim(connection, rooms, at_most, now)).await
    }

    async fn renew_lease(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError> {
        let (due_at, since) = Due::After(LEASE).columns(now);
        self.change(|connection| {
            let Lease { id, fence } = lease;
            held(connection, sql::RENEW_LEASE, params![id.0, fence, due_at, since])
        })
        .await
    }

    async fn end_attempt(
        &self,
        lease: Lease,
        ended: Ended,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|connection| end_attempt(connection, lease, &ended, now)).await
    }

    async fn jobs(&self, at_most: usize) -> Result<Vec<Job>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.statement(sql::JOBS)?;
            let mut rows = statement.query([limit(at_most)])?;
            let mut jobs = Vec::new();
            while let Some(row) = rows.next()? {
                jobs.push(job(row)?);
            }
            Ok(jobs)
        })
    }

    async fn retry_job(&self, id: JobId, now: Timestamp) -> Result<Retried, StoreError> {
        let mut transaction = self.begin_write().await?;
        let retried = transaction.step(|connection| {
            if connection.statement(sql::RETRY_JOB)?.execute(params![id.0, now.as_ms()])? > 0 {
                return Ok(Retried::DueNow);
            }
            let runs = connection.statement(sql::HAS_JOB)?.exists([id.0])?;
            Ok(if runs { Retried::Runs } else { Retried::Unknown })
        })?;
        if retried == Retried::DueNow {
            transaction.note_scheduled();
            transaction.commit_changes()?;
        }
        Ok(retried)
    }

    fn jobs_scheduled(&self) -> Arc<Notify> {
        Arc::clone(&self.jobs_scheduled)
    }
}

#[async_trait]
impl JobTransaction for SqliteTransaction<WriteLease> {
    async fn schedule_jobs(&mut self, jobs: &[NewJob], now: Timestamp) -> Result<(), StoreError> {
        self.step(|connection| {
            in_order(jobs, now).into_iter().try_for_each(|job| schedule(connection, job, now))
        })?;
        self.note_scheduled();
        Ok(())
    }

    async fn save_job(&mut self, lease: Lease, state: &str) -> Result<(), StoreError> {
        self.step(|connection| {
            held(connection, sql::SAVE_JOB, params![lease.id.0, lease.fence, state])
        })
    }
}

fn is_anything_due(
    connection: &Connection,
    rooms: &[Room],
    now: Timestamp,
) -> Result<bool, StoreError> {
    if connection.statement(sql::WAITS_SINCE_LATER)?.exists([now.as_ms()])? {
        return Ok(true);
    }
    for room in rooms.iter().filter(|room| room.jobs > 0) {
        if connection.statement(sql::JOBS_DUE)?.exists(params![room.kind, now.as_ms(), 1])? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn claim(
    connection: &Connection,
    rooms: &[Room],
    at_most: usize,
    now: Timestamp,
) -> Result<Vec<ClaimedJob>, StoreError> {
    connection.statement(sql::MEND_WAITS)?.execute(params![now.as_ms(), MENDED_AT_ONCE])?;
    let mut due: Vec<(i64, JobId)> = Vec::new();
    for room in rooms {
        let mut statement = connection.statement(sql::JOBS_DUE)?;
        let mut rows = statement.query(params![room.kind, now.as_ms(), limit(room.jobs)])?;
        while let Some(row) = rows.next()? {
            due.push((row.get(0)?, JobId(row.get(1)?)));
        }
    }
    due.sort_unstable();
    let (due_at, since) = Due::After(LEASE).columns(now);
    let claim = |(_, id): &(i64, JobId)| {
        let mut statement = connection.statement(sql::CLAIM_JOB)?;
        let mut rows = statement.query(params![id.0, due_at, since, LEASE_RAN_OUT])?;
        let row = rows.next()?.ok_or_else(|| StoreError::Engine("a job went astray".into()))?;
        claimed_job(row)
    };
    due.iter().take(at_most).map(claim).collect()
}

fn end_attempt(
    connection: &Connection,
    Lease { id, fence }: Lease,
    ended: &Ended,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (id, at) = (id.0, now.as_ms());
    match ended {
        Ended::Finished => {
            if connection.statement(sql::FINISH_JOB)?.execute(params![id, fence])? > 0 {
                return Ok(());
            }
            held(connection, sql::BEGIN_JOB_AGAIN, params![id, fence, at])
        }
        Ended::GoesOn { due, state } => {
            let (due_at, since) = due.columns(now);
            let parameters = params![id, fence, at, due_at, since, state];
            held(connection, sql::GO_ON_WITH_JOB, parameters)
        }
        Ended::Failed { error, retry: Some(pause) } => {
            let due_at = now.saturating_add_ms(milliseconds(*pause)).as_ms();
            let parameters = params![id, fence, due_at, at, cut(error)];
            held(connection, sql::RETRY_JOB_LATER, parameters)
        }
        Ended::Failed { error, retry: None } => {
            held(connection, sql::BURY_JOB, params![id, fence, at, cut(error)])
        }
        Ended::GivenBack => held(connection, sql::GIVE_JOB_BACK, params![id, fence, at]),
    }
}

/// Runs a statement that changes a job under its lease.
fn held(
    connection: &Connection,
    statement: &'static str,
    parameters: impl Params,
) -> Result<(), StoreError> {
    match connection.statement(statement)?.execute(parameters)? {
        0 => Err(StoreError::LostLease),
        _ => Ok(()),
    }
}

fn schedule(connection: &Connection, new: &NewJob, now: Timestamp) -> Result<(), StoreError> {
    let (due_at, since) = new.due.columns(now);
    connection.statement(sql::SCHEDULE_JOB)?.execute(params![
        JobId::new(now).0,
        new.kind,
        new.key,
        new.environment.map(|environment| environment.0),
        due_at,
        since,
        now.as_ms(),
    ])?;
    Ok(())
}

/// Reads `id, fence, kind, key, environment_id, attempts, state`.
fn claimed_job(row: &Row<'_>) -> Result<ClaimedJob, StoreError> {
    Ok(ClaimedJob {
        lease: Lease { id: JobId(row.get(0)?), fence: row.get(1)? },
        kind: row.get(2)?,
        key: row.get(3)?,
        environment: row.get::<_, Option<i64>>(4)?.map(EnvironmentId),
        attempts: row.get(5)?,
        state: row.get(6)?,
    })
}

/// Reads `id, kind, key, environment's kind, is_running, due_at, attempts, last_error, failed_at,
/// created_at, succeeded_at`.
fn job(row: &Row<'_>) -> Result<Job, StoreError> {
    let instant = |column| Ok::<_, StoreError>(Timestamp::from_ms(row.get(column)?));
    let optional_instant =
        |column| Ok::<_, StoreError>(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_ms));
    let (is_running, attempts, failed_at) = (row.get(4)?, row.get(6)?, optional_instant(8)?);
    Ok(Job {
        id: JobId(row.get(0)?),
        kind: text(row, 1)?.to_owned(),
        key: text(row, 2)?.to_owned(),
        environment: super::rows::optional(row, 3, EnvironmentKind::from_name)?,
        status: JobStatus::of(failed_at.is_some(), is_running, attempts),
        due_at: instant(5)?,
        attempts,
        last_error: row.get(7)?,
        failed_at,
        created_at: instant(9)?,
        succeeded_at: optional_instant(10)?,
    })
}
