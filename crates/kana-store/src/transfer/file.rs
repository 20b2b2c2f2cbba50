//! An export as a file: a header, a record on each line, and an end that says what came before it.

use std::io::{self, BufRead, Read, Write};

use kana_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::batch::{Batch, Gathering, Row, Scope};
use super::checksum::Tally;
use super::kinds::Kind;
use super::line::{self, Line};
use crate::app::EnvironmentKind;
use crate::columns::Named;
use crate::error::StoreError;

/// The format that this release writes, and the newest that it reads.
const FORMAT: u64 = 1;

/// The most bytes of a line: far more than any record has.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    kana_export: u64,
    environments: Vec<String>,
    exported_at: String,
    token_secrets: bool,
}

/// Only what every format has.
#[derive(Deserialize)]
struct AnyHeader {
    kana_export: u64,
}

/// Writes an export.
pub(crate) struct Writer<W> {
    out: W,
    line: Vec<u8>,
    tally: Tally,
}

/// Why a batch could not be written.
pub(crate) enum WriteError {
    Io(io::Error),
    Store(StoreError),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<W: Write> Writer<W> {
    pub(crate) fn begin(mut out: W, scope: &Scope, exported_at: Timestamp) -> io::Result<Self> {
        let header = Header {
            kana_export: FORMAT,
            environments: scope.environments.iter().map(|kind| kind.name().to_owned()).collect(),
            exported_at: exported_at.to_string(),
            token_secrets: scope.token_secrets,
        };
        let mut line = serde_json::to_vec(&header)?;
        line.push(b'\n');
        out.write_all(&line)?;
        Ok(Self { out, line, tally: Tally::default() })
    }

    /// Writes records, each checked, so that what is written can be imported.
    pub(crate) fn write(&mut self, batch: &Batch) -> Result<(), WriteError> {
        for row in &batch.rows {
            self.line.clear();
            line::write(batch.kind, row, &mut self.line);
            if let Err(problem) = row.check(batch.kind) {
                return Err(WriteError::Store(unreadable(batch.kind, row, &problem)));
            }
            self.tally.add(batch.kind, &self.line);
            self.line.push(b'\n');
            self.out.write_all(&self.line)?;
        }
        Ok(())
    }

    /// Writes the end and answers what was written.
    pub(crate) fn finish(mut self) -> io::Result<Tally> {
        self.line.clear();
        line::write_end(&self.tally, &mut self.line);
        self.line.push(b'\n');
        self.out.write_all(&self.line)?;
        self.out.flush()?;
        Ok(self.tally)
    }
}

/// Says which row holds what it may not, by its first column, which is never a secret.
fn unreadable(kind: Kind, row: &Row, problem: &str) -> StoreError {
    let environment = row.environment.map_or("the app", EnvironmentKind::name);
    let first = kind.columns().first().zip(row.values.first());
    let which = first.map(|(column, value)| format!("{} {value:?}", column.name));
    StoreError::Unreadable(format!(
        "{} of {environment}, {}: {problem}",
        kind.name(),
        which.unwrap_or_default()
    ))
}

/// Why a file cannot be read as an export.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    /// What is wrong with which line.
    Line(u64, String),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Records of a file, with the lines where they stand.
#[derive(Debug)]
pub(crate) struct LinesRead {
    pub(crate) batch: Batch,
    pub(crate) first_line: u64,
    pub(crate) last_line: u64,
    /// How many bytes of the file have been read.
    pub(crate) bytes: u64,
}

/// Reads an export and checks everything in it.
pub(crate) struct Reader<R> {
    input: R,
    scope: Scope,
    line: Vec<u8>,
    line_number: u64,
    /// Whether the line that was read last ended as lines do.
    line_is_whole: bool,
    bytes: u64,
    spelled: Vec<u8>,
    tally: Tally,
    gathering: Gathering,
    /// A record that did not belong to the batch before it.
    kept: Option<(Kind, Row)>,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    pub(crate) fn begin(input: R) -> Result<Self, ReadError> {
        let mut reader = Self {
            input,
            scope: Scope { environments: Vec::new(), token_secrets: false },
            line: Vec::new(),
            line_number: 0,
            line_is_whole: true,
            bytes: 0,
            spelled: Vec::new(),
            tally: Tally::default(),
            gathering: Gathering::of(Kind::App),
            kept: None,
            ended: false,
        };
        if !reader.next_line()? {
            return Err(ReadError::Line(1, "the file is empty, and so no export".to_owned()));
        }
        reader.scope = header(&reader.line).map_err(|problem| reader.wrong(problem))?;
        Ok(reader)
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What was read, once nothing is left.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The next records; `None` after the end, which is as the file says.
    pub(crate) fn next(&mut self) -> Result<Option<LinesRead>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let first_line = self.line_number + u64::from(self.kept.is_none());
        if let Some((kind, row)) = self.kept.take() {
            self.gathering = Gathering::of(kind);
            if let Some(batch) = self.gathering.add(row) {
                return Ok(Some(self.read(batch, first_line, self.line_number)));
            }
        }
        loop {
            if !self.next_line()? {
                return Err(self.wrong("the file has no end: it was cut".to_owned()));
            }
            match line::parse(&self.line).map_err(|problem| self.wrong_or_cut(problem))? {
                Line::Record(kind, row) => {
                    self.admit(kind, &row).map_err(|problem| self.wrong(problem))?;
                    if kind != self.gathering.kind() {
                        self.kept = Some((kind, row));
                        if let Some(batch) = self.gathering.take() {
                            return Ok(Some(self.read(batch, first_line, self.line_number - 1)));
                        }
                        return self.next();
                    }
                    if let Some(batch) = self.gathering.add(row) {
                        return Ok(Some(self.read(batch, first_line, self.line_number)));
                    }
                }
                Line::End(said) => {
                    self.check_end(&said).map_err(|problem| self.wrong(problem))?;
                    let end = self.line_number;
                    if self.next_line()? {
                        return Err(self.wrong("there is more after the end".to_owned()));
                    }
                    self.ended = true;
                    let batch = self.gathering.take();
                    return Ok(batch.map(|batch| self.read(batch, first_line, end - 1)));
                }
            }
        }
    }

    fn read(&self, batch: Batch, first_line: u64, last_line: u64) -> LinesRead {
        LinesRead { batch, first_line, last_line, bytes: self.bytes }
    }

    /// Counts a record, if it may stand here.
    fn admit(&mut self, kind: Kind, row: &Row) -> Result<(), String> {
        if let Some(environment) = row.environment
            && !self.scope.environments.contains(&environment)
        {
            return Err(format!("the first line does not name the environment {environment}"));
        }
        if kind == Kind::TokenSecret && !self.scope.token_secrets {
            return Err("the first line says that there are no token secrets".to_owned());
        }
        let before = self.kept.as_ref().map_or(self.gathering.kind(), |(kind, _)| *kind);
        if kind < before {
            return Err(format!("{} must stand before {}", kind.name(), before.name()));
        }
        self.spelled.clear();
        line::write(kind, row, &mut self.spelled);
        self.tally.add(kind, &self.spelled);
        Ok(())
    }

    /// Whether what was read is what the end says.
    fn check_end(&self, said: &Tally) -> Result<(), String> {
        if let Some(difference) = line::difference(&said.counts, &self.tally.counts) {
            return Err(format!("the file should have {difference}: it was cut or changed"));
        }
        if said.checksum != self.tally.checksum {
            return Err("the checksum is another: the file was changed".to_owned());
        }
        let counts = &self.tally.counts;
        if counts.of(Kind::App) != 1 {
            return Err("the file must have one app".to_owned());
        }
        if counts.of(Kind::Environment) != self.scope.environments.len() as u64 {
            return Err("the file must have each environment of its first line once".to_owned());
        }
        Ok(())
    }

    fn wrong(&self, problem: String) -> ReadError {
        ReadError::Line(self.line_number.max(1), problem)
    }

    fn wrong_or_cut(&self, problem: String) -> ReadError {
        if self.line_is_whole {
            self.wrong(problem)
        } else {
            self.wrong("the file ends in the middle of a line: it was cut".to_owned())
        }
    }

    /// Reads the next line, without its end; `false` when there is none.
    fn next_line(&mut self) -> Result<bool, ReadError> {
        self.line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.line)?;
        self.bytes += read as u64;
        if read == 0 {
            return Ok(false);
        }
        self.line_number += 1;
        self.line_is_whole = self.line.pop_if(|byte| *byte == b'\n').is_some();
        if self.line.len() > LINE_BYTES_MAX {
            return Err(self.wrong("the line is longer than 4 MiB".to_owned()));
        }
        Ok(true)
    }
}

/// What the first line says that is in the file.
fn header(line: &[u8]) -> Result<Scope, String> {
    let any: AnyHeader = serde_json::from_slice(line)
        .map_err(|_| "this is no export of Kana: its first line has no kana_export".to_owned())?;
    if any.kana_export != FORMAT {
        return Err(format!(
            "the export has format {}, and this release reads format {FORMAT}: import it with the \
             release that made it, or a newer one",
            any.kana_export
        ));
    }
    let header: Header = serde_json::from_slice(line).map_err(|error| line::problem(&error))?;
    Timestamp::parse("exported_at", &header.exported_at).map_err(|error| error.to_string())?;
    let mut environments = Vec::new();
    for name in &header.environments {
        let environment = EnvironmentKind::from_name(name)
            .map_err(|_| format!("environments: there is no environment {name:?}"))?;
        if environments.contains(&environment) {
            return Err(format!("environments: {name} stands twice"));
        }
        environments.push(environment);
    }
    if environments.is_empty() {
        return Err("environments must not be empty".to_owned());
    }
    Ok(Scope { environments, token_secrets: header.token_secrets })
}
