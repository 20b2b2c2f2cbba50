//! Changing a subscription to one to another package (contract: `beyond.md`, "Trials, schedules, changes").

use uuid::Uuid;

use crate::carried_usage::Carrying;
use crate::catalog::{Catalog, Package};
use crate::command::{Answer, Basis, Decide, Decision};
use crate::facts::{Obstacle, UserChange, UserFacts};
use crate::id::{PackageId, SubscriptionId};
use crate::period::ResetPeriod;
use crate::quantity::{Quantities, Quantity};
use crate::refusal::{InvalidValue, Refusal, SubscribeRefusal};
use crate::stretches::{
    cancel, check_overlaps, differences, fits, follow_bases, not_over, together,
};
use crate::subjects::{Subject, Subjects};
use crate::subscribing::{named, told};
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::subscription_checks::{check_packages, check_scheduled, check_subscribed};
use crate::subscription_update::end_of_current;
use crate::timestamp::Timestamp;
use crate::timing::Timing;

/// Ends a subscription and begins one to another package at that very instant. Base to base, add-on to add-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePackage {
    /// The subscription that ends.
    pub subscription: SubscriptionId,
    /// The package of the new one.
    pub package: PackageId,
    /// The id that the new one will have.
    pub id: SubscriptionId,
    /// When, in the future; `None` means now.
    pub at: Option<Timestamp>,
    /// With the end of the current period of this length, counted from the old one's anchor; not together
    /// with `at`.
    pub at_end_of: Option<ResetPeriod>,
    /// Whether the new one goes on with the old one's usage and keeps its anchor; only now.
    pub carry_usage: bool,
    /// How many of the package the new one is for; `None` means as many as the old one.
    pub quantity: Option<i64>,
}

impl ChangePackage {
    /// Checks the values, as far as that is possible without the subscription.
    pub fn check_values(&self, now: Timestamp) -> Result<(), InvalidValue> {
        self.quantity.map(|quantity| Quantity::new("quantity", quantity)).transpose()?;
        if self.at.is_some() && self.at_end_of.is_some() {
            return Err(InvalidValue::new("atEndOf", "cannot be given together with at"));
        }
        if self.carry_usage && (self.at.is_some() || self.at_end_of.is_some()) {
            let problem = "moves the usage of now and cannot be given together with at or atEndOf";
            return Err(InvalidValue::new("carryUsage", problem));
        }
        match self.at {
            Some(at) if at <= now => Err(InvalidValue::new("at", "must be in the future")),
            _ => Ok(()),
        }
    }

    /// Returns when the package changes; `None` where that is now.
    fn ahead(&self, old: &Subscription, now: Timestamp) -> Option<Timestamp> {
        match self.at_end_of {
            Some(period) => Some(end_of_current(period, old, now).unwrap_or(Timestamp::MAX)),
            None => self.at,
        }
    }
}

impl Decide for ChangePackage {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::Subscriber(self.subscription))
    }

    fn creates(&self) -> bool {
        true
    }

    fn set_ids(&mut self, next_id: &mut dyn FnMut() -> Uuid) {
        self.id = SubscriptionId(next_id());
    }

    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        Ok(self.check_values(now)?)
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let (subscription, changes) = change(basis.catalog, facts, self, basis.now)?;
        let answer = Answer::SubscriptionUpdated { user: facts.id.clone(), subscription };
        told(basis, facts, answer, changes)
    }
}

/// Decides a [`ChangePackage`] whose values were checked.
fn change(
    catalog: &Catalog,
    facts: &UserFacts,
    command: &ChangePackage,
    now: Timestamp,
) -> Result<(Subscription, Vec<UserChange>), Obstacle> {
    let package = &command.package;
    let next = catalog
        .package(package)
        .ok_or_else(|| Refusal::SubscribePackageNotFound(package.clone()))?;
    let old = named(facts, command.subscription)?;
    check_old(catalog, old, next, command, now)?;

    let before = not_over(facts, now);
    let ahead = command.ahead(old, now);
    let at = ahead.unwrap_or_else(|| together(std::iter::once(old), now));
    let mut after = before.clone();
    end_at(catalog, &mut after, (old, next), (at, ahead.is_some()));
    after.push(new_one(command, old, (at, ahead.is_some()))?);
    check_packages(
        catalog,
        &[next],
        after.split_last().map_or(&[], |(_, known)| known),
        &after,
        now,
    )?;
    follow_bases(catalog, &mut after, now);
    check_subscribed(catalog, &after, before.len(), now)?;
    check_overlaps(catalog, &before, &after, now)?;
    let field = if command.at_end_of.is_some() { "atEndOf" } else { "at" };
    check_scheduled(&after, field, now)?;
    let new = after.last().unwrap_or(old);
    let mut changes = differences(facts.key, &before, &after);
    let packages = catalog.package(&old.package).filter(|_| command.carry_usage);
    if let Some(package) = packages {
        let (old, new) = ((old, package.as_ref()), (new, next.as_ref()));
        Carrying { catalog, facts, old, new, now }.add(&mut changes)?;
    }
    Ok((new.as_of(now), changes))
}

/// Checks the subscription that ends, in the order of the contract.
fn check_old(
    catalog: &Catalog,
    old: &Subscription,
    next: &Package,
    command: &ChangePackage,
    now: Timestamp,
) -> Result<(), SubscribeRefusal> {
    if old.is_over(now) || old.status == SubscriptionStatus::Cancelled {
        return Err(SubscribeRefusal::HasEnded);
    }
    if !old.has_begun(now) {
        return Err(SubscribeRefusal::HasNotStarted);
    }
    let ahead = command.ahead(old, now);
    if ahead.is_some_and(|at| old.end().is_some_and(|end| end < at)) {
        return Err(SubscribeRefusal::EndsBeforeChange);
    }
    let was_addon = catalog.package(&old.package).is_some_and(|package| package.is_addon());
    if was_addon != next.is_addon() {
        return Err(SubscribeRefusal::OtherKind);
    }
    if old.package == next.id {
        return Err(SubscribeRefusal::AlreadySubscribed { package: next.id.clone() });
    }
    Ok(())
}

/// Ends the old subscription at `at`. If that is now, and it is one to a base, the add-ons end with it that may
/// not be added to the next one; of an end that lies ahead, they [follow](follow_bases).
fn end_at(
    catalog: &Catalog,
    all: &mut [Subscription],
    (old, next): (&Subscription, &Package),
    (at, is_ahead): (Timestamp, bool),
) {
    let ends_with_old = |one: &Subscription| {
        let addon = catalog.package(&one.package).filter(|package| package.is_addon());
        let has_begun = one.has_begun(at);
        !next.is_addon() && has_begun && addon.is_some_and(|addon| !fits(addon, next))
    };
    for one in all {
        let is_old = one.id == old.id;
        if is_ahead && is_old {
            (one.timing.end_asked, one.timing.end) = (Some(at), Some(at));
        } else if !is_ahead && (is_old || ends_with_old(one)) {
            cancel(one, at);
        }
    }
}

/// Returns the subscription that begins.
fn new_one(
    command: &ChangePackage,
    old: &Subscription,
    (at, is_ahead): (Timestamp, bool),
) -> Result<Subscription, InvalidValue> {
    let quantity = match command.quantity {
        Some(quantity) => Quantity::new("quantity", quantity)?,
        None => old.quantities.current(),
    };
    let anchored_at = Some(old.origin().anchored_at).filter(|_| command.carry_usage);
    let anchored_at = anchored_at.filter(|anchored_at| *anchored_at != at);
    Ok(Subscription {
        id: command.id,
        package: command.package.clone(),
        status: SubscriptionStatus::Active,
        started_at: at,
        ended_at: None,
        quantities: Quantities::of(quantity),
        timing: Timing { starts_ahead: is_ahead, anchored_at, ..Timing::NONE },
    })
}
