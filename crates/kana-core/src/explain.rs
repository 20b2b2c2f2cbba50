//! Why an answer about access is what it is (contract: `beyond.md`, "Why").

use std::fmt;

use uuid::Uuid;

use crate::access::Entitlement;
use crate::catalog::Catalog;
use crate::counter::CounterValue;
use crate::counting::{added_limits, counting_subscription};
use crate::draws::Draw;
use crate::entitlement::{Standing, check_delta, entitled, find_feature, standing};
use crate::facts::{Obstacle, UserFacts};
use crate::grant::{Grant, GrantKey};
use crate::granting::Granting;
use crate::id::{FeatureId, GrantId};
use crate::meter::needs;
use crate::own_part::OwnPart;
use crate::period::Period;
pub use crate::source::Source;
use crate::subscription::AsOf;
use crate::timestamp::Timestamp;

/// An answer about access with everything that it follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub entitlement: Entitlement,
    /// The feature whose usage was asked about: the one that was named, or the one that it draws on.
    pub balance: FeatureId,
    /// The amount that was asked for, in that feature's unit; the largest number if it is larger.
    pub amount: i64,
    /// What counts, or what grants a feature without an amount; `None` if nothing does.
    pub source: Option<Source>,
    /// The period that usage is counted in; `None` if nothing is counted.
    pub period: Option<Period>,
    /// What the budget consists of; the amounts add up to it. Empty if nothing is counted.
    pub parts: Vec<BudgetPart>,
}

/// A part of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetPart {
    /// What it is.
    pub kind: BudgetPartKind,
    /// The id of what it comes from.
    pub id: PartId,
    /// The amount; `None` means unlimited.
    pub amount: Option<i64>,
}

/// The id of what a part of a budget comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartId {
    /// A subscription or an override.
    Source(Uuid),
    /// A grant.
    Grant(GrantId),
    /// A grant that is no longer kept.
    ForgottenGrant(GrantKey),
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(id) => id.fmt(f),
            Self::Grant(id) => id.fmt(f),
            Self::ForgottenGrant(key) => key.0.fmt(f),
        }
    }
}

/// A kind of part of a budget. They stand in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetPartKind {
    /// The limit of what counts, so many times as its quantity says.
    Allowance,
    /// What is left of earlier periods of what counts.
    Carried,
    /// The limit of a subscription that is added to it.
    Added,
    /// What was drawn from a grant, and what is left of it while it lives.
    Grant,
}

/// Returns whether the user may use `delta` more of the feature now, and what that follows from.
pub fn explain(
    catalog: &Catalog,
    facts: &UserFacts,
    feature: &FeatureId,
    delta: i64,
    now: Timestamp,
) -> Result<Explanation, Obstacle> {
    check_delta(delta)?;
    let feature = find_feature(catalog, feature)?;
    let standing = standing(catalog, facts, feature, AsOf::Now(now), now)?;
    let mut missing = Vec::new();
    let (balance, amount) = (feature.balance(), feature.amount(delta));
    let entitlement = entitled((facts, now), &standing, amount, &mut missing)?;
    needs(facts.key, missing)?;
    let (source, period, parts) = match &standing {
        Standing::NotGranted => (None, None, Vec::new()),
        Standing::Denied(source) | Standing::Binary(source) => (Some(*source), None, Vec::new()),
        Standing::Consumable { allowance, meter, grants } => {
            let source = meter.source();
            let (value, own) = OwnPart::read(*allowance, meter, facts, now)?;
            let mut parts = parts(catalog, facts, balance, (source, own), now)?;
            parts.extend(parts_of_grants(*grants, &value));
            (Some(source), Some(grants.shown_period(meter)), parts)
        }
    };
    Ok(Explanation {
        entitlement,
        balance: balance.clone(),
        amount: i64::try_from(amount).unwrap_or(i64::MAX),
        source,
        period,
        parts,
    })
}

/// Returns what the budget of a source consists of beside grants.
fn parts(
    catalog: &Catalog,
    facts: &UserFacts,
    feature: &FeatureId,
    (source, own): (Source, OwnPart),
    now: Timestamp,
) -> Result<Vec<BudgetPart>, Obstacle> {
    let as_of = AsOf::Now(now);
    let Some(id) = source.id() else { return Ok(Vec::new()) };
    let counting = match source {
        // The limit of an override stands for everything.
        Source::Subscription(_) if facts.living_override(feature, as_of)?.is_none() => {
            counting_subscription(catalog, facts.subscriptions(), feature, as_of)
        }
        Source::Subscription(_) | Source::Override(_) | Source::Grants(_) => None,
    };
    let amount = counting.map_or(own.allowance.limit, |counting| counting.own);
    let part = |kind, amount| BudgetPart { kind, id: PartId::Source(id), amount };
    let mut parts = vec![part(BudgetPartKind::Allowance, amount)];
    if own.carried() > 0 {
        parts.push(part(BudgetPartKind::Carried, Some(own.carried())));
    }
    if let Some(counting) = counting {
        let id = counting.subscription.id;
        let added = added_limits(catalog, facts.subscriptions(), feature, as_of, id);
        parts.extend(added.into_iter().map(|(id, amount)| BudgetPart {
            kind: BudgetPartKind::Added,
            id: PartId::Source(id.0),
            amount,
        }));
    }
    Ok(parts)
}

/// Returns the parts of grants that a counter drew from, or that live, in the order in which they are
/// drawn; first those that are no longer kept.
fn parts_of_grants(grants: Granting<'_>, value: &CounterValue) -> Vec<BudgetPart> {
    let draws = value.marks.draws();
    let mut kept: Vec<&Grant> = grants.kept().collect();
    kept.sort_by(|one, other| one.order(other));
    let part = |id, amount| BudgetPart { kind: BudgetPartKind::Grant, id, amount: Some(amount) };
    let is_forgotten = |draw: &&Draw| kept.iter().all(|grant| grant.key != draw.grant);
    let forgotten = draws.as_slice().iter().filter(is_forgotten);
    let mut parts: Vec<BudgetPart> =
        forgotten.map(|draw| part(PartId::ForgottenGrant(draw.grant), draw.amount)).collect();
    for grant in kept {
        let left = if grants.is_living(grant) { Some(grant.left()) } else { None };
        let drawn = draws.of(grant.key);
        if drawn > 0 || left.is_some() {
            let amount = drawn.saturating_add(left.unwrap_or(0));
            parts.push(part(PartId::Grant(grant.id.clone()), amount));
        }
    }
    parts
}
