use std::cmp::Reverse;

use super::Model;
use crate::answer::{Answer, Grant, Refusal, User};
use crate::mistake::Mistake;
use crate::request::{At, Giving, Id, Name};

/// Subscription or what stands in its place, feature, and start of the period.
pub(super) type Counter = (Id, Name, At);

/// A grant, also after its user was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Given {
    owner: Id,
    giving: Giving,
    starts_at: At,
    created_at: At,
    voided_at: Option<At>,
    /// Nobody can draw from it any more, nor see it.
    is_gone: bool,
}

impl Given {
    fn ends_at(&self) -> Option<At> {
        [self.giving.expires_at, self.voided_at].into_iter().flatten().min()
    }

    fn has_ended(&self, at: At) -> bool {
        self.ends_at().is_some_and(|end| end <= at)
    }
}

/// A write to a counter.
pub(super) struct Write {
    pub(super) counter: Counter,
    pub(super) before: i64,
    pub(super) after: i64,
    /// The limit of what counts; none if there is none.
    pub(super) own: Option<i64>,
    /// When it was used.
    pub(super) at: At,
}

impl Model {
    pub(super) fn create_grant(&mut self, giving: Giving, now: At) -> Result<Answer, Refusal> {
        if !(1..=2_147_483_647).contains(&giving.amount) {
            return Err(Refusal::BadValue("amount"));
        }
        let starts_at = giving.starts_at.unwrap_or(now);
        if giving.expires_at.is_some_and(|end| end <= now || end <= starts_at) {
            return Err(Refusal::BadValue("expiresAt"));
        }
        let user = self.user(giving.user)?;
        if !self.has_amount(giving.feature)? {
            return Err(Refusal::BadValue("featureId"));
        }
        if let Some(n) = self.grant_named(&user, giving.id) {
            let known = &self.grants[n];
            let starts_at = giving.starts_at.unwrap_or(known.created_at);
            let content = |of: &Giving| (of.feature, of.amount, of.priority, of.expires_at);
            let is_same =
                content(&known.giving) == content(&giving) && known.starts_at == starts_at;
            let answer = Answer::Grant(self.shown_grant(n, now));
            return if is_same { Ok(answer) } else { Err(Refusal::IdempotencyConflict) };
        }
        self.grants.push(Given {
            owner: user.key,
            giving,
            starts_at,
            created_at: now,
            voided_at: None,
            is_gone: false,
        });
        Ok(Answer::Grant(self.shown_grant(self.grants.len() - 1, now)))
    }

    pub(super) fn void_grant(&mut self, user: Name, id: Name, now: At) -> Result<Answer, Refusal> {
        let user = self.user(user)?;
        let n = self.grant_named(&user, id).ok_or(Refusal::NoSuchGrant)?;
        self.grants[n].voided_at.get_or_insert(now);
        Ok(Answer::Grant(self.shown_grant(n, now)))
    }

    pub(super) fn grants(&self, user: Name, feature: Name, now: At) -> Result<Answer, Refusal> {
        let user = self.user(user)?;
        self.is_binary(feature)?;
        let grants = self.in_order(&user, feature).into_iter();
        Ok(Answer::Grants(grants.map(|n| self.shown_grant(n, now)).collect()))
    }

    /// A user who is deleted has none any more.
    pub(super) fn forget_grants(&mut self, user: &User) {
        for known in self.grants.iter_mut().filter(|known| known.owner == user.key) {
            known.is_gone = true;
        }
    }

    fn shown_grant(&self, n: usize, now: At) -> Grant {
        let known = &self.grants[n];
        let used = self.drawn_from(n);
        let left = known.giving.amount - used;
        Grant {
            id: known.giving.id,
            amount: known.giving.amount,
            used,
            remaining: if known.has_ended(now) { 0 } else { left },
            voided_at: known.voided_at,
        }
    }

    fn grant_named(&self, user: &User, id: Name) -> Option<usize> {
        self.grants
            .iter()
            .position(|known| known.owner == user.key && known.giving.id == id && !known.is_gone)
    }

    fn drawn_from(&self, n: usize) -> i64 {
        self.drawn.iter().filter(|((_, grant), _)| *grant == n).map(|(_, amount)| amount).sum()
    }

    /// The user's grants of a feature, in the order in which they are drawn.
    fn in_order(&self, user: &User, feature: Name) -> Vec<usize> {
        let is_meant = |known: &Given| {
            known.owner == user.key && known.giving.feature == feature && !known.is_gone
        };
        let mut all: Vec<usize> =
            (0..self.grants.len()).filter(|n| is_meant(&self.grants[*n])).collect();
        all.sort_by_key(|n| {
            let Giving { priority, expires_at, .. } = self.grants[*n].giving;
            let age = if self.errs(Mistake::NewestGrantFirst) { usize::MAX - *n } else { *n };
            (priority, expires_at.is_none(), expires_at, age)
        });
        all
    }

    /// Those that live now or, where a moment is named, lived then.
    pub(super) fn living_grants(
        &self,
        user: &User,
        feature: Name,
        named: Option<At>,
        now: At,
    ) -> Vec<usize> {
        let mut all = self.in_order(user, feature);
        all.retain(|n| {
            let known = &self.grants[*n];
            let at = named.unwrap_or(now);
            let never_ends = self.errs(Mistake::GrantNeverEnds);
            known.starts_at <= at && (!known.has_ended(at) || never_ends)
        });
        all
    }

    /// Since when the oldest of those lives that do.
    pub(super) fn granted_since(
        &self,
        user: &User,
        feature: Name,
        named: Option<At>,
        now: At,
    ) -> Option<At> {
        let living = self.living_grants(user, feature, named, now).into_iter();
        living.map(|n| self.grants[n].starts_at).min()
    }

    /// What is left of all that live.
    pub(super) fn left_of_grants(
        &self,
        user: &User,
        feature: Name,
        named: Option<At>,
        now: At,
    ) -> i64 {
        let living = self.living_grants(user, feature, named, now).into_iter();
        living.map(|n| self.grants[n].giving.amount - self.drawn_from(n)).sum()
    }

    /// What a counter drew.
    pub(super) fn drawn_by(&self, counter: Counter) -> i64 {
        self.drawn.iter().filter(|((by, _), _)| *by == counter).map(|(_, amount)| amount).sum()
    }

    /// The steps 1 to 4 of the contract.
    pub(super) fn settle(&mut self, user: &User, write: &Write, now: At) {
        let Write { counter, before, after, own, at } = *write;
        if self.has_moved(counter) {
            return;
        }
        let Some(own) = own else {
            return self.drawn.retain(|(by, _), _| *by != counter);
        };
        let is_first = |model: &Self, n: usize| model.grants[n].giving.priority < 0;
        let sum = |model: &Self, first: bool| -> i64 {
            let of_counter = model.drawn.iter().filter(|((by, _), _)| *by == counter);
            of_counter.filter(|((_, n), _)| is_first(model, *n) == first).map(|(_, it)| it).sum()
        };
        let feature = counter.1;
        let living = self.living_grants(user, feature, Some(at).filter(|at| *at != now), now);
        let excess = sum(self, true) - before.min(after);
        self.give_back(counter, excess, |model, n| is_first(model, n));
        let growth = after.saturating_sub(before);
        self.draw(counter, growth, living.iter().copied().filter(|n| is_first(self, *n)).collect());
        let wanted = after.saturating_sub(sum(self, true)).saturating_sub(own).max(0);
        let other = sum(self, false);
        self.give_back(counter, other - wanted, |model, n| !is_first(model, n));
        if !self.errs(Mistake::GrantsAreNotDrawn) {
            let others = living.iter().copied().filter(|n| !is_first(self, *n)).collect();
            self.draw(counter, wanted - other, others);
        }
    }

    fn draw(&mut self, counter: Counter, mut amount: i64, grants: Vec<usize>) {
        for n in grants {
            let part = amount.min(self.grants[n].giving.amount - self.drawn_from(n)).max(0);
            if part > 0 {
                *self.drawn.entry((counter, n)).or_default() += part;
            }
            amount -= part;
        }
    }

    fn give_back(
        &mut self,
        counter: Counter,
        mut amount: i64,
        is_meant: impl Fn(&Self, usize) -> bool,
    ) {
        let of_counter = self.drawn.keys().filter(|(by, _)| *by == counter).map(|(_, n)| *n);
        let mut drawn: Vec<usize> = of_counter.filter(|n| is_meant(self, *n)).collect();
        drawn.sort_by_key(|n| {
            let Giving { priority, expires_at, .. } = self.grants[*n].giving;
            Reverse((priority, expires_at.is_none(), expires_at, *n))
        });
        for n in drawn {
            let known = self.drawn.entry((counter, n)).or_default();
            let part = amount.min(*known).max(0);
            *known -= part;
            amount -= part;
        }
        self.drawn.retain(|_, amount| *amount > 0);
    }
}
