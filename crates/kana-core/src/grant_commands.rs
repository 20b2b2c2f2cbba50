//! Creating and voiding grants (contract: `beyond.md`, "Grants").

use uuid::Uuid;

use crate::change::{AuditEntry, audit_of_grant};
use crate::command::{Answer, Basis, Decide, Decision};
use crate::entitlement::{check_has_amount, find_feature};
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::grant::{AMOUNT_MAX, GRANTS_MAX, Grant, GrantKey, PRIORITIES};
use crate::id::{FeatureId, GrantId, UserId};
use crate::invalid::InvalidValue;
use crate::metadata::Label;
use crate::override_commands::feed_of;
use crate::refusal::Refusal;
use crate::subjects::{Subject, Subjects};
use crate::timestamp::Timestamp;

/// Gives a user an extra amount of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateGrant {
    /// The user.
    pub user: UserId,
    /// The feature.
    pub feature: FeatureId,
    /// The caller's id, under which the request can be repeated.
    pub id: Option<GrantId>,
    /// The amount.
    pub amount: i64,
    /// Lower ones are drawn first, and negative ones before the allowance.
    pub priority: i64,
    /// Where it begins; `None` means now.
    pub starts_at: Option<Timestamp>,
    /// The first instant after it; `None` if it has no end.
    pub expires_at: Option<Timestamp>,
    /// Why, in the product's words.
    pub reason: Option<Label>,
    /// The key of a new one.
    pub new_key: GrantKey,
}

/// Ends a grant. What was drawn from it stays drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidGrant {
    /// The user.
    pub user: UserId,
    /// The grant.
    pub id: GrantId,
}

impl Decide for CreateGrant {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn creates(&self) -> bool {
        true
    }

    fn set_ids(&mut self, next_id: &mut dyn FnMut() -> Uuid) {
        self.new_key = GrantKey(next_id());
    }

    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        let invalid = |field, problem: String| Err(InvalidValue::new(field, problem).into());
        if !(1..=AMOUNT_MAX).contains(&self.amount) {
            return invalid("amount", format!("must be from 1 to {AMOUNT_MAX}"));
        }
        if !PRIORITIES.contains(&self.priority) {
            let (from, to) = (PRIORITIES.start(), PRIORITIES.end());
            return invalid("priority", format!("must be from {from} to {to}"));
        }
        let begins = self.starts_at.unwrap_or(now).max(now);
        if self.expires_at.is_some_and(|expires_at| expires_at <= begins) {
            return invalid("expiresAt", "must be after now and after startsAt".to_owned());
        }
        Ok(())
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let feature = find_feature(basis.catalog, &self.feature)?;
        check_has_amount(feature, "featureId")?;
        let stored = facts.grants()?;
        let earlier = self.id.as_ref().and_then(|id| stored.iter().find(|known| known.id == *id));
        if let Some(known) = earlier {
            if !self.is_repeat_of(known) {
                return Err(Refusal::IdConflict.into());
            }
            return Ok(Decision::untold(Answer::Grant(known.clone()), Vec::new()));
        }
        let mut changes = Vec::with_capacity(2);
        let of_feature = || stored.iter().filter(|known| known.feature == self.feature);
        if of_feature().count() >= GRANTS_MAX {
            let grant = first_to_end(of_feature(), basis.now)?;
            changes.push((facts.key, Change::DeleteGrant { grant }));
        }
        let new = self.grant(stored, basis.now)?;
        changes.push((facts.key, Change::PutGrant(new.clone())));
        let audit = audit_of_grant("createGrant", &facts.id, None, &new);
        decided(basis, facts, (new, changes), audit)
    }
}

impl CreateGrant {
    /// Returns the new grant. Fails if the user has given its key as the id of another one.
    fn grant(&self, stored: &[Grant], now: Timestamp) -> Result<Grant, Refusal> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => GrantId::new("id", &self.new_key.0.to_string())?,
        };
        if stored.iter().any(|known| known.id == id) {
            return Err(Refusal::IdConflict);
        }
        Ok(Grant {
            key: self.new_key,
            id,
            feature: self.feature.clone(),
            amount: self.amount,
            drawn: 0,
            priority: self.priority,
            starts_at: self.starts_at.unwrap_or(now),
            expires_at: self.expires_at,
            voided_at: None,
            reason: self.reason.clone(),
            created_at: now,
        })
    }

    /// Returns true if the grant was created by the same request.
    fn is_repeat_of(&self, known: &Grant) -> bool {
        let starts_at = self.starts_at.unwrap_or(known.created_at);
        known.feature == self.feature
            && known.amount == self.amount
            && known.priority == self.priority
            && known.starts_at == starts_at
            && known.expires_at == self.expires_at
    }
}

/// Returns the grant that ended first, which gives way to a new one. Refuses if none has ended.
fn first_to_end<'a>(
    grants: impl Iterator<Item = &'a Grant>,
    now: Timestamp,
) -> Result<GrantKey, InvalidValue> {
    let first =
        grants.filter(|known| known.has_ended(now)).min_by_key(|known| (known.end(), known.key));
    first.map(|known| known.key).ok_or_else(|| {
        let problem = format!(
            "has {GRANTS_MAX} grants of this feature already, none of which has ended: \
             void one first"
        );
        InvalidValue::new("userId", problem)
    })
}

impl Decide for VoidGrant {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::User(&self.user))
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let found = facts.grants()?.iter().find(|known| known.id == self.id);
        let before = found.ok_or_else(|| Refusal::GrantNotFound(self.id.clone()))?;
        if before.voided_at.is_some() {
            return Ok(Decision::untold(Answer::Grant(before.clone()), Vec::new()));
        }
        let after = Grant { voided_at: Some(basis.now), ..before.clone() };
        let changes = vec![(facts.key, Change::PutGrant(after.clone()))];
        let audit = audit_of_grant("voidGrant", &facts.id, Some(before), &after);
        decided(basis, facts, (after, changes), audit)
    }
}

/// Returns the decision, with what the changes feed has of it.
fn decided(
    basis: &Basis<'_>,
    facts: &UserFacts,
    (grant, changes): (Grant, Vec<UserChange>),
    audit: AuditEntry,
) -> Result<Decision, Obstacle> {
    let feed = feed_of(basis, facts, &changes, &grant.feature, None)?;
    Ok(Decision { answer: Answer::Grant(grant), changes, feed, audit: vec![audit] })
}
