//! Recording usage (contract: `entitlements.md`, "Recording usage").

use crate::command::{Answer, Basis, Decide, Decision};
use crate::entitlement::{
    BINARY_GRANTED, DENIED, Entitlement, NOT_GRANTED, Standing, check_delta, consumption,
    find_feature, standing, within,
};
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::folding::COUNTED_ONE_BY_ONE;
use crate::id::{FeatureId, IdempotencyKey, UserId};
use crate::idempotency::{Content, Earlier, KeptAnswer, keep};
use crate::limit_crossing::crossing;
use crate::metadata::Metadata;
use crate::refusal::{InvalidValue, Refusal};
use crate::subjects::{Subject, Subjects};
use crate::subscription::AsOf;
use crate::timestamp::Timestamp;
pub use crate::usage_event::{RecordedUsage, UsageAction, UsageEvent, UsedFeature};

/// How far `occurredAt` may be ahead of the server's clock.
const OCCURRED_AHEAD_MS_MAX: i64 = 5 * 60 * 1000;

/// Records that a user used an amount of a feature.
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
    /// When it was used; `None` means now.
    pub occurred_at: Option<Timestamp>,
    /// The key under which the request can be repeated.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The product's own data.
    pub metadata: Option<Metadata>,
}

/// Checks whether a user may use an amount and, if so, records it, in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseFeature {
    /// Who wants to use it.
    pub user: UserId,
    /// What is to be used.
    pub feature: FeatureId,
    /// The amount, 0 or more, in the feature's unit.
    pub delta: i64,
    /// The key under which the request can be repeated.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl Decide for RecordUsage {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.idempotency_key.as_ref()
    }

    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.action == UsageAction::Set && self.delta < 0 {
            let problem = "must not be negative with action SET";
            return Err(InvalidValue::new("delta", problem).into());
        }
        let latest = now.saturating_add_ms(OCCURRED_AHEAD_MS_MAX);
        if self.occurred_at.is_some_and(|occurred_at| occurred_at > latest) {
            let problem = "must not be more than five minutes in the future";
            return Err(InvalidValue::new("occurredAt", problem).into());
        }
        Ok(())
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let (answer, changes) = record_usage(basis, basis.user(self)?, self)?;
        Ok(Decision::untold(Answer::Recorded(answer), changes))
    }
}

/// Decides a [`RecordUsage`] whose values were checked. Usage is recorded even over a hard limit.
fn record_usage(
    &Basis { catalog, replays, now, .. }: &Basis<'_>,
    facts: &UserFacts,
    command: &RecordUsage,
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
    let (answer, subscription, amount) = match standing(catalog, facts, feature, as_of, now)? {
        Standing::NotGranted | Standing::Denied(_) => (RecordedUsage::NotCounted, None, 0),
        Standing::Binary(source) => (RecordedUsage::Recorded, Some(source.counter_id()), 0),
        Standing::Consumable { allowance, meter } => {
            let source = meter.source();
            let before = meter.used(facts)?;
            let after = match command.action {
                UsageAction::Set if meter.is_folded() => {
                    return Err(set_of_a_folded_period().into());
                }
                UsageAction::Set => command.delta,
                UsageAction::Add => before.saturating_add(command.delta).max(0),
            };
            let period_end = meter.place().period.end;
            meter.set(facts, before, after, &mut changes)?;
            let crossed = crossing(&feature.id, allowance, period_end, (before, after), now);
            changes.extend(crossed.map(|crossed| (facts.key, Change::CrossLimit(crossed))));
            let amount = after.saturating_sub(before);
            (RecordedUsage::Recorded, Some(source.counter_id()), amount)
        }
    };
    let event = UsageEvent {
        feature: command.feature.clone(),
        action: command.action,
        delta: command.delta,
        occurred_at: as_of.at(),
        recorded_at: now,
        amount,
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

impl Decide for UseFeature {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.idempotency_key.as_ref()
    }

    fn check(&self, _now: Timestamp) -> Result<(), Refusal> {
        Ok(check_delta(self.delta)?)
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let (answer, changes) = use_feature(basis, basis.user(self)?, self)?;
        Ok(Decision::untold(Answer::Used(answer), changes))
    }
}

/// Decides a [`UseFeature`] whose values were checked. Nothing is recorded unless it is granted.
fn use_feature(
    &Basis { catalog, replays, now, .. }: &Basis<'_>,
    facts: &UserFacts,
    command: &UseFeature,
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
    let standing = standing(catalog, facts, feature, AsOf::Now(now), now)?;
    let (entitlement, subscription, amount) = match standing {
        Standing::NotGranted => (NOT_GRANTED, None, 0),
        Standing::Denied(_) => (DENIED, None, 0),
        Standing::Binary(source) => (BINARY_GRANTED, Some(source.counter_id()), 0),
        Standing::Consumable { allowance, meter } => {
            let source = meter.source();
            let used = meter.used(facts)?;
            let mut entitlement = within(allowance, used, command.delta);
            let mut amount = 0;
            if entitlement.access {
                let after = used.saturating_add(command.delta);
                amount = after.saturating_sub(used);
                entitlement.consumption = Some(consumption(allowance, after));
                let period_end = meter.place().period.end;
                meter.set(facts, used, after, &mut changes)?;
                let crossed = crossing(&feature.id, allowance, period_end, (used, after), now);
                changes.extend(crossed.map(|crossed| (facts.key, Change::CrossLimit(crossed))));
            }
            (entitlement, Some(source.counter_id()), amount)
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
            amount,
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
