//! The access table (contract: `entitlements.md`, "Access").

pub use crate::access::{Consumption, Entitlement, Extras, Reason};
use crate::catalog::{Allowance, Catalog, Feature};
use crate::counting::counting_subscription;
use crate::facts::{CounterKey, Obstacle, UserFacts};
use crate::granting::{self, Granting};
use crate::id::FeatureId;
use crate::meter::{Meter, needs};
use crate::overrides::Override;
use crate::own_part::OwnPart;
use crate::period::Period;
use crate::refusal::{InvalidValue, Refusal};
use crate::schedule::Schedule;
use crate::source::Source;
use crate::subscription::AsOf;
use crate::timestamp::Timestamp;

/// What counts for one feature and user at a time.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are the largest, and none lives long")]
pub(crate) enum Standing<'a> {
    NotGranted,
    /// By an override.
    Denied(Source),
    Binary(Source),
    Consumable {
        allowance: Allowance,
        meter: Meter<'a>,
        grants: Granting<'a>,
    },
}

/// Returns what counts at `as_of` and, for a consumable feature, the meter of the period at that time.
/// `now` is the time of the request; `as_of` may be earlier. For a feature that draws on another and may
/// be used, that is what counts for its balance.
pub(crate) fn standing<'a>(
    catalog: &'a Catalog,
    facts: &'a UserFacts,
    feature: &'a Feature,
    as_of: AsOf,
    now: Timestamp,
) -> Result<Standing<'a>, Obstacle> {
    let own = own_standing(catalog, facts, feature, as_of, now)?;
    if feature.draws().is_none() || !matches!(own, Standing::Binary(_)) {
        return Ok(own);
    }
    own_standing(catalog, facts, balance_of(catalog, feature)?, as_of, now)
}

/// Returns the feature whose usage counts: the balance that `feature` draws on, or itself.
pub(crate) fn balance_of<'a>(
    catalog: &'a Catalog,
    feature: &'a Feature,
) -> Result<&'a Feature, Refusal> {
    feature.draws().map_or(Ok(feature), |draw| find_feature(catalog, &draw.balance))
}

/// Returns what counts of a feature by itself; one that draws on another is granted or not, as if it were
/// `BINARY`. The rows are those of the contract's page `beyond.md`, "What counts".
fn own_standing<'a>(
    catalog: &'a Catalog,
    facts: &'a UserFacts,
    feature: &'a Feature,
    as_of: AsOf,
    now: Timestamp,
) -> Result<Standing<'a>, Obstacle> {
    let living = facts.living_override(&feature.id, as_of)?;
    if let Some(known) = living {
        let source = Source::Override(known.id);
        if known.denies(as_of) {
            return Ok(Standing::Denied(source));
        }
        if !feature.has_amount() {
            return Ok(Standing::Binary(source));
        }
    }
    let grants = || Granting::new(facts, &feature.id, as_of);
    if let Some(known) = living.filter(|known| known.terms.counts_itself()) {
        return by_override(known, facts, grants()?, now);
    }
    let subscriptions = match as_of {
        AsOf::Now(_) => facts.subscriptions(),
        AsOf::Moment(_) => facts.all_subscriptions()?,
    };
    let Some(counting) = counting_subscription(catalog, subscriptions, &feature.id, as_of) else {
        return if !feature.has_amount() {
            Ok(Standing::NotGranted)
        } else if let Some(known) = living {
            by_override(known, facts, grants()?, now)
        } else {
            by_grants(facts, grants()?, now)
        };
    };
    if !feature.has_amount() {
        return Ok(Standing::Binary(Source::Subscription(counting.subscription.id)));
    }
    let own = counting.allowance;
    let allowance = living.map_or(own, |known| known.terms.instead_of(own));
    metered((counting.schedule, allowance), facts, grants()?, now)
}

/// Returns what an override gives that counts by itself.
fn by_override<'a>(
    known: &'a Override,
    facts: &UserFacts,
    grants: Granting<'a>,
    now: Timestamp,
) -> Result<Standing<'a>, Obstacle> {
    match known.terms.allowance() {
        Some(allowance) => metered((Schedule::of_override(known), allowance), facts, grants, now),
        None => Ok(Standing::Denied(Source::Override(known.id))),
    }
}

/// Returns what grants give where nothing else counts.
fn by_grants<'a>(
    facts: &UserFacts,
    grants: Granting<'a>,
    now: Timestamp,
) -> Result<Standing<'a>, Obstacle> {
    match grants.living().next() {
        Some(_) => {
            let schedule = granting::schedule(grants.user());
            metered((schedule, granting::ALLOWANCE), facts, grants, now)
        }
        None => Ok(Standing::NotGranted),
    }
}

fn metered<'a>(
    (schedule, allowance): (Schedule<'a>, Allowance),
    facts: &UserFacts,
    grants: Granting<'a>,
    now: Timestamp,
) -> Result<Standing<'a>, Obstacle> {
    let feature = grants.feature();
    // What counts gives the feature, so it has a period.
    let meter = match grants.as_of() {
        AsOf::Now(now) => schedule.current(now).map(|place| Meter::new(schedule, feature, place)),
        AsOf::Moment(at) => schedule.at(at).map(|place| Meter::late(schedule, feature, place, now)),
    };
    let Some(meter) = meter else { return Ok(Standing::NotGranted) };
    let grants = grants.with_held(meter.held(facts, now)?);
    Ok(Standing::Consumable { allowance, meter, grants })
}

/// Fails with the balances of all these features at once of which holds are needed and not loaded.
fn need_holds<'a>(
    catalog: &Catalog,
    facts: &UserFacts,
    features: impl IntoIterator<Item = &'a FeatureId>,
    now: Timestamp,
) -> Result<(), Obstacle> {
    if !facts.has_holds() {
        return Ok(());
    }
    let mut balances = Vec::new();
    for feature in features {
        let balance = balance_of(catalog, find_feature(catalog, feature)?)?;
        balances.extend(balance.has_amount().then_some(&balance.id));
    }
    facts.need_living_holds(balances, now)
}

/// Applies the rows of the table for a consumable feature that is granted. The amount is in the unit of
/// its balance.
pub(crate) fn within(consumption: Consumption, amount: i128) -> Entitlement {
    let wanted = i128::from(consumption.used) + i128::from(consumption.held()) + amount;
    let (access, reason) = match consumption.budget {
        None => (true, Reason::Unlimited),
        Some(budget) if wanted <= i128::from(budget) => (true, Reason::WithinLimit),
        Some(_) if consumption.overage_enabled => (true, Reason::Overage),
        Some(_) => (false, Reason::LimitReached),
    };
    Entitlement { access, reason, consumption: Some(consumption) }
}

pub(crate) const NOT_GRANTED: Entitlement =
    Entitlement { access: false, reason: Reason::NotGranted, consumption: None };
pub(crate) const DENIED: Entitlement =
    Entitlement { access: false, reason: Reason::Denied, consumption: None };
pub(crate) const BINARY_GRANTED: Entitlement =
    Entitlement { access: true, reason: Reason::Granted, consumption: None };

/// Checks an amount that is asked for. Fails if it is negative.
pub fn check_delta(delta: i64) -> Result<(), InvalidValue> {
    if delta < 0 { Err(InvalidValue::new("delta", "must not be negative here")) } else { Ok(()) }
}

/// Returns the feature with this id. Fails if there is none.
pub fn find_feature<'a>(catalog: &'a Catalog, id: &FeatureId) -> Result<&'a Feature, Refusal> {
    catalog.feature(id).map(AsRef::as_ref).ok_or_else(|| Refusal::FeatureNotFound(id.clone()))
}

/// Checks that the feature is counted by itself, so that `field` of a request can say how much of it there
/// is. Fails for a `BINARY` feature, and for one that draws on another.
pub(crate) fn check_has_amount(feature: &Feature, field: &'static str) -> Result<(), InvalidValue> {
    match feature.why_no_amount() {
        None => Ok(()),
        Some(why) => {
            let problem = format!("does not suit {}, which {why}", feature.id);
            Err(InvalidValue::new(field, problem))
        }
    }
}

/// Checks that usage of the feature is counted, by itself or on a balance. Fails for a `BINARY` feature.
pub(crate) fn check_is_counted(feature: &Feature, field: &'static str) -> Result<(), InvalidValue> {
    if !feature.is_binary() {
        return Ok(());
    }
    Err(InvalidValue::new(field, format!("does not suit {}, which is BINARY", feature.id)))
}

/// Returns whether the user may use `delta` more of the feature. `delta` is 0 or more, and ignored for
/// a `BINARY` feature.
pub fn entitlement(
    catalog: &Catalog,
    facts: &UserFacts,
    feature: &FeatureId,
    delta: i64,
    as_of: AsOf,
) -> Result<Entitlement, Obstacle> {
    check_delta(delta)?;
    let feature = find_feature(catalog, feature)?;
    let mut missing = Vec::new();
    let standing = standing(catalog, facts, feature, as_of, as_of.at())?;
    let amount = feature.amount(delta);
    let entitlement = entitled((facts, as_of.at()), &standing, amount, &mut missing)?;
    needs(facts.key, missing)?;
    Ok(entitlement)
}

/// Applies the access table to a feature. The amount is in the unit of its balance. Adds counters that are
/// not loaded to `missing`.
pub(crate) fn entitled(
    (facts, now): (&UserFacts, Timestamp),
    standing: &Standing<'_>,
    amount: i128,
    missing: &mut Vec<CounterKey>,
) -> Result<Entitlement, Obstacle> {
    Ok(match standing {
        Standing::NotGranted => NOT_GRANTED,
        Standing::Denied(_) => DENIED,
        Standing::Binary(_) => BINARY_GRANTED,
        Standing::Consumable { allowance, meter, grants } => {
            let value = meter.read(facts, missing);
            let own = OwnPart::of(*allowance, meter, (facts, now), missing)?;
            within(grants.consumption(own, &value), amount)
        }
    })
}

/// An amount of a feature that somebody wants to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The feature.
    pub feature: FeatureId,
    /// The amount in the feature's unit, 0 or more; ignored for a `BINARY` feature.
    pub delta: i64,
}

/// How many requirements one question may have.
pub const REQUIREMENTS_MAX: usize = 100;

/// Checks how many requirements there are.
pub fn check_requirement_count(count: usize) -> Result<(), InvalidValue> {
    if (1..=REQUIREMENTS_MAX).contains(&count) {
        return Ok(());
    }
    let problem = format!("must name 1 to {REQUIREMENTS_MAX} features");
    Err(InvalidValue::new("requirements", problem))
}

/// Checks the values of requirements that can be checked without stored facts.
pub fn check_requirements(requirements: &[Requirement]) -> Result<(), InvalidValue> {
    check_requirement_count(requirements.len())?;
    requirements.iter().try_for_each(|required| check_delta(required.delta))
}

/// Returns what [`entitlement`] says of each requirement alone, in their order, and whether all of them
/// fit together: amounts on one balance are added up. Fails with everything that is not loaded at once.
pub fn entitled_together(
    catalog: &Catalog,
    facts: &UserFacts,
    requirements: &[Requirement],
    as_of: AsOf,
) -> Result<(bool, Vec<Entitlement>), Obstacle> {
    check_requirements(requirements)?;
    let asked = requirements.iter().map(|required| &required.feature);
    need_holds(catalog, facts, asked, as_of.at())?;
    let mut missing = Vec::new();
    let mut alone = Vec::with_capacity(requirements.len());
    let mut together: Vec<(&FeatureId, Standing<'_>, i128)> = Vec::new();
    for required in requirements {
        let feature = find_feature(catalog, &required.feature)?;
        let standing = standing(catalog, facts, feature, as_of, as_of.at())?;
        let amount = feature.amount(required.delta);
        alone.push(entitled((facts, as_of.at()), &standing, amount, &mut missing)?);
        if !matches!(standing, Standing::Consumable { .. }) {
            continue;
        }
        match together.iter_mut().find(|(known, ..)| *known == feature.balance()) {
            Some((.., sum)) => *sum += amount,
            None => together.push((feature.balance(), standing, amount)),
        }
    }
    let each_fits = alone.iter().all(|entitlement| entitlement.access);
    let mut fits = each_fits;
    for (_, standing, sum) in &together {
        fits = fits && entitled((facts, as_of.at()), standing, *sum, &mut missing)?.access;
    }
    needs(facts.key, missing)?;
    Ok((fits, alone))
}

/// Returns whether the user may use one more of each feature, in their order. Fails with everything
/// that is not loaded at once.
pub fn entitlements<'a>(
    catalog: &Catalog,
    facts: &UserFacts,
    features: impl IntoIterator<Item = &'a FeatureId> + Clone,
    as_of: AsOf,
) -> Result<Vec<Entitlement>, Obstacle> {
    let mut missing = Vec::new();
    let entitlements = known_entitlements(catalog, facts, features, as_of, &mut missing)?;
    // All at once, so that they are loaded in one round trip.
    needs(facts.key, missing)?;
    Ok(entitlements)
}

/// Returns whether the user may use one more of each feature now, in their order, with the period that
/// the usage belongs to: `None` if nothing grants the feature, or it is `BINARY`. Fails with everything
/// that is not loaded at once.
pub fn current_entitlements<'a>(
    catalog: &Catalog,
    facts: &UserFacts,
    features: impl IntoIterator<Item = &'a FeatureId> + Clone,
    now: Timestamp,
) -> Result<Vec<(Entitlement, Option<Period>)>, Obstacle> {
    need_holds(catalog, facts, features.clone(), now)?;
    let mut missing = Vec::new();
    let mut current = Vec::new();
    for feature in features {
        let feature = find_feature(catalog, feature)?;
        let standing = standing(catalog, facts, feature, AsOf::Now(now), now)?;
        let period = match &standing {
            Standing::Consumable { meter, grants, .. } => Some(grants.shown_period(meter)),
            Standing::NotGranted | Standing::Denied(_) | Standing::Binary(_) => None,
        };
        let amount = feature.amount(1);
        current.push((entitled((facts, now), &standing, amount, &mut missing)?, period));
    }
    needs(facts.key, missing)?;
    Ok(current)
}

/// Like [`entitlements`]. A counter that is not loaded counts as never written, and is added to
/// `missing`.
pub(crate) fn known_entitlements<'a>(
    catalog: &Catalog,
    facts: &UserFacts,
    features: impl IntoIterator<Item = &'a FeatureId> + Clone,
    as_of: AsOf,
    missing: &mut Vec<CounterKey>,
) -> Result<Vec<Entitlement>, Obstacle> {
    need_holds(catalog, facts, features.clone(), as_of.at())?;
    let entitlements = features.into_iter().map(|feature| {
        let feature = find_feature(catalog, feature)?;
        let standing = standing(catalog, facts, feature, as_of, as_of.at())?;
        entitled((facts, as_of.at()), &standing, feature.amount(1), missing)
    });
    entitlements.collect()
}
