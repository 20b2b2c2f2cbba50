//! Subscriptions of one user as stretches of time (contract: `beyond.md`, "Trials, schedules, changes"):
//! which overlap, and that add-ons end with their bases.
//!
//! A command changes a copy of the user's subscriptions, lets the add-ons [follow](follow_bases) their bases,
//! checks what came of it, and returns what [differs](differences). So taking back an end
//! leaves everything as if it had never been set, whatever else was changed meanwhile.

use crate::catalog::{Catalog, Package};
use crate::facts::{Change, UserChange, UserFacts};
use crate::id::UserKey;
use crate::refusal::SubscribeRefusal;
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::timestamp::Timestamp;

/// How long ago the end that was set must lie, before it is written that the subscription was ended: 5
/// minutes. Until then another clock, which runs behind, may say that it has not come.
const ENDED_AFTER_MS: i64 = 5 * 60 * 1000;

/// Returns the user's subscriptions that are not over.
pub(crate) fn not_over(facts: &UserFacts, now: Timestamp) -> Vec<Subscription> {
    let subscriptions = facts.subscriptions().iter();
    subscriptions.filter(|known| !known.is_over(now)).cloned().collect()
}

/// Returns the subscription's package if it is one of a subscription that grants or will grant something.
pub(crate) fn granted<'a>(catalog: &'a Catalog, one: &Subscription) -> Option<&'a Package> {
    let package = catalog.package(&one.package)?;
    (one.is_granting() && one.ended_at.is_none()).then(|| package.as_ref())
}

/// Returns true if the add-on may be added to the base.
pub(crate) fn fits(addon: &Package, base: &Package) -> bool {
    addon.base_packages().is_empty() || addon.base_packages().contains(&base.id)
}

/// Returns true if the subscription's stretch contains the instant. One that has begun contains all that is
/// before its end.
pub(crate) fn contains(one: &Subscription, at: Timestamp, now: Timestamp) -> bool {
    (one.has_begun(now) || one.started_at <= at) && one.end().is_none_or(|end| at < end)
}

/// Returns where the part of its stretch begins that lies ahead: now, or its start.
pub(crate) fn from_now_on(one: &Subscription, now: Timestamp) -> Timestamp {
    if one.has_begun(now) { now } else { one.started_at }
}

/// Returns true if there is an instant ahead which both stretches contain.
pub(crate) fn overlap(one: &Subscription, other: &Subscription, now: Timestamp) -> bool {
    let from = from_now_on(one, now).max(from_now_on(other, now));
    contains(one, from, now) && contains(other, from, now)
}

/// A base of the user that is not over.
struct Base<'a> {
    package: &'a Package,
    subscription: Subscription,
}

/// Gives each add-on the end that it has by its base: at the end of the base, unless a base that it may be
/// added to begins at that very instant. An end that was asked for, if it is earlier, stays. One that has not
/// begun and would have no base is cancelled.
pub(crate) fn follow_bases(catalog: &Catalog, all: &mut [Subscription], now: Timestamp) {
    let base = |one: &Subscription| {
        let package = granted(catalog, one).filter(|package| !package.is_addon())?;
        Some(Base { package, subscription: one.clone() })
    };
    let bases: Vec<Base<'_>> = all.iter().filter_map(base).collect();
    for one in all {
        let Some(addon) = granted(catalog, one).filter(|package| package.is_addon()) else {
            continue;
        };
        let from = from_now_on(one, now);
        let there = || bases.iter().filter(|base| contains(&base.subscription, from, now));
        let fitting = there().filter(|base| fits(addon, base.package)).max_by_key(|base| end(base));
        // One that has begun was added to a base that it fitted then.
        let base = fitting.or_else(|| {
            let others = there().filter(|_| one.has_begun(now));
            others.max_by_key(|base| end(base))
        });
        match base {
            Some(base) => {
                let of_base = end_of_chain(addon, base, &bases);
                one.timing.end = [one.timing.end_asked, of_base].into_iter().flatten().min();
            }
            None if one.has_begun(now) => {}
            None => cancel(one, now),
        }
    }
}

/// Returns the end of the base, or of the one that the add-on goes on with.
fn end_of_chain(addon: &Package, base: &Base<'_>, bases: &[Base<'_>]) -> Option<Timestamp> {
    let mut end = base.subscription.end();
    // Each begins later than the one before.
    while let Some(at) = end {
        let next = |base: &&Base<'_>| {
            let begins =
                base.subscription.timing.starts_ahead && base.subscription.started_at == at;
            begins
                && base.subscription.end().is_none_or(|end| at < end)
                && fits(addon, base.package)
        };
        match bases.iter().find(next) {
            Some(next) => end = next.subscription.end(),
            None => break,
        }
    }
    end
}

/// The end of a base, to compare: none is the latest.
fn end(base: &Base<'_>) -> Timestamp {
    base.subscription.end().unwrap_or(Timestamp::MAX)
}

/// Ends the subscription at an instant.
pub(crate) fn cancel(one: &mut Subscription, at: Timestamp) {
    one.status = SubscriptionStatus::Cancelled;
    one.ended_at = Some(at);
}

/// Returns when subscriptions end that end now. Another node's clock may have set a start that lies ahead of
/// ours: nothing that has begun ends before it starts, and all of them end together.
pub(crate) fn together<'a>(
    ending: impl Iterator<Item = &'a Subscription>,
    now: Timestamp,
) -> Timestamp {
    let starts = ending.filter(|one| one.has_begun(now)).map(|one| one.started_at);
    starts.fold(now, Timestamp::max)
}

/// Checks that no two bases, and no two subscriptions to one package, overlap which did not before. Both lists
/// have the same subscriptions in the same order; `after` may have more at its end, which were checked.
pub(crate) fn check_overlaps(
    catalog: &Catalog,
    before: &[Subscription],
    after: &[Subscription],
    now: Timestamp,
) -> Result<(), SubscribeRefusal> {
    let overlaps = |all: &[Subscription], one: usize, other: usize| match (
        all.get(one).filter(|known| granted(catalog, known).is_some()),
        all.get(other).filter(|known| granted(catalog, known).is_some()),
    ) {
        (Some(one), Some(other)) => overlap(one, other, now),
        _ => false,
    };
    let pairs = (0..before.len()).flat_map(|other| (0..other).map(move |one| (one, other)));
    let new: Vec<(&Subscription, &Subscription)> = pairs
        .filter(|(one, other)| overlaps(after, *one, *other) && !overlaps(before, *one, *other))
        .filter_map(|(one, other)| Some((after.get(one)?, after.get(other)?)))
        .collect();
    let is_base = |one: &Subscription| {
        catalog.package(&one.package).is_some_and(|package| !package.is_addon())
    };
    if new.iter().any(|(one, other)| is_base(one) && is_base(other)) {
        return Err(SubscribeRefusal::MultipleBases);
    }
    match new.iter().find(|(one, other)| one.package == other.package) {
        Some((one, _)) => Err(SubscribeRefusal::AlreadySubscribed { package: one.package.clone() }),
        None => Ok(()),
    }
}

/// Returns the changes that make `before` what `after` is: what is new, and then what has changed, in the
/// order of the ids. `after` begins with the subscriptions of `before`, in the same order.
pub(crate) fn differences(
    user: UserKey,
    before: &[Subscription],
    after: &[Subscription],
) -> Vec<UserChange> {
    let new = after.iter().skip(before.len());
    let mut changes: Vec<Change> = new.cloned().map(Change::AddSubscription).collect();
    let mut changed: Vec<(&Subscription, &Subscription)> = before.iter().zip(after).collect();
    changed.sort_by_key(|(before, _)| before.id);
    for (before, after) in changed {
        let subscription = after.id;
        if let Some(ended_at) = after.ended_at.filter(|_| before.ended_at.is_none()) {
            changes.push(Change::CancelSubscription { subscription, ended_at });
            continue;
        }
        if before.quantities != after.quantities {
            let quantities = after.quantities.clone();
            changes.push(Change::SetQuantities { subscription, quantities });
        }
        if before.timing != after.timing {
            changes.push(Change::SetTiming { subscription, timing: after.timing });
        }
    }
    changes.into_iter().map(|change| (user, change)).collect()
}

/// Returns the changes that mark subscriptions as ended whose end has come, so that later questions do not read
/// them any more. The changes feed does not tell of it: the end was told when it was set.
pub(crate) fn write_ends(facts: &UserFacts, now: Timestamp) -> Vec<UserChange> {
    let by_all_clocks = now.saturating_add_ms(-ENDED_AFTER_MS);
    let over = facts.subscriptions().iter().filter(|known| known.ended_at.is_none());
    over.filter_map(|known| {
        let ended_at = known.timing.end.filter(|end| *end <= by_all_clocks)?;
        Some((facts.key, Change::CancelSubscription { subscription: known.id, ended_at }))
    })
    .collect()
}
