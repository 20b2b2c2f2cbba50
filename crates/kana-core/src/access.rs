//! The answers of the access table (contract: `entitlements.md`, "Access").

use serde::{Deserialize, Serialize};

use crate::allowance::Allowance;

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
    /// The limit, with what is added to it; `None` means unlimited.
    pub budget: Option<i64>,
    /// Whether usage may go over the budget.
    pub overage_enabled: bool,
    /// What there is beside the limit and the usage.
    #[serde(default, skip_serializing_if = "Extras::is_none")]
    pub extras: Extras,
}

/// What there is in a period beside its own limit and its usage, each 0 or more (contract: `beyond.md`,
/// "The model").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// What the budget has from earlier periods.
    #[serde(default)]
    pub carried: i64,
    /// What the budget has from grants. Without a limit, it is no part of a budget.
    #[serde(default)]
    pub granted: i64,
    /// How much is held for jobs that run.
    #[serde(default)]
    pub held: i64,
}

impl Extras {
    /// Nothing.
    pub const NONE: Self = Self { carried: 0, granted: 0, held: 0 };

    /// Returns true if there is nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

impl Consumption {
    /// Returns how much of an allowance was used, if there is nothing else.
    pub(crate) fn new(allowance: Allowance, used: i64) -> Self {
        let Allowance { limit: budget, overage_enabled, .. } = allowance;
        Self { used, budget, overage_enabled, extras: Extras::NONE }
    }

    /// Returns it with what is left of earlier periods. Without a limit that is no part of a budget.
    pub(crate) fn with_carried(self, carried: i64) -> Self {
        let budget = self.budget.map(|budget| budget.saturating_add(carried));
        Self { budget, extras: Extras { carried, ..self.extras }, ..self }
    }

    /// Returns it with what grants give.
    pub(crate) fn with_granted(self, granted: i64) -> Self {
        let budget = self.budget.map(|budget| budget.saturating_add(granted));
        Self { budget, extras: Extras { granted, ..self.extras }, ..self }
    }

    /// Returns it with what is held.
    pub(crate) fn with_held(self, held: i64) -> Self {
        Self { extras: Extras { held, ..self.extras }, ..self }
    }

    /// Returns the limit of what counts, by its quantity, with what is added to it; `None` means
    /// unlimited.
    #[must_use]
    pub fn allowance(&self) -> Option<i64> {
        let Extras { carried, granted, .. } = self.extras;
        self.budget.map(|budget| budget.saturating_sub(carried).saturating_sub(granted))
    }

    /// Returns what the budget has from earlier periods.
    #[must_use]
    pub fn carried(&self) -> i64 {
        self.extras.carried
    }

    /// Returns what the budget has from grants.
    #[must_use]
    pub fn granted(&self) -> i64 {
        self.extras.granted
    }

    /// Returns how much is held for jobs that run.
    #[must_use]
    pub fn held(&self) -> i64 {
        self.extras.held
    }

    /// Returns how much is left, 0 or more; `None` means unlimited.
    #[must_use]
    pub fn remaining(&self) -> Option<i64> {
        let taken = self.used.saturating_add(self.held());
        self.budget.map(|budget| budget.saturating_sub(taken).max(0))
    }
}

/// The row of the access table that an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Nothing grants the feature.
    NotGranted,
    /// An override denies the feature.
    Denied,
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
    /// It is held already: the same hold was asked for before.
    Held,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::NotGranted,
        Self::Denied,
        Self::Granted,
        Self::Unlimited,
        Self::WithinLimit,
        Self::Overage,
        Self::LimitReached,
        Self::Held,
    ];

    /// Returns the reason as a word for programs (contract: `beyond.md`, "Why").
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotGranted => "NOT_GRANTED",
            Self::Denied => "DENIED",
            Self::Granted => "GRANTED",
            Self::Unlimited => "UNLIMITED",
            Self::WithinLimit => "WITHIN_LIMIT",
            Self::Overage => "OVERAGE",
            Self::LimitReached => "LIMIT_REACHED",
            Self::Held => "HELD",
        }
    }

    /// Returns the reason as a sentence for a developer's log. It is fixed and names no ids.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Denied => "An override denies this feature to the user.",
            Self::NotGranted => "Nothing grants this feature to the user.",
            Self::Granted => "The user has this feature.",
            Self::Unlimited => "The user has this feature without a limit.",
            Self::WithinLimit => "The usage is within the user's budget.",
            Self::Overage => "The usage is over the user's budget, and overage is allowed.",
            Self::LimitReached => "The usage would go over the user's budget.",
            Self::Held => "The amount was held by an earlier request with this id.",
        }
    }
}
