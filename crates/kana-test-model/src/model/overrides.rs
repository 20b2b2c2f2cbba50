use super::Model;
use crate::answer::{Answer, Override, Refusal, User};
use crate::mistake::Mistake;
use crate::request::{At, Id, Name, Says};

/// A limit, and whether usage may go over it.
pub(super) type Gives = (Option<i64>, bool);

/// An override that is stored, whether it lives or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) owner: Id,
    feature: Name,
    /// What its own counter is kept under.
    pub(super) id: Id,
    pub(super) shown: Override,
    /// Since when its own counter had which limit, and whether overage; none while it denied.
    terms: Vec<(At, Option<Gives>)>,
}

impl Held {
    pub(super) fn denies(&self) -> bool {
        self.shown.says == Says::Deny
    }

    /// Whether it denies or, where a moment of its own is named, denied then.
    pub(super) fn denied(&self, named: Option<At>) -> bool {
        self.denies() || named.is_some_and(|at| !self.gave(at))
    }

    /// Its limit, and whether usage may go over it where a package says so.
    pub(super) fn limit(&self, package: bool) -> Gives {
        match self.shown.says {
            Says::Limit(limit, overage) => (Some(limit), overage.unwrap_or(package)),
            Says::Unlimited | Says::Deny => (None, package),
        }
    }

    /// Whether it gave anything at a moment of its own.
    pub(super) fn gave(&self, at: At) -> bool {
        let then = self.terms.iter().rev().find(|(since, _)| *since <= at);
        then.is_some_and(|(_, terms)| terms.is_some())
    }

    /// The last limit that it gave, and since when it has denied.
    pub(super) fn last_given(&self) -> Option<(Gives, Option<At>)> {
        let last = self.terms.iter().rposition(|(_, terms)| terms.is_some())?;
        let denied = self.terms.get(last + 1).map(|(since, _)| *since);
        self.terms[last].1.map(|gives| (gives, denied))
    }

    fn own_terms(&self) -> Option<Gives> {
        (!self.denies()).then(|| self.limit(false))
    }
}

impl Model {
    /// The override that lives now or, where a moment is named, lived then.
    pub(super) fn living(
        &self,
        user: &User,
        feature: Name,
        named: Option<At>,
        now: At,
    ) -> Option<&Held> {
        self.stored_override(user, feature).filter(|held| {
            let Override { starts_at, ends_at, .. } = held.shown;
            let never_ends = self.errs(Mistake::OverrideNeverEnds);
            named.is_none_or(|at| starts_at <= at)
                && ends_at.is_none_or(|ends_at| named.unwrap_or(now) < ends_at || never_ends)
        })
    }

    pub(super) fn stored_override(&self, user: &User, feature: Name) -> Option<&Held> {
        self.overrides.iter().find(|held| held.owner == user.key && held.feature == feature)
    }

    pub(super) fn set_override(
        &mut self,
        user: Name,
        feature: Name,
        (says, ends_at): (Says, Option<At>),
        now: At,
    ) -> Result<Answer, Refusal> {
        if matches!(says, Says::Limit(limit, _) if limit < 0) {
            return Err(Refusal::BadValue("limit"));
        }
        if ends_at.is_some_and(|ends_at| ends_at <= now) {
            return Err(Refusal::BadValue("endsAt"));
        }
        let user = self.user(user)?;
        if !self.has_amount(feature)? && matches!(says, Says::Limit(..)) {
            return Err(Refusal::BadValue("kind"));
        }
        let mut held = match self.living(&user, feature, None, now) {
            Some(living) => living.clone(),
            None => {
                self.overrides_made += 1;
                let id = Id(u128::MAX - self.overrides_made);
                let shown = Override { says, starts_at: now, ends_at };
                Held { owner: user.key, feature, id, shown, terms: Vec::new() }
            }
        };
        held.shown = Override { says, ends_at, ..held.shown };
        match held.terms.last() {
            None => held.terms.push((At(i64::MIN), held.own_terms())),
            Some((_, terms)) if *terms == held.own_terms() => {}
            // From the next millisecond on.
            Some((since, _)) => {
                let since = At(now.max(*since).0 + 1);
                held.terms.push((since, held.own_terms()));
            }
        }
        let shown = held.shown;
        self.overrides.retain(|other| other.owner != user.key || other.feature != feature);
        self.overrides.push(held);
        Ok(Answer::Override(shown))
    }

    pub(super) fn remove_override(
        &mut self,
        user: Name,
        feature: Name,
        now: At,
    ) -> Result<Answer, Refusal> {
        let user = self.user(user)?;
        self.is_binary(feature)?;
        let lived = self.living(&user, feature, None, now).is_some();
        self.overrides.retain(|other| other.owner != user.key || other.feature != feature);
        Ok(Answer::Removed(lived))
    }
}
