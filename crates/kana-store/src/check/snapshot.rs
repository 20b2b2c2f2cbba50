//! What a check needs of an engine.

use async_trait::async_trait;
use uuid::Uuid;

use crate::error::StoreError;

/// Takes a row. An error ends the statement.
pub(crate) type Visit<'a> = &'a mut (dyn FnMut(&Row) -> Result<(), StoreError> + Send);

/// A view of one instant of a database.
#[async_trait]
pub(crate) trait Snapshot: Send {
    /// Returns how the engine's statements differ.
    fn dialect(&self) -> Dialect;

    /// Reads the rows of a statement, one after the other. If it fails, the next one can be read anyway.
    async fn each(&mut self, sql: &str, visit: Visit<'_>) -> Result<(), StoreError>;
}

/// The words in which the SQL of the engines differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Returns an id as text, as the API shows it but for its prefix.
    pub(crate) fn id(self, column: &str) -> String {
        match self {
            Self::Sqlite => format!("lower(hex({column}))"),
            Self::Postgres => format!("replace(CAST({column} AS text), '-', '')"),
        }
    }
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Id(Uuid),
}

/// A row of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row(pub(crate) Vec<Cell>);

impl Row {
    /// Returns the number at a place.
    pub(crate) fn integer(&self, place: usize) -> Result<i64, StoreError> {
        match self.0.get(place) {
            Some(Cell::Integer(value)) => Ok(*value),
            other => Err(unreadable(place, other)),
        }
    }

    /// Returns the number at a place, if there is one.
    pub(crate) fn integer_or_null(&self, place: usize) -> Result<Option<i64>, StoreError> {
        match self.0.get(place) {
            Some(Cell::Null) => Ok(None),
            _ => self.integer(place).map(Some),
        }
    }

    /// Returns the text at a place.
    pub(crate) fn text(&self, place: usize) -> Result<&str, StoreError> {
        match self.0.get(place) {
            Some(Cell::Text(text)) => Ok(text),
            other => Err(unreadable(place, other)),
        }
    }

    /// Returns the text at a place, if there is one.
    pub(crate) fn text_or_null(&self, place: usize) -> Result<Option<&str>, StoreError> {
        match self.0.get(place) {
            Some(Cell::Null) => Ok(None),
            _ => self.text(place).map(Some),
        }
    }

    /// Returns the id at a place.
    pub(crate) fn id(&self, place: usize) -> Result<Uuid, StoreError> {
        match self.0.get(place) {
            Some(Cell::Id(id)) => Ok(*id),
            other => Err(unreadable(place, other)),
        }
    }
}

fn unreadable(place: usize, cell: Option<&Cell>) -> StoreError {
    StoreError::Unreadable(format!("column {place} of a check: {cell:?}"))
}
