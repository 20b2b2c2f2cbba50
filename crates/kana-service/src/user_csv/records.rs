//! Splits a file into records while its bytes arrive. No more than one record is kept.

use super::error::{CsvError, Place};
use super::limits::RECORD_BYTES_MAX;

/// How many bytes tell UTF-16 from UTF-8.
const HEAD_BYTES: usize = 4;
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// A record as it stands in the file, without the end of its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawRecord<'a> {
    pub(super) bytes: &'a [u8],
    /// Where it begins.
    pub(super) line: u32,
}

impl RawRecord<'_> {
    pub(super) fn place(&self) -> Place {
        Place { line: self.line, column: 1 }
    }
}

/// Where in a record the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell.
    Start,
    /// In a cell that is not quoted, or in one that is broken: the record ends with the line.
    Plain,
    /// Within quotation marks.
    Quoted,
    /// After a quotation mark that closes the cell, unless another follows.
    Closed,
}

/// Splits bytes into records.
#[derive(Debug)]
pub(super) struct Splitter {
    /// The first bytes of the file, until there are enough to tell its encoding.
    head: Option<Vec<u8>>,
    /// Those of the first bytes that are not split yet.
    pending: Vec<u8>,
    raw: Vec<u8>,
    state: State,
    /// Whether `raw` was given out.
    is_given: bool,
    first_line: u32,
    line: u32,
}

impl Splitter {
    pub(super) fn new() -> Self {
        Self {
            head: Some(Vec::with_capacity(HEAD_BYTES)),
            pending: Vec::new(),
            raw: Vec::new(),
            state: State::Start,
            is_given: false,
            first_line: 1,
            line: 1,
        }
    }

    /// Takes bytes until a record is complete and returns it; `None` once all are taken. A line without a
    /// character is no record.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<RawRecord<'_>>, CsvError> {
        self.begin();
        if let Some(head) = &mut self.head {
            let (first, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - head.len()));
            head.extend_from_slice(first);
            *bytes = rest;
            if head.len() < HEAD_BYTES {
                return Ok(None);
            }
            self.open()?;
        }
        let is_complete = self.split_pending()? || self.split(bytes)?;
        Ok(is_complete.then(|| self.record()))
    }

    /// Returns the records that are left at the end of the file, one with each call; `None` when there
    /// are no more.
    pub(super) fn last(&mut self) -> Result<Option<RawRecord<'_>>, CsvError> {
        self.begin();
        self.open()?;
        self.is_given = self.split_pending()? || !self.is_blank();
        Ok(self.is_given.then(|| self.record()))
    }

    /// Looks at the first bytes, now that there are enough of them, or no more.
    fn open(&mut self) -> Result<(), CsvError> {
        let Some(head) = self.head.take() else { return Ok(()) };
        if is_utf16(&head) {
            return Err(CsvError::Utf16);
        }
        self.pending = head.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(&head).to_vec();
        Ok(())
    }

    fn split_pending(&mut self) -> Result<bool, CsvError> {
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        let is_complete = self.split(&mut rest)?;
        self.pending = rest.to_vec();
        Ok(is_complete)
    }

    /// Takes bytes until a record is complete. Returns false once all are taken.
    fn split(&mut self, bytes: &mut &[u8]) -> Result<bool, CsvError> {
        while !bytes.is_empty() {
            if self.split_line(bytes)? {
                self.is_given = !self.is_blank();
                if self.is_given {
                    return Ok(true);
                }
                self.forget();
            }
        }
        Ok(false)
    }

    /// Takes bytes up to the end of a line. Returns true if that ends the record.
    fn split_line(&mut self, bytes: &mut &[u8]) -> Result<bool, CsvError> {
        let mut taken = 0;
        let mut ends = false;
        for byte in *bytes {
            taken += 1;
            self.state = match (self.state, byte) {
                (State::Quoted, b'"') => State::Closed,
                (State::Quoted, b'\n') => {
                    self.line = self.line.saturating_add(1);
                    State::Quoted
                }
                (State::Quoted, _) | (State::Closed | State::Start, b'"') => State::Quoted,
                (_, b'\n') => {
                    ends = true;
                    break;
                }
                (_, b',') => State::Start,
                (State::Closed, b'\r') => State::Closed,
                _ => State::Plain,
            };
        }
        let (these, rest) = bytes.split_at(taken);
        *bytes = rest;
        self.raw.extend_from_slice(these);
        if self.raw.len() > RECORD_BYTES_MAX {
            return Err(CsvError::RecordTooLong { line: self.first_line });
        }
        Ok(ends)
    }

    /// Forgets the record that was given out.
    fn begin(&mut self) {
        if self.is_given {
            self.forget();
        }
    }

    /// Begins the next record in the next line.
    fn forget(&mut self) {
        self.raw.clear();
        self.is_given = false;
        self.state = State::Start;
        self.line = self.line.saturating_add(1);
        self.first_line = self.line;
    }

    fn is_blank(&self) -> bool {
        matches!(&*self.raw, b"" | b"\n" | b"\r\n" | b"\r")
    }

    fn record(&self) -> RawRecord<'_> {
        let bytes = self.raw.strip_suffix(b"\n").unwrap_or(&self.raw);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        RawRecord { bytes, line: self.first_line }
    }
}

/// UTF-16 begins with a mark, or has a zero in one of the first two characters.
fn is_utf16(head: &[u8]) -> bool {
    head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) || head.contains(&0)
}
