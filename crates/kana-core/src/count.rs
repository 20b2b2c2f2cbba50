//! Counts usage: what becomes of its counter, and who is told.

use uuid::Uuid;

use crate::allowance::Allowance;
use crate::catalog::Feature;
use crate::change::{self, Effect};
use crate::counted::Counted;
use crate::counter::CounterValue;
use crate::entitlement::consumption;
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::limit_crossing::crossing;
use crate::meter::Meter;
use crate::threshold::ThresholdEvent;
use crate::timestamp::Timestamp;
use crate::usage_event::UsageAction;

/// Usage that is counted.
pub(crate) struct Usage<'a> {
    pub(crate) facts: &'a UserFacts,
    /// The feature that is counted: the balance, if another one draws on it.
    pub(crate) feature: &'a Feature,
    pub(crate) action: UsageAction,
    /// The amount that was asked for, in the unit of the feature that was used.
    pub(crate) delta: i64,
    /// Whether it can be taken back under an idempotency key.
    pub(crate) has_key: bool,
    pub(crate) now: Timestamp,
}

/// What counting has changed beside the facts.
#[derive(Default)]
pub(crate) struct Count {
    /// By how much the counter has changed.
    pub(crate) amount: i64,
    /// What is kept with the idempotency key.
    pub(crate) counted: Option<Counted>,
    /// What the changes feed tells.
    pub(crate) feed: Vec<change::Change>,
}

impl Usage<'_> {
    /// Adds the changes of facts that set the counter of a period from `before` to `used`.
    pub(crate) fn count(
        &self,
        (allowance, meter): (Allowance, Meter<'_>),
        (before, used): (CounterValue, i64),
        changes: &mut Vec<UserChange>,
    ) -> Result<Count, Obstacle> {
        let &Self { facts, feature, now, .. } = self;
        let period = meter.place().period;
        let runs = period.end.is_none_or(|end| end > now);
        let thresholds = feature.thresholds();
        let reached = if thresholds.is_empty() || used <= before.used || !runs {
            Vec::new()
        } else {
            thresholds.reached(consumption(allowance, used), before.marks.fired())
        };
        let mut marks = before.marks;
        if self.action == UsageAction::Set {
            marks = marks.after_sets(1);
        }
        if !reached.is_empty() {
            marks = marks.after_firing(&reached, thresholds.as_slice());
        }
        let amount = used.saturating_sub(before.used);
        let tally = meter.into_tally();
        let counted = if self.has_key && self.action == UsageAction::Add {
            let added = (amount != self.delta).then_some(amount);
            let sets = tally.sets(facts)?;
            Some(Counted { counter: tally.name(), added, sets, voided: false })
        } else {
            None
        };
        tally.set(facts, before.used, CounterValue { used, marks }, changes)?;
        let crossed = crossing(&feature.id, allowance, period.end, (before.used, used), now);
        changes.extend(crossed.map(|crossed| (facts.key, Change::CrossLimit(crossed))));
        let mut feed = Vec::new();
        for threshold in reached {
            let event = ThresholdEvent {
                // The writer chooses it.
                id: Uuid::nil(),
                feature: feature.id.clone(),
                threshold,
                period,
                consumption: consumption(allowance, used),
                at: now,
            };
            feed.push(told(facts, &event));
            changes.push((facts.key, Change::ReachThreshold(event)));
        }
        Ok(Count { amount, counted, feed })
    }
}

fn told(facts: &UserFacts, event: &ThresholdEvent) -> change::Change {
    change::Change::of_user(&facts.id, Effect::ThresholdReached(Box::new(event.clone())))
}
