//! Subscribing and cancelling (contract: `entitlements.md`, "Subscribing"; `beyond.md`, "Trials, schedules,
//! changes").

use uuid::Uuid;

use crate::catalog::Catalog;
use crate::change::{self, Effect, Known, entitlement_differences};
use crate::command::{Answer, Basis, Decide, Decision};
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::id::{FeatureId, PackageId, SubscriptionId, UserId};
use crate::quantity::{Quantities, Quantity};
use crate::refusal::{InvalidValue, Refusal};
use crate::stretches::{
    cancel, check_overlaps, differences, follow_bases, not_over, together, write_ends,
};
use crate::subjects::{Subject, Subjects};
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::subscription_checks::{check_packages, check_scheduled, check_subscribed};
use crate::timestamp::Timestamp;
use crate::timing::Timing;

pub use crate::subscription_checks::SCHEDULED_MAX;

/// The longest trial, in days.
pub const TRIAL_DAYS_MAX: i64 = 730;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

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
    /// When the subscriptions start, where that is in the future; not together with `started_at`.
    pub starts_at: Option<Timestamp>,
    /// How many days of 24 hours they are on trial from their start: 1 to [`TRIAL_DAYS_MAX`].
    pub trial_days: Option<i64>,
    /// Whether they end with the trial.
    pub cancel_at_trial_end: bool,
}

impl Subscribe {
    /// Subscribes a user to one of each package, now.
    #[must_use]
    pub fn now(user: UserId, packages: Vec<(PackageId, SubscriptionId)>) -> Self {
        Self {
            user,
            packages,
            quantities: None,
            started_at: None,
            starts_at: None,
            trial_days: None,
            cancel_at_trial_end: false,
        }
    }
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
        self.read_timing(now)?;
        self.read_quantities()?;
        Ok(())
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let (subscriptions, changes) = subscribe(basis.catalog, facts, self, basis.now)?;
        told(basis, facts, Answer::Subscribed(subscriptions), changes)
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

    /// Checks what is said of the start, the trial and the end, and returns the start with the timing.
    fn read_timing(&self, now: Timestamp) -> Result<(Timestamp, Timing), InvalidValue> {
        if let Some(starts_at) = self.starts_at {
            if self.started_at.is_some() {
                let problem = "cannot be given together with startedAt";
                return Err(InvalidValue::new("startsAt", problem));
            }
            if starts_at <= now {
                return Err(InvalidValue::new("startsAt", "must be in the future"));
            }
        }
        let start = self.starts_at.or(self.started_at).unwrap_or(now);
        let trial_ends_at = match self.trial_days {
            None => None,
            Some(days) if (1..=TRIAL_DAYS_MAX).contains(&days) => {
                Some(start.saturating_add_ms(days * DAY_MS))
            }
            Some(_) => {
                let problem = format!("must be from 1 to {TRIAL_DAYS_MAX}");
                return Err(InvalidValue::new("trialDays", problem));
            }
        };
        let end = trial_ends_at.filter(|_| self.cancel_at_trial_end);
        if self.cancel_at_trial_end && end.is_none() {
            return Err(InvalidValue::new("cancelAtTrialEnd", "needs trialDays"));
        }
        if end.is_some_and(|end| end <= now.max(start)) {
            let problem = "must not be given where the trial has ended already";
            return Err(InvalidValue::new("cancelAtTrialEnd", problem));
        }
        let starts_ahead = self.starts_at.is_some();
        Ok((start, Timing { starts_ahead, end_asked: end, end, trial_ends_at, anchored_at: None }))
    }
}

impl Decide for CancelSubscription {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::Subscriber(self.subscription))
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let subscription = named(facts, self.subscription)?;
        let answer = |subscription| Answer::Cancelled { user: facts.id.clone(), subscription };
        if subscription.status_at(basis.now) == SubscriptionStatus::Cancelled {
            return Ok(Decision::untold(answer(subscription.as_of(basis.now)), Vec::new()));
        }
        let (cancelled, changes) = cancel_one(basis.catalog, facts, subscription, basis.now);
        told(basis, facts, answer(cancelled), changes)
    }
}

/// Returns a decision about subscriptions that the changes feed tells.
pub(crate) fn told(
    basis: &Basis<'_>,
    facts: &UserFacts,
    answer: Answer,
    mut changes: Vec<UserChange>,
) -> Result<Decision, Obstacle> {
    let feed = feed_of(basis.catalog, facts, &changes, basis.now)?;
    if !changes.is_empty() {
        changes.extend(write_ends(facts, basis.now));
    }
    Ok(Decision::told(answer, changes, feed))
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
    let quantities = command.read_quantities()?;
    let (started_at, timing) = command.read_timing(now)?;
    let new =
        command.packages.iter().zip(quantities).map(|((package, id), quantity)| Subscription {
            id: *id,
            package: package.clone(),
            status: SubscriptionStatus::Active,
            started_at,
            ended_at: None,
            quantities: Quantities::of(quantity),
            timing,
        });
    let before = not_over(facts, now);
    let mut after: Vec<Subscription> = before.iter().cloned().chain(new).collect();
    check_packages(catalog, &asked, &before, &after, now)?;
    follow_bases(catalog, &mut after, now);
    check_subscribed(catalog, &after, before.len(), now)?;
    check_overlaps(catalog, &before, &after, now)?;
    check_scheduled(&after, "startsAt", now)?;
    let new = after.iter().skip(before.len()).map(|new| new.as_of(now));
    Ok((new.collect(), differences(facts.key, &before, &after)))
}

/// Cancels a subscription that is not over. Cancelling a base that has begun cancels the user's add-ons with
/// it, at the same instant.
fn cancel_one(
    catalog: &Catalog,
    facts: &UserFacts,
    subscription: &Subscription,
    now: Timestamp,
) -> (Subscription, Vec<UserChange>) {
    let before = not_over(facts, now);
    let mut after = before.clone();
    let is_addon =
        |package: &PackageId| catalog.package(package).is_some_and(|package| package.is_addon());
    let is_base = !is_addon(&subscription.package) && subscription.has_begun(now);
    let goes_with_base =
        |other: &Subscription| is_base && is_addon(&other.package) && other.has_begun(now);
    let ends = |other: &Subscription| other.id == subscription.id || goes_with_base(other);
    let ending = |known: &&Subscription| ends(known);
    let ended_at = together(before.iter().filter(ending), now);
    for one in after.iter_mut().filter(|one| ends(one)) {
        cancel(one, ended_at);
    }
    follow_bases(catalog, &mut after, now);
    let changes = differences(facts.key, &before, &after);
    let mut cancelled = subscription.clone();
    cancel(&mut cancelled, ended_at);
    (cancelled, changes)
}

/// Returns the user's subscription with this id. Refuses if there is none.
pub(crate) fn named(facts: &UserFacts, id: SubscriptionId) -> Result<&Subscription, Obstacle> {
    let found = match find(facts.subscriptions(), id) {
        Some(running) => Some(running),
        None => find(facts.all_subscriptions()?, id),
    };
    found.ok_or_else(|| Refusal::SubscriptionNotFound(id.to_string()).into())
}

/// Returns the changes that end all subscriptions of a user, in the order of their ids.
pub(crate) fn end_all(facts: &UserFacts, now: Timestamp) -> Vec<UserChange> {
    let is_ending = |known: &&Subscription| known.ended_at.is_none();
    let mut ending: Vec<&Subscription> = facts.subscriptions().iter().filter(is_ending).collect();
    ending.sort_by_key(|ending| ending.id);
    let ended_now = together(ending.iter().filter(|one| !one.is_over(now)).copied(), now);
    let change = |one: &&Subscription| {
        let ended_at = one.timing.end.filter(|end| *end <= now).unwrap_or(ended_now);
        (facts.key, Change::CancelSubscription { subscription: one.id, ended_at })
    };
    ending.iter().map(change).collect()
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
    let mut ids: Vec<SubscriptionId> = Vec::new();
    for (_, change) in changes {
        after.apply(change);
        ids.extend(subscription_in(change).filter(|id| !ids.contains(id)));
    }
    let (mut effects, mut created, mut packages) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        let Some(subscription) = find(after.subscriptions(), id) else { continue };
        let before = find(facts.subscriptions(), id).map(|before| before.as_of(now));
        packages.push(subscription.package.clone());
        let subscription = subscription.as_of(now);
        effects.push(match before {
            None => {
                created.push(subscription.id);
                Effect::SubscriptionStarted(subscription)
            }
            // Its end had come, of which nobody is told.
            Some(before) if before.status == SubscriptionStatus::Cancelled => continue,
            Some(before) if subscription.status == SubscriptionStatus::Cancelled => {
                Effect::SubscriptionEnded { subscription, previous_status: before.status }
            }
            Some(previous) => Effect::SubscriptionUpdated { subscription, previous },
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
        | Change::SetQuantities { subscription, .. }
        | Change::SetTiming { subscription, .. } => Some(*subscription),
        _ => None,
    }
}

fn find(subscriptions: &[Subscription], id: SubscriptionId) -> Option<&Subscription> {
    subscriptions.iter().find(|subscription| subscription.id == id)
}
