//! The line that names the columns.

use super::cells::{self, Cell};
use super::error::CsvError;
use super::records::RawRecord;
use crate::user_fields::{FIELDS, ID, UserField};

/// A column of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Id,
    /// Another id for the user. It comes from people only.
    NewId,
    Field(&'static UserField),
    /// Written by the export, and not read.
    Packages,
}

const NEW_ID: &str = "new_id";
const PACKAGES: &str = "packages";

impl Column {
    /// Returns every column that a file may have.
    fn all() -> impl Iterator<Item = Self> {
        [Self::Id, Self::NewId]
            .into_iter()
            .chain(FIELDS.iter().map(Self::Field))
            .chain([Self::Packages])
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Id => ID,
            Self::NewId => NEW_ID,
            Self::Field(field) => field.name,
            Self::Packages => PACKAGES,
        }
    }
}

/// Returns the names of the columns of an export, in its order.
pub(super) fn exported() -> impl Iterator<Item = &'static str> {
    Column::all().filter(|column| *column != Column::NewId).map(Column::name)
}

/// Returns the names of the columns that are read, for a message.
fn read_names() -> String {
    let names: Vec<&str> =
        Column::all().filter(|column| *column != Column::Packages).map(Column::name).collect();
    names.join(", ")
}

/// The columns of a file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns(Vec<Column>);

impl Columns {
    /// Reads the line that names the columns.
    pub(super) fn read(record: &RawRecord<'_>) -> Result<Self, CsvError> {
        if let Some(separator) = other_separator(&String::from_utf8_lossy(record.bytes)) {
            return Err(CsvError::Separator { separator });
        }
        let cells = cells::read(record)
            .map_err(|error| CsvError::Header { place: error.place, message: error.message })?;
        let mut columns: Vec<Column> = Vec::with_capacity(cells.cells.len());
        for Cell { text, .. } in &cells.cells {
            let Some(column) = Column::all().find(|column| column.name() == text) else {
                let name = text.chars().take(NAME_CHARS_SHOWN).collect();
                return Err(CsvError::UnknownColumn { name, known: read_names() });
            };
            if columns.contains(&column) {
                return Err(CsvError::DuplicateColumn { name: column.name() });
            }
            columns.push(column);
        }
        if columns.contains(&Column::Id) { Ok(Self(columns)) } else { Err(CsvError::NoId) }
    }

    /// Returns the columns in the order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = Column> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has(&self, column: Column) -> bool {
        self.0.contains(&column)
    }
}

/// How much of an unknown name a message shows, in characters.
const NAME_CHARS_SHOWN: usize = 80;

/// Returns what separates the columns if commas do not. A spreadsheet may say so in a line of its own.
fn other_separator(line: &str) -> Option<&'static str> {
    let is_name = |text: &str| {
        let text = text.trim_matches(['"', ' ']);
        Column::all().any(|column| column.name().eq_ignore_ascii_case(text))
    };
    [(';', "semicolons"), ('\t', "tabs")].into_iter().find_map(|(char, name)| {
        let says_so = line.trim_matches('"') == format!("sep={char}");
        let is_it = line.contains(char) && line.split(char).any(is_name);
        (says_so || is_it).then_some(name)
    })
}
