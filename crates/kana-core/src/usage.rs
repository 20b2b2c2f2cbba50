//! Recording usage (contract: `entitlements.md`, "Recording usage").

use crate::catalog::Feature;
use crate::change;
use crate::command::{Answer, Basis, Decide, Decision};
use crate::count::{Count, Usage};
use crate::counter_allowance::allowance_of_counter;
use crate::credits::of_day;
use crate::entitlement::{
    BINARY_GRANTED, DENIED, Entitlement, NOT_GRANTED, Standing, balance_of, check_delta,
    find_feature, standing, within,
};
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::folding::COUNTED_ONE_BY_ONE;
use crate::id::{FeatureId, IdempotencyKey, UserId};
use crate::idempotency::{Content, Earlier, KeptAnswer, keep};
use crate::metadata::Metadata;
use crate::own_part::OwnPart;
use crate::refusal::{InvalidValue, Refusal};
use crate::subjects::{Subject, Subjects};
use crate::subscription::AsOf;
use crate::timestamp::Timestamp;
pub use crate::usage_event::{
    LoggedAction, RecordedUsage, UsageAction, UsageEvent, UsedFeature, VoidedUsage,
};
pub use crate::voiding::VoidUsage;

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
        let (answer, changes, feed) = record_usage(basis, basis.user(self)?, self)?;
        Ok(Decision::told(Answer::Recorded(answer), changes, feed))
    }
}

/// An answer, with what is stored and what the changes feed tells.
type Recorded<Answer> = (Answer, Vec<UserChange>, Vec<change::Change>);

/// Decides a [`RecordUsage`] whose values were checked. Usage is recorded even over a hard limit.
fn record_usage(
    &Basis { catalog, replays, now, .. }: &Basis<'_>,
    facts: &UserFacts,
    command: &RecordUsage,
) -> Result<Recorded<RecordedUsage>, Obstacle> {
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
        return Ok((answer, Vec::new(), Vec::new()));
    }
    let feature = find_feature(catalog, &command.feature)?;
    check_action(feature, command.action)?;
    earlier.refuse_other()?;

    let as_of = command.occurred_at.map_or(AsOf::Now(now), AsOf::Moment);
    let mut changes = Vec::with_capacity(3);
    let (answer, subscription, count) = match standing(catalog, facts, feature, as_of, now)? {
        Standing::NotGranted | Standing::Denied(_) => {
            (RecordedUsage::NotCounted, None, Count::default())
        }
        Standing::Binary(source) => {
            (RecordedUsage::Recorded, Some(source.counter_id()), Count::default())
        }
        Standing::Consumable { allowance, meter, grants } => {
            let source = meter.source();
            let (before, own) = OwnPart::read(allowance, &meter, facts, now)?;
            let &RecordUsage { action, delta, .. } = command;
            if action == UsageAction::Set && meter.is_folded() {
                return Err(set_of_a_folded_period().into());
            }
            let used = LoggedAction::from(action).after(before.used, counted(feature, delta));
            let balance = balance_of(catalog, feature)?;
            let has_key = key.is_some();
            let usage =
                Usage { catalog, facts, feature: balance, action, delta, has_key, freed: 0, now };
            // Most late usage is spared a second look at what counts.
            let matters = !balance.thresholds().is_empty()
                || facts.has_grants()
                || !before.marks.draws().is_empty();
            let own = if command.occurred_at.is_some() && matters {
                let place = (meter.schedule(), meter.place());
                let (allowance, _) = allowance_of_counter(catalog, facts, &balance.id, place, now)?;
                OwnPart::read(allowance, &meter, facts, now)?.1
            } else {
                own
            };
            let counting = (own, meter, grants);
            let count = usage.count(counting, (before, used), &mut changes)?;
            (RecordedUsage::Recorded, Some(source.counter_id()), count)
        }
    };
    let Count { amount, counted, feed, .. } = count;
    let (amount, drawn) = of_day(feature.draws(), amount);
    let event = UsageEvent {
        feature: command.feature.clone(),
        action: command.action.into(),
        delta: command.delta,
        occurred_at: as_of.at(),
        recorded_at: now,
        amount,
        drawn,
        subscription,
        idempotency_key: command.idempotency_key.clone(),
        metadata: command.metadata.clone(),
    };
    changes.push((facts.key, Change::LogEvent(event)));
    changes.extend(keep(key, content, (KeptAnswer::Recorded(answer), counted), now));
    Ok((answer, changes, feed))
}

/// Checks that usage of the feature can be recorded like that: what others draw on is SET itself.
fn check_action(feature: &Feature, action: UsageAction) -> Result<(), InvalidValue> {
    match feature.draws() {
        Some(draw) if action == UsageAction::Set => {
            let problem = format!(
                "must not be SET for {}, which draws on {1}: SET {1} instead",
                feature.id, draw.balance
            );
            Err(InvalidValue::new("action", problem))
        }
        _ => Ok(()),
    }
}

/// Returns what `delta` of a feature adds to its counter. A counter goes from 0 to the largest number, so
/// beyond 64 bits the nearest number does the same.
fn counted(feature: &Feature, delta: i64) -> i64 {
    let nearest = if delta < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(feature.amount(delta)).unwrap_or(nearest)
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
        let (answer, changes, feed) = use_feature(basis, basis.user(self)?, self)?;
        Ok(Decision::told(Answer::Used(answer), changes, feed))
    }
}

/// Decides a [`UseFeature`] whose values were checked. Nothing is recorded unless it is granted.
fn use_feature(
    &Basis { catalog, replays, now, .. }: &Basis<'_>,
    facts: &UserFacts,
    command: &UseFeature,
) -> Result<Recorded<UsedFeature>, Obstacle> {
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
        return Ok((answer, Vec::new(), Vec::new()));
    }
    let feature = find_feature(catalog, &command.feature)?;
    earlier.refuse_other()?;

    let mut changes = Vec::with_capacity(3);
    let standing = standing(catalog, facts, feature, AsOf::Now(now), now)?;
    let (entitlement, subscription, count) = match standing {
        Standing::NotGranted => (NOT_GRANTED, None, Count::default()),
        Standing::Denied(_) => (DENIED, None, Count::default()),
        Standing::Binary(source) => (BINARY_GRANTED, Some(source.counter_id()), Count::default()),
        Standing::Consumable { allowance, meter, grants } => {
            let source = meter.source();
            let (before, own) = OwnPart::read(allowance, &meter, facts, now)?;
            let delta = command.delta;
            let consumption = grants.consumption(own, &before);
            let mut entitlement = within(consumption, feature.amount(delta));
            let mut count = Count::default();
            if entitlement.access {
                let used = before.used.saturating_add(counted(feature, delta));
                let (action, has_key) = (UsageAction::Add, key.is_some());
                let balance = balance_of(catalog, feature)?;
                let usage = Usage {
                    catalog,
                    facts,
                    feature: balance,
                    action,
                    delta,
                    has_key,
                    freed: 0,
                    now,
                };
                let counting = (own, meter, grants);
                count = usage.count(counting, (before, used), &mut changes)?;
                entitlement.consumption = count.consumption;
            }
            (entitlement, Some(source.counter_id()), count)
        }
    };
    let Count { amount, counted, feed, .. } = count;
    let Entitlement { access, reason, consumption } = entitlement;
    if access {
        let (amount, drawn) = of_day(feature.draws(), amount);
        let event = UsageEvent {
            feature: command.feature.clone(),
            action: LoggedAction::Add,
            delta: command.delta,
            occurred_at: now,
            recorded_at: now,
            amount,
            drawn,
            subscription,
            idempotency_key: command.idempotency_key.clone(),
            metadata: None,
        };
        changes.push((facts.key, Change::LogEvent(event)));
    }
    let answer = UsedFeature { granted: access, reason, consumption };
    changes.extend(keep(key, content, (KeptAnswer::Used(answer), counted), now));
    Ok((answer, changes, feed))
}
