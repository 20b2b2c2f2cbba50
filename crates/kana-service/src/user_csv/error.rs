//! Why a file, or a line of it, cannot be read. Each message says where, and what to do.

use std::fmt;

/// A place in a file. Lines and columns are counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a line cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineError {
    pub(crate) place: Place,
    /// A sentence.
    pub(crate) message: String,
}

impl LineError {
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}

/// Why a file as a whole cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// Nothing is in it.
    #[error(
        "The file is empty. Its first line must name the columns, like id,name,email,billing_id,metadata."
    )]
    Empty,
    /// It is UTF-16, as spreadsheets write "Unicode text".
    #[error("The file is UTF-16. Save it as CSV in UTF-8, which Excel calls “CSV UTF-8”.")]
    Utf16,
    /// Something else than commas separates the columns.
    #[error("The columns are separated by {separator}. Save the file with commas between them.")]
    Separator {
        /// What separates them.
        separator: &'static str,
    },
    /// The line that names the columns cannot be read.
    #[error("{message} ({place})")]
    Header {
        /// Where.
        place: Place,
        /// A sentence.
        message: String,
    },
    /// A column that no user has.
    #[error("There is no column {name:?} of users. The columns are {known}; packages is ignored.")]
    UnknownColumn {
        /// What stands in the file.
        name: String,
        /// The columns that there are.
        known: String,
    },
    /// A column that stands twice.
    #[error("The column {name} stands twice.")]
    DuplicateColumn {
        /// The column.
        name: &'static str,
    },
    /// No column says who the users are.
    #[error("There is no column id, which says which user a line is about.")]
    NoId,
    /// A record that goes on and on.
    #[error(
        "The user that begins in line {line} has more than 1 MiB. Is a closing quotation mark missing?"
    )]
    RecordTooLong {
        /// Where it begins.
        line: u32,
    },
    /// More users than are taken at once.
    #[error("The file has more than 500,000 users. Divide it.")]
    TooManyUsers,
    /// More bytes than are taken at once.
    #[error("The file has more than 50 MB. Divide it.")]
    TooLarge,
}
