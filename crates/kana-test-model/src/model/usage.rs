use std::cmp::{Ordering, Reverse};

use super::Model;
use super::grants::{Counter, Write};
use super::overrides::Held;
use crate::answer::{
    Answer, Consumption, Entitlement, PAST_MAX, Reached, Reason, Refusal, Stage, Status,
    Subscription, Timing, UsageInPeriod, User, settle,
};
use crate::mistake::Mistake;
use crate::period;
use crate::request::{Action, At, Id, Name, Rollover, THRESHOLDS, Terms, Threshold, Usage};

const FIVE_MINUTES_MS: i64 = 5 * 60 * 1000;
const UNLIMITED: Terms =
    Terms { limit: None, reset: None, overage: false, added: false, rollover: None };

/// What a request under a key must have in common with the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Content {
    /// `useFeature`, or else one that records.
    uses: bool,
    user: Id,
    feature: Name,
    action: Action,
    delta: i64,
    occurred_at: Option<At>,
}

/// What a request under a key has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Counted {
    /// Subscription, feature, and start of the period.
    counter: (Id, Name, At),
    /// Whose it is.
    owner: Id,
    /// By how much it changed what was used.
    added: i64,
    /// How often that had been SET.
    sets: usize,
    voided: bool,
}

/// The subscription that counts for a feature, with what its package gives.
#[derive(Clone, Copy)]
struct Counting {
    subscription: Subscription,
    terms: Terms,
    /// The limit that all of it comes to.
    budget: Option<i64>,
}

/// What holds for a feature.
enum Standing {
    Nothing,
    Denied,
    Counts(Counting),
}

impl Model {
    pub(super) fn record_usage(&mut self, usage: Usage, now: At) -> Result<Answer, Refusal> {
        if usage.action == Action::Set && usage.delta < 0 {
            return Err(Refusal::BadValue("delta"));
        }
        if usage.occurred_at.is_some_and(|at| at.0 > now.0 + FIVE_MINUTES_MS) {
            return Err(Refusal::BadValue("occurredAt"));
        }
        let user = self.user(usage.user)?;
        let content = Content {
            uses: false,
            user: self.owner_of_key(&user),
            feature: usage.feature,
            action: usage.action,
            delta: usage.delta,
            occurred_at: usage.occurred_at,
        };
        let binary = self.find_feature(usage.feature, usage.key, content)?;
        if usage.action == Action::Set && self.draws.contains_key(usage.feature) {
            return Err(Refusal::BadValue("action"));
        }
        if let Some(earlier) = self.earlier(usage.key, content)? {
            return Ok(earlier);
        }
        let named = usage.occurred_at.filter(|_| !self.errs(Mistake::OccurredAtIgnored));
        let counting = match self.standing(&user, usage.feature, named, now) {
            Standing::Counts(counting) => Some(counting),
            Standing::Nothing | Standing::Denied => None,
        };
        if counting.is_some() || !self.errs(Mistake::UncountedNotKept) {
            self.events += 1;
        }
        if let Some(counting) = counting
            && !binary
        {
            let sets = usage.action == Action::Set && !self.errs(Mistake::SetAdds);
            let stops_at_0 = !self.errs(Mistake::BelowZero);
            let at = named.unwrap_or(now);
            let (feature, cost) = self.balance(usage.feature);
            let counter = self.counter(counting, feature, at);
            let used = self.used.entry(counter).or_default();
            let before = *used;
            *used = if sets { usage.delta } else { *used + usage.delta * cost };
            if stops_at_0 {
                *used = (*used).max(0);
            }
            let (after, added) = (*used, *used - before);
            // Late usage is counted under what holds for its counter now, or did at the end of its period.
            let compared = match named {
                Some(_) if !is_of_grants(&counting) => {
                    self.by_name(&user, counter, now).map_or(counting, |(it, _)| it)
                }
                _ => counting,
            };
            let own = self.own(&compared, counter, now);
            let held = self.held_on(counter, now);
            let (before, after) = (before + held, after + held);
            self.settle(&user, &Write { counter, before, after, own, at }, now);
            if added > 0 {
                self.reach(&user, compared, feature, at, now);
            }
            if usage.action == Action::Set {
                *self.sets.entry(counter).or_default() += 1;
            } else {
                self.note_counted(usage.key, &user, counter, added);
            }
        }
        Ok(self.keep(usage.key, content, Answer::Recorded(counting.is_some())))
    }

    pub(super) fn use_feature(
        &mut self,
        user: Name,
        feature: Name,
        delta: i64,
        key: Option<Name>,
        now: At,
    ) -> Result<Answer, Refusal> {
        if delta < 0 {
            return Err(Refusal::BadValue("delta"));
        }
        let user = self.user(user)?;
        let content = Content {
            uses: true,
            user: self.owner_of_key(&user),
            feature,
            action: Action::Add,
            delta,
            occurred_at: None,
        };
        self.find_feature(feature, key, content)?;
        if let Some(earlier) = self.earlier(key, content)? {
            return Ok(earlier);
        }
        let mut answer = self.entitlement(&user, feature, delta, now)?;
        if self.errs(Mistake::LimitIgnored) && answer.reason == Reason::OverLimit {
            answer = Entitlement { access: true, reason: Reason::WithinLimit, ..answer };
        }
        if answer.access {
            self.events += 1;
        }
        if let Some(consumption) = answer.consumption.as_mut()
            && answer.access
        {
            let (balance, cost) = self.balance(feature);
            consumption.used += delta * cost;
            let Standing::Counts(counting) = self.standing(&user, feature, None, now) else {
                panic!("{feature} is granted by nothing");
            };
            let counter = self.counter(counting, balance, now);
            let (before, after) = (consumption.used - delta * cost, consumption.used);
            self.used.insert(counter, after);
            let held = consumption.held;
            let (before, after) = (before + held, after + held);
            let own = self.own(&counting, counter, now);
            self.settle(&user, &Write { counter, before, after, own, at: now }, now);
            if delta > 0 {
                self.reach(&user, counting, balance, now, now);
            }
            self.note_counted(key, &user, counter, delta * cost);
        }
        if !answer.access && self.errs(Mistake::RefusalsDoNotUseKeys) {
            return Ok(Answer::Entitlement(answer));
        }
        Ok(self.keep(key, content, Answer::Entitlement(answer)))
    }

    pub(super) fn void_usage(&mut self, key: Name, now: At) -> Result<Answer, Refusal> {
        let Some((asked, _)) = self.keys.get(key) else { return Err(Refusal::NoSuchUsage) };
        if asked.action == Action::Set {
            return Err(Refusal::BadValue("idempotencyKey"));
        }
        let Some(counted) = self.counted.get_mut(key) else { return Ok(Answer::Voided(false)) };
        if std::mem::replace(&mut counted.voided, true) {
            return Ok(Answer::Voided(true));
        }
        // The log has an entry of it, whatever is left to take back.
        self.events += 1;
        let Counted { counter, owner, added, sets, .. } = *counted;
        if self.sets.get(&counter).copied().unwrap_or(0) == sets {
            let before = self.used.get(&counter).copied().unwrap_or(0);
            let after = (before - added).max(0);
            self.used.insert(counter, after);
            let user = self.users.iter().find(|user| user.key == owner).copied();
            if let Some(user) = user {
                let held = self.held_on(counter, now);
                self.settle_named(&user, (counter, before + held, after + held), now);
            }
        }
        Ok(Answer::Voided(true))
    }

    /// Settles a write to a counter by its name.
    pub(super) fn settle_named(
        &mut self,
        user: &User,
        (counter, before, after): (Counter, i64, i64),
        now: At,
    ) {
        // The counter of an override that was removed draws nothing.
        let named = self.by_name(user, counter, now);
        let (own, at) = named.map_or((None, now), |(it, at)| (self.own(&it, counter, now), at));
        self.settle(user, &Write { counter, before, after, own, at }, now);
    }

    /// Notes what usage has reached that has grown on a counter by its name.
    pub(super) fn reach_named(&mut self, user: &User, counter: Counter, now: At) {
        if let Some((counting, at)) = self.by_name(user, counter, now) {
            self.reach(user, counting, counter.1, at, now);
        }
    }

    /// The counter that counts now.
    pub(super) fn counts_now(&self, user: &User, feature: Name, now: At) -> Option<Counter> {
        let (balance, _) = self.balance(feature);
        match self.standing(user, feature, None, now) {
            Standing::Counts(counting) => Some(self.counter(counting, balance, now)),
            Standing::Nothing | Standing::Denied => None,
        }
    }

    /// What what counts now has beside grants; none if there is no limit.
    pub(super) fn own_now(&self, user: &User, feature: Name, now: At) -> Option<i64> {
        match self.standing(user, feature, None, now) {
            Standing::Counts(counting) => {
                let counter = self.counter(counting, self.balance(feature).0, now);
                self.own(&counting, counter, now)
            }
            Standing::Nothing | Standing::Denied => None,
        }
    }

    /// What a counter is counted under, and when a write to it by its name happens: at the last instant of
    /// its period, if that is over.
    fn by_name(&self, user: &User, counter: Counter, now: At) -> Option<(Counting, At)> {
        let (id, feature, start) = counter;
        if id == user.key {
            // The period is shown as it is for a question.
            let since = self.granted_since(user, feature, None, now);
            return Some((by_grants(user, since.unwrap_or(start)), now));
        }
        let at = |end: Option<At>| end.filter(|end| *end <= now).map(|end| At(end.0 - 1));
        if let Some(held) = self.stored_override(user, feature).filter(|held| held.id == id) {
            let (counting, end) = by_name_of(held)?;
            return Some((counting, at(end).unwrap_or(now)));
        }
        let subscription = self.of_user(user).find(|known| known.id == id)?;
        let subscription = self.whole(user.key, *subscription);
        let counting = self.granted_by(subscription, feature, None)?;
        let (_, end) = self.period_at(counting, start);
        let named = at([end, subscription.ended_at].into_iter().flatten().min());
        let then = self.of_then(user, counting, feature, named, now);
        Some((then, named.unwrap_or(now)))
    }

    /// Notes which thresholds the usage has reached that has just grown, each once.
    fn reach(&mut self, user: &User, counting: Counting, feature: Name, at: At, now: At) {
        let (start, end) = self.period_at(counting, at);
        // What counts may end before the period does.
        let end = [end, counting.subscription.ended_at].into_iter().flatten().min();
        let is_over = end.is_some_and(|end| end <= now);
        let counter = self.counter(counting, feature, start);
        let consumption = self.consumption_of(user, counting, counter, None, now);
        let Some(budget) = consumption.budget else { return };
        if !self.with_thresholds.contains(feature)
            || (is_over && !self.errs(Mistake::OldUsageReachesThresholds))
        {
            return;
        }
        let usage = UsageInPeriod { start, end, consumption };
        for threshold in THRESHOLDS {
            let is_reached = match threshold {
                Threshold::Percent(percent) => {
                    i128::from(consumption.used) * 100 >= i128::from(budget) * i128::from(percent)
                }
                Threshold::Left(left) => budget.saturating_sub(consumption.used) <= left,
            };
            let was_before = self.with_carried(counter).any(|(id, _, start)| {
                self.reached.iter().any(|(_, subscription, before)| {
                    // The period of grants is shown with a start that changes.
                    let is_same_start = before.usage.start == start || is_of_grants(&counting);
                    (*subscription, before.feature) == (id, feature)
                        && is_same_start
                        && before.threshold == threshold
                })
            });
            if is_reached && (!was_before || self.errs(Mistake::ThresholdsFireAgain)) {
                let reached = Reached { at: now, feature, threshold, usage };
                self.reached.insert((user.key, counting.subscription.id, reached));
            }
        }
    }

    /// The counter of the period of a subscription that contains now; none if its package does not have the
    /// feature.
    pub(super) fn running_counter(
        &self,
        subscription: Subscription,
        feature: Name,
        now: At,
    ) -> Option<Counter> {
        let counting = self.granted_by(subscription, feature, None)?;
        Some(self.counter(counting, feature, now))
    }

    /// Where a subscription starts, and what its periods are counted from.
    pub(super) fn origin(&self, subscription: &Subscription) -> (At, At) {
        let anchor = self.said.get(&subscription.id).and_then(|said| said.anchor);
        (subscription.started_at, anchor.unwrap_or(subscription.started_at))
    }

    pub(super) fn reached(&self, user: Name) -> Result<Answer, Refusal> {
        let user = self.user(user)?;
        let of_user = self.reached.iter().filter(|(owner, ..)| *owner == user.key);
        let mut reached: Vec<Reached> = of_user.map(|(_, _, reached)| *reached).collect();
        reached.sort_unstable();
        Ok(Answer::Reached(reached))
    }

    fn counter(&self, counting: Counting, feature: Name, at: At) -> Counter {
        let start = if is_of_grants(&counting) { At(0) } else { self.period_at(counting, at).0 };
        (counting.subscription.id, feature, start)
    }

    fn note_counted(&mut self, key: Option<Name>, user: &User, counter: Counter, added: i64) {
        let sets = self.sets.get(&counter).copied().unwrap_or(0);
        let owner = user.key;
        if let Some(key) = key {
            self.counted.insert(key, Counted { counter, owner, added, sets, voided: false });
        }
    }

    pub(super) fn can_use_feature(
        &self,
        user: Name,
        feature: Name,
        delta: i64,
        now: At,
    ) -> Result<Answer, Refusal> {
        if delta < 0 {
            return Err(Refusal::BadValue("delta"));
        }
        let user = self.user(user)?;
        self.entitlement(&user, feature, delta, now).map(Answer::Entitlement)
    }

    /// The contract's table of access, row by row.
    pub(super) fn entitlement(
        &self,
        user: &User,
        feature: Name,
        delta: i64,
        now: At,
    ) -> Result<Entitlement, Refusal> {
        let binary = self.is_binary(feature)?;
        let refused = |reason| Ok(Entitlement { access: false, reason, consumption: None });
        let counting = match self.standing(user, feature, None, now) {
            Standing::Nothing => return refused(Reason::NothingGrantsIt),
            Standing::Denied => return refused(Reason::Denied),
            Standing::Counts(counting) => counting,
        };
        if binary {
            return Ok(Entitlement { access: true, reason: Reason::Binary, consumption: None });
        }
        let (balance, cost) = self.balance(feature);
        let counter = self.counter(counting, balance, now);
        let consumption = self.consumption_of(user, counting, counter, None, now);
        let (access, reason) = match consumption.budget {
            None => (true, Reason::Unlimited),
            Some(limit) if consumption.used + consumption.held + delta * cost <= limit => {
                (true, Reason::WithinLimit)
            }
            Some(_) if counting.terms.overage => (true, Reason::Overage),
            Some(_) => (false, Reason::OverLimit),
        };
        Ok(Entitlement { access, reason, consumption: Some(consumption) })
    }

    /// What holds now or, where a moment is named, held then: an override that denies, the subscription
    /// that counts with the limit of an override, an override alone, or nothing.
    ///
    /// A feature that draws on another must be granted itself; then its balance is what counts.
    fn standing(&self, user: &User, feature: Name, named: Option<At>, now: At) -> Standing {
        let own = self.own_standing(user, feature, named, now);
        let (balance, _) = self.balance(feature);
        match own {
            Standing::Counts(_) if balance != feature => {
                self.own_standing(user, balance, named, now)
            }
            Standing::Nothing if self.errs(Mistake::DrawsWithoutGrant) => {
                self.own_standing(user, balance, named, now)
            }
            own => own,
        }
    }

    fn own_standing(&self, user: &User, feature: Name, named: Option<At>, now: At) -> Standing {
        let living = self.living(user, feature, named, now);
        if living.is_some_and(|held| held.denied(named) && !self.errs(Mistake::DeniedIsCounted)) {
            return Standing::Denied;
        }
        let living = living.filter(|held| !held.denies());
        match (self.counting(user, feature, named, now), living) {
            (Some(counting), Some(held)) => Standing::Counts(self.replaced(counting, held)),
            (Some(counting), None) => Standing::Counts(counting),
            (None, Some(held)) if named.is_none_or(|at| held.gave(at)) => {
                Standing::Counts(by_itself(held))
            }
            (None, _) => match self.granted_since(user, feature, named, now) {
                Some(start) if self.is_binary(feature) == Ok(false) => {
                    Standing::Counts(by_grants(user, start))
                }
                _ => Standing::Nothing,
            },
        }
    }

    /// A subscription that counts, with the limit of an override instead of its own.
    fn replaced(&self, counting: Counting, held: &Held) -> Counting {
        let (mut budget, overage) = held.limit(counting.terms.overage);
        if self.errs(Mistake::OverrideIsNoLess) {
            budget = budget.zip(counting.budget).map(|(one, other)| one.max(other));
        }
        let terms = Terms { overage, rollover: None, ..counting.terms };
        Counting { budget, terms, ..counting }
    }

    /// Rules 1 and 2: the subscription that counts now or, where a moment is named, counted then.
    fn counting(&self, user: &User, feature: Name, named: Option<At>, now: At) -> Option<Counting> {
        let grants = |one: Subscription| {
            let shown = self.shown(user.key, one, now);
            shown.ended_at.is_none() && shown.timing.stage != Stage::Incomplete
        };
        let mut candidates: Vec<Counting> = self
            .of_user(user)
            .map(|one| (self.whole(user.key, *one), grants(*one)))
            .filter(|(subscription, grants)| match named {
                None => *grants,
                Some(at) => {
                    subscription.started_at <= at
                        && subscription.ended_at.is_none_or(|ended_at| ended_at > at)
                }
            })
            .filter_map(|(subscription, _)| self.granted_by(subscription, feature, named))
            .collect();
        candidates.sort_by(|one, other| self.before(one, other));
        let (counting, others) = candidates.split_first()?;
        let mut budget = counting.budget;
        for other in others.iter().filter(|other| self.is_added(other)) {
            budget = budget.zip(other.budget).map(|(sum, limit)| sum + limit);
        }
        Some(Counting { budget, ..*counting })
    }

    /// What a subscription alone gives, now or at a moment.
    fn granted_by(
        &self,
        subscription: Subscription,
        feature: Name,
        named: Option<At>,
    ) -> Option<Counting> {
        let (package, status) = self.package(subscription.package)?;
        if *status == Status::Archived && self.errs(Mistake::ArchivingEndsGrants) {
            return None;
        }
        let (_, terms) = package.features.iter().find(|(inside, _)| *inside == feature)?;
        let terms = terms.unwrap_or(UNLIMITED);
        let quantity = match named {
            _ if self.errs(Mistake::QuantityIgnored) => 1,
            Some(at) if !self.errs(Mistake::PastHasTodaysQuantity) => {
                self.quantity_at(subscription.id, at)
            }
            _ => subscription.quantity,
        };
        let budget = terms.limit.map(|limit| limit * quantity);
        Some(Counting { subscription, terms, budget })
    }

    fn is_added(&self, counting: &Counting) -> bool {
        counting.terms.added && !self.errs(Mistake::AddedCompetes)
    }

    /// Which of two counts first: one that competes, and of those the highest limit, then overage; then
    /// the oldest start, then the smallest id.
    fn before(&self, one: &Counting, other: &Counting) -> Ordering {
        let limit = |counting: &Counting| counting.budget.unwrap_or(i64::MAX);
        let mut by_limit = limit(other).cmp(&limit(one));
        if self.errs(Mistake::LowestLimitCounts) {
            by_limit = by_limit.reverse();
        }
        let age =
            |counting: &Counting| (counting.subscription.started_at, counting.subscription.id);
        let by_age = age(one).cmp(&age(other));
        match (self.is_added(one), self.is_added(other)) {
            (true, true) if self.errs(Mistake::NewestAddedCounts) => by_age.reverse(),
            (true, true) => by_age,
            (one, other) if one != other => one.cmp(&other),
            _ => {
                let newest = self.errs(Mistake::NewestCounts);
                let by_age = if newest { by_age.reverse() } else { by_age };
                by_limit.then(other.terms.overage.cmp(&one.terms.overage)).then(by_age)
            }
        }
    }

    /// The period that contains the moment, by its start and its end.
    fn period_at(&self, counting: Counting, at: At) -> (At, Option<At>) {
        let reset = counting.terms.reset.filter(|_| !self.errs(Mistake::PeriodsNeverEnd));
        // The last instant of one that was cancelled as it began lies before its start.
        let started_at = counting.subscription.started_at;
        let origin = self.origin(&counting.subscription);
        *period::started_by(origin, reset, at.max(started_at)).last().unwrap()
    }

    /// What a counter has beside grants; none if there is no limit.
    fn own(&self, counting: &Counting, counter: Counter, now: At) -> Option<i64> {
        counting.budget.map(|budget| budget + self.carried(counting, counter, now))
    }

    /// What is left of the periods before the one of this counter, found by walking through them.
    fn carried(&self, counting: &Counting, (id, feature, start): Counter, now: At) -> i64 {
        let Some(Rollover { max, periods }) = counting.terms.rollover else { return 0 };
        if self.errs(Mistake::NothingIsCarried) {
            return 0;
        }
        let max = max.filter(|_| !self.errs(Mistake::CapIgnored)).unwrap_or(i64::MAX);
        let periods = if self.errs(Mistake::CarriedTooLong) { periods + 5 } else { periods };
        let reset = counting.terms.reset.filter(|_| !self.errs(Mistake::PeriodsNeverEnd));
        let all = period::started_by(self.origin(&counting.subscription), reset, start);
        let earlier = &all[..all.len() - 1];
        let mut carried = 0;
        for (start, end) in &earlier[earlier.len().saturating_sub(periods)..] {
            let last = end.map(|end| At(end.0 - 1));
            let Some(own) = self
                .granted_by(counting.subscription, feature, last)
                .and_then(|granted| granted.budget)
            else {
                continue;
            };
            let counter = (id, feature, *start);
            let used = self.used.get(&counter).copied().unwrap_or(0) + self.held_on(counter, now);
            let charged = (used - self.drawn_by(counter)).max(0);
            carried = (carried - (charged - own).max(0)).max(0) + (own - charged).max(0);
            carried = carried.min(max);
        }
        carried
    }

    /// What was used in a period, with what the counter drew from grants.
    fn consumption(&self, counting: Counting, counter: Counter, now: At) -> Consumption {
        let used = self.used.get(&counter).copied();
        let drawn = self.drawn_by(counter);
        Consumption {
            used: used.unwrap_or(0),
            budget: self.own(&counting, counter, now).map(|own| own + drawn),
            overage: counting.terms.overage,
            held: self.held_on(counter, now),
        }
    }

    /// The same with what is left of the grants that live.
    fn consumption_of(
        &self,
        user: &User,
        counting: Counting,
        counter: Counter,
        named: Option<At>,
        now: At,
    ) -> Consumption {
        let consumption = self.consumption(counting, counter, now);
        let left = self.left_of_grants(user, counter.1, named, now);
        Consumption { budget: consumption.budget.map(|budget| budget + left), ..consumption }
    }

    pub(super) fn show_usage(&self, user: Name, feature: Name, now: At) -> Result<Answer, Refusal> {
        let user = self.user(user)?;
        if self.is_binary(feature)? {
            return Ok(Answer::Usage { current: None, past: Vec::new() });
        }
        let standing = self.standing(&user, feature, None, now);
        let (feature, _) = self.balance(feature);
        let current = match standing {
            Standing::Nothing | Standing::Denied => None,
            Standing::Counts(counting) => {
                let (start, end) = self.period_at(counting, now);
                // An override may end ahead.
                let end = [end, counting.subscription.ended_at].into_iter().flatten().min();
                let counter = self.counter(counting, feature, now);
                let consumption = self.consumption_of(&user, counting, counter, None, now);
                Some(UsageInPeriod { start, end, consumption })
            }
        };
        let mut past: Vec<UsageInPeriod> = self
            .of_user(&user)
            .filter_map(|one| self.granted_by(self.whole(user.key, *one), feature, None))
            .flat_map(|counting| self.past(&user, counting, feature, now))
            .collect();
        past.extend(self.past_of_override(&user, feature, now));
        past.sort_by_key(|period| Reverse(*period));
        past.truncate(PAST_MAX);
        Ok(Answer::Usage { current, past: settle(past) })
    }

    /// The periods of one subscription that are over. One that was cut short ends with the
    /// subscription, and none is left of one that would have started just then.
    fn past(&self, user: &User, counting: Counting, feature: Name, now: At) -> Vec<UsageInPeriod> {
        let ended_at = counting.subscription.ended_at;
        let origin = self.origin(&counting.subscription);
        let reset = counting.terms.reset.filter(|_| !self.errs(Mistake::PeriodsNeverEnd));
        let until = ended_at.unwrap_or(now).min(now);
        let over: Vec<(At, Option<At>)> = period::started_by(origin, reset, until)
            .into_iter()
            .map(|(start, end)| match (end, ended_at) {
                (Some(end), Some(ended_at)) => (start, Some(end.min(ended_at))),
                (end, ended_at) => (start, end.or(ended_at)),
            })
            .filter(|(start, end)| end.is_some_and(|end| end <= until && *start < end))
            .collect();
        // No older ones are shown, and what each carries takes a while to find.
        let newest = over.len().saturating_sub(PAST_MAX);
        over.into_iter()
            .skip(newest)
            .map(|(start, end)| {
                let last = end.map(|end| At(end.0 - 1));
                let then = self.of_then(user, counting, feature, last, now);
                let consumption = self.consumption(then, self.counter(then, feature, start), now);
                UsageInPeriod { start, end, consumption }
            })
            .collect()
    }

    /// What a subscription gave at the last instant of a period: with what was added to it, if it
    /// counted then.
    fn of_then(
        &self,
        user: &User,
        counting: Counting,
        feature: Name,
        last: Option<At>,
        now: At,
    ) -> Counting {
        let subscription = counting.subscription;
        let own = self.granted_by(subscription, feature, last).unwrap_or(counting);
        let counted = self.counting(user, feature, last, now);
        let counted = counted.filter(|counted| counted.subscription.id == subscription.id);
        let living = self.living(user, feature, last, now);
        match (counted, living) {
            (Some(counted), None) => counted,
            (Some(counted), Some(held)) if !held.denied(last) => self.replaced(counted, held),
            _ => own,
        }
    }

    /// The period of an override that has ended, if something was used in it.
    fn past_of_override(&self, user: &User, feature: Name, now: At) -> Option<UsageInPeriod> {
        let held = self.stored_override(user, feature).filter(|held| !held.denies())?;
        let end = held.shown.ends_at.filter(|ends_at| *ends_at <= now)?;
        let start = held.shown.starts_at;
        let consumption = self.consumption(by_itself(held), (held.id, feature, start), now);
        (consumption.used > 0).then_some(UsageInPeriod { start, end: Some(end), consumption })
    }

    /// Whether the feature that was asked for under a key is binary.
    fn find_feature(
        &mut self,
        feature: Name,
        key: Option<Name>,
        content: Content,
    ) -> Result<bool, Refusal> {
        let found = self.is_binary(feature);
        if found.is_err() && self.errs(Mistake::ErrorsUseKeys) {
            self.keep(key, content, Answer::Failed("used by an error".into()));
        }
        found
    }

    fn owner_of_key(&self, user: &User) -> Id {
        if self.errs(Mistake::KeysBelongToIds) {
            // The ids of three users differ in their first letter.
            return Id(u128::from(user.id.as_bytes()[0]));
        }
        user.key
    }

    /// What was answered before under this key, if it was.
    fn earlier(&self, key: Option<Name>, mut content: Content) -> Result<Option<Answer>, Refusal> {
        let Some((asked, answer)) = key.and_then(|key| self.keys.get(key)) else {
            return Ok(None);
        };
        if self.errs(Mistake::RepeatsRecord) {
            return Ok(None);
        }
        if self.errs(Mistake::DeltaIsNotContent) {
            content.delta = asked.delta;
        }
        if *asked == content { Ok(Some(answer.clone())) } else { Err(Refusal::IdempotencyConflict) }
    }

    fn keep(&mut self, key: Option<Name>, content: Content, answer: Answer) -> Answer {
        if let Some(key) = key {
            self.keys.insert(key, (content, answer.clone()));
        }
        answer
    }
}

/// What a user's grants give where nothing else counts.
fn by_grants(user: &User, start: At) -> Counting {
    let subscription = Subscription {
        id: user.key,
        package: "",
        started_at: start,
        ended_at: None,
        quantity: 1,
        timing: Timing::default(),
    };
    Counting { subscription, terms: Terms { limit: Some(0), ..UNLIMITED }, budget: Some(0) }
}

/// Whether nothing but grants counts.
fn is_of_grants(counting: &Counting) -> bool {
    counting.subscription.package.is_empty() && counting.terms.limit == Some(0)
}

/// What an override gives that counts by itself, and when it stopped to.
fn by_name_of(held: &Held) -> Option<(Counting, Option<At>)> {
    let ((budget, overage), denied) = held.last_given()?;
    let counting = by_itself(held);
    let end = [held.shown.ends_at, denied].into_iter().flatten().min();
    Some((Counting { budget, terms: Terms { overage, ..counting.terms }, ..counting }, end))
}

/// What an override gives that counts by itself.
fn by_itself(held: &Held) -> Counting {
    let (budget, overage) = held.limit(false);
    let subscription = Subscription {
        id: held.id,
        package: "",
        started_at: held.shown.starts_at,
        ended_at: held.shown.ends_at,
        quantity: 1,
        timing: Timing::default(),
    };
    Counting { subscription, terms: Terms { overage, ..UNLIMITED }, budget }
}
