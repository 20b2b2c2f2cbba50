//! The cells of a record, by RFC 4180.

use std::borrow::Cow;

use super::error::{LineError, Place};
use super::records::RawRecord;

/// A cell, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) place: Place,
}

/// The cells of a record, and where it ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cells<'a> {
    pub(super) cells: Vec<Cell<'a>>,
    pub(super) end: Place,
}

/// Reads the cells of a record.
pub(super) fn read<'a>(record: &RawRecord<'a>) -> Result<Cells<'a>, LineError> {
    let text = std::str::from_utf8(record.bytes).map_err(|error| {
        let good = record.bytes.get(..error.valid_up_to()).unwrap_or_default();
        let mut cursor = Cursor::new("", record.place());
        String::from_utf8_lossy(good).chars().for_each(|char| cursor.pass(char));
        let message = "Is not UTF-8 here. Save the file as CSV in UTF-8.";
        LineError::new(cursor.place, message)
    })?;
    let mut cursor = Cursor::new(text, record.place());
    let mut cells = Vec::new();
    loop {
        let place = cursor.place;
        let text = match cursor.rest.starts_with('"') {
            true => quoted(&mut cursor)?,
            false => Cow::Borrowed(plain(&mut cursor)?),
        };
        cells.push(Cell { text, place });
        // A cell ends with a comma, or with the record.
        if cursor.next().is_none() {
            return Ok(Cells { cells, end: cursor.place });
        }
    }
}

/// Reads a cell without quotation marks, up to a comma.
fn plain<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, LineError> {
    let text = cursor.rest;
    let end = text.find(',').unwrap_or(text.len());
    let cell = &text[..end];
    while cursor.rest.len() > text.len() - end {
        let place = cursor.place;
        match cursor.next() {
            Some('"') => {
                let message = "A quotation mark may not stand here: a cell that has one is quoted, \
                               and has it twice.";
                return Err(LineError::new(place, message));
            }
            Some('\r') => {
                let message = "A line may not end here with a carriage return alone.";
                return Err(LineError::new(place, message));
            }
            _ => {}
        }
    }
    Ok(cell)
}

/// Reads a cell within quotation marks, up to a comma.
fn quoted<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, str>, LineError> {
    let begin = cursor.place;
    cursor.next();
    let mut text = String::new();
    loop {
        let place = cursor.place;
        match cursor.next() {
            None => {
                let message = "The quotation mark that opens this cell is never closed.";
                return Err(LineError::new(begin, message));
            }
            Some('"') if cursor.rest.starts_with('"') => {
                cursor.next();
                text.push('"');
            }
            Some('"') if cursor.rest.is_empty() || cursor.rest.starts_with(',') => {
                return Ok(Cow::Owned(text));
            }
            Some('"') => {
                let message = "A quotation mark may not stand here: after the one that closes a cell \
                               comes a comma or the end of the line.";
                return Err(LineError::new(place, message));
            }
            Some(char) => text.push(char),
        }
    }
}

/// A text that is being read, and where the rest of it begins.
struct Cursor<'a> {
    rest: &'a str,
    place: Place,
}

impl<'a> Cursor<'a> {
    fn new(rest: &'a str, place: Place) -> Self {
        Self { rest, place }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let char = chars.next()?;
        self.rest = chars.as_str();
        self.pass(char);
        Some(char)
    }

    fn pass(&mut self, char: char) {
        let Place { line, column } = &mut self.place;
        if char == '\n' {
            *line = line.saturating_add(1);
            *column = 1;
        } else {
            *column = column.saturating_add(1);
        }
    }
}
