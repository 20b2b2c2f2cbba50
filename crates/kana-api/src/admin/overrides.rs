//! Overrides: other terms of one feature for one user.

use async_graphql::{Enum, InputObject, Object};
use kana_core::Timestamp;
use kana_core::decide::OverrideInput;
use kana_core::id::{FeatureId, UserId};
use kana_core::metadata::Label;
use kana_core::overrides::{self, OverrideTerms};
use kana_core::period::Reset;
use kana_core::refusal::InvalidValue;

use super::input::read;
use super::package::{ResetAnchor, ResetPeriod};
use crate::counter::int;
use crate::error::ApiError;
use crate::scalars::DateTime;

/// What an override says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "OverrideKind", remote = "overrides::OverrideKind")]
pub(super) enum OverrideKind {
    /// Another limit
    Limit,
    /// No limit; a BINARY feature is granted
    Unlimited,
    /// The user may not use the feature
    Deny,
}

pub(super) struct Override {
    user: UserId,
    known: overrides::Override,
}

impl Override {
    pub(super) fn new(user: UserId, known: overrides::Override) -> Self {
        Self { user, known }
    }

    fn allowed(&self) -> (Option<i64>, Option<bool>, Option<Reset>) {
        match self.known.terms {
            OverrideTerms::Deny => (None, None, None),
            OverrideTerms::Allow { limit, overage_enabled, reset } => {
                (limit, overage_enabled, reset)
            }
        }
    }
}

/// Other terms of one feature for one user.
#[Object(name = "Override")]
impl Override {
    /// Chosen by Kana; stays while the override lives
    async fn id(&self) -> String {
        self.known.id.to_string()
    }

    /// The product's own id of the user
    async fn user_id(&self) -> &str {
        self.user.as_str()
    }

    /// The id of the feature
    async fn feature_id(&self) -> &str {
        self.known.feature.as_str()
    }

    /// What it says
    async fn kind(&self) -> OverrideKind {
        self.known.terms.kind().into()
    }

    /// The limit, in the feature's unit; null unless LIMIT. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn limit(&self) -> Option<Result<i32, ApiError>> {
        self.allowed().0.map(|limit| int(limit, "budgetExact"))
    }

    /// The periods in which it counts usage by itself; null = the subscription counts
    async fn reset_period(&self) -> Option<ResetPeriod> {
        self.allowed().2.map(|reset| reset.period.into())
    }

    /// What its periods are counted from: SUBSCRIPTION means from its start; null without a reset period
    async fn reset_anchor(&self) -> Option<ResetAnchor> {
        self.allowed().2.map(|reset| reset.anchor.into())
    }

    /// Whether usage may go over the limit; null = as the package says
    async fn overage_enabled(&self) -> Option<bool> {
        self.allowed().1
    }

    /// When it was first set
    async fn starts_at(&self) -> DateTime {
        DateTime(self.known.starts_at)
    }

    /// The first instant after it; null = until it is removed
    async fn ends_at(&self) -> Option<DateTime> {
        self.known.ends_at.map(DateTime)
    }

    /// Why it was set, in the product's words
    async fn reason(&self) -> Option<&str> {
        self.known.reason.as_ref().map(Label::as_str)
    }
}

/// Other terms of one feature for one user, to be set.
#[derive(InputObject)]
pub(super) struct SetOverrideInput {
    /// The product's own id of the user
    user_id: String,
    /// The id of the feature
    feature_id: String,
    /// What the override says
    kind: OverrideKind,
    /// The limit, 0 or more, in the feature's unit; for LIMIT only
    limit: Option<i32>,
    /// With a reset period the override counts usage by itself; without one, only the terms of the
    /// subscription that counts are others
    reset_period: Option<ResetPeriod>,
    /// What its periods are counted from; default SUBSCRIPTION, which means from its start
    reset_anchor: Option<ResetAnchor>,
    /// Whether usage may go over the limit; absent = as the package says. For LIMIT only
    overage_enabled: Option<bool>,
    /// The first instant after it, in the future; absent = until it is removed
    ends_at: Option<DateTime>,
    /// Why, for people; up to 255 characters
    reason: Option<String>,
}

/// Everything that `setOverride` needs.
pub(super) type SetOverride =
    (UserId, FeatureId, OverrideInput, (Option<Timestamp>, Option<Label>));

impl SetOverrideInput {
    pub(super) fn read(self) -> Result<SetOverride, InvalidValue> {
        let input = OverrideInput {
            kind: self.kind.into(),
            limit: self.limit.map(i64::from),
            reset_period: self.reset_period.map(Into::into),
            reset_anchor: self.reset_anchor.map(Into::into),
            overage_enabled: self.overage_enabled,
        };
        let reason = read("reason", self.reason.as_deref(), Label::new)?;
        Ok((
            UserId::new("userId", &self.user_id)?,
            FeatureId::new("featureId", &self.feature_id)?,
            input,
            (self.ends_at.map(|at| at.0), reason),
        ))
    }
}
