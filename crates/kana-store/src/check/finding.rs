use serde::Serialize;

/// Something that a check has found wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check: `pages`, `counters`, `subscriptions`, `references`, `periods`, `packages`, `replays`,
    /// `ids`, `partitions` or `copies`.
    pub check: &'static str,
    /// What it is about, like `user ada in live`.
    pub subject: String,
    /// What is wrong with it.
    pub found: String,
}
