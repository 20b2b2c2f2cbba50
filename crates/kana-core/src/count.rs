//! Counts usage: what becomes of its counter, and who is told.

use uuid::Uuid;

use crate::access::Consumption;
use crate::catalog::{Catalog, Feature};
use crate::change::{self, Effect};
use crate::counted::Counted;
use crate::counter::CounterValue;
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::granting::Granting;
use crate::limit_crossing::crossing;
use crate::meter::Meter;
use crate::named_write::NamedWrite;
use crate::own_part::OwnPart;
use crate::period::Period;
use crate::settling::Settled;
use crate::subscription::AsOf;
use crate::tally::Tally;
use crate::threshold::{Threshold, ThresholdEvent};
use crate::timestamp::Timestamp;
use crate::usage_event::UsageAction;

/// Usage that is counted.
pub(crate) struct Usage<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) facts: &'a UserFacts,
    /// The feature that is counted: the balance, if another one draws on it.
    pub(crate) feature: &'a Feature,
    pub(crate) action: UsageAction,
    /// The amount that was asked for, in the unit of the feature that was used.
    pub(crate) delta: i64,
    /// Whether it can be taken back under an idempotency key.
    pub(crate) has_key: bool,
    /// How much of what was held in the period before is held no longer: what a hold had kept.
    pub(crate) freed: i64,
    pub(crate) now: Timestamp,
}

/// Where usage is counted: under what, on which counter, and with which grants.
pub(crate) type Counting<'a> = (OwnPart, Meter<'a>, Granting<'a>);

/// What counting has changed beside the facts.
#[derive(Default)]
pub(crate) struct Count {
    /// By how much the counter has changed.
    pub(crate) amount: i64,
    /// The usage after it, and what it is counted against, at the instant of the usage.
    pub(crate) consumption: Option<Consumption>,
    /// What is kept with the idempotency key.
    pub(crate) counted: Option<Counted>,
    /// What the changes feed tells.
    pub(crate) feed: Vec<change::Change>,
}

impl Usage<'_> {
    /// Adds the changes of facts that set the counter of a period from `before` to `used`.
    pub(crate) fn count(
        &self,
        (own, meter, grants): Counting<'_>,
        (before, used): (CounterValue, i64),
        changes: &mut Vec<UserChange>,
    ) -> Result<Count, Obstacle> {
        let &Self { facts, feature, now, .. } = self;
        let runs = meter.place().period.end.is_none_or(|end| end > now);
        let lasts_until = meter.lasts_until();
        let shown = grants.shown_period(&meter);
        let tally = meter.into_tally();
        let including = NamedWrite::of_including(self.catalog, &tally, facts, now)?;
        let is_settled = !tally.counter.is_folded() && !before.marks.has_moved();
        let settled = if !is_settled || including.is_some() {
            None
        } else {
            let (held, draws) = (grants.held(), before.marks.draws());
            let load = (
                before.used.saturating_add(held).saturating_add(self.freed),
                used.saturating_add(held),
            );
            Some(grants.settle(draws, load, own.amount()))
        };
        let (marks, changed) = match settled {
            Some(Settled { draws, changed }) => (before.marks.with_draws(draws), changed),
            None => (before.marks.clone(), Vec::new()),
        };
        let marks = if self.action == UsageAction::Set { marks.after_sets(1) } else { marks };
        let mut value = CounterValue { used, marks };
        let consumption = grants.consumption_after(own, &value, &changed);
        let current = grants.at(AsOf::Now(now)).consumption_after(own, &value, &changed);
        let reached = if runs && used > before.used {
            feature.thresholds().reached(current, before.marks.fired())
        } else {
            Vec::new()
        };
        if !reached.is_empty() {
            value.marks = value.marks.after_firing(&reached, feature.thresholds().as_slice());
        }
        let amount = used.saturating_sub(before.used);
        let counted = self.counted(&tally, amount)?;
        tally.set(facts, before.used, value, changes)?;
        grants.change(&changed, facts, changes);
        if let Some(including) = including {
            let write = including.freeing(self.freed).at(grants.as_of());
            write.settle(amount, changes)?;
        }
        let usage = (before.used, used);
        let crossed =
            runs.then(|| crossing(&feature.id, current.budget, lasts_until, usage, now)).flatten();
        changes.extend(crossed.map(|crossed| (facts.key, Change::CrossLimit(crossed))));
        let feed = self.reach(reached, (shown, current), changes);
        Ok(Count { amount, consumption: Some(consumption), counted, feed })
    }

    /// Returns what is kept with the idempotency key, if there is one.
    fn counted(&self, tally: &Tally<'_>, amount: i64) -> Result<Option<Counted>, Obstacle> {
        if !self.has_key || self.action != UsageAction::Add {
            return Ok(None);
        }
        let added = (amount != self.delta).then_some(amount);
        let sets = tally.sets(self.facts)?;
        Ok(Some(Counted { counter: tally.name(), added, sets, voided: false }))
    }

    /// Adds an event for each threshold that is reached, and returns what the changes feed tells.
    fn reach(
        &self,
        reached: Vec<Threshold>,
        (period, consumption): (Period, Consumption),
        changes: &mut Vec<UserChange>,
    ) -> Vec<change::Change> {
        let mut feed = Vec::new();
        for threshold in reached {
            let event = ThresholdEvent {
                // The writer chooses it.
                id: Uuid::nil(),
                feature: self.feature.id.clone(),
                threshold,
                period,
                consumption,
                at: self.now,
            };
            let effect = Effect::ThresholdReached(Box::new(event.clone()));
            feed.push(change::Change::of_user(&self.facts.id, effect));
            changes.push((self.facts.key, Change::ReachThreshold(event)));
        }
        feed
    }
}
