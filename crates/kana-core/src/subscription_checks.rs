//! What a new subscription must be, beside those that the user has (contract: `entitlements.md`,
//! "Subscribing"; `beyond.md`, "Trials, schedules, changes").

use crate::catalog::{Catalog, Package, PackageStatus};
use crate::refusal::{InvalidValue, SubscribeRefusal};
use crate::stretches::{contains, fits, from_now_on, granted, overlap};
use crate::subscription::Subscription;
use crate::timestamp::Timestamp;

/// How many subscriptions that have not begun a user may have.
pub const SCHEDULED_MAX: usize = 10;

/// Checks the packages. `after` has the subscriptions of `before` and then the new ones, which all begin
/// and end together.
pub(crate) fn check_packages(
    catalog: &Catalog,
    asked: &[&Package],
    before: &[Subscription],
    after: &[Subscription],
    now: Timestamp,
) -> Result<(), SubscribeRefusal> {
    if let Some(package) = asked.iter().find(|package| package.status != PackageStatus::Published) {
        return Err(SubscribeRefusal::NotPublished {
            package: package.id.clone(),
            status: package.status,
        });
    }
    let Some(new) = after.get(before.len()) else { return Ok(()) };
    let asked_bases = || asked.iter().copied().filter(|package| !package.is_addon());
    // "Has" means at an instant of the new stretch that lies ahead.
    let bases_of_user = before.iter().filter_map(|known| {
        let base = granted(catalog, known).filter(|package| !package.is_addon())?;
        Some((known, base))
    });
    let meets = |(known, _): &(&Subscription, &Package)| overlap(new, known, now);
    let met: Vec<(&Subscription, &Package)> = bases_of_user.filter(meets).collect();
    if asked_bases().next().is_some() && met.len() + asked_bases().count() > 1 {
        return Err(SubscribeRefusal::MultipleBases);
    }
    let from = from_now_on(new, now);
    let at_start = met.iter().filter(|(known, _)| contains(known, from, now));
    let bases: Vec<&Package> = at_start.map(|(_, base)| *base).chain(asked_bases()).collect();
    let addons = || asked.iter().filter(|package| package.is_addon());
    let Some(base) = bases.first() else {
        return match addons().next() {
            Some(_) => Err(SubscribeRefusal::AddonWithoutBase),
            None => Ok(()),
        };
    };
    // There is one base, unless a billing provider has brought an earlier one back to life.
    match addons().find(|addon| !bases.iter().any(|base| fits(addon, base))) {
        Some(addon) => Err(SubscribeRefusal::AddonForOtherBase {
            addon: addon.id.clone(),
            base: base.id.clone(),
        }),
        None => Ok(()),
    }
}

/// Checks that no new subscription, of which the first is at `first`, overlaps another to its package.
pub(crate) fn check_subscribed(
    catalog: &Catalog,
    all: &[Subscription],
    first: usize,
    now: Timestamp,
) -> Result<(), SubscribeRefusal> {
    for (index, new) in all.iter().enumerate().skip(first) {
        let same = |known: &&Subscription| {
            let is_granted = granted(catalog, known).is_some();
            known.package == new.package && is_granted && overlap(new, known, now)
        };
        if all.iter().take(index).any(|known| same(&known)) {
            return Err(SubscribeRefusal::AlreadySubscribed { package: new.package.clone() });
        }
    }
    Ok(())
}

/// Checks how many subscriptions have not begun, if the newest has not. `field` said when it begins.
pub(crate) fn check_scheduled(
    all: &[Subscription],
    field: &'static str,
    now: Timestamp,
) -> Result<(), InvalidValue> {
    let is_ahead = |known: &&Subscription| known.ended_at.is_none() && !known.has_begun(now);
    let ahead = all.iter().filter(is_ahead).count();
    if ahead > SCHEDULED_MAX && all.last().as_ref().is_some_and(is_ahead) {
        let problem = format!(
            "would give the user {ahead} subscriptions that have not begun: at most {SCHEDULED_MAX} \
             are possible. Cancel one, or wait until one begins"
        );
        return Err(InvalidValue::new(field, problem));
    }
    Ok(())
}
