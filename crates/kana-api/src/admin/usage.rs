use async_graphql::{Enum, InputObject, Object, SimpleObject};
use kana_core::entitlement;
use kana_core::id::{FeatureId, IdempotencyKey, UserId};
use kana_core::metadata::Metadata;
use kana_core::refusal::InvalidValue;
use kana_core::usage::{RecordUsage, UsageAction, UseFeature};
use kana_core::{usage, usage_history};
use kana_graphql::{ErrorBody, Json, List};

use super::input::read;
use crate::counter::int;
use crate::error::ApiError;
use crate::reason_code::ReasonCode;
use crate::scalars::{BigInt, DateTime};

macro_rules! entitlement_object {
    ($(#[$doc:meta])* $name:ident, $graphql_name:literal) => {
        pub(super) struct $name(entitlement::Entitlement);

        impl From<entitlement::Entitlement> for $name {
            fn from(entitlement: entitlement::Entitlement) -> Self {
                Self(entitlement)
            }
        }

        $(#[$doc])*
        #[Object(name = $graphql_name)]
        impl $name {
            /// Whether the user may use the feature
            async fn access(&self) -> bool {
                self.0.access
            }

            /// One plain sentence that says why, for a log
            async fn reason(&self) -> &str {
                self.0.reason.sentence()
            }

            /// The reason as a word for programs
            async fn reason_code(&self) -> ReasonCode {
                self.0.reason.into()
            }

            /// What was used of the budget; null for a BINARY feature and when nothing grants it
            async fn consumption(&self) -> Option<Consumption> {
                self.0.consumption.map(Consumption)
            }
        }
    };
}

entitlement_object! {
    /// Whether a user may use one more of a feature.
    Entitlement, "Entitlement"
}
entitlement_object! {
    /// Whether a user may use so much of a feature.
    CanUseFeatureData, "CanUseFeatureData"
}

pub(super) struct Consumption(pub(super) entitlement::Consumption);

/// How much was used of a budget in the current period.
#[Object(name = "Consumption")]
impl Consumption {
    /// What was used, in the feature's unit; it can exceed the budget. Errors: VALUE_TOO_LARGE
    /// past 2^31-1.
    async fn used(&self) -> Result<i32, ApiError> {
        int(self.0.used, "usedExact")
    }

    /// The limit, in the feature's unit; null = unlimited. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn budget(&self) -> Option<Result<i32, ApiError>> {
        self.0.budget.map(|budget| int(budget, "budgetExact"))
    }

    /// Whether usage may go over the budget
    async fn overage_enabled(&self) -> bool {
        self.0.overage_enabled
    }

    /// What was used, also when it no longer fits an Int
    async fn used_exact(&self) -> BigInt {
        BigInt(self.0.used)
    }

    /// The limit, also when it no longer fits an Int; null = unlimited
    async fn budget_exact(&self) -> Option<BigInt> {
        self.0.budget.map(BigInt)
    }

    /// The limit of what counts, by its quantity, with what is added to it: a part of the budget; null =
    /// unlimited. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn allowance(&self) -> Option<Result<i32, ApiError>> {
        self.0.allowance().map(|allowance| int(allowance, "allowanceExact"))
    }

    /// What is left of earlier periods, which is a part of the budget. Errors: VALUE_TOO_LARGE past
    /// 2^31-1.
    async fn carried(&self) -> Result<i32, ApiError> {
        int(self.0.carried(), "carriedExact")
    }

    /// What grants give, which is a part of the budget. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn granted(&self) -> Result<i32, ApiError> {
        int(self.0.granted(), "grantedExact")
    }

    /// What is held for jobs that run. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn held(&self) -> Result<i32, ApiError> {
        int(self.0.held(), "heldExact")
    }

    /// What is left of the budget, 0 or more; null = unlimited. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn remaining(&self) -> Option<Result<i32, ApiError>> {
        self.0.remaining().map(|remaining| int(remaining, "remainingExact"))
    }

    /// The allowance, also when it no longer fits an Int; null = unlimited
    async fn allowance_exact(&self) -> Option<BigInt> {
        self.0.allowance().map(BigInt)
    }

    /// What is left of earlier periods, also when it no longer fits an Int
    async fn carried_exact(&self) -> BigInt {
        BigInt(self.0.carried())
    }

    /// What grants give, also when it no longer fits an Int
    async fn granted_exact(&self) -> BigInt {
        BigInt(self.0.granted())
    }

    /// What is held, also when it no longer fits an Int
    async fn held_exact(&self) -> BigInt {
        BigInt(self.0.held())
    }

    /// What is left of the budget, also when it no longer fits an Int; null = unlimited
    async fn remaining_exact(&self) -> Option<BigInt> {
        self.0.remaining().map(BigInt)
    }
}

pub(super) struct ConsumptionInPeriod(usage_history::ConsumptionInPeriod);

/// What was used in one reset period.
#[Object(name = "ConsumptionInPeriod")]
impl ConsumptionInPeriod {
    /// The first instant of the period
    async fn period_start(&self) -> DateTime {
        DateTime(self.0.period.start)
    }

    /// The first instant after the period; null when usage never resets
    async fn period_end(&self) -> Option<DateTime> {
        self.0.period.end.map(DateTime)
    }

    /// What was used in it
    async fn consumption(&self) -> Consumption {
        Consumption(self.0.consumption)
    }
}

pub(super) struct ShowUsageData(pub(super) usage_history::UsageHistory);

/// What a user used of a feature, period by period.
#[Object(name = "ShowUsageData")]
impl ShowUsageData {
    /// The period of the subscription that counts now; null when nothing grants the feature now,
    /// or the feature is BINARY
    async fn current(&self) -> Option<ConsumptionInPeriod> {
        self.0.current.map(ConsumptionInPeriod)
    }

    /// Earlier periods, newest first, at most 100; those without usage included
    async fn past(&self) -> Option<List<ConsumptionInPeriod>> {
        Some(self.0.past.iter().copied().map(ConsumptionInPeriod).collect())
    }
}

/// What an event does to what was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "RecordUsageAction", remote = "UsageAction")]
pub(super) enum RecordUsageAction {
    /// Adds the delta, which may be negative; never below 0
    Add,
    /// Replaces what was used in the period
    Set,
}

pub(super) struct RecordedUsage(pub(super) usage::RecordedUsage);

/// Whether usage was recorded.
#[Object(name = "RecordedUsage")]
impl RecordedUsage {
    /// False when nothing granted the feature: the event is kept in the log and not counted
    async fn recorded(&self) -> bool {
        self.0.recorded()
    }

    /// Why it was not recorded; null when recorded
    async fn reason(&self) -> Option<&str> {
        self.0.reason()
    }
}

pub(super) struct VoidedUsage(pub(super) usage::VoidedUsage);

/// Whether usage was taken back.
#[Object(name = "VoidedUsage")]
impl VoidedUsage {
    /// True when nothing of what the event added counts any more, also when it was taken back before
    async fn voided(&self) -> bool {
        self.0.voided()
    }

    /// Why there was nothing to take back; null when voided
    async fn reason(&self) -> Option<&str> {
        self.0.reason()
    }
}

pub(super) struct UsedFeature(pub(super) usage::UsedFeature);

/// Whether usage was granted and, if so, recorded.
#[Object(name = "UsedFeature")]
impl UsedFeature {
    /// Whether the usage was granted; nothing is recorded unless it was
    async fn granted(&self) -> bool {
        self.0.granted
    }

    /// One plain sentence that says why, for a log
    async fn reason(&self) -> &str {
        self.0.reason.sentence()
    }

    /// The reason as a word for programs
    async fn reason_code(&self) -> ReasonCode {
        self.0.reason.into()
    }

    /// What is used after the call; null for a BINARY feature and when nothing grants it
    async fn consumption(&self) -> Option<Consumption> {
        self.0.consumption.map(Consumption)
    }
}

/// What became of one input of a batch.
#[derive(SimpleObject)]
pub(super) struct RecordedUsageResult {
    /// Whether the usage was recorded
    recorded: bool,
    /// Why it was not recorded; null when recorded
    reason: Option<String>,
    /// Set when the input was refused; the same codes as top-level errors
    error_code: Option<&'static str>,
}

impl From<Result<usage::RecordedUsage, ApiError>> for RecordedUsageResult {
    fn from(result: Result<usage::RecordedUsage, ApiError>) -> Self {
        match result {
            Ok(recorded) => Self {
                recorded: recorded.recorded(),
                reason: recorded.reason().map(str::to_owned),
                error_code: None,
            },
            Err(error) => {
                let body = ErrorBody::from(&error);
                Self { recorded: false, reason: Some(body.message), error_code: Some(body.code) }
            }
        }
    }
}

/// The fact that a user used an amount of a feature.
#[derive(InputObject)]
pub(super) struct CreateUsageEventInput {
    /// The product's own id of the user
    user_id: String,
    /// The id of the feature
    feature_id: String,
    /// The amount, in the feature's unit; negative reverts usage (ADD only)
    #[graphql(default_with = "Some(1)")]
    delta: Option<i32>,
    /// What the amount does
    #[graphql(default_with = "Some(RecordUsageAction::Add)")]
    action: Option<RecordUsageAction>,
    /// The same key within an environment records once, and answers as the first time
    idempotency_key: Option<String>,
    /// When the usage took place; default now, at most five minutes in the future
    occurred_at: Option<DateTime>,
    /// A JSON object of up to 16 KiB, kept with the event
    metadata: Option<Json>,
}

impl CreateUsageEventInput {
    pub(super) fn read(self) -> Result<RecordUsage, InvalidValue> {
        let idempotency_key = self.idempotency_key.as_deref();
        Ok(RecordUsage {
            user: UserId::new("userId", &self.user_id)?,
            feature: FeatureId::new("featureId", &self.feature_id)?,
            action: self.action.map_or(UsageAction::Add, Into::into),
            delta: self.delta.unwrap_or(1).into(),
            occurred_at: self.occurred_at.map(|at| at.0),
            idempotency_key: read("idempotencyKey", idempotency_key, IdempotencyKey::new)?,
            metadata: read("metadata", self.metadata.map(|json| json.0), Metadata::new)?,
        })
    }
}

/// Usage to be granted and recorded in one step.
#[derive(InputObject)]
pub(super) struct UseFeatureInput {
    /// The product's own id of the user
    user_id: String,
    /// The id of the feature
    feature_id: String,
    /// The amount, 0 or more, in the feature's unit
    #[graphql(default_with = "Some(1)")]
    delta: Option<i32>,
    /// The same key within an environment records once, and answers as the first time
    idempotency_key: Option<String>,
}

impl UseFeatureInput {
    pub(super) fn read(self) -> Result<UseFeature, InvalidValue> {
        let idempotency_key = self.idempotency_key.as_deref();
        Ok(UseFeature {
            user: UserId::new("userId", &self.user_id)?,
            feature: FeatureId::new("featureId", &self.feature_id)?,
            delta: self.delta.unwrap_or(1).into(),
            idempotency_key: read("idempotencyKey", idempotency_key, IdempotencyKey::new)?,
        })
    }
}
