//! Writes to a counter by its name, whatever counts now (contract: `beyond.md`, "What counts").

use crate::catalog::Catalog;
use crate::counter::CounterValue;
use crate::counter_allowance::allowance_of_counter;
use crate::facts::{Obstacle, UserChange, UserFacts};
use crate::granting::Granting;
use crate::meter::Meter;
use crate::own_part::OwnPart;
use crate::settling::Settled;
use crate::subscription::AsOf;
use crate::tally::Tally;
use crate::timestamp::Timestamp;

/// A counter that is set by its name.
pub(crate) struct NamedWrite<'a> {
    catalog: &'a Catalog,
    facts: &'a UserFacts,
    tally: Tally<'a>,
    /// How much of what is held on it is held no longer.
    freed: i64,
    /// The instant whose grants are drawn, if that is not the one at which the write happens.
    grants_as_of: Option<AsOf>,
    now: Timestamp,
}

/// What a counter is counted against when it is written.
struct Against {
    /// Its own part of the budget; `None` means unlimited.
    own: Option<i64>,
    /// How much is held, before the write.
    held: i64,
    /// When the write happens.
    as_of: AsOf,
}

impl<'a> NamedWrite<'a> {
    pub(crate) fn new(
        catalog: &'a Catalog,
        facts: &'a UserFacts,
        tally: Tally<'a>,
        now: Timestamp,
    ) -> Self {
        Self { catalog, facts, tally, freed: 0, grants_as_of: None, now }
    }

    /// Returns the write to the counter that includes the usage of this one, if there is one.
    pub(crate) fn of_including(
        catalog: &'a Catalog,
        tally: &Tally<'a>,
        facts: &'a UserFacts,
        now: Timestamp,
    ) -> Result<Option<Self>, Obstacle> {
        let including = tally.included_in(facts)?;
        let schedule = tally.schedule;
        Ok(including.map(|counter| Self::new(catalog, facts, Tally { schedule, counter }, now)))
    }

    /// The same write where so much of what is held is held no longer.
    pub(crate) fn freeing(self, freed: i64) -> Self {
        Self { freed, ..self }
    }

    /// The same write where the grants of this instant are drawn.
    pub(crate) fn at(self, as_of: AsOf) -> Self {
        Self { grants_as_of: Some(as_of), ..self }
    }

    /// Adds the changes that set the counter from `before` to `used`. It happens at the last instant of
    /// the counter's period, if that is over, and draws from the grants of then.
    ///
    /// The counter of an override that was removed draws nothing any more.
    pub(crate) fn set(
        self,
        (before, used): (&CounterValue, i64),
        changes: &mut Vec<UserChange>,
    ) -> Result<(), Obstacle> {
        let Self { catalog, facts, ref tally, freed, now, .. } = self;
        let including = Self::of_including(catalog, tally, facts, now)?;
        let draws = !self.draws_nothing(before) && !tally.counter.is_folded();
        let marks = if draws && including.is_none() {
            let Against { own, held, as_of } = self.against()?;
            let as_of = self.grants_as_of.unwrap_or(as_of);
            let grants = Granting::new(facts, &tally.counter.feature, as_of)?;
            let after = held.saturating_sub(freed);
            let load = (before.used.saturating_add(held), used.saturating_add(after));
            let Settled { draws, changed } = grants.settle(before.marks.draws(), load, own);
            grants.change(&changed, facts, changes);
            before.marks.with_draws(draws)
        } else {
            before.marks.clone()
        };
        let value = CounterValue { used, marks };
        let difference = used.saturating_sub(before.used);
        if value != *before {
            self.tally.set(facts, before.used, value, changes)?;
        }
        match including {
            Some(including) => including.freeing(freed).settle(difference, changes),
            None => Ok(()),
        }
    }

    /// Adds the changes of a counter whose usage has changed by `difference` with that of one that it includes:
    /// what it draws is settled.
    pub(crate) fn settle(
        self,
        difference: i64,
        changes: &mut Vec<UserChange>,
    ) -> Result<(), Obstacle> {
        let Some(before) = self.facts.counter(&self.tally.counter).flatten() else { return Ok(()) };
        if self.draws_nothing(before) {
            return Ok(());
        }
        let used = before.used.saturating_add(difference).max(0);
        self.set((before, used), changes)
    }

    /// Returns true if there is nothing to draw, or the usage of the counter counts elsewhere.
    fn draws_nothing(&self, before: &CounterValue) -> bool {
        let has_none = !self.facts.has_grants() && before.marks.draws().is_empty();
        has_none || before.marks.has_moved()
    }

    fn against(&self) -> Result<Against, Obstacle> {
        let &Self { catalog, facts, ref tally, now, .. } = self;
        let counter = &tally.counter;
        let place = tally.schedule.and_then(|schedule| {
            Some((schedule, schedule.place_of(counter.terms, counter.period_start)?))
        });
        let Some((schedule, place)) = place else {
            return Ok(Against { own: None, held: 0, as_of: AsOf::Now(now) });
        };
        let named = (&schedule, &place);
        let (allowance, as_of) =
            allowance_of_counter(catalog, facts, &counter.feature, named, now)?;
        let meter = Meter::new(schedule, &counter.feature, place);
        let (_, own) = OwnPart::read(allowance, &meter, facts, now)?;
        Ok(Against { own: own.amount(), held: meter.held(facts, now)?, as_of })
    }
}
