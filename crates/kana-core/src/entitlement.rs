//! The access table (contract: `entitlements.md`, "Access").

use serde::{Deserialize, Serialize};

use crate::catalog::{Allowance, Catalog, Feature};
use crate::facts::{CounterKey, Obstacle, UserFacts};
use crate::id::FeatureId;
use crate::meter::{Meter, needs};
use crate::refusal::{InvalidValue, Refusal};
use crate::subscription::{AsOf, Counting, counting_subscription};
use crate::timestamp::Timestamp;

/// Whether a user may use a feature, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entitlement {
    /// Whether the user may use it.
    pub access: bool,
    /// Why.
    pub reason: Reason,
    /// How much was used; `None` for a `BINARY` feature and where nothing grants it.
    pub consumption: Option<Consumption>,
}

/// How much of a budget was used in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumption {
    /// What was used, 0 or more. It can exceed the budget.
    pub used: i64,
    /// The limit; `None` means unlimited.
    pub budget: Option<i64>,
    /// Whether usage may go over the budget.
    pub overage_enabled: bool,
}

/// The row of the access table that an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Nothing grants the feature.
    NotGranted,
    /// A `BINARY` feature, granted.
    Granted,
    /// No limit.
    Unlimited,
    /// `used + delta` is at most the limit.
    WithinLimit,
    /// Over the limit, which is allowed.
    Overage,
    /// Over the limit, which is not allowed.
    LimitReached,
}

impl Reason {
    /// One plain sentence for a developer's log.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotGranted => "None of the user's subscriptions grants this feature.",
            Self::Granted => "A subscription of the user grants this feature.",
            Self::Unlimited => "A subscription of the user grants this feature without a limit.",
            Self::WithinLimit => "The usage is within the limit of the user's subscription.",
            Self::Overage => "The usage is over the limit, and the subscription allows overage.",
            Self::LimitReached => "The usage would go over the limit of the user's subscription.",
        }
    }
}

/// What a rule found about one feature for one user at one moment.
#[derive(Debug)]
pub(crate) enum Standing<'a> {
    NotGranted,
    Binary(Counting<'a>),
    Consumable { counting: Counting<'a>, meter: Meter<'a> },
}

/// Returns the subscription that counts at `as_of` and, for a consumable feature, the meter of the
/// period at that moment. `now` is the time of the request; `as_of` may be earlier.
pub(crate) fn standing<'a>(
    catalog: &'a Catalog,
    facts: &'a UserFacts,
    feature: &Feature,
    as_of: AsOf,
    now: Timestamp,
) -> Result<Standing<'a>, Obstacle> {
    let subscriptions = match as_of {
        AsOf::Now(_) => facts.subscriptions(),
        AsOf::Moment(_) => facts.all_subscriptions()?,
    };
    let Some(counting) = counting_subscription(catalog, subscriptions, &feature.id, as_of) else {
        return Ok(Standing::NotGranted);
    };
    if feature.is_binary() {
        return Ok(Standing::Binary(counting));
    }
    let (schedule, feature) = (counting.schedule, &feature.id);
    // A subscription that counts gives the feature, so it has a period.
    let meter = match as_of {
        AsOf::Now(now) => schedule.current(now).map(|place| Meter::new(schedule, feature, place)),
        AsOf::Moment(at) => schedule.at(at).map(|place| Meter::late(schedule, feature, place, now)),
    };
    Ok(meter.map_or(Standing::NotGranted, |meter| Standing::Consumable { counting, meter }))
}

/// The rows of the table for a consumable feature that is granted.
pub(crate) fn within(allowance: Allowance, used: i64, delta: i64) -> Entitlement {
    let (access, reason) = match allowance.limit {
        None => (true, Reason::Unlimited),
        Some(limit) if i128::from(used) + i128::from(delta) <= i128::from(limit) => {
            (true, Reason::WithinLimit)
        }
        Some(_) if allowance.overage_enabled => (true, Reason::Overage),
        Some(_) => (false, Reason::LimitReached),
    };
    Entitlement { access, reason, consumption: Some(consumption(allowance, used)) }
}

/// What was used of what an allowance gives.
pub(crate) fn consumption(allowance: Allowance, used: i64) -> Consumption {
    Consumption { used, budget: allowance.limit, overage_enabled: allowance.overage_enabled }
}

pub(crate) const NOT_GRANTED: Entitlement =
    Entitlement { access: false, reason: Reason::NotGranted, consumption: None };
pub(crate) const BINARY_GRANTED: Entitlement =
    Entitlement { access: true, reason: Reason::Granted, consumption: None };

/// Refuses a negative amount to ask for.
pub fn check_delta(delta: i64) -> Result<(), InvalidValue> {
    if delta < 0 { Err(InvalidValue::new("delta", "must not be negative here")) } else { Ok(()) }
}

/// The feature with this id, or the refusal that says that there is none.
pub fn find_feature<'a>(catalog: &'a Catalog, id: &FeatureId) -> Result<&'a Feature, Refusal> {
    catalog.feature(id).map(AsRef::as_ref).ok_or_else(|| Refusal::FeatureNotFound(id.clone()))
}

/// Whether the user may use `delta` more of the feature; `delta` is 0 or more and does not matter
/// for a `BINARY` feature.
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
    let entitlement = entitled(facts, &standing, delta, &mut missing);
    needs(facts.key, missing)?;
    Ok(entitlement)
}

/// The access table for a feature of which it is known what counts. Counters that are not loaded are
/// added to `missing`.
fn entitled(
    facts: &UserFacts,
    standing: &Standing<'_>,
    delta: i64,
    missing: &mut Vec<CounterKey>,
) -> Entitlement {
    match standing {
        Standing::NotGranted => NOT_GRANTED,
        Standing::Binary(_) => BINARY_GRANTED,
        Standing::Consumable { counting, meter } => {
            within(counting.allowance, meter.read(facts, missing), delta)
        }
    }
}

/// Whether the user may use one more of each of the features, in their order. What has to be
/// loaded is asked for in one go.
pub fn entitlements<'a>(
    catalog: &Catalog,
    facts: &UserFacts,
    features: impl IntoIterator<Item = &'a FeatureId>,
    as_of: AsOf,
) -> Result<Vec<Entitlement>, Obstacle> {
    let mut missing = Vec::new();
    let entitlements = known_entitlements(catalog, facts, features, as_of, &mut missing)?;
    // One by one they would be asked for one by one.
    needs(facts.key, missing)?;
    Ok(entitlements)
}

/// Like [`entitlements`]. A counter that is not loaded counts as never written, and is added to
/// `missing`.
pub(crate) fn known_entitlements<'a>(
    catalog: &Catalog,
    facts: &UserFacts,
    features: impl IntoIterator<Item = &'a FeatureId>,
    as_of: AsOf,
    missing: &mut Vec<CounterKey>,
) -> Result<Vec<Entitlement>, Obstacle> {
    let entitlements = features.into_iter().map(|feature| {
        let feature = find_feature(catalog, feature)?;
        let standing = standing(catalog, facts, feature, as_of, as_of.at())?;
        Ok(entitled(facts, &standing, 1, missing))
    });
    entitlements.collect()
}
