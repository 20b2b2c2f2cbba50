//! An export of a store to a file, and an import of a file to a store.

use std::io::{self, BufRead, Write};

use kana_core::Timestamp;
use kana_core::change::AuditKind;
use kana_core::day::Day;
use kana_core::id::UserKey;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::batch::{Batch, Counts, Export, Row, Scope};
use super::checksum::Tally;
use super::import::Import;
use super::kinds::Kind;
use super::line;
use super::reading::{LinesRead, ReadError, Reader};
use super::value::Value;
use super::writing::{WriteError, Writer};
use crate::actor::Actor;
use crate::app::EnvironmentKind;
use crate::check::Finding;
use crate::error::StoreError;
use crate::store::Store;

/// Why an export or an import failed. An import that fails leaves nothing behind.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// There is nothing to export.
    #[error("the database has no app yet: there is nothing to export")]
    NoApp,
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The export could not be written.
    #[error("the export cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The export could not be read.
    #[error("the export cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The export holds what it may not.
    #[error("line {line}: {problem}")]
    Line {
        /// Where, from 1 on.
        line: u64,
        /// What is wrong there.
        problem: String,
    },
    /// Records on some lines are none that requests could have made.
    #[error("lines {first_line} to {last_line}: {problem}")]
    Lines {
        /// The first of them.
        first_line: u64,
        /// The last of them.
        last_line: u64,
        /// What is wrong there.
        problem: String,
    },
    /// The database does not take what stands on some lines.
    #[error("lines {first_line} to {last_line}: {source}")]
    Refused {
        /// The first of them.
        first_line: u64,
        /// The last of them.
        last_line: u64,
        /// What the database said.
        source: StoreError,
    },
    /// What was read back is not what was imported.
    #[error("the database does not hold what was imported: {0}")]
    NotTheSame(String),
}

impl From<WriteError> for TransferError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io(error) => Self::Write(error),
            WriteError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ReadError> for TransferError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Read(error),
            ReadError::Line(line, problem) => Self::Line { line, problem },
        }
    }
}

/// How far an export or an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many records of about so many are written.
    Exported(u64, u64),
    /// So many bytes of the file are imported.
    Imported(u64),
    /// So many records of so many are read back.
    Checked(u64, u64),
}

/// Writes an export of a store to `out`: what was there at one instant.
pub async fn export(
    store: &dyn Store,
    scope: &Scope,
    out: impl Write,
    exported_at: Timestamp,
    progress: &mut dyn FnMut(Progress),
) -> Result<Tally, TransferError> {
    let Export { expected, mut batches } = store.export(scope).await?;
    if expected.of(Kind::App) == 0 {
        return Err(TransferError::NoApp);
    }
    let mut writer = Writer::begin(out, scope, exported_at).map_err(TransferError::Write)?;
    let mut exported = 0;
    while let Some(batch) = batches.next().await? {
        writer.write(&batch)?;
        exported += batch.len();
        progress(Progress::Exported(exported, expected.total()));
    }
    writer.finish().map_err(TransferError::Write)
}

/// Writes everything that is stored of one user to `out`, what was there at one instant: the lines that an
/// export has of the user, without its first and its last one.
pub async fn export_user(
    store: &dyn Store,
    environment: EnvironmentKind,
    user: UserKey,
    out: impl Write,
) -> Result<Tally, TransferError> {
    let scope = Scope { environments: vec![environment], token_secrets: false, user: Some(user) };
    let mut batches = store.export(&scope).await?.batches;
    let mut writer = Writer::of_lines(out);
    while let Some(batch) = batches.next().await? {
        writer.write(&batch)?;
    }
    writer.finish_lines().map_err(TransferError::Write)
}

/// What the thread that reads a file has to say.
enum Parsed {
    Lines(LinesRead),
    End(Tally),
    Failed(ReadError),
}

/// How many batches may wait for the database.
const WAITING_MAX: usize = 2;

/// Who imports, and when: what the audit log has of the import itself.
#[derive(Debug, Clone)]
pub struct ImportedBy {
    /// Who imports.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
}

/// Imports an export into an empty store, all or nothing. If it is known `by` whom, adds an entry to the
/// audit log of each environment and, for an export of a release that had no usage by day, since when
/// that is complete. Returns what was imported, and of what.
pub async fn import(
    store: &dyn Store,
    input: impl BufRead + Send + 'static,
    by: Option<&ImportedBy>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Scope, Tally), TransferError> {
    let reader = Reader::begin(input)?;
    let scope = reader.scope().clone();
    let mut import = store.import().await?;
    let (tally, grants) = insert_all(import.as_mut(), parse_beside(reader)?, progress).await?;
    if let Some((first_line, last_line)) = grants
        && let Some(Finding { subject, found, .. }) = import.wrong_draw().await?
    {
        let problem = format!("{subject} {found}");
        return Err(TransferError::Lines { first_line, last_line, problem });
    }
    check(import.as_mut(), &scope, &tally, progress).await?;
    if let Some(by) = by {
        import.insert(&audited(&scope, &tally, by)).await?;
        if lacks_usage_by_day(&tally.counts) {
            import.insert(&usage_since(&scope, by)).await?;
        }
    }
    import.commit().await?;
    Ok((scope, tally))
}

/// The entries of the audit log that an import adds.
fn audited(scope: &Scope, tally: &Tally, by: &ImportedBy) -> Batch {
    let after = format!("{{\"records\":{}}}", tally.counts.total());
    let entry = |environment: &EnvironmentKind| Row {
        environment: Some(*environment),
        // In the order of the columns of the kind.
        values: vec![
            Value::Uuid(Uuid::now_v7()),
            Value::Integer(by.at.as_ms()),
            Value::Text(by.actor.to_string()),
            Value::Text("import".to_owned()),
            Value::Text(AuditKind::Configuration.name().to_owned()),
            Value::Null,
            Value::Null,
            Value::Text(after.clone()),
            Value::Null,
        ],
    };
    Batch { kind: Kind::AuditEntry, rows: scope.environments.iter().map(entry).collect() }
}

/// Returns true if there was usage, and none of it by day.
fn lacks_usage_by_day(counts: &Counts) -> bool {
    let has = |kind| counts.of(kind) > 0;
    has(Kind::UsedFeature) && !has(Kind::UsageByDay) && !has(Kind::UsageSince)
}

/// The records that the usage by day is complete from the day after the import on.
fn usage_since(scope: &Scope, by: &ImportedBy) -> Batch {
    let day = Day::of(by.at).saturating_add(1).number();
    let since = |environment: &EnvironmentKind| Row {
        environment: Some(*environment),
        values: vec![Value::Integer(day)],
    };
    Batch { kind: Kind::UsageSince, rows: scope.environments.iter().map(since).collect() }
}

/// Reads and checks a file while the database takes what was read before. The thread ends when
/// nobody wants more; should it wait for more of the file then, it does so until the process ends.
fn parse_beside(
    mut reader: Reader<impl BufRead + Send + 'static>,
) -> Result<mpsc::Receiver<Parsed>, TransferError> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let parse = move || {
        loop {
            let parsed = match reader.next() {
                Ok(Some(lines)) => Parsed::Lines(lines),
                Ok(None) => Parsed::End(*reader.tally()),
                Err(error) => Parsed::Failed(error),
            };
            let is_last = !matches!(parsed, Parsed::Lines(_));
            if sender.blocking_send(parsed).is_err() || is_last {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("kana-import".into()).spawn(parse);
    thread.map_err(TransferError::Read)?;
    Ok(receiver)
}

/// Adds all records. Returns what they are, and on which lines the first grant and the last one stand.
async fn insert_all(
    import: &mut dyn Import,
    mut parsed: mpsc::Receiver<Parsed>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Tally, Option<(u64, u64)>), TransferError> {
    let mut grants: Option<(u64, u64)> = None;
    loop {
        match parsed.recv().await {
            Some(Parsed::Lines(LinesRead { batch, first_line, last_line, bytes })) => {
                let inserted = import.insert(&batch).await;
                inserted.map_err(|source| TransferError::Refused {
                    first_line,
                    last_line,
                    source,
                })?;
                if batch.kind == Kind::Grant {
                    grants = Some((grants.map_or(first_line, |(first, _)| first), last_line));
                }
                progress(Progress::Imported(bytes));
            }
            Some(Parsed::End(tally)) => return Ok((tally, grants)),
            Some(Parsed::Failed(error)) => return Err(error.into()),
            None => {
                let ended = io::Error::other("reading it ended too early");
                return Err(TransferError::Read(ended));
            }
        }
    }
}

/// Reads everything back and compares it with what was imported.
async fn check(
    import: &mut dyn Import,
    scope: &Scope,
    imported: &Tally,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), TransferError> {
    let mut batches = import.read_back(scope).await?;
    let (mut tally, mut line) = (Tally::default(), Vec::new());
    while let Some(batch) = batches.next().await? {
        for row in &batch.rows {
            line.clear();
            line::write(batch.kind, row, &mut line);
            tally.add(batch.kind, &line);
        }
        progress(Progress::Checked(tally.counts.total(), imported.counts.total()));
    }
    if let Some(difference) = line::difference(&imported.counts, &tally.counts) {
        return Err(TransferError::NotTheSame(format!("it should have {difference}")));
    }
    if tally.checksum != imported.checksum {
        return Err(TransferError::NotTheSame("the checksum is another".to_owned()));
    }
    Ok(())
}
