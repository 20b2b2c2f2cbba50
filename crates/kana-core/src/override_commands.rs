//! Setting and removing overrides (contract: `beyond.md`, "Overrides").

use uuid::Uuid;

use crate::catalog::Catalog;
use crate::change::{
    self, Effect, EntitlementDifference, Known, audit_of_override, differences_of_features,
};
use crate::command::{Answer, Basis, Decide, Decision};
use crate::entitlement::{check_has_amount, find_feature};
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::id::{FeatureId, OverrideId, SubscriptionId, UserId};
use crate::invalid::InvalidValue;
use crate::metadata::Label;
use crate::overrides::{Override, OverrideKind, OverrideTerms};
use crate::period::{Reset, ResetAnchor, ResetPeriod};
use crate::refusal::Refusal;
use crate::subjects::{Subject, Subjects};
use crate::subscription::AsOf;
use crate::terms::TermsHistory;
use crate::timestamp::Timestamp;

/// How many overrides a user may have.
pub const OVERRIDES_MAX: usize = 100;

/// Sets a user's override of a feature. One that lives keeps its id, its start and its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetOverride {
    /// The user.
    pub user: UserId,
    /// The feature.
    pub feature: FeatureId,
    /// What it is to say.
    pub input: OverrideInput,
    /// The first instant after it; `None` until it is removed.
    pub ends_at: Option<Timestamp>,
    /// Why, in the product's words.
    pub reason: Option<Label>,
    /// The id of a new one.
    pub new_id: OverrideId,
}

/// What an override is to say, as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverrideInput {
    /// What it is.
    pub kind: OverrideKind,
    /// The limit, for `LIMIT`.
    pub limit: Option<i64>,
    /// The periods of counters of its own.
    pub reset_period: Option<ResetPeriod>,
    /// What they are counted from.
    pub reset_anchor: Option<ResetAnchor>,
    /// Whether usage may go over the limit; `None` leaves that to the package.
    pub overage_enabled: Option<bool>,
}

/// Removes a user's override of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveOverride {
    /// The user.
    pub user: UserId,
    /// The feature.
    pub feature: FeatureId,
}

impl OverrideInput {
    /// Checks the values and returns what they say.
    pub fn read(&self) -> Result<OverrideTerms, InvalidValue> {
        let Self { kind, limit, reset_period, reset_anchor, overage_enabled } = *self;
        match (kind, limit) {
            (OverrideKind::Limit, None) => {
                return Err(InvalidValue::new("limit", "is needed with the kind LIMIT"));
            }
            (OverrideKind::Limit, Some(limit)) if limit < 0 => {
                return Err(InvalidValue::new("limit", "must not be negative"));
            }
            (OverrideKind::Unlimited | OverrideKind::Deny, Some(_)) => {
                return Err(InvalidValue::new("limit", "is only for the kind LIMIT"));
            }
            _ => {}
        }
        let is_given = [
            ("resetPeriod", reset_period.is_some()),
            ("resetAnchor", reset_anchor.is_some()),
            ("overageEnabled", overage_enabled.is_some()),
        ];
        if kind == OverrideKind::Deny {
            return match is_given.into_iter().find(|(_, is_given)| *is_given) {
                Some((field, _)) => {
                    Err(InvalidValue::new(field, "must be left out with the kind DENY"))
                }
                None => Ok(OverrideTerms::Deny),
            };
        }
        if kind == OverrideKind::Unlimited && overage_enabled.is_some() {
            let problem = "must be left out with the kind UNLIMITED";
            return Err(InvalidValue::new("overageEnabled", problem));
        }
        if reset_anchor.is_some() && reset_period.is_none() {
            return Err(InvalidValue::new("resetAnchor", "needs a reset period"));
        }
        let anchor = reset_anchor.unwrap_or_default();
        let reset = reset_period.map(|period| Reset { period, anchor });
        Ok(OverrideTerms::Allow { limit, overage_enabled, reset })
    }
}

impl Decide for SetOverride {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn creates(&self) -> bool {
        true
    }

    fn set_ids(&mut self, next_id: &mut dyn FnMut() -> Uuid) {
        self.new_id = OverrideId::of(next_id());
    }

    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        self.input.read()?;
        if self.ends_at.is_some_and(|ends_at| ends_at <= now) {
            return Err(InvalidValue::new("endsAt", "must be in the future").into());
        }
        Ok(())
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let terms = self.input.read()?;
        let feature = find_feature(basis.catalog, &self.feature)?;
        if let Some(field) = self.field_of_amount() {
            check_has_amount(feature, field)?;
        }
        let stored = facts.overrides()?;
        let before = stored.iter().find(|known| known.feature == self.feature);
        let living = before.filter(|known| known.lives(AsOf::Now(basis.now)));
        let new = self.override_after(living, terms, basis.now);
        if Some(&new) == before {
            return Ok(Decision::untold(Answer::OverrideSet(new), Vec::new()));
        }
        let mut changes = Vec::with_capacity(2);
        if before.is_none() && stored.len() >= OVERRIDES_MAX {
            let feature = first_to_end(stored, basis.now)?;
            changes.push((facts.key, Change::DeleteOverride { feature }));
        }
        changes.push((facts.key, Change::PutOverride(new.clone())));
        let created = if living.is_some() { None } else { Some(new.id) };
        let feed = feed_of(basis, facts, &changes, &self.feature, created)?;
        let audit = vec![audit_of_override(&facts.id, living, Some(&new))];
        Ok(Decision { answer: Answer::OverrideSet(new), changes, feed, audit })
    }
}

impl SetOverride {
    /// Returns the field that says something about an amount, if one does.
    fn field_of_amount(&self) -> Option<&'static str> {
        let OverrideInput { kind, reset_period, .. } = self.input;
        if kind == OverrideKind::Limit {
            return Some("kind");
        }
        reset_period.map(|_| "resetPeriod")
    }

    /// Returns the override as it is after the command, where `living` is the one that lives.
    fn override_after(
        &self,
        living: Option<&Override>,
        terms: OverrideTerms,
        now: Timestamp,
    ) -> Override {
        let (id, starts_at, history) = match living {
            Some(living) => {
                let mut history = living.history.clone();
                history.change(terms.allowance(), now);
                (living.id, living.starts_at, history)
            }
            None => (self.new_id, now, TermsHistory::beginning_with(terms.allowance())),
        };
        Override {
            id,
            feature: self.feature.clone(),
            terms,
            starts_at,
            ends_at: self.ends_at,
            reason: self.reason.clone(),
            history,
        }
    }
}

/// Returns the feature of the override that ended first, which gives way to a new one. Refuses if all of
/// them live.
fn first_to_end(stored: &[Override], now: Timestamp) -> Result<FeatureId, InvalidValue> {
    let ended = stored.iter().filter(|known| !known.lives(AsOf::Now(now)));
    let first = ended.min_by_key(|known| (known.ends_at, known.id));
    first.map(|known| known.feature.clone()).ok_or_else(|| {
        let problem = format!("has {OVERRIDES_MAX} overrides already: remove one first");
        InvalidValue::new("userId", problem)
    })
}

impl Decide for RemoveOverride {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        find_feature(basis.catalog, &self.feature)?;
        let stored = facts.overrides()?.iter().find(|known| known.feature == self.feature);
        let Some(before) = stored else {
            return Ok(Decision::untold(Answer::OverrideRemoved(false), Vec::new()));
        };
        let lived = before.lives(AsOf::Now(basis.now));
        let changes = vec![(facts.key, Change::DeleteOverride { feature: self.feature.clone() })];
        let answer = Answer::OverrideRemoved(lived);
        if !lived {
            return Ok(Decision::untold(answer, changes));
        }
        let feed = feed_of(basis, facts, &changes, &self.feature, None)?;
        let audit = vec![audit_of_override(&facts.id, Some(before), None)];
        Ok(Decision { answer, changes, feed, audit })
    }
}

/// Returns what the changes feed has of what a user was given, or lost, of a feature: an override or a grant.
/// `created` is a new override, which has counted nothing yet.
pub(crate) fn feed_of(
    basis: &Basis<'_>,
    facts: &UserFacts,
    changes: &[UserChange],
    feature: &FeatureId,
    created: Option<OverrideId>,
) -> Result<Vec<change::Change>, Obstacle> {
    let differences = differences(basis.catalog, facts, changes, feature, (created, basis.now))?;
    if differences.is_empty() {
        return Ok(Vec::new());
    }
    let effect = Effect::EntitlementChanged(differences);
    Ok(vec![change::Change::of_user(&facts.id, effect)])
}

fn differences(
    catalog: &Catalog,
    facts: &UserFacts,
    changes: &[UserChange],
    feature: &FeatureId,
    (created, now): (Option<OverrideId>, Timestamp),
) -> Result<Vec<EntitlementDifference>, Obstacle> {
    let mut after = facts.clone();
    changes.iter().for_each(|(_, change)| after.apply(change));
    let created: Vec<SubscriptionId> = created.map(|id| SubscriptionId(id.0)).into_iter().collect();
    let known = Known { before: facts, after: &after, created: &created };
    differences_of_features(catalog, &known, vec![feature], now)
}
