//! A counter's own part of its budget: what it has beside grants (contract: `beyond.md`, "The model" and
//! "Rollover").

use crate::access::Consumption;
use crate::allowance::Allowance;
use crate::counter::CounterValue;
use crate::facts::{CounterKey, Obstacle, UserFacts};
use crate::meter::{Meter, needs};
use crate::quantity::Quantity;
use crate::rollover::EarlierPeriod;
use crate::source::Source;
use crate::subscription::Subscription;
use crate::timestamp::Timestamp;

/// What a counter has beside grants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnPart {
    /// What it is counted under; the limit is that of what counts, by its quantity, with what is added to it.
    pub(crate) allowance: Allowance,
    /// What is left of earlier periods, 0 or more; 0 without a limit.
    carried: i64,
}

impl OwnPart {
    /// Returns the own part of a meter's counter, which is counted under `allowance`. Adds counters of earlier
    /// periods that are not loaded to `missing`; they count as never written.
    pub(crate) fn of(
        allowance: Allowance,
        meter: &Meter<'_>,
        (facts, now): (&UserFacts, Timestamp),
        missing: &mut Vec<CounterKey>,
    ) -> Result<Self, Obstacle> {
        Ok(Self { allowance, carried: carried(allowance, meter, (facts, now), missing)? })
    }

    /// Returns what the counter holds, and its own part. Fails with all counters at once that are needed and
    /// not loaded.
    pub(crate) fn read(
        allowance: Allowance,
        meter: &Meter<'_>,
        facts: &UserFacts,
        now: Timestamp,
    ) -> Result<(CounterValue, Self), Obstacle> {
        let mut missing = Vec::new();
        let value = meter.read(facts, &mut missing);
        let own = Self::of(allowance, meter, (facts, now), &mut missing)?;
        needs(facts.key, missing)?;
        Ok((value, own))
    }

    /// Returns what is left of earlier periods.
    pub(crate) fn carried(self) -> i64 {
        self.carried
    }

    /// Returns how much it is; `None` means unlimited.
    pub(crate) fn amount(self) -> Option<i64> {
        self.allowance.limit.map(|limit| limit.saturating_add(self.carried))
    }

    /// Returns how much of it was used, if there is nothing beside it.
    pub(crate) fn consumption(self, used: i64) -> Consumption {
        Consumption::new(self.allowance, used).with_carried(self.carried)
    }
}

/// Returns what is left of earlier periods of the same source and terms number. Without rollover no counter is
/// asked for.
fn carried(
    allowance: Allowance,
    meter: &Meter<'_>,
    (facts, now): (&UserFacts, Timestamp),
    missing: &mut Vec<CounterKey>,
) -> Result<i64, Obstacle> {
    let Some(rollover) = allowance.rollover.filter(|_| allowance.limit.is_some()) else {
        return Ok(0);
    };
    // The sum of old periods draws nothing and is never shown with a budget.
    let Source::Subscription(id) = meter.source() else { return Ok(0) };
    if meter.is_folded() {
        return Ok(0);
    }
    let subscription = facts.running(id);
    let earlier: Vec<EarlierPeriod> = meter
        .earlier(rollover.periods())
        .map(|earlier| earlier_period(&earlier, subscription, (facts, now), missing))
        .collect::<Result<_, _>>()?;
    Ok(rollover.carried(&earlier))
}

/// Returns what a period had that is over, and what became of it.
fn earlier_period(
    meter: &Meter<'_>,
    subscription: Option<&Subscription>,
    (facts, now): (&UserFacts, Timestamp),
    missing: &mut Vec<CounterKey>,
) -> Result<EarlierPeriod, Obstacle> {
    let place = meter.place();
    let value = meter.read(facts, missing);
    let end = place.period.end.unwrap_or(Timestamp::MAX);
    let last = end.saturating_add_ms(-1);
    let quantity = subscription.map_or(Quantity::ONE, |known| known.quantities.at(last));
    Ok(EarlierPeriod {
        own: quantity.times(place.allowance.limit),
        used: value.used,
        held: meter.held(facts, now)?,
        drawn: value.marks.draws().total(),
    })
}
