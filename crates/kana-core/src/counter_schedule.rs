//! The periods that a counter belongs to, found by its name.

use crate::catalog::Catalog;
use crate::facts::{CounterKey, Obstacle, UserFacts};
use crate::granting;
use crate::id::OverrideId;
use crate::schedule::Schedule;

/// Returns the periods of the subscription, override or grants that a counter was counted under, also if
/// something else counts now; `None` if that is no longer stored.
pub(crate) fn schedule_of_counter<'a>(
    catalog: &'a Catalog,
    facts: &'a UserFacts,
    counter: &CounterKey,
) -> Result<Option<Schedule<'a>>, Obstacle> {
    let source = counter.subscription;
    if source.is_of_grants() {
        return Ok(Some(granting::schedule(facts.key)));
    }
    if let Some(id) = OverrideId::in_place_of(source) {
        let found = facts.overrides()?.iter().find(|known| known.id == id);
        return Ok(found.map(Schedule::of_override));
    }
    let subscription = match facts.running(source) {
        Some(running) => Some(running),
        None => facts.all_subscriptions()?.iter().find(|known| known.id == source),
    };
    Ok(subscription.and_then(|subscription| {
        let package = catalog.package(&subscription.package)?;
        Schedule::new(subscription, package, &counter.feature)
    }))
}
