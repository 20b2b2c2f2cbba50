//! How a table is described as data: where its rows are, and what each column may hold.

use super::value::Form;

/// Whose rows a table holds, and in which column its id stands. Ids of environments are each
/// database's own, and so do not travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    App(&'static str),
    Environment(&'static str),
    /// Those rows of a table of the environments that belong to none of them.
    NoEnvironment(&'static str),
}

/// In which order rows travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By these columns.
    By(&'static str),
    /// As they arrived, as far as the engine knows.
    Arrival,
}

/// A column of a kind.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) nullable: bool,
    /// The value for which an export leaves the field out.
    pub(crate) left_out: Option<i64>,
}

/// Where rows of a kind stand, and what they hold.
#[derive(Debug)]
pub(crate) struct Description {
    /// The kind's name on a line of an export.
    pub(crate) name: &'static str,
    pub(crate) table: &'static str,
    pub(crate) owner: Owner,
    pub(crate) order: Order,
    /// Beside the environment, in the order in which they are written.
    pub(crate) columns: &'static [Column],
}

pub(crate) const fn column(name: &'static str, form: Form) -> Column {
    Column { name, form, nullable: false, left_out: None }
}

pub(crate) const fn optional(name: &'static str, form: Form) -> Column {
    Column { name, form, nullable: true, left_out: None }
}

/// The owner of all rows that belong to an environment.
pub(crate) const OWNER: Owner = Owner::Environment("environment_id");

impl Description {
    /// Returns something for each column from place `first` on, with commas between them. `text` gets
    /// the column and its place.
    pub(crate) fn list(&self, first: usize, text: impl Fn(usize, &Column) -> String) -> String {
        let columns = self.columns.iter().enumerate().skip(first);
        columns.map(|(place, column)| text(place, column)).collect::<Vec<_>>().join(", ")
    }
}
