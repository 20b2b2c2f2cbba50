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
    pub(crate) catalog: &'a Catalog,
    pub(crate) facts: &'a UserFacts,
    pub(crate) tally: Tally<'a>,
    pub(crate) now: Timestamp,
}

impl NamedWrite<'_> {
    /// Adds the changes that set the counter from `before` to `used`. It happens at the last instant of
    /// the counter's period, if that is over, and draws from the grants of then.
    ///
    /// The counter of an override that was removed draws nothing any more.
    pub(crate) fn set(
        self,
        (before, used): (&CounterValue, i64),
        changes: &mut Vec<UserChange>,
    ) -> Result<(), Obstacle> {
        let Self { facts, tally, .. } = &self;
        let has_none = !facts.has_grants() && before.marks.draws().is_empty();
        let marks = if has_none || tally.counter.is_folded() || tally.is_included(facts)? {
            before.marks.clone()
        } else {
            let (own, as_of) = self.own()?;
            let grants = Granting::new(facts, &tally.counter.feature, as_of)?;
            let Settled { draws, changed } = grants.settle(before, used, own);
            grants.change(&changed, facts, changes);
            before.marks.with_draws(draws)
        };
        self.tally.set(self.facts, before.used, CounterValue { used, marks }, changes)
    }

    /// Returns the counter's own part of its budget, and when the write happens.
    fn own(&self) -> Result<(Option<i64>, AsOf), Obstacle> {
        let &Self { catalog, facts, ref tally, now } = self;
        let counter = &tally.counter;
        let place = tally.schedule.as_ref().and_then(|schedule| {
            Some((schedule, schedule.place_of(counter.terms, counter.period_start)?))
        });
        let Some((schedule, place)) = place else { return Ok((None, AsOf::Now(now))) };
        let (allowance, as_of) =
            allowance_of_counter(catalog, facts, &counter.feature, (schedule, &place), now)?;
        let meter = Meter::new(*schedule, &counter.feature, place);
        let (_, own) = OwnPart::read(allowance, &meter, facts)?;
        Ok((own.amount(), as_of))
    }
}
