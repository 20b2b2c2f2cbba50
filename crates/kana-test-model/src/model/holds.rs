use super::Model;
use super::grants::{Counter, Write};
use crate::answer::{Answer, Hold, HoldState, Reason, Refusal, User};
use crate::mistake::Mistake;
use crate::request::{At, Holding, Id, Name};

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kept {
    owner: Id,
    id: Name,
    feature: Name,
    amount: i64,
    /// What one unit costs of the balance.
    cost: i64,
    counter: Counter,
    created_at: At,
    expires_at: At,
    /// What was used of it, if it was settled; and whether it has ended.
    settled: Option<i64>,
    is_released: bool,
}

impl Kept {
    fn state(&self, now: At) -> HoldState {
        match self.settled {
            Some(_) => HoldState::Settled,
            None if self.is_released => HoldState::Released,
            None if now < self.expires_at => HoldState::Held,
            None => HoldState::Expired,
        }
    }

    fn shown(&self, now: At) -> Answer {
        let Self { id, amount, settled, .. } = *self;
        Answer::Hold(Hold { id, amount, state: self.state(now), settled })
    }
}

impl Model {
    pub(super) fn create_hold(&mut self, holding: Holding, now: At) -> Result<Answer, Refusal> {
        let Holding { user, feature, id, amount, seconds } = holding;
        if !(1..=2_147_483_647).contains(&amount) {
            return Err(Refusal::BadValue("amount"));
        }
        let expires_at = expiry(seconds, now)?;
        let user = self.user(user)?;
        if self.is_binary(feature)? {
            return Err(Refusal::BadValue("featureId"));
        }
        let known = self.hold_named(&user, id);
        if let Some(known) = known
            && (self.holds[known].feature, self.holds[known].amount) != (feature, amount)
        {
            return Err(Refusal::IdempotencyConflict);
        }
        let entitlement = self.entitlement(&user, feature, amount, now)?;
        if known.is_some() {
            let consumption = entitlement.consumption;
            return Ok(Answer::Held { granted: true, reason: Reason::Held, consumption });
        }
        let (reason, mut consumption) = (entitlement.reason, entitlement.consumption);
        if let Some(counter) = self.counts_now(&user, feature, now)
            && entitlement.access
        {
            let (_, cost) = self.balance(feature);
            let before = consumption.map_or(0, |it| it.used + it.held);
            self.holds.push(Kept {
                owner: user.key,
                id,
                feature,
                amount,
                cost,
                counter,
                created_at: now,
                expires_at,
                settled: None,
                is_released: false,
            });
            let after = before + amount * cost;
            let own = self.own_now(&user, feature, now);
            self.settle(&user, &Write { counter, before, after, own, at: now }, now);
            consumption = self.entitlement(&user, feature, 0, now)?.consumption;
        }
        Ok(Answer::Held { granted: entitlement.access, reason, consumption })
    }

    pub(super) fn settle_hold(
        &mut self,
        (user, id): (Name, Name),
        amount: Option<i64>,
        now: At,
    ) -> Result<Answer, Refusal> {
        if amount.is_some_and(|amount| amount < 0) {
            return Err(Refusal::BadValue("amount"));
        }
        let user = self.user(user)?;
        let n = self.hold_named(&user, id).ok_or(Refusal::NoSuchHold)?;
        let Kept { counter, cost, amount: held, .. } = self.holds[n];
        let amount = amount.unwrap_or(held);
        match (self.holds[n].state(now), self.holds[n].settled) {
            (HoldState::Settled, settled) if settled == Some(amount) => {
                return Ok(self.holds[n].shown(now));
            }
            (HoldState::Settled, _) => return Err(Refusal::IdempotencyConflict),
            (HoldState::Released, _) => return Err(Refusal::HoldIsOver),
            (HoldState::Held | HoldState::Expired, _) => {}
        }
        self.events += 1;
        let used = self.used.get(&counter).copied().unwrap_or(0);
        let before = used + self.held_on(counter, now);
        self.holds[n].settled = Some(amount);
        self.used.insert(counter, used + amount * cost);
        let after = used + amount * cost + self.held_on(counter, now);
        self.settle_named(&user, (counter, before, after), now);
        if amount > 0 {
            self.reach_named(&user, counter, now);
        }
        Ok(self.holds[n].shown(now))
    }

    pub(super) fn release_hold(
        &mut self,
        (user, id): (Name, Name),
        now: At,
    ) -> Result<Answer, Refusal> {
        let user = self.user(user)?;
        let n = self.hold_named(&user, id).ok_or(Refusal::NoSuchHold)?;
        match self.holds[n].state(now) {
            HoldState::Released => return Ok(self.holds[n].shown(now)),
            HoldState::Settled => return Err(Refusal::HoldIsOver),
            HoldState::Held | HoldState::Expired => {}
        }
        let counter = self.holds[n].counter;
        let used = self.used.get(&counter).copied().unwrap_or(0);
        let before = used + self.held_on(counter, now);
        self.holds[n].is_released = true;
        let after = used + self.held_on(counter, now);
        self.settle_named(&user, (counter, before, after), now);
        Ok(self.holds[n].shown(now))
    }

    pub(super) fn extend_hold(
        &mut self,
        (user, id): (Name, Name),
        seconds: i64,
        now: At,
    ) -> Result<Answer, Refusal> {
        let expires_at = expiry(seconds, now)?;
        let user = self.user(user)?;
        let n = self.hold_named(&user, id).ok_or(Refusal::NoSuchHold)?;
        if self.holds[n].state(now) != HoldState::Held {
            return Err(Refusal::HoldIsOver);
        }
        self.holds[n].expires_at = expires_at;
        Ok(self.holds[n].shown(now))
    }

    pub(super) fn holds(&self, user: Name, feature: Name, now: At) -> Result<Answer, Refusal> {
        let user = self.user(user)?;
        self.is_binary(feature)?;
        let is_meant = |hold: &&Kept| {
            hold.owner == user.key
                && (hold.feature == feature || hold.counter.1 == feature)
                && hold.state(now) == HoldState::Held
        };
        let mut living: Vec<&Kept> = self.holds.iter().filter(is_meant).collect();
        living.sort_by_key(|hold| (hold.created_at, hold.id));
        Ok(Answer::Holds(living.into_iter().map(|hold| (hold.id, hold.amount)).collect()))
    }

    /// What is held on a counter.
    pub(super) fn held_on(&self, counter: Counter, now: At) -> i64 {
        if self.errs(Mistake::HoldsKeepNothing) {
            return 0;
        }
        let lives = |hold: &&Kept| match hold.state(now) {
            HoldState::Held => true,
            HoldState::Expired => self.errs(Mistake::HoldNeverExpires),
            HoldState::Settled | HoldState::Released => false,
        };
        let on_it = self.holds.iter().filter(|hold| hold.counter == counter);
        on_it.filter(lives).map(|hold| hold.amount * hold.cost).sum()
    }

    /// Moves the holds on a counter that live.
    pub(super) fn move_holds(&mut self, (from, to): (Counter, Counter), now: At) {
        let on_it = self.holds.iter_mut().filter(|hold| hold.counter == from);
        on_it.filter(|hold| hold.state(now) == HoldState::Held).for_each(|hold| hold.counter = to);
    }

    fn hold_named(&self, user: &User, id: Name) -> Option<usize> {
        self.holds.iter().position(|hold| hold.owner == user.key && hold.id == id)
    }
}

fn expiry(seconds: i64, now: At) -> Result<At, Refusal> {
    match seconds {
        1..=604_800 => Ok(At(now.0 + seconds * 1000)),
        _ => Err(Refusal::BadValue("ttlSeconds")),
    }
}
