//! Overrides: other terms of one feature for one user (contract: `beyond.md`, "Overrides").

use crate::allowance::{Allowance, Stacking};
use crate::id::{FeatureId, OverrideId};
use crate::metadata::Label;
use crate::period::{Reset, ResetAnchor};
use crate::source::{Lifetime, Source};
use crate::subscription::AsOf;
use crate::terms::TermsHistory;
use crate::timestamp::Timestamp;

/// Other terms of one feature for one user. A user has at most one for each feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Chosen by Kana. Counters of its own are kept under it.
    pub id: OverrideId,
    /// The feature.
    pub feature: FeatureId,
    /// What it says.
    pub terms: OverrideTerms,
    /// When it was first set.
    pub starts_at: Timestamp,
    /// The first instant after it; `None` until it is removed.
    pub ends_at: Option<Timestamp>,
    /// Why it was set, in the product's words.
    pub reason: Option<Label>,
    /// What its own counters were counted under, oldest first; the last ones say what `terms` says.
    pub history: TermsHistory,
}

/// What an override says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverrideTerms {
    /// The user may not use the feature.
    Deny,
    /// The user may use the feature, up to a limit or without one.
    Allow {
        /// The limit, 0 or more; `None` means unlimited.
        limit: Option<i64>,
        /// Whether usage may go over the limit; `None` leaves that to the package.
        overage_enabled: Option<bool>,
        /// If present, the override counts usage by itself, in periods of its own.
        reset: Option<Reset>,
    },
}

/// What an override is called in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OverrideKind {
    /// `LIMIT`.
    Limit,
    /// `UNLIMITED`.
    Unlimited,
    /// `DENY`.
    Deny,
}

impl OverrideKind {
    /// Returns the name in the contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit => "LIMIT",
            Self::Unlimited => "UNLIMITED",
            Self::Deny => "DENY",
        }
    }
}

impl OverrideTerms {
    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> OverrideKind {
        match self {
            Self::Deny => OverrideKind::Deny,
            Self::Allow { limit: Some(_), .. } => OverrideKind::Limit,
            Self::Allow { limit: None, .. } => OverrideKind::Unlimited,
        }
    }

    /// Returns what counters of the override's own are counted under; `None` if it denies the feature.
    #[must_use]
    pub fn allowance(&self) -> Option<Allowance> {
        match *self {
            Self::Deny => None,
            Self::Allow { limit, overage_enabled, reset } => Some(Allowance {
                limit,
                overage_enabled: overage_enabled.unwrap_or_default(),
                reset_period: reset.map(|reset| reset.period),
                reset_anchor: reset.map_or(ResetAnchor::Subscription, |reset| reset.anchor),
                stacking: Stacking::Highest,
                rollover: None,
            }),
        }
    }

    /// Returns an allowance of a subscription with the override's limit instead of its own, of any
    /// quantity, what is added to it, and what is carried.
    pub(crate) fn instead_of(&self, own: Allowance) -> Allowance {
        match *self {
            Self::Deny => own,
            Self::Allow { limit, overage_enabled, .. } => Allowance {
                limit,
                overage_enabled: overage_enabled.unwrap_or(own.overage_enabled),
                rollover: None,
                ..own
            },
        }
    }

    /// Returns true if the override counts usage by itself whatever else the user has.
    pub(crate) fn counts_itself(&self) -> bool {
        matches!(self, Self::Allow { reset: Some(_), .. })
    }
}

impl Override {
    /// Returns true if it lives at that time. An override whose start lies ahead of this clock lives now:
    /// another node's clock may be ahead.
    #[must_use]
    pub fn lives(&self, as_of: AsOf) -> bool {
        let has_begun = match as_of {
            AsOf::Now(_) => true,
            AsOf::Moment(at) => self.starts_at <= at,
        };
        has_begun && self.ends_at.is_none_or(|ends_at| as_of.at() < ends_at)
    }

    /// Returns true if it denies the feature at a time at which it lives: if it says so or, at a past instant,
    /// if it said so then.
    #[must_use]
    pub fn denies(&self, as_of: AsOf) -> bool {
        let said_so = |at| {
            let mut earlier = self.history.terms().iter().rev();
            earlier.find(|terms| terms.since <= at).is_some_and(|terms| terms.allowance.is_none())
        };
        self.terms == OverrideTerms::Deny || matches!(as_of, AsOf::Moment(at) if said_so(at))
    }
}

impl From<&Override> for Lifetime {
    fn from(known: &Override) -> Self {
        Self {
            source: Source::Override(known.id),
            origin: known.starts_at.into(),
            ended_at: known.ends_at,
            was_ended: false,
        }
    }
}
