use std::io::{self, Write};

use kana_core::Timestamp;

use super::batch::{Batch, Row, Scope};
use super::checksum::Tally;
use super::file::write_header;
use super::kinds::Kind;
use super::line;
use super::value::Value;
use crate::app::EnvironmentKind;
use crate::error::StoreError;

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
        let mut line = write_header(scope, exported_at)?;
        line.push(b'\n');
        out.write_all(&line)?;
        Ok(Self { out, line, tally: Tally::default() })
    }

    /// Begins with the first record.
    pub(crate) fn of_lines(out: W) -> Self {
        Self { out, line: Vec::new(), tally: Tally::default() }
    }

    /// Ends with the last record, and answers what was written.
    pub(crate) fn finish_lines(mut self) -> io::Result<Tally> {
        self.out.flush()?;
        Ok(self.tally)
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
    let environment = row.environment.map_or("", EnvironmentKind::name);
    let first = match row.values.first() {
        Some(Value::Text(text)) => format!("{text:?}"),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Uuid(uuid)) => uuid.to_string(),
        _ => String::new(),
    };
    StoreError::Unreadable(format!("{environment} {} {first}: {problem}", kind.name()))
}
