//! The plan as data, as the server writes it.

use serde::Deserialize;

/// What publishing does to one feature or package.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    /// `feature`, `package` or `addon`.
    pub(super) kind: String,
    pub(super) id: String,
    /// `create`, `change`, `archive`, `delete` or `keep`.
    pub(super) action: String,
    /// The severity of the finding about it.
    pub(super) severity: String,
    #[serde(default)]
    pub(super) differences: Vec<Difference>,
    /// The number of differences that the server left out.
    #[serde(default)]
    pub(super) omitted_differences: usize,
    /// Why it is kept.
    pub(super) reason: Option<String>,
    /// The number of users who are subscribed to a package that changes what it gives or is
    /// archived.
    pub(super) active_subscribers: Option<u64>,
}

/// A value that is different afterwards.
#[derive(Debug, Deserialize)]
pub(super) struct Difference {
    pub(super) field: String,
    /// The feature within the package, if the value is what the package gives of it.
    pub(super) feature: Option<String>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) severity: String,
    /// What it does to usage.
    pub(super) note: Option<String>,
}
