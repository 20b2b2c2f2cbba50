//! Usage that comes along when a subscription changes to another package (contract: `beyond.md`, "Trials,
//! schedules, changes").
//!
//! For each feature of both packages, what the old subscription's running period holds moves to the period with
//! which the new one begins: what was used, what it drew from grants, which thresholds have fired, and the holds
//! that live. The old counter keeps what was used and draws nothing any more. Nothing is settled: what is over
//! the new limit is over it, and draws what is missing with the next write.

use crate::access::Consumption;
use crate::catalog::{Catalog, Package};
use crate::draws::Draws;
use crate::entitlement::{Standing, standing};
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::hold::Hold;
use crate::id::FeatureId;
use crate::limit_crossing::crossing;
use crate::meter::{Meter, needs};
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

/// A feature of both packages, with the periods between which its usage moves.
struct Carried<'a> {
    feature: &'a FeatureId,
    old: Meter<'a>,
    new: Meter<'a>,
}

impl Carrying<'_> {
    /// Adds the changes that move the usage. `changes` has those that end the old subscription and begin the new
    /// one.
    pub(crate) fn add(&self, changes: &mut Vec<UserChange>) -> Result<(), Obstacle> {
        let features: Vec<Carried<'_>> =
            self.new.1.features.keys().filter_map(|feature| self.carried(feature)).collect();
        self.need_all(&features)?;
        let mut used = Vec::new();
        for carried in &features {
            if self.carry(carried, changes)? {
                used.push(carried.feature);
            }
        }
        if used.is_empty() {
            return Ok(());
        }
        let mut after = self.facts.clone();
        changes.iter().for_each(|(_, change)| after.apply(change));
        let crossed = self.crossed(&after, &used)?;
        changes.extend(crossed.into_iter().map(|change| (self.facts.key, change)));
        Ok(())
    }

    /// Returns the periods between which the usage of a feature moves; `None` if it is not counted on both.
    fn carried<'f>(&'f self, feature: &'f FeatureId) -> Option<Carried<'f>> {
        let at = self.new.0.started_at;
        self.catalog.feature(feature).filter(|known| known.has_amount())?;
        Some(Carried {
            feature,
            old: meter(self.old, feature, at)?,
            new: meter(self.new, feature, at)?,
        })
    }

    /// Fails with everything at once that is needed and not loaded: a rule can ask only so often, and there may
    /// be any number of features.
    fn need_all(&self, features: &[Carried<'_>]) -> Result<(), Obstacle> {
        let &Self { facts, now, .. } = self;
        facts.need_living_holds(features.iter().map(|carried| carried.feature), now)?;
        let mut missing = Vec::new();
        for carried in features {
            carried.old.read(facts, &mut missing);
        }
        needs(facts.key, missing)
    }

    /// Moves the usage of a feature. Returns true if there was any.
    fn carry(
        &self,
        Carried { old, new, .. }: &Carried<'_>,
        changes: &mut Vec<UserChange>,
    ) -> Result<bool, Obstacle> {
        let &Self { facts, now, .. } = self;
        let value = old.value(facts)?;
        let mut set = |counter, value| {
            changes.push((facts.key, Change::SetCounter { counter, value }));
        };
        // Also where nothing was used yet: what is told late must not draw.
        let mut left = value.clone();
        left.marks = left.marks.with_draws(Draws::NONE).moved();
        set(old.counter().clone(), left);
        if value.used > 0 || !value.marks.is_empty() {
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

    /// Returns the crossings of shares of the budgets that what came along has reached, where it counts. Fails with
    /// all counters at once that are needed and not loaded.
    fn crossed(&self, after: &UserFacts, features: &[&FeatureId]) -> Result<Vec<Change>, Obstacle> {
        let &Self { catalog, now, .. } = self;
        let mut missing = Vec::new();
        let mut crossed = Vec::new();
        for id in features {
            let Some(feature) = catalog.feature(id) else { continue };
            let standing = standing(catalog, after, feature, AsOf::Now(now), now)?;
            let Standing::Consumable { allowance, meter, grants } = standing else { continue };
            if meter.source() != Source::Subscription(self.new.0.id) {
                continue;
            }
            let value = meter.read(after, &mut missing);
            let own = OwnPart::of(allowance, &meter, (after, now), &mut missing)?;
            let Consumption { used, budget, .. } = grants.consumption(own, &value);
            let crossing = crossing(id, budget, meter.lasts_until(), (0, used), now);
            crossed.extend(crossing.map(Change::CrossLimit));
        }
        needs(after.key, missing)?;
        Ok(crossed)
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
