use std::io::{self, BufRead, Read};

use super::batch::{Batch, Gathering, Row, Scope};
use super::checksum::Tally;
use super::file::read_header;
use super::file_rules::FileRules;
use super::kinds::Kind;
use super::line::{self, Line};

/// The most bytes of a line: far more than any record has.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

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
    rules: FileRules,
    /// A record that did not belong to the batch before it.
    kept: Option<(Kind, Row)>,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    pub(crate) fn begin(input: R) -> Result<Self, ReadError> {
        let mut reader = Self {
            input,
            scope: Scope { environments: Vec::new(), token_secrets: false, user: None },
            line: Vec::new(),
            line_number: 0,
            line_is_whole: true,
            bytes: 0,
            spelled: Vec::new(),
            tally: Tally::default(),
            gathering: Gathering::of(Kind::App),
            rules: FileRules::default(),
            kept: None,
            ended: false,
        };
        if !reader.next_line()? {
            return Err(ReadError::Line(1, "the file is empty, and so no export".to_owned()));
        }
        reader.scope = read_header(&reader.line).map_err(|problem| reader.wrong(problem))?;
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
                    let checked = self.rules.check(kind, &row, self.line_number);
                    checked.map_err(|(line, problem)| ReadError::Line(line, problem))?;
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
                    let checked = self.rules.check_features();
                    checked.map_err(|(line, problem)| ReadError::Line(line, problem))?;
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
