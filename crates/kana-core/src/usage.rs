//! Recording usage (contract: `entitlements.md`, "Recording usage").

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::entitlement::{
    BINARY_GRANTED, Consumption, Entitlement, NOT_GRANTED, Reason, Standing, check_delta,
    consumption, find_feature, standing, within,
};
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::folding::COUNTED_ONE_BY_ONE;
use crate::id::{FeatureId, IdempotencyKey, SubscriptionId, UserId};
use crate::idempotency::{Content, Earlier, KeptAnswer, Replays, keep};
use crate::metadata::Metadata;
use crate::refusal::InvalidValue;
use crate::subscription::AsOf;
use crate::timestamp::Timestamp;

/// How far ahead of the server's clock `occurredAt` may lie.
const OCCURRED_AHEAD_MS_MAX: i64 = 5 * 60 * 1000;

/// What an event does to the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UsageAction {
    /// Adds the delta, which may be negative, to what was used; never below 0.
    Add,
    /// Replaces what was used in the period by the delta.
    Set,
}

/// The fact that a user used an amount of a feature, to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordUsage {
    /// Who used it.
    pub user: UserId,
    /// What was used.
    pub feature: FeatureId,
    /// What the amount does.
    pub action: UsageAction,
    /// The amount, in the feature's unit.
    pub delta: i64,
    /// When it was used, where that is not now.
    pub occurred_at: Option<Timestamp>,
    /// The key under which this may be repeated.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What the product attached to the event.
    pub metadata: Option<Metadata>,
}

/// The answer to [`RecordUsage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordedUsage {
    /// The usage is recorded, and counted where the feature is consumable.
    Recorded,
    /// Nothing granted the feature: the event is kept in the log and not counted.
    NotCounted,
}

impl RecordedUsage {
    /// Whether the usage was recorded.
    #[must_use]
    pub fn recorded(self) -> bool {
        self == Self::Recorded
    }

    /// Why not; `None` when it was.
    #[must_use]
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Recorded => None,
            Self::NotCounted => Some(
                "None of the user's subscriptions granted this feature at that time: \
                 the event is kept and not counted.",
            ),
        }
    }
}

/// Checks whether a user may use an amount and records it in the same step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseFeature {
    /// Who wants to use it.
    pub user: UserId,
    /// What is to be used.
    pub feature: FeatureId,
    /// The amount, 0 or more, in the feature's unit.
    pub delta: i64,
    /// The key under which this may be repeated.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// The answer to [`UseFeature`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedFeature {
    /// Whether the usage was granted and so recorded.
    pub granted: bool,
    /// Why.
    pub reason: Reason,
    /// What is used after the call; `None` for a `BINARY` feature and where nothing grants it.
    pub consumption: Option<Consumption>,
}

/// One line of the log of usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEvent {
    /// What was used.
    pub feature: FeatureId,
    /// What the amount does.
    pub action: UsageAction,
    /// The amount.
    pub delta: i64,
    /// When it was used.
    pub occurred_at: Timestamp,
    /// When Kana was told.
    pub recorded_at: Timestamp,
    /// The subscription that it was counted against or, for a `BINARY` feature, that granted it;
    /// `None` when nothing granted the feature.
    pub subscription: Option<SubscriptionId>,
    /// The key under which it was sent.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What the product attached to it.
    pub metadata: Option<Metadata>,
}

impl RecordUsage {
    /// Refuses values that are wrong whatever is stored.
    pub fn check(&self, now: Timestamp) -> Result<(), InvalidValue> {
        if self.action == UsageAction::Set && self.delta < 0 {
            return Err(InvalidValue::new("delta", "must not be negative with action SET"));
        }
        let latest = now.saturating_add_ms(OCCURRED_AHEAD_MS_MAX);
        if self.occurred_at.is_some_and(|occurred_at| occurred_at > latest) {
            let problem = "must not be more than five minutes in the future";
            return Err(InvalidValue::new("occurredAt", problem));
        }
        Ok(())
    }
}

/// Decides a [`RecordUsage`] whose values were checked. It is recorded even over a hard limit.
pub(crate) fn record_usage(
    catalog: &Catalog,
    facts: &UserFacts,
    replays: &Replays,
    command: &RecordUsage,
    now: Timestamp,
) -> Result<(RecordedUsage, Vec<UserChange>), Obstacle> {
    let content = Content {
        user: facts.key,
        feature: command.feature.clone(),
        action: command.action,
        delta: command.delta,
        occurred_at: command.occurred_at,
    };
    let key = command.idempotency_key.as_ref();
    let earlier = replays.earlier(key, &content)?;
    if let Earlier::Same(KeptAnswer::Recorded(answer)) = earlier {
        return Ok((answer, Vec::new()));
    }
    let feature = find_feature(catalog, &command.feature)?;
    earlier.refuse_other()?;

    let as_of = command.occurred_at.map_or(AsOf::Now(now), AsOf::Moment);
    let mut changes = Vec::with_capacity(3);
    let (answer, subscription) = match standing(catalog, facts, feature, as_of, now)? {
        Standing::NotGranted => (RecordedUsage::NotCounted, None),
        Standing::Binary(counting) => (RecordedUsage::Recorded, Some(counting.subscription.id)),
        Standing::Consumable { counting, meter } => {
            let before = meter.used(facts)?;
            let after = match command.action {
                UsageAction::Set if meter.is_folded() => {
                    return Err(set_of_a_folded_period().into());
                }
                UsageAction::Set => command.delta,
                UsageAction::Add => before.saturating_add(command.delta).max(0),
            };
            meter.set(facts, before, after, &mut changes)?;
            (RecordedUsage::Recorded, Some(counting.subscription.id))
        }
    };
    let event = UsageEvent {
        feature: command.feature.clone(),
        action: command.action,
        delta: command.delta,
        occurred_at: as_of.at(),
        recorded_at: now,
        subscription,
        idempotency_key: command.idempotency_key.clone(),
        metadata: command.metadata.clone(),
    };
    changes.push((facts.key, Change::LogEvent(event)));
    changes.extend(keep(key, content, KeptAnswer::Recorded(answer), now));
    Ok((answer, changes))
}

/// The usage of a folded period is part of a sum, so nobody knows what `SET` would replace.
fn set_of_a_folded_period() -> InvalidValue {
    let problem = format!(
        "is more than {COUNTED_ONE_BY_ONE} reset periods ago: usage that old is kept as one sum, \
         which SET cannot replace"
    );
    InvalidValue::new("occurredAt", problem)
}

impl UseFeature {
    /// Refuses values that are wrong whatever is stored.
    pub fn check(&self) -> Result<(), InvalidValue> {
        check_delta(self.delta)
    }
}

/// Decides a [`UseFeature`] whose values were checked: nothing is recorded unless granted.
pub(crate) fn use_feature(
    catalog: &Catalog,
    facts: &UserFacts,
    replays: &Replays,
    command: &UseFeature,
    now: Timestamp,
) -> Result<(UsedFeature, Vec<UserChange>), Obstacle> {
    let content = Content {
        user: facts.key,
        feature: command.feature.clone(),
        action: UsageAction::Add,
        delta: command.delta,
        occurred_at: None,
    };
    let key = command.idempotency_key.as_ref();
    let earlier = replays.earlier(key, &content)?;
    if let Earlier::Same(KeptAnswer::Used(answer)) = earlier {
        return Ok((answer, Vec::new()));
    }
    let feature = find_feature(catalog, &command.feature)?;
    earlier.refuse_other()?;

    let mut changes = Vec::with_capacity(3);
    let (entitlement, subscription) = match standing(catalog, facts, feature, AsOf::Now(now), now)?
    {
        Standing::NotGranted => (NOT_GRANTED, None),
        Standing::Binary(counting) => (BINARY_GRANTED, Some(counting.subscription.id)),
        Standing::Consumable { counting, meter } => {
            let allowance = counting.allowance;
            let used = meter.used(facts)?;
            let mut entitlement = within(allowance, used, command.delta);
            if entitlement.access {
                let after = used.saturating_add(command.delta);
                entitlement.consumption = Some(consumption(allowance, after));
                meter.set(facts, used, after, &mut changes)?;
            }
            (entitlement, Some(counting.subscription.id))
        }
    };
    let Entitlement { access, reason, consumption } = entitlement;
    if access {
        let event = UsageEvent {
            feature: command.feature.clone(),
            action: UsageAction::Add,
            delta: command.delta,
            occurred_at: now,
            recorded_at: now,
            subscription,
            idempotency_key: command.idempotency_key.clone(),
            metadata: None,
        };
        changes.push((facts.key, Change::LogEvent(event)));
    }
    let answer = UsedFeature { granted: access, reason, consumption };
    changes.extend(keep(key, content, KeptAnswer::Used(answer), now));
    Ok((answer, changes))
}
