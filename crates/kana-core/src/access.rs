//! The answers of the access table (contract: `entitlements.md`, "Access").

use serde::{Deserialize, Serialize};

/// Whether a user may use a feature, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entitlement {
    /// Whether the user may use it.
    pub access: bool,
    /// Why.
    pub reason: Reason,
    /// How much was used; `None` for a `BINARY` feature, or if nothing grants the feature.
    pub consumption: Option<Consumption>,
}

/// How much of a budget was used in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumption {
    /// The usage, 0 or more. It can exceed the budget.
    pub used: i64,
    /// The limit; `None` means unlimited.
    pub budget: Option<i64>,
    /// Whether usage may go over the budget.
    pub overage_enabled: bool,
}

/// The row of the access table that an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Nothing grants the feature.
    NotGranted,
    /// The feature is `BINARY` and granted.
    Granted,
    /// There is no limit.
    Unlimited,
    /// `used + delta` is at most the limit.
    WithinLimit,
    /// Usage goes over the limit, and overage is enabled.
    Overage,
    /// Usage would go over the limit, and overage is not enabled.
    LimitReached,
}

impl Reason {
    /// Returns the reason as a sentence for a developer's log. It is fixed and names no ids.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotGranted => "None of the user's subscriptions grants this feature.",
            Self::Granted => "A subscription of the user grants this feature.",
            Self::Unlimited => "A subscription of the user grants this feature without a limit.",
            Self::WithinLimit => "The usage is within the limit of the user's subscription.",
            Self::Overage => "The usage is over the limit, and the subscription allows overage.",
            Self::LimitReached => "The usage would go over the limit of the user's subscription.",
        }
    }
}
