use crate::deadlines::Deadlines;

/// What a server can choose of the embedded engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerOptions {
    /// How long calls wait.
    pub deadlines: Deadlines,
    /// How much memory the filters of idempotency keys may take, in bytes. Those of the newest keys are
    /// in memory; the others are read at each look-up.
    pub key_filter_bytes_max: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { deadlines: Deadlines::DEFAULT, key_filter_bytes_max: 64 * 1024 * 1024 }
    }
}
