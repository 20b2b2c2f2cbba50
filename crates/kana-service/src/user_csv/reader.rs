//! Reads a file of users while its bytes arrive.

use super::columns::{Column, Columns};
use super::error::{CsvError, LineError};
use super::limits::USERS_MAX;
use super::records::{RawRecord, Splitter};
use super::row::UserRow;

/// A line about a user that was read, or why it was not.
pub(crate) type Read = Result<UserRow, LineError>;

/// Reads a file of users while its bytes arrive. Keeps no more than the current record.
#[derive(Debug)]
pub(crate) struct UserReader {
    splitter: Splitter,
    rows: Rows,
}

#[derive(Debug, Default)]
struct Rows {
    columns: Option<Columns>,
    count: u32,
}

impl UserReader {
    pub(crate) fn new() -> Self {
        Self { splitter: Splitter::new(), rows: Rows::default() }
    }

    /// Takes bytes until a line about a user is complete and returns it; `None` once all are taken.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Read>, CsvError> {
        while let Some(record) = self.splitter.next(bytes)? {
            if let Some(read) = self.rows.read(&record)? {
                return Ok(Some(read));
            }
        }
        Ok(None)
    }

    /// Returns the lines that are left at the end of the file, one with each call; `None` when there are
    /// no more.
    pub(crate) fn last(&mut self) -> Result<Option<Read>, CsvError> {
        while let Some(record) = self.splitter.last()? {
            if let Some(read) = self.rows.read(&record)? {
                return Ok(Some(read));
            }
        }
        if self.rows.columns.is_some() { Ok(None) } else { Err(CsvError::Empty) }
    }

    /// Returns true if the file has a column of packages, which is not read.
    pub(crate) fn ignores_packages(&self) -> bool {
        self.rows.columns.as_ref().is_some_and(|columns| columns.has(Column::Packages))
    }
}

impl Rows {
    /// Reads a record; `None` if it is the one that names the columns.
    fn read(&mut self, record: &RawRecord<'_>) -> Result<Option<Read>, CsvError> {
        let Some(columns) = &self.columns else {
            self.columns = Some(Columns::read(record)?);
            return Ok(None);
        };
        self.count += 1;
        if self.count > USERS_MAX {
            return Err(CsvError::TooManyUsers);
        }
        Ok(Some(UserRow::read(record, columns)))
    }
}
