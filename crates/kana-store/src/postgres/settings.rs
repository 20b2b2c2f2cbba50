use crate::deadlines::Deadlines;

/// Operator settings for the connections of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many connections the node opens at most.
    pub connections_max: usize,
    /// How many of them write at the same time.
    pub lanes: usize,
    /// The deadlines of calls.
    pub deadlines: Deadlines,
}

impl Settings {
    /// The settings of a server.
    pub const DEFAULT: Self = Self { connections_max: 20, lanes: 4, deadlines: Deadlines::DEFAULT };
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
