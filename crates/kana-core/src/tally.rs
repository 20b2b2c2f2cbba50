//! A counter with those that include its usage.

use crate::counted::CountedAt;
use crate::counter::CounterValue;
use crate::facts::{Change, CounterKey, Need, Obstacle, UserChange, UserFacts};
use crate::id::UserKey;
use crate::schedule::Schedule;

/// Sets a counter, and the counters of the periods that have taken its own over.
#[derive(Debug, Clone)]
pub(crate) struct Tally<'a> {
    /// `None` if the terms that it was counted under are no longer stored; then no other counter includes it.
    pub(crate) schedule: Option<Schedule<'a>>,
    pub(crate) counter: CounterKey,
}

impl Tally<'_> {
    /// Returns the name under which an idempotency record has the counter.
    pub(crate) fn name(&self) -> CountedAt {
        let CounterKey { subscription, terms, period_start, .. } = self.counter;
        CountedAt::new(subscription, terms, period_start)
    }

    /// Adds the changes that set the counter, whose usage was `before`. Those that include it change by
    /// the same amount, if they are written.
    pub(crate) fn set(
        self,
        facts: &UserFacts,
        before: i64,
        value: CounterValue,
        changes: &mut Vec<UserChange>,
    ) -> Result<(), Obstacle> {
        let takers = self.takers();
        needs_all(facts, &takers)?;
        let difference = value.used.saturating_sub(before);
        changes.push((facts.key, Change::SetCounter { counter: self.counter, value }));
        for counter in takers {
            if let Some(Some(known)) = facts.counter(&counter) {
                let used = known.used.saturating_add(difference).max(0);
                let value = CounterValue { used, marks: known.marks.clone() };
                changes.push((facts.key, Change::SetCounter { counter, value }));
            }
        }
        Ok(())
    }

    /// Returns the counter that includes the usage of this one, and is included in no other itself: what is drawn
    /// for the usage is settled there. `None` if it is settled here.
    pub(crate) fn included_in(&self, facts: &UserFacts) -> Result<Option<CounterKey>, Obstacle> {
        let takers = self.takers();
        needs_all(facts, &takers)?;
        let is_written = |counter: &CounterKey| facts.counter(counter).flatten().is_some();
        Ok(takers.into_iter().rev().find(is_written))
    }

    /// Returns how often what counts the usage was SET: this counter, and those that include it. Of the
    /// sum of folded counters, only the latter can be.
    pub(crate) fn sets(&self, facts: &UserFacts) -> Result<u32, Obstacle> {
        let takers = self.takers();
        needs_all(facts, &takers)?;
        let own = if self.counter.is_folded() { None } else { Some(&self.counter) };
        let known = own.into_iter().chain(&takers).filter_map(|key| facts.counter(key).flatten());
        Ok(known.fold(0, |sets: u32, known| sets.saturating_add(known.marks.sets())))
    }

    /// Returns the counters of the periods that have taken this one over.
    fn takers(&self) -> Vec<CounterKey> {
        let Some(schedule) = &self.schedule else { return Vec::new() };
        let start = if self.counter.is_folded() {
            schedule.lifetime.origin.started_at
        } else {
            self.counter.period_start
        };
        let takers = schedule.takers_of(self.counter.terms, start).into_iter();
        let counter =
            |(terms, period_start)| CounterKey { terms, period_start, ..self.counter.clone() };
        takers.map(counter).collect()
    }
}

fn needs_all(facts: &UserFacts, counters: &[CounterKey]) -> Result<(), Obstacle> {
    let missing = counters.iter().filter(|counter| facts.counter(counter).is_none());
    needs(facts.key, missing.cloned().collect())
}

/// Fails with the need for the missing counters of a user, unless there are none.
pub(crate) fn needs(user: UserKey, mut missing: Vec<CounterKey>) -> Result<(), Obstacle> {
    if missing.is_empty() {
        return Ok(());
    }
    missing.sort_unstable();
    missing.dedup();
    Err(Obstacle::Needs(Need::Counters(user, missing)))
}
