//! Jobs that many nodes share. All instants are of the database's clock, so that nodes whose clocks
//! differ agree on what is due and on how long a lease lasts.

use std::sync::Arc;

use async_trait::async_trait;
use kana_core::Timestamp;
use tokio::sync::Notify;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::parameters::count;
use super::rows::{instant, optional, optional_instant, text};
use super::statements as sql;
use super::store::PostgresStore;
use super::transaction::{PostgresTransaction, Question};
use crate::app::{EnvironmentId, EnvironmentKind};
use crate::columns::Named;
use crate::error::StoreError;
use crate::jobs::{
    ClaimedJob, Due, Ended, Job, JobId, JobStatus, JobStore, JobTransaction, LEASE, LEASE_RAN_OUT,
    Lease, MENDED_AT_ONCE, NewJob, Retried, Room, cut, in_order, milliseconds,
};

#[async_trait]
impl JobStore for PostgresStore {
    async fn claim_jobs(
        &self,
        rooms: &[Room],
        at_most: usize,
        _now: Timestamp,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        let kinds: Vec<&str> = rooms.iter().map(|room| room.kind).collect();
        let places: Vec<i64> = rooms.iter().map(|room| count(room.jobs)).collect();
        let (at_most, lease) = (count(at_most), milliseconds(LEASE));
        let mend: Question<'_> = (sql::MEND_WAITS, &[&MENDED_AT_ONCE]);
        let claim: Question<'_> =
            (sql::CLAIM_JOBS, &[&kinds, &places, &at_most, &lease, &LEASE_RAN_OUT]);
        let mut transaction = self.begin_write();
        // Not by `change`: to mark the transaction would cost one that finds nothing a number. If
        // nobody knows what became of a claim, its lease runs out.
        let answers = transaction.ask(&[mend, claim]).await?;
        let claimed = answers.last().into_iter().flatten().map(claimed_job);
        let claimed = claimed.collect::<Result<Vec<_>, _>>()?;
        if answers.iter().any(|rows| !rows.is_empty()) {
            transaction.commit_changes().await?;
        }
        Ok(claimed)
    }

    async fn renew_lease(&self, lease: Lease, _now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin_write();
        let until = milliseconds(LEASE);
        held(&mut transaction, &[(sql::RENEW_LEASE, &[&lease.id.0, &lease.fence, &until])]).await?;
        transaction.commit_changes().await
    }

    async fn end_attempt(
        &self,
        lease: Lease,
        ended: Ended,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin_write();
        end_attempt(&mut transaction, lease, &ended).await?;
        transaction.commit_changes().await
    }

    async fn jobs(&self, at_most: usize) -> Result<Vec<Job>, StoreError> {
        let rows = self.begin_read().ask_one(sql::JOBS, &[&count(at_most)]).await?;
        rows.iter().map(job).collect()
    }

    async fn retry_job(&self, id: JobId, _now: Timestamp) -> Result<Retried, StoreError> {
        let mut transaction = self.begin_write();
        let id: &[&(dyn ToSql + Sync)] = &[&id.0];
        let answers = transaction.change(&[(sql::RETRY_JOB, id), (sql::HAS_JOB, id)]).await?;
        let found: Vec<bool> = answers.iter().map(|rows| !rows.is_empty()).collect();
        match found[..] {
            [true, _] => {
                transaction.schedules_jobs = true;
                transaction.commit_changes().await?;
                Ok(Retried::DueNow)
            }
            [false, true] => Ok(Retried::Runs),
            _ => Ok(Retried::Unknown),
        }
    }

    fn jobs_scheduled(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.jobs_scheduled)
    }
}

#[async_trait]
impl JobTransaction for PostgresTransaction {
    async fn schedule_jobs(&mut self, jobs: &[NewJob], now: Timestamp) -> Result<(), StoreError> {
        let jobs = in_order(jobs, now);
        if jobs.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = jobs.iter().map(|_| JobId::new(now).0).collect();
        let kinds: Vec<&str> = jobs.iter().map(|job| job.kind).collect();
        let keys: Vec<&str> = jobs.iter().map(|job| job.key.as_str()).collect();
        let environments: Vec<Option<i64>> =
            jobs.iter().map(|job| job.environment.map(|environment| environment.0)).collect();
        let (due_at, waits): (Vec<_>, Vec<_>) = jobs.iter().map(|job| columns(job.due)).unzip();
        let rows: &[&(dyn ToSql + Sync)] = &[&ids, &kinds, &keys, &environments, &due_at, &waits];
        self.change(&[(sql::SCHEDULE_JOBS, rows)]).await?;
        self.schedules_jobs = true;
        Ok(())
    }

    async fn save_job(&mut self, lease: Lease, state: &str) -> Result<(), StoreError> {
        held(self, &[(sql::SAVE_JOB, &[&lease.id.0, &lease.fence, &state])]).await
    }
}

async fn end_attempt(
    transaction: &mut PostgresTransaction,
    Lease { id, fence }: Lease,
    ended: &Ended,
) -> Result<(), StoreError> {
    let id = id.0;
    match ended {
        Ended::Finished => {
            let job: &[&(dyn ToSql + Sync)] = &[&id, &fence];
            held(transaction, &[(sql::FINISH_JOB, job), (sql::BEGIN_JOB_AGAIN, job)]).await
        }
        Ended::GoesOn { due, state } => {
            let (due_at, wait) = columns(*due);
            let changed: &[&(dyn ToSql + Sync)] = &[&id, &fence, &due_at, &wait, state];
            held(transaction, &[(sql::GO_ON_WITH_JOB, changed)]).await
        }
        Ended::Failed { error, retry: Some(pause) } => {
            let (pause, error) = (milliseconds(*pause), cut(error));
            held(transaction, &[(sql::RETRY_JOB_LATER, &[&id, &fence, &pause, &error])]).await
        }
        Ended::Failed { error, retry: None } => {
            held(transaction, &[(sql::BURY_JOB, &[&id, &fence, &cut(error)])]).await
        }
        Ended::GivenBack => held(transaction, &[(sql::GIVE_JOB_BACK, &[&id, &fence])]).await,
    }
}

/// Runs statements of which one changes a job under its lease.
async fn held(
    transaction: &mut PostgresTransaction,
    questions: &[Question<'_>],
) -> Result<(), StoreError> {
    let answers = transaction.change(questions).await?;
    if answers.iter().all(Vec::is_empty) { Err(StoreError::LostLease) } else { Ok(()) }
}

/// An instant, or how long to wait.
fn columns(due: Due) -> (Option<i64>, Option<i64>) {
    match due {
        Due::At(at) => (Some(at.as_ms()), None),
        Due::After(wait) => (None, Some(milliseconds(wait))),
    }
}

/// Reads `id, fence, kind, key, environment_id, attempts, state`.
fn claimed_job(row: &Row) -> Result<ClaimedJob, StoreError> {
    Ok(ClaimedJob {
        lease: Lease { id: JobId(row.try_get(0)?), fence: row.try_get(1)? },
        kind: row.try_get(2)?,
        key: row.try_get(3)?,
        environment: row.try_get::<_, Option<i64>>(4)?.map(EnvironmentId),
        attempts: attempts(row, 5)?,
        state: row.try_get(6)?,
    })
}

/// Reads `id, kind, key, environment's kind, is_running, due_at, attempts, last_error, failed_at,
/// created_at, succeeded_at`.
fn job(row: &Row) -> Result<Job, StoreError> {
    let (attempts, failed_at) = (attempts(row, 6)?, optional_instant(row, 8)?);
    Ok(Job {
        id: JobId(row.try_get(0)?),
        kind: text(row, 1)?.to_owned(),
        key: text(row, 2)?.to_owned(),
        environment: optional(row, 3, EnvironmentKind::from_name)?,
        status: JobStatus::of(failed_at.is_some(), row.try_get(4)?, attempts),
        due_at: instant(row, 5)?,
        attempts,
        last_error: row.try_get(7)?,
        failed_at,
        created_at: instant(row, 9)?,
        succeeded_at: optional_instant(row, 10)?,
    })
}

fn attempts(row: &Row, column: usize) -> Result<u32, StoreError> {
    let attempts: i64 = row.try_get(column)?;
    u32::try_from(attempts).map_err(|_| StoreError::Unreadable(format!("attempts {attempts}")))
}
