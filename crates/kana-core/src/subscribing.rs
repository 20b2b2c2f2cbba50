//! Subscribing and cancelling (contract: `entitlements.md`, "Subscribing").

use uuid::Uuid;

use crate::catalog::{Catalog, Package, PackageStatus};
use crate::change::{self, Effect, Known, entitlement_differences};
use crate::command::{Answer, Basis, Decide, Decision};
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::id::{FeatureId, PackageId, SubscriptionId, UserId};
use crate::quantity::{Quantities, Quantity};
use crate::refusal::{InvalidValue, Refusal, SubscribeRefusal};
use crate::subjects::{Subject, Subjects};
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::timestamp::Timestamp;

/// Subscribes a user to one or several packages, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Who subscribes.
    pub user: UserId,
    /// The packages, each with the id that its subscription will have.
    pub packages: Vec<(PackageId, SubscriptionId)>,
    /// How many of each package, in their order; `None` means one of each.
    pub quantities: Option<Vec<i64>>,
    /// When the subscriptions started, where that is not now; never in the future.
    pub started_at: Option<Timestamp>,
}

/// Cancels a subscription; cancelling it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelSubscription {
    /// Which one.
    pub subscription: SubscriptionId,
}

impl Decide for Subscribe {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn creates(&self) -> bool {
        true
    }

    fn set_ids(&mut self, next_id: &mut dyn FnMut() -> Uuid) {
        for (_, id) in &mut self.packages {
            *id = SubscriptionId(next_id());
        }
    }

    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.packages.is_empty() {
            return Err(InvalidValue::new("packageIds", "must name at least one package").into());
        }
        if self.started_at.is_some_and(|started_at| started_at > now) {
            return Err(InvalidValue::new("startedAt", "must not be in the future").into());
        }
        self.read_quantities()?;
        Ok(())
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let (subscriptions, changes) = subscribe(basis.catalog, facts, self, basis.now)?;
        let feed = feed_of(basis.catalog, facts, &changes, basis.now)?;
        Ok(Decision::told(Answer::Subscribed(subscriptions), changes, feed))
    }
}

impl Subscribe {
    /// Checks the quantities and returns one for each package.
    fn read_quantities(&self) -> Result<Vec<Quantity>, InvalidValue> {
        let Some(quantities) = &self.quantities else {
            return Ok(vec![Quantity::ONE; self.packages.len()]);
        };
        if quantities.len() != self.packages.len() {
            return Err(InvalidValue::new("quantities", "must have one for each package"));
        }
        quantities.iter().map(|quantity| Quantity::new("quantities", *quantity)).collect()
    }
}

impl Decide for CancelSubscription {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::Subscriber(self.subscription))
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let (subscription, changes) = cancel(basis.catalog, facts, self, basis.now)?;
        let feed = feed_of(basis.catalog, facts, &changes, basis.now)?;
        let answer = Answer::Cancelled { user: facts.id.clone(), subscription };
        Ok(Decision::told(answer, changes, feed))
    }
}

/// Decides a [`Subscribe`] whose values were checked. The checks stand in the order of the
/// contract's table, each over the whole call before the next.
fn subscribe(
    catalog: &Catalog,
    facts: &UserFacts,
    command: &Subscribe,
    now: Timestamp,
) -> Result<(Vec<Subscription>, Vec<UserChange>), Obstacle> {
    let mut asked = Vec::with_capacity(command.packages.len());
    for (id, _) in &command.packages {
        let package =
            catalog.package(id).ok_or_else(|| Refusal::SubscribePackageNotFound(id.clone()))?;
        asked.push(package.as_ref());
    }
    // "Has" means a granting subscription now.
    let held: Vec<&Package> = facts
        .subscriptions()
        .iter()
        .filter(|subscription| subscription.is_granting())
        .filter_map(|subscription| catalog.package(&subscription.package))
        .map(AsRef::as_ref)
        .collect();
    check_packages(&asked, &held)?;

    let quantities = command.read_quantities()?;
    let subscriptions: Vec<Subscription> = command
        .packages
        .iter()
        .zip(quantities)
        .map(|((package, id), quantity)| Subscription {
            id: *id,
            package: package.clone(),
            status: SubscriptionStatus::Active,
            started_at: command.started_at.unwrap_or(now),
            ended_at: None,
            quantities: Quantities::of(quantity),
        })
        .collect();
    let add = |new: &Subscription| (facts.key, Change::AddSubscription(new.clone()));
    let changes = subscriptions.iter().map(add).collect();
    Ok((subscriptions, changes))
}

fn check_packages(asked: &[&Package], held: &[&Package]) -> Result<(), SubscribeRefusal> {
    if let Some(package) = asked.iter().find(|package| package.status != PackageStatus::Published) {
        return Err(SubscribeRefusal::NotPublished {
            package: package.id.clone(),
            status: package.status,
        });
    }
    let is_base = |package: &&&Package| !package.is_addon();
    let bases: Vec<&Package> = held.iter().chain(asked).filter(is_base).copied().collect();
    if bases.len() > 1 && asked.iter().any(|package| !package.is_addon()) {
        return Err(SubscribeRefusal::MultipleBases);
    }
    let addons = || asked.iter().filter(|package| package.is_addon());
    let Some(base) = bases.first() else {
        return match addons().next() {
            Some(_) => Err(SubscribeRefusal::AddonWithoutBase),
            None => Ok(()),
        };
    };
    // There is one base, unless a billing provider has brought an earlier one back to life.
    let fits = |addon: &Package| {
        let allowed = addon.base_packages();
        allowed.is_empty() || bases.iter().any(|base| allowed.contains(&base.id))
    };
    if let Some(addon) = addons().find(|addon| !fits(addon)) {
        return Err(SubscribeRefusal::AddonForOtherBase {
            addon: addon.id.clone(),
            base: base.id.clone(),
        });
    }
    for (index, package) in asked.iter().enumerate() {
        let known = held.iter().chain(&asked[..index]);
        if known.into_iter().any(|other| other.id == package.id) {
            return Err(SubscribeRefusal::AlreadySubscribed { package: package.id.clone() });
        }
    }
    Ok(())
}

/// Decides a [`CancelSubscription`]. Cancelling a base cancels the user's add-ons with it, at the
/// same instant.
fn cancel(
    catalog: &Catalog,
    facts: &UserFacts,
    command: &CancelSubscription,
    now: Timestamp,
) -> Result<(Subscription, Vec<UserChange>), Obstacle> {
    let mut subscription = named(facts, command.subscription)?.clone();
    if subscription.status == SubscriptionStatus::Cancelled {
        return Ok((subscription, Vec::new()));
    }
    let is_addon =
        |package: &PackageId| catalog.package(package).is_some_and(|package| package.is_addon());
    let goes_with_base = |other: &Subscription| {
        !is_addon(&subscription.package) && is_addon(&other.package) && other.ended_at.is_none()
    };
    let ends = |other: &Subscription| other.id == subscription.id || goes_with_base(other);
    let (ended_at, changes) = end_together(facts, ends, now);
    subscription.status = SubscriptionStatus::Cancelled;
    subscription.ended_at = Some(ended_at);
    Ok((subscription, changes))
}

/// Returns the user's subscription with this id. Refuses if there is none.
pub(crate) fn named(facts: &UserFacts, id: SubscriptionId) -> Result<&Subscription, Obstacle> {
    let found = match find(facts.subscriptions(), id) {
        Some(running) => Some(running),
        None => find(facts.all_subscriptions()?, id),
    };
    found.ok_or_else(|| Refusal::SubscriptionNotFound(id.to_string()).into())
}

/// Returns the changes that end subscriptions of a user, in the order of their ids, and when they end.
pub(crate) fn end_together(
    facts: &UserFacts,
    ends: impl Fn(&Subscription) -> bool,
    now: Timestamp,
) -> (Timestamp, Vec<UserChange>) {
    let mut ending: Vec<&Subscription> =
        facts.subscriptions().iter().filter(|known| ends(known)).collect();
    ending.sort_by_key(|ending| ending.id);
    // Another node's clock may have set a start that lies ahead of ours: nothing ends before it
    // starts, and all of them end together.
    let starts = ending.iter().map(|ending| ending.started_at);
    let ended_at = starts.fold(now, Timestamp::max);
    let changes = ending
        .iter()
        .map(|ending| Change::CancelSubscription { subscription: ending.id, ended_at })
        .map(|change| (facts.key, change))
        .collect();
    (ended_at, changes)
}

/// Returns what the changes feed has of a command about subscriptions, or of a deletion: each subscription
/// that starts, changes or ends, and then the difference in the user's entitlements, if there is one.
pub(crate) fn feed_of(
    catalog: &Catalog,
    facts: &UserFacts,
    changes: &[UserChange],
    now: Timestamp,
) -> Result<Vec<change::Change>, Obstacle> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let mut after = facts.clone();
    let (mut effects, mut created, mut packages) = (Vec::new(), Vec::new(), Vec::new());
    for (_, change) in changes {
        let before =
            subscription_in(change).and_then(|id| find(after.subscriptions(), id)).cloned();
        after.apply(change);
        let id = subscription_in(change);
        let Some(subscription) = id.and_then(|id| find(after.subscriptions(), id)) else {
            continue;
        };
        packages.push(subscription.package.clone());
        let subscription = subscription.clone();
        effects.push(match before {
            None => {
                created.push(subscription.id);
                Effect::SubscriptionStarted(subscription)
            }
            Some(before) if subscription.status != before.status => {
                Effect::SubscriptionEnded { subscription, previous_status: before.status }
            }
            Some(before) => Effect::SubscriptionUpdated {
                previous_quantity: before.quantities.current(),
                subscription,
            },
        });
    }
    let known = Known { before: facts, after: &after, created: &created };
    let gone = exceptions_that_go(catalog, facts, changes)?;
    let differences = entitlement_differences(catalog, &known, packages.iter(), gone, now)?;
    if !differences.is_empty() {
        effects.push(Effect::EntitlementChanged(differences));
    }
    Ok(effects.into_iter().map(|effect| change::Change::of_user(&facts.id, effect)).collect())
}

/// Returns the features of the overrides and grants that go with a user who is deleted.
fn exceptions_that_go<'a>(
    catalog: &Catalog,
    facts: &'a UserFacts,
    changes: &[UserChange],
) -> Result<Vec<&'a FeatureId>, Obstacle> {
    if !changes.iter().any(|(_, change)| matches!(change, Change::DeleteUser { .. })) {
        return Ok(Vec::new());
    }
    let overrides = facts.overrides()?.iter().map(|known| &known.feature);
    let features = overrides.chain(facts.grants()?.iter().map(|known| &known.feature));
    Ok(features.filter(|feature| catalog.feature(feature).is_some()).collect())
}

/// The subscription that the change creates, changes or ends.
fn subscription_in(change: &Change) -> Option<SubscriptionId> {
    match change {
        Change::AddSubscription(subscription) => Some(subscription.id),
        Change::CancelSubscription { subscription, .. }
        | Change::SetQuantities { subscription, .. } => Some(*subscription),
        _ => None,
    }
}

fn find(subscriptions: &[Subscription], id: SubscriptionId) -> Option<&Subscription> {
    subscriptions.iter().find(|subscription| subscription.id == id)
}
