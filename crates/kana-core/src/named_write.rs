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
    /// How much of what is held on it is held no longer.
    pub(crate) freed: i64,
    pub(crate) now: Timestamp,
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
        let draws = !has_none && !tally.counter.is_folded() && !before.marks.has_moved();
        let marks = if !draws || tally.is_included(facts)? {
            before.marks.clone()
        } else {
            let Against { own, held, as_of } = self.against()?;
            let grants = Granting::new(facts, &tally.counter.feature, as_of)?;
            let after = held.saturating_sub(self.freed);
            let load = (before.used.saturating_add(held), used.saturating_add(after));
            let Settled { draws, changed } = grants.settle(before.marks.draws(), load, own);
            grants.change(&changed, facts, changes);
            before.marks.with_draws(draws)
        };
        let value = CounterValue { used, marks };
        if value == *before {
            return Ok(());
        }
        self.tally.set(self.facts, before.used, value, changes)
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
