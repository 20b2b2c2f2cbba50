//! The statements that read and write a kind, which engines share.

use super::batch::{Row, Scope};
use super::description::{Column, Order, Owner};
use super::kinds::Kind;
use crate::app::{EnvironmentId, EnvironmentKind};
use crate::error::StoreError;

/// The id of the app's row.
pub(crate) const APP_ID: i64 = 1;

/// The environments of a database by their ids.
pub(crate) type Environments = Vec<(i64, EnvironmentKind)>;

/// Which rows are read of each kind.
pub(crate) struct Selected {
    /// Those of these environments.
    environments: Vec<i64>,
    /// And only those of the user with this key, as the engine writes it in a statement.
    user: Option<String>,
}

impl Selected {
    pub(crate) fn new(environments: &Environments, user: Option<String>) -> Self {
        Self { environments: environments.iter().map(|(id, _)| *id).collect(), user }
    }
}

/// Those that are in the scope.
pub(crate) fn in_scope(environments: &Environments, scope: &Scope) -> Environments {
    let is_in = |(_, kind): &&(i64, EnvironmentKind)| scope.environments.contains(kind);
    environments.iter().filter(is_in).copied().collect()
}

/// The id of what a row belongs to.
pub(crate) fn owner_id(
    kind: Kind,
    row: &Row,
    environments: &Environments,
) -> Result<i64, StoreError> {
    let environment = match (kind.description().owner, row.environment) {
        (Owner::App(_), _) => return Ok(APP_ID),
        (Owner::NoEnvironment(_), _) => return Ok(EnvironmentId::NONE.0),
        (Owner::Environment(_), environment) => environment,
    };
    environments
        .iter()
        .find_map(|(id, kind)| (Some(*kind) == environment).then_some(*id))
        .ok_or_else(|| StoreError::Unreadable("the app does not come first".into()))
}

fn owner(kind: Kind) -> &'static str {
    match kind.description().owner {
        Owner::App(column) | Owner::Environment(column) | Owner::NoEnvironment(column) => column,
    }
}

/// The names of the columns that hold a row: its owner's, then the kind's own.
pub(super) fn names(kind: Kind) -> String {
    let own = kind.columns().iter().map(|Column { name, .. }| *name);
    std::iter::once(owner(kind)).chain(own).collect::<Vec<_>>().join(", ")
}

/// The rows of a kind in `table` that are selected.
fn rows(kind: Kind, table: &str, selected: &Selected) -> String {
    match kind.description().owner {
        Owner::App(_) => table.to_owned(),
        Owner::NoEnvironment(column) => {
            format!("{table} WHERE {column} = {}", EnvironmentId::NONE.0)
        }
        Owner::Environment(column) => {
            let ids: Vec<String> = selected.environments.iter().map(i64::to_string).collect();
            // An empty list is no SQL, and an empty database has no environments.
            let ids = if ids.is_empty() { "NULL".to_owned() } else { ids.join(", ") };
            let user = match (&selected.user, kind.key_of_user()) {
                (Some(key), Some(column)) => format!(" AND {column} = {key}"),
                _ => String::new(),
            };
            format!("{table} WHERE {column} IN ({ids}){user}")
        }
    }
}

/// Reads [`names`] of every row in `table`; `arrival` is how the engine orders rows as they arrived.
pub(crate) fn select(kind: Kind, table: &str, selected: &Selected, arrival: &str) -> String {
    let order = match kind.description().order {
        Order::By(columns) => format!("ORDER BY {columns}"),
        Order::Arrival => arrival.to_owned(),
    };
    format!("SELECT {} FROM {} {order}", names(kind), rows(kind, table, selected))
}

/// Counts the rows in `table`.
pub(crate) fn count(kind: Kind, table: &str, selected: &Selected) -> String {
    format!("SELECT count(*) FROM {}", rows(kind, table, selected))
}

/// Adds up the usage of all features on each day. That is not exported, since it can be.
pub(crate) const ADD_UP_USAGE: &str = "
    INSERT INTO usage_totals (environment_id, day, events, uncounted)
    SELECT environment_id, day, sum(events), sum(uncounted) FROM usage_by_day
    GROUP BY environment_id, day";

/// Where a row is written to: the table with [`names`].
pub(crate) fn target(kind: Kind) -> String {
    target_in(kind.table(), kind)
}

/// Like [`target`], but for another table of the same columns.
pub(crate) fn target_in(table: &str, kind: Kind) -> String {
    format!("{table} ({})", names(kind))
}

/// Says of an environment, which is the first parameter, what its record says. `parameter` is how the
/// engine marks parameters.
pub(crate) fn update_environment(parameter: char) -> String {
    let columns = Kind::Environment.columns().iter().enumerate();
    let set: Vec<String> = columns
        .map(|(place, column)| format!("{} = {parameter}{}", column.name, place + 2))
        .collect();
    format!(
        "UPDATE {} SET {} WHERE {} = {parameter}1",
        Kind::Environment.table(),
        set.join(", "),
        owner(Kind::Environment)
    )
}
