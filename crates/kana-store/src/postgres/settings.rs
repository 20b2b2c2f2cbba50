use crate::deadlines::Deadlines;
use crate::error::StoreError;

/// What is between a node and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or a pooler that gives a connection one session as long as it lasts and passes its
    /// options on.
    None,
    /// A pooler that may give each transaction another session, like PgBouncer in transaction mode.
    /// Settings go with each transaction, no statement has a name, and nothing outlives a
    /// transaction.
    Transaction,
}

impl Pooler {
    /// Adds where to look to an error of a start or a command. Behind a pooler, an unavailable
    /// database is as often the pooler's doing.
    pub(super) fn explain(self, error: StoreError) -> StoreError {
        match (self, error) {
            (Self::Transaction, StoreError::Unavailable(cause)) => {
                let advice = "with --database-pooler transaction, see the pooler's log, and its \
                              SHOW POOLS";
                StoreError::Unavailable(format!("{cause}; {advice}").into())
            }
            (_, error) => error,
        }
    }
}

/// Operator settings for the connections of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many connections the node opens at most.
    pub connections_max: usize,
    /// How many of them write at the same time.
    pub lanes: usize,
    /// The deadlines of calls.
    pub deadlines: Deadlines,
    /// What is between the node and the server.
    pub pooler: Pooler,
}

impl Settings {
    /// The settings of a server with four cores or more.
    pub const DEFAULT: Self =
        Self { connections_max: 20, lanes: 4, deadlines: Deadlines::DEFAULT, pooler: Pooler::None };

    /// Sets as many lanes as a node with so many cores keeps busy, 2 to 4: more make smaller batches,
    /// each of which has a price of its own.
    #[must_use]
    pub fn with_lanes_of(self, cores: usize) -> Self {
        Self { lanes: cores.clamp(2, 4), ..self }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_two_to_four_lanes() {
        let lanes = [0, 1, 2, 3, 4, 64].map(|cores| Settings::DEFAULT.with_lanes_of(cores).lanes);
        assert_eq!(lanes, [2, 2, 2, 3, 4, 4]);
    }
}
