use std::fmt::Write as _;

use kana_core::Timestamp;
use kana_service::{Clock, EnvironmentKind, SystemClock};
use kana_store::jobs::{Job, JobId, JobStatus, Retried};
use serde_json::{Value, json};

use super::{Failure, open_existing, print};
use crate::settings::DatabaseSettings;

/// How many jobs are shown at most. Those that need somebody come first.
const SHOWN_MAX: usize = 1000;
/// How much of an error a line shows, in characters. All of it is in the JSON.
const ERROR_CHARACTERS: usize = 160;

const HEADINGS: [&str; 8] =
    ["ID", "KIND", "KEY", "ENVIRONMENT", "STATUS", "DUE", "ATTEMPTS", "LAST ERROR"];

/// Shows jobs, a line each, or as JSON.
pub(crate) async fn list(settings: &DatabaseSettings, as_json: bool) -> Result<(), Failure> {
    let mut jobs = open_existing(settings).await?.jobs(SHOWN_MAX + 1).await?;
    let are_more = jobs.len() > SHOWN_MAX;
    jobs.truncate(SHOWN_MAX);
    let text = if as_json {
        format!("{:#}\n", Value::from_iter(jobs.iter().map(to_json)))
    } else {
        table(&jobs)
    };
    print(&text).map_err(Failure::Output)?;
    if are_more {
        tracing::warn!("there are more than {SHOWN_MAX} jobs; the others wait for their time");
    }
    Ok(())
}

/// Makes a job due now, with as many attempts as a new one.
pub(crate) async fn retry(settings: &DatabaseSettings, id: JobId) -> Result<(), Failure> {
    match open_existing(settings).await?.retry_job(id, SystemClock.now()).await? {
        Retried::DueNow => {
            tracing::info!("the job {id} is due now; a running server starts it within a second");
            Ok(())
        }
        Retried::Runs => Err(Failure::JobRuns(id)),
        Retried::Unknown => Err(Failure::NoJob(id)),
    }
}

/// Columns are as wide as what stands in them. The last one takes what it needs.
fn table(jobs: &[Job]) -> String {
    let lines: Vec<[String; 8]> =
        [HEADINGS.map(str::to_owned)].into_iter().chain(jobs.iter().map(line)).collect();
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for [columns @ .., error] in &lines {
        for (column, width) in columns.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{column:<width$}  ");
        }
        let _ = writeln!(text, "{error}");
    }
    text
}

fn line(job: &Job) -> [String; 8] {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { in_a_line(text) };
    // One that runs is past its time, and a dead one has none.
    let due = match job.status {
        JobStatus::Waiting | JobStatus::Failing => job.due_at.to_string(),
        JobStatus::Running | JobStatus::Dead => "-".to_owned(),
    };
    [
        job.id.to_string(),
        in_a_line(&job.kind),
        or_dash(&job.key),
        or_dash(job.environment.map_or("", EnvironmentKind::name)),
        job.status.name().to_owned(),
        due,
        job.attempts.to_string(),
        or_dash(&shortened(job.last_error.as_deref().unwrap_or_default())),
    ]
}

/// Text without what would end the line or control the terminal.
fn in_a_line(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

fn shortened(error: &str) -> String {
    match error.char_indices().nth(ERROR_CHARACTERS) {
        Some((end, _)) => format!("{}…", &error[..end]),
        None => error.to_owned(),
    }
}

fn to_json(job: &Job) -> Value {
    let instant = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": job.id.to_string(),
        "kind": job.kind,
        "key": job.key,
        "environment": job.environment.map(EnvironmentKind::name),
        "status": job.status.name(),
        "dueAt": job.due_at.to_string(),
        "attempts": job.attempts,
        "lastError": job.last_error,
        "failedAt": instant(job.failed_at),
        "createdAt": job.created_at.to_string(),
        "succeededAt": instant(job.succeeded_at),
    })
}
