//! Users as comma-separated values: how they are written, and how a file that somebody made is read
//! (contract: `dashboard.md`, "CSV"). Pure: bytes in, records or errors with line and column out.
//!
//! The reading is our own. Ready-made readers take a stray quotation mark for text, and cannot say where
//! a cell stood.

mod cells;
mod columns;
mod error;
mod guard;
mod limits;
mod reader;
mod records;
mod row;
#[cfg(test)]
mod tests;
mod writing;

pub(crate) use error::LineError;
pub use error::{CsvError, Place};
pub(crate) use limits::FILE_BYTES_MAX;
pub(crate) use reader::{Read, UserReader};
pub(crate) use row::UserRow;
pub use writing::{write_row, write_user, write_user_header};
