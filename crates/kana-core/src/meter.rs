//! The usage of one period: its own counter, and the periods that it has taken over.

use crate::counter::CounterValue;
use crate::facts::{CounterKey, Obstacle, UserFacts};
use crate::hold::{Hold, held};
use crate::id::FeatureId;
use crate::schedule::{Place, Schedule, TakenOver};
use crate::source::Source;
use crate::tally::Tally;
pub(crate) use crate::tally::needs;
use crate::terms::TermsNumber;
use crate::timestamp::Timestamp;

/// Reads and sets the usage of one source and feature in one period.
#[derive(Debug, Clone)]
pub(crate) struct Meter<'a> {
    schedule: Schedule<'a>,
    place: Place,
    counter: CounterKey,
}

impl<'a> Meter<'a> {
    /// Creates the meter of a period.
    pub(crate) fn new(schedule: Schedule<'a>, feature: &FeatureId, place: Place) -> Self {
        let counter = CounterKey {
            subscription: schedule.lifetime.source.counter_id(),
            feature: feature.clone(),
            terms: place.number,
            period_start: place.period.start,
        };
        Self { schedule, place, counter }
    }

    /// Creates the meter of a period whose usage may arrive late. If the period's counter is old
    /// enough at `now` to be folded, the meter reads and sets the sum instead.
    pub(crate) fn late(
        schedule: Schedule<'a>,
        feature: &FeatureId,
        place: Place,
        now: Timestamp,
    ) -> Self {
        let mut meter = Self::new(schedule, feature, place);
        let since = schedule.counted_one_by_one_since(place.number, now);
        if since.is_some_and(|since| place.period.start < since) {
            meter.counter.period_start = CounterKey::FOLDED;
        }
        meter
    }

    /// Returns what counts.
    pub(crate) fn source(&self) -> Source {
        self.schedule.lifetime.source
    }

    pub(crate) fn schedule(&self) -> &Schedule<'a> {
        &self.schedule
    }

    /// Returns the counter that it reads and sets.
    pub(crate) fn counter(&self) -> &CounterKey {
        &self.counter
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the first instant after the period if an end that was only set is taken back.
    pub(crate) fn lasts_until(&self) -> Option<Timestamp> {
        self.schedule.lasts_until(&self.place)
    }

    /// Returns the meters of at most `at_most` periods that come right before this one under the same terms
    /// number, oldest first.
    pub(crate) fn earlier(&self, at_most: u32) -> impl Iterator<Item = Self> {
        let meter = |place| Self::new(self.schedule, &self.counter.feature, place);
        self.schedule.earlier(&self.place, at_most).into_iter().map(meter)
    }

    /// Returns true if the period's own usage is part of a sum and no longer known.
    pub(crate) fn is_folded(&self) -> bool {
        self.counter.is_folded()
    }

    /// Returns what the period's counter holds as far as it is loaded, and adds the counters that are not
    /// loaded to `missing`. A counter that was never written has the usage of the periods that it takes
    /// over, and what they drew.
    pub(crate) fn read(&self, facts: &UserFacts, missing: &mut Vec<CounterKey>) -> CounterValue {
        match facts.counter(&self.counter) {
            Some(Some(value)) => value.clone(),
            Some(None) if self.place.takes_over => {
                let taken_over = self.schedule.taken_over(self.place.number);
                self.sum(facts, &taken_over, self.place.number, missing)
            }
            Some(None) => CounterValue::default(),
            None => {
                missing.push(self.counter.clone());
                CounterValue::default()
            }
        }
    }

    /// Returns the sum of what the first period of a terms number has taken over. Once that
    /// period's counter is written, it includes this sum. All counters that may be needed are added
    /// to `missing` at once, to load them in one round trip.
    fn sum(
        &self,
        facts: &UserFacts,
        taken_over: &TakenOver,
        taker: TermsNumber,
        missing: &mut Vec<CounterKey>,
    ) -> CounterValue {
        let sums = taken_over.sums.iter().filter(|(by, _)| *by == taker);
        let sums = sums.map(|(_, number)| (self.counter_at(*number, CounterKey::FOLDED), false));
        let places = taken_over.periods.iter().filter(|(by, _)| *by == taker);
        let places = places.map(|(_, place)| {
            (self.counter_at(place.number, place.period.start), place.takes_over)
        });
        let mut sum = CounterValue::default();
        for (counter, takes_over) in sums.chain(places) {
            match facts.counter(&counter) {
                Some(Some(value)) => sum.add(value),
                Some(None) | None if takes_over => {
                    sum.add(&self.sum(facts, taken_over, counter.terms, missing));
                }
                Some(None) | None => {}
            }
            if facts.counter(&counter).is_none() {
                missing.push(counter);
            }
        }
        sum
    }

    fn counter_at(&self, terms: TermsNumber, period_start: Timestamp) -> CounterKey {
        CounterKey { terms, period_start, ..self.counter.clone() }
    }

    /// Returns what [`read`](Self::read) does. Fails if counters that it needs are not loaded.
    pub(crate) fn value(&self, facts: &UserFacts) -> Result<CounterValue, Obstacle> {
        let mut missing = Vec::new();
        let value = self.read(facts, &mut missing);
        needs(facts.key, missing)?;
        Ok(value)
    }

    /// Returns how much is held in the period now: on its own counter, and on those that it takes over.
    pub(crate) fn held(&self, facts: &UserFacts, now: Timestamp) -> Result<i64, Obstacle> {
        if !facts.has_holds() {
            return Ok(0);
        }
        Ok(held(self.living_holds(facts, now)?))
    }

    /// Returns the holds that live in the period now: on its own counter, and on those that it takes over.
    pub(crate) fn living_holds<'f>(
        &'f self,
        facts: &'f UserFacts,
        now: Timestamp,
    ) -> Result<impl Iterator<Item = &'f Hold>, Obstacle> {
        let on_balance = facts.living_holds(&self.counter.feature, now)?;
        Ok(on_balance.filter(|hold| self.includes(&hold.counter)))
    }

    /// Returns true if the usage of a counter belongs to the period.
    fn includes(&self, counter: &CounterKey) -> bool {
        let own = &self.counter;
        if counter.subscription != own.subscription || counter.feature != own.feature {
            return false;
        }
        let is_taken_over = || {
            let takers = self.schedule.takers_of(counter.terms, counter.period_start);
            takers.contains(&(own.terms, own.period_start))
        };
        counter == own || (self.place.takes_over && is_taken_over())
    }

    /// Returns the period's counter with those that include it, to set it.
    pub(crate) fn into_tally(self) -> Tally<'a> {
        Tally { schedule: Some(self.schedule), counter: self.counter }
    }
}
