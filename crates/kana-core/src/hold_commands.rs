//! Holding an amount for a job, and what becomes of it (contract: `beyond.md`, "Holds").

use uuid::Uuid;

use crate::access::{Consumption, Reason};
use crate::catalog::Catalog;
use crate::command::{Answer, Basis, Decide, Decision};
use crate::count::{Count, Usage};
use crate::counter::CounterValue;
use crate::counter_allowance::allowance_of_counter;
use crate::counter_schedule::schedule_of_counter;
use crate::credits::{Cost, Draw, of_day};
use crate::entitlement::{
    DENIED, Entitlement, NOT_GRANTED, Standing, check_is_counted, find_feature, standing, within,
};
use crate::facts::{Change, CounterKey, Need, Obstacle, UserChange, UserFacts};
use crate::granting::Granting;
use crate::hold::{AMOUNT_MAX, HOLDS_MAX, HeldFeature, Hold, HoldEnd, HoldState, TTL_SECONDS};
use crate::id::{FeatureId, HoldId, UserId};
use crate::invalid::InvalidValue;
use crate::meter::Meter;
use crate::named_write::NamedWrite;
use crate::own_part::OwnPart;
use crate::refusal::Refusal;
use crate::settling::Settled;
use crate::subjects::{Subject, Subjects};
use crate::subscription::AsOf;
use crate::tally::Tally;
use crate::timestamp::Timestamp;
use crate::usage_event::{LoggedAction, UsageAction, UsageEvent};

/// Checks whether a user may use an amount and, if so, holds it for a job, in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateHold {
    /// The user.
    pub user: UserId,
    /// The feature.
    pub feature: FeatureId,
    /// The caller's id, under which the request can be repeated.
    pub id: Option<HoldId>,
    /// The amount, in the feature's unit.
    pub amount: i64,
    /// For how many seconds it is held.
    pub ttl_seconds: i64,
    /// The id of a new one, if the caller has given none.
    pub new_id: Uuid,
}

/// Ends a hold with what was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleHold {
    /// The user.
    pub user: UserId,
    /// The hold.
    pub id: HoldId,
    /// How much was used, in the feature's unit; `None` means what was held.
    pub amount: Option<i64>,
}

/// Ends a hold of which nothing was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseHold {
    /// The user.
    pub user: UserId,
    /// The hold.
    pub id: HoldId,
}

/// Lets a hold that lives expire at another time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendHold {
    /// The user.
    pub user: UserId,
    /// The hold.
    pub id: HoldId,
    /// For how many seconds it is held from now on.
    pub ttl_seconds: i64,
}

impl Decide for CreateHold {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn creates(&self) -> bool {
        self.id.is_none()
    }

    fn set_ids(&mut self, next_id: &mut dyn FnMut() -> Uuid) {
        self.new_id = next_id();
    }

    fn check(&self, _now: Timestamp) -> Result<(), Refusal> {
        if !(1..=AMOUNT_MAX).contains(&self.amount) {
            let problem = format!("must be from 1 to {AMOUNT_MAX}");
            return Err(InvalidValue::new("amount", problem).into());
        }
        Ok(check_ttl(self.ttl_seconds)?)
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let &Basis { catalog, now, .. } = basis;
        let feature = find_feature(catalog, &self.feature)?;
        check_is_counted(feature, "featureId")?;
        let known = self.id.as_ref().map(|id| facts.hold(id)).transpose()?.flatten();
        if let Some(known) = known
            && (known.feature != self.feature || known.amount != self.amount)
        {
            return Err(Refusal::IdConflict.into());
        }
        let standing = standing(catalog, facts, feature, AsOf::Now(now), now)?;
        let (allowance, meter, grants) = match standing {
            Standing::Consumable { allowance, meter, grants } => (allowance, meter, grants),
            other => return Ok(answered(nothing_counts(known, &other))),
        };
        let (before, own) = OwnPart::read(allowance, &meter, facts, now)?;
        let consumption = grants.consumption(own, &before);
        if let Some(known) = known {
            return Ok(answered(held_before(known, Some(consumption))));
        }
        let Entitlement { access, reason, .. } = within(consumption, feature.amount(self.amount));
        if !access {
            let consumption = Some(consumption);
            return Ok(answered(HeldFeature { hold: None, reason, consumption }));
        }
        check_count(facts, grants.feature(), now)?;
        let cost = feature.draws().map_or(Cost::ONE, |draw| draw.cost);
        let hold = self.hold(meter.counter(), cost, now)?;
        let mut changes = Vec::with_capacity(3);
        let after = grants.held().saturating_add(hold.held());
        let load = (before.used.saturating_add(grants.held()), before.used.saturating_add(after));
        let Settled { draws, changed } = grants.settle(before.marks.draws(), load, own.amount());
        let value = CounterValue { used: before.used, marks: before.marks.with_draws(draws) };
        let consumption = grants.with_held(after).consumption_after(own, &value, &changed);
        if value != before {
            meter.into_tally().set(facts, before.used, value, &mut changes)?;
        }
        grants.change(&changed, facts, &mut changes);
        changes.push((facts.key, Change::PutHold(hold.clone())));
        let consumption = Some(consumption);
        let answer = HeldFeature { hold: Some(hold), reason, consumption };
        Ok(Decision::untold(Answer::Held(Box::new(answer)), changes))
    }
}

impl CreateHold {
    fn hold(&self, counter: &CounterKey, cost: Cost, now: Timestamp) -> Result<Hold, InvalidValue> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => HoldId::new("id", &self.new_id.to_string())?,
        };
        Ok(Hold {
            id,
            feature: self.feature.clone(),
            amount: self.amount,
            cost,
            counter: counter.clone(),
            created_at: now,
            expires_at: expiry(self.ttl_seconds, now),
            ended: None,
        })
    }
}

/// A decision that changes nothing.
fn answered(answer: HeldFeature) -> Decision {
    Decision::untold(Answer::Held(Box::new(answer)), Vec::new())
}

/// Returns the answer where nothing is counted now: that of a hold that was made before, or a refusal.
fn nothing_counts(known: Option<&Hold>, standing: &Standing<'_>) -> HeldFeature {
    if let Some(known) = known {
        return held_before(known, None);
    }
    let denied = matches!(standing, Standing::Denied(_));
    let Entitlement { reason, consumption, .. } = if denied { DENIED } else { NOT_GRANTED };
    HeldFeature { hold: None, reason, consumption }
}

fn held_before(known: &Hold, consumption: Option<Consumption>) -> HeldFeature {
    HeldFeature { hold: Some(known.clone()), reason: Reason::Held, consumption }
}

fn check_ttl(ttl_seconds: i64) -> Result<(), InvalidValue> {
    if TTL_SECONDS.contains(&ttl_seconds) {
        return Ok(());
    }
    let (from, to) = (TTL_SECONDS.start(), TTL_SECONDS.end());
    Err(InvalidValue::new("ttlSeconds", format!("must be from {from} to {to}")))
}

fn expiry(ttl_seconds: i64, now: Timestamp) -> Timestamp {
    now.saturating_add_ms(ttl_seconds.saturating_mul(1000))
}

/// Checks that the user can have one more hold on a balance.
fn check_count(facts: &UserFacts, balance: &FeatureId, now: Timestamp) -> Result<(), Obstacle> {
    let count = facts.living_holds(balance, now)?.count();
    if count < HOLDS_MAX {
        return Ok(());
    }
    let problem = format!(
        "has {HOLDS_MAX} holds on {balance} already that live: settle or release one first"
    );
    Err(InvalidValue::new("userId", problem).into())
}

/// Returns the user's hold that a command names.
fn find<'a>(facts: &'a UserFacts, id: &HoldId) -> Result<&'a Hold, Obstacle> {
    facts.hold(id)?.ok_or_else(|| Refusal::HoldNotFound(id.clone()).into())
}

impl Decide for SettleHold {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn check(&self, _now: Timestamp) -> Result<(), Refusal> {
        if self.amount.is_some_and(|amount| amount < 0) {
            return Err(InvalidValue::new("amount", "must not be negative here").into());
        }
        Ok(())
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let hold = find(facts, &self.id)?;
        let amount = self.amount.unwrap_or(hold.amount);
        match (hold.state(basis.now), hold.settled()) {
            (HoldState::Settled, Some(settled)) if settled == amount => {
                return Ok(as_it_stands(hold));
            }
            (HoldState::Settled, settled) => {
                return Err(Refusal::HoldSettledOtherwise(settled.unwrap_or(0)).into());
            }
            (state @ HoldState::Released, _) => return Err(is_over(state, "settled")),
            (HoldState::Held | HoldState::Expired, _) => {}
        }
        let mut changes = Vec::with_capacity(4);
        let ended = Some((HoldEnd::Settled(amount), basis.now));
        let after = Hold { ended, ..hold.clone() };
        let held = OnCounter::find(basis, facts, hold)?;
        let (count, at) = held.use_amount(amount, &mut changes)?;
        changes.push((
            facts.key,
            Change::LogEvent(entry(hold, (amount, count.amount), at, basis.now)),
        ));
        changes.push((facts.key, Change::PutHold(after.clone())));
        Ok(Decision::told(Answer::Hold(after), changes, count.feed))
    }
}

impl Decide for ReleaseHold {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let hold = find(facts, &self.id)?;
        match hold.state(basis.now) {
            HoldState::Released => return Ok(as_it_stands(hold)),
            state @ HoldState::Settled => return Err(is_over(state, "released")),
            HoldState::Held | HoldState::Expired => {}
        }
        let mut changes = Vec::with_capacity(3);
        let after = Hold { ended: Some((HoldEnd::Released, basis.now)), ..hold.clone() };
        OnCounter::find(basis, facts, hold)?.free(&mut changes)?;
        changes.push((facts.key, Change::PutHold(after.clone())));
        Ok(Decision::untold(Answer::Hold(after), changes))
    }
}

impl Decide for ExtendHold {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn check(&self, _now: Timestamp) -> Result<(), Refusal> {
        Ok(check_ttl(self.ttl_seconds)?)
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let hold = find(facts, &self.id)?;
        let state = hold.state(basis.now);
        if state != HoldState::Held {
            return Err(is_over(state, "extended"));
        }
        let expires_at = expiry(self.ttl_seconds, basis.now);
        let after = Hold { expires_at, ..hold.clone() };
        let changes = vec![(facts.key, Change::PutHold(after.clone()))];
        Ok(Decision::untold(Answer::Hold(after), changes))
    }
}

/// The answer about a hold that is already what it was to become.
fn as_it_stands(hold: &Hold) -> Decision {
    Decision::untold(Answer::Hold(hold.clone()), Vec::new())
}

fn is_over(state: HoldState, wanted: &'static str) -> Obstacle {
    Refusal::HoldIsOver { state, wanted }.into()
}

/// Returns the entry of the log for what was used of a hold: so much in the feature's unit, which changed
/// its counter by `counted`.
fn entry(hold: &Hold, (amount, counted): (i64, i64), at: Timestamp, now: Timestamp) -> UsageEvent {
    let draw = (hold.balance() != &hold.feature)
        .then(|| Draw { balance: hold.balance().clone(), cost: hold.cost });
    let (own, drawn) = of_day(draw.as_ref(), counted);
    UsageEvent {
        feature: hold.feature.clone(),
        action: LoggedAction::Add,
        delta: amount,
        occurred_at: at,
        recorded_at: now,
        amount: own,
        drawn,
        subscription: Some(hold.counter.subscription),
        idempotency_key: None,
        metadata: None,
    }
}

/// A hold with the counter that it belongs to.
struct OnCounter<'a> {
    catalog: &'a Catalog,
    facts: &'a UserFacts,
    hold: &'a Hold,
    /// How much of what is held on the counter now is held no longer once the hold is over.
    freed: i64,
    /// The period of the counter; `None` if what it counted under is no longer stored.
    meter: Option<Meter<'a>>,
    now: Timestamp,
}

impl<'a> OnCounter<'a> {
    fn find(basis: &Basis<'a>, facts: &'a UserFacts, hold: &'a Hold) -> Result<Self, Obstacle> {
        let &Basis { catalog, now, .. } = basis;
        let counter = &hold.counter;
        let schedule = schedule_of_counter(catalog, facts, counter)?;
        let meter = schedule.and_then(|schedule| {
            let place = schedule.place_of(counter.terms, counter.period_start)?;
            Some(Meter::late(schedule, &counter.feature, place, now))
        });
        let freed = if hold.lives(now) { hold.held() } else { 0 };
        Ok(Self { catalog, facts, hold, freed, meter, now })
    }

    /// Adds the changes that count an amount in the place of the hold, and returns at which instant they do.
    fn use_amount(
        self,
        amount: i64,
        changes: &mut Vec<UserChange>,
    ) -> Result<(Count, Timestamp), Obstacle> {
        let Self { catalog, facts, hold, freed, now, .. } = self;
        let balance = hold.balance();
        let (Some(feature), Some(meter)) = (catalog.feature(balance), &self.meter) else {
            return Ok((self.use_of_unknown(amount, changes)?, now));
        };
        let named = (meter.schedule(), meter.place());
        let (allowance, as_of) = allowance_of_counter(catalog, facts, balance, named, now)?;
        let (before, own) = OwnPart::read(allowance, meter, facts, now)?;
        let used = before.used.saturating_add(hold.counted(amount));
        let held = meter.held(facts, now)?.saturating_sub(freed);
        let grants = Granting::new(facts, balance, as_of)?.with_held(held);
        let (action, delta, has_key) = (UsageAction::Add, amount, false);
        let usage = Usage { catalog, facts, feature, action, delta, has_key, freed, now };
        let counting = (own, meter.clone(), grants);
        Ok((usage.count(counting, (before, used), changes)?, as_of.at()))
    }

    /// Does what [`use_amount`](Self::use_amount) does where what the counter counted under is no longer
    /// stored.
    fn use_of_unknown(
        &self,
        amount: i64,
        changes: &mut Vec<UserChange>,
    ) -> Result<Count, Obstacle> {
        let (before, tally) = self.tally()?;
        let used = before.used.saturating_add(self.hold.counted(amount));
        self.write(tally).set((&before, used), changes)?;
        Ok(Count { amount: used.saturating_sub(before.used), ..Count::default() })
    }

    /// Adds the changes of the counter once the hold keeps nothing.
    fn free(self, changes: &mut Vec<UserChange>) -> Result<(), Obstacle> {
        let (before, tally) = self.tally()?;
        self.write(tally).set((&before, before.used), changes)
    }

    /// Returns what the counter holds, and the counter.
    fn tally(&self) -> Result<(CounterValue, Tally<'a>), Obstacle> {
        if let Some(meter) = &self.meter {
            return Ok((meter.value(self.facts)?, meter.clone().into_tally()));
        }
        let counter = &self.hold.counter;
        let Some(stored) = self.facts.counter(counter) else {
            return Err(Obstacle::Needs(Need::Counters(self.facts.key, vec![counter.clone()])));
        };
        let before = stored.cloned().unwrap_or_default();
        Ok((before, Tally { schedule: None, counter: counter.clone() }))
    }

    fn write(&self, tally: Tally<'a>) -> NamedWrite<'a> {
        let &Self { catalog, facts, freed, now, .. } = self;
        NamedWrite::new(catalog, facts, tally, now).freeing(freed)
    }
}
