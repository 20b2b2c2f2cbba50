//! Usage that comes along when a subscription changes to another package (contract: `beyond.md`, "Trials,
//! schedules, changes").
//!
//! For each feature of both packages, what the old subscription's running period holds moves to the period with
//! which the new one begins: what was used, what it drew from grants, which thresholds have fired, and the holds
//! that live. The old counter keeps what was used and draws nothing any more. Nothing is settled: what is over
//! the new limit is over it, and draws what is missing with the next write.

use crate::access::Consumption;
use crate::catalog::{Catalog, Feature, Package};
use crate::draws::Draws;
use crate::entitlement::{Standing, standing};
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::hold::Hold;
use crate::id::FeatureId;
use crate::limit_crossing::crossing;
use crate::meter::Meter;
use crate::own_part::OwnPart;
use crate::schedule::Schedule;
use crate::source::Source;
use crate::subscription::{AsOf, Subscription};
use crate::timestamp::Timestamp;

/// A subscription that ends, and the one that goes on with its usage, each with its package.
pub(crate) struct Carrying<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) facts: &'a UserFacts,
    /// The one that ends, as it was before.
    pub(crate) old: (&'a Subscription, &'a Package),
    pub(crate) new: (&'a Subscription, &'a Package),
    pub(crate) now: Timestamp,
}

impl Carrying<'_> {
    /// Adds the changes that move the usage. `changes` has those that end the old subscription and begin the new
    /// one.
    pub(crate) fn add(&self, changes: &mut Vec<UserChange>) -> Result<(), Obstacle> {
        let mut carried = Vec::new();
        for feature in self.new.1.features.keys() {
            if self.carry(feature, changes)? {
                carried.push(feature);
            }
        }
        if carried.is_empty() {
            return Ok(());
        }
        let mut after = self.facts.clone();
        changes.iter().for_each(|(_, change)| after.apply(change));
        for feature in carried {
            let crossed = self.crossed(&after, feature)?;
            changes.extend(crossed.map(|change| (self.facts.key, change)));
        }
        Ok(())
    }

    /// Moves the usage of a feature. Returns true if there was any.
    fn carry(&self, feature: &FeatureId, changes: &mut Vec<UserChange>) -> Result<bool, Obstacle> {
        let &Self { facts, now, .. } = self;
        let is_counted = self.catalog.feature(feature).is_some_and(|known| known.has_amount());
        let at = self.new.0.started_at;
        let meters = (meter(self.old, feature, at), meter(self.new, feature, at));
        let (Some(old), Some(new)) = meters else { return Ok(false) };
        if !is_counted {
            return Ok(false);
        }
        let value = old.value(facts)?;
        let mut set = |counter, value| {
            changes.push((facts.key, Change::SetCounter { counter, value }));
        };
        if value.used > 0 || !value.marks.is_empty() {
            let mut left = value.clone();
            left.marks = left.marks.with_draws(Draws::NONE).moved();
            set(old.counter().clone(), left);
            let mut brought = value.clone();
            brought.marks = brought.marks.brought(value.used);
            set(new.counter().clone(), brought);
        }
        for hold in old.living_holds(facts, now)? {
            let moved = Hold { counter: new.counter().clone(), ..hold.clone() };
            changes.push((facts.key, Change::PutHold(moved)));
        }
        Ok(value.used > 0)
    }

    /// Returns the crossing of a share of the budget, if what came along has reached one and counts.
    fn crossed(&self, after: &UserFacts, feature: &FeatureId) -> Result<Option<Change>, Obstacle> {
        let now = self.now;
        let Some(known) = self.catalog.feature(feature) else { return Ok(None) };
        let Some((meter, consumption)) = counted(self.catalog, after, known, now)? else {
            return Ok(None);
        };
        if meter.source() != Source::Subscription(self.new.0.id) {
            return Ok(None);
        }
        let Consumption { used, budget, .. } = consumption;
        let crossed = crossing(feature, budget, meter.lasts_until(), (0, used), now);
        Ok(crossed.map(Change::CrossLimit))
    }
}

/// Returns the period of a subscription that contains the instant, under the terms of now; `None` if the package
/// does not have the feature.
fn meter<'a>(
    (subscription, package): (&Subscription, &'a Package),
    feature: &FeatureId,
    at: Timestamp,
) -> Option<Meter<'a>> {
    let schedule = Schedule::new(subscription, package, feature)?;
    Some(Meter::new(schedule, feature, schedule.current(at)?))
}

/// Returns where a feature is counted now, and what was used there.
fn counted<'a>(
    catalog: &'a Catalog,
    facts: &'a UserFacts,
    feature: &'a Feature,
    now: Timestamp,
) -> Result<Option<(Meter<'a>, Consumption)>, Obstacle> {
    let standing = standing(catalog, facts, feature, AsOf::Now(now), now)?;
    let Standing::Consumable { allowance, meter, grants } = standing else { return Ok(None) };
    let (value, own) = OwnPart::read(allowance, &meter, facts, now)?;
    let consumption = grants.consumption(own, &value);
    Ok(Some((meter, consumption)))
}
