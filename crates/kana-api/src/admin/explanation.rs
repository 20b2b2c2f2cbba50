//! Several features at once, and why an answer is what it is.

use async_graphql::{Enum, InputObject, Object};
use kana_core::entitlement::{Entitlement, Requirement};
use kana_core::explain::{self, Source};
use kana_core::id::FeatureId;
use kana_core::refusal::InvalidValue;
use kana_graphql::List;

use super::usage::{CanUseFeatureData, Consumption};
use crate::counter::int;
use crate::error::ApiError;
use crate::reason_code::ReasonCode;
use crate::scalars::{BigInt, DateTime};

/// An amount of a feature that a user wants to use.
#[derive(InputObject)]
pub(super) struct FeatureRequirement {
    /// The id of the feature
    feature_id: String,
    /// The amount, 0 or more, in the feature's unit; ignored for BINARY
    #[graphql(default_with = "Some(1)")]
    delta: Option<i32>,
}

impl FeatureRequirement {
    pub(super) fn read(self) -> Result<Requirement, InvalidValue> {
        Ok(Requirement {
            feature: FeatureId::new("featureId", &self.feature_id)?,
            delta: self.delta.unwrap_or(1).into(),
        })
    }
}

pub(super) struct CanUseFeaturesData {
    pub(super) access: bool,
    pub(super) results: Vec<Entitlement>,
}

/// Whether a user may use several features together.
#[Object(name = "CanUseFeaturesData")]
impl CanUseFeaturesData {
    /// Whether all of it fits together; amounts of one feature are added up
    async fn access(&self) -> bool {
        self.access
    }

    /// What each requirement would be answered alone, in their order
    async fn results(&self) -> List<CanUseFeatureData> {
        self.results.iter().cloned().map(CanUseFeatureData::from).collect()
    }
}

/// What counts usage of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "EntitlementSource")]
pub(super) enum EntitlementSource {
    /// A subscription
    Subscription,
    /// An override
    Override,
    /// The user's grants, where nothing else counts
    Grants,
}

/// What a part of a budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "BudgetPartKind")]
pub(super) enum BudgetPartKind {
    /// The limit of what counts, so many times as its quantity says
    Allowance,
    /// What is left of earlier periods
    Carried,
    /// The limit of a subscription that is added
    Added,
    /// What a grant gives
    Grant,
}

pub(super) struct BudgetPart(explain::BudgetPart);

/// A part of a budget.
#[Object(name = "BudgetPart")]
impl BudgetPart {
    /// What it is
    async fn kind(&self) -> BudgetPartKind {
        match self.0.kind {
            explain::BudgetPartKind::Allowance => BudgetPartKind::Allowance,
            explain::BudgetPartKind::Carried => BudgetPartKind::Carried,
            explain::BudgetPartKind::Added => BudgetPartKind::Added,
            explain::BudgetPartKind::Grant => BudgetPartKind::Grant,
        }
    }

    /// The id of what it comes from
    async fn id(&self) -> String {
        self.0.id.to_string()
    }

    /// The amount, in the feature's unit; null = unlimited. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn amount(&self) -> Option<Result<i32, ApiError>> {
        self.0.amount.map(|amount| int(amount, "amountExact"))
    }

    /// The amount, also when it no longer fits an Int; null = unlimited
    async fn amount_exact(&self) -> Option<BigInt> {
        self.0.amount.map(BigInt)
    }
}

pub(super) struct FeatureExplanation(pub(super) explain::Explanation);

/// Why a user may or may not use a feature.
#[Object(name = "FeatureExplanation")]
impl FeatureExplanation {
    /// Whether the user may use the feature
    async fn access(&self) -> bool {
        self.0.entitlement.access
    }

    /// One plain sentence that says why, for a log
    async fn reason(&self) -> &str {
        self.0.entitlement.reason.sentence()
    }

    /// The reason as a word for programs
    async fn reason_code(&self) -> ReasonCode {
        self.0.entitlement.reason.into()
    }

    /// What was used of the budget; null for a BINARY feature and when nothing grants it
    async fn consumption(&self) -> Option<Consumption> {
        self.0.entitlement.consumption.map(Consumption)
    }

    /// The feature whose usage was asked about
    async fn balance_feature_id(&self) -> &str {
        self.0.balance.as_str()
    }

    /// The amount that was asked for, in the unit of that feature. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn amount(&self) -> Result<i32, ApiError> {
        int(self.0.amount, "amountExact")
    }

    /// The amount that was asked for, also when it no longer fits an Int
    async fn amount_exact(&self) -> BigInt {
        BigInt(self.0.amount)
    }

    /// What counts, or what grants or denies a feature without an amount; null when nothing does
    async fn source(&self) -> Option<EntitlementSource> {
        self.0.source.map(|source| match source {
            Source::Subscription(_) => EntitlementSource::Subscription,
            Source::Override(_) => EntitlementSource::Override,
            Source::Grants(_) => EntitlementSource::Grants,
        })
    }

    /// The id of what counts; null for GRANTS
    async fn source_id(&self) -> Option<String> {
        self.0.source.and_then(Source::id).map(|id| id.to_string())
    }

    /// The first instant of the period that usage is counted in; null when nothing is counted
    async fn period_start(&self) -> Option<DateTime> {
        self.0.period.map(|period| DateTime(period.start))
    }

    /// The first instant after it; null also when usage never resets
    async fn period_end(&self) -> Option<DateTime> {
        self.0.period.and_then(|period| period.end).map(DateTime)
    }

    /// What the budget consists of; the amounts add up to it
    async fn parts(&self) -> List<BudgetPart> {
        self.0.parts.iter().cloned().map(BudgetPart).collect()
    }
}
