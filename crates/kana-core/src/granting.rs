//! What there is beside an allowance and the usage: what grants add to a budget, and what is held of it
//! (contract: `beyond.md`, "Grants" and "Holds").

use crate::access::Consumption;
use crate::allowance::Allowance;
use crate::counter::CounterValue;
use crate::draws::Draws;
use crate::facts::{Change, Obstacle, UserChange, UserFacts};
use crate::grant::{Grant, GrantKey};
use crate::id::{FeatureId, UserKey};
use crate::meter::Meter;
use crate::own_part::OwnPart;
use crate::period::Period;
use crate::schedule::Schedule;
use crate::settling::{Settled, Write, settle};
use crate::source::{Lifetime, Source};
use crate::subscription::AsOf;
use crate::timestamp::Timestamp;

/// A user's grants of one feature, at an instant, and what is held in the period that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Granting<'a> {
    user: UserKey,
    /// The user's grants of all features.
    stored: &'a [Grant],
    feature: &'a FeatureId,
    as_of: AsOf,
    held: i64,
}

impl<'a> Granting<'a> {
    pub(crate) fn new(
        facts: &'a UserFacts,
        feature: &'a FeatureId,
        as_of: AsOf,
    ) -> Result<Self, Obstacle> {
        Ok(Self { user: facts.key, stored: facts.grants()?, feature, as_of, held: 0 })
    }

    /// The same grants where so much is held.
    pub(crate) fn with_held(self, held: i64) -> Self {
        Self { held, ..self }
    }

    /// Returns how much is held.
    pub(crate) fn held(self) -> i64 {
        self.held
    }

    pub(crate) fn as_of(self) -> AsOf {
        self.as_of
    }

    pub(crate) fn user(self) -> UserKey {
        self.user
    }

    pub(crate) fn feature(self) -> &'a FeatureId {
        self.feature
    }

    /// Returns a meter's period as it is shown: that of grants begins with the oldest that lives.
    pub(crate) fn shown_period(self, meter: &Meter<'_>) -> Period {
        let period = meter.place().period;
        if !matches!(meter.source(), Source::Grants(_)) {
            return period;
        }
        let start = self.living().map(|grant| grant.starts_at).min();
        Period { start: start.unwrap_or(period.start), ..period }
    }

    /// The same grants at another instant.
    pub(crate) fn at(self, as_of: AsOf) -> Self {
        Self { as_of, ..self }
    }

    /// Returns all that are kept of the feature, in no order.
    pub(crate) fn kept(self) -> impl Iterator<Item = &'a Grant> {
        self.stored.iter().filter(move |grant| grant.feature == *self.feature)
    }

    /// Returns those that live then, in no order.
    pub(crate) fn living(self) -> impl Iterator<Item = &'a Grant> {
        self.kept().filter(move |grant| self.is_living(grant))
    }

    pub(crate) fn is_living(self, grant: &Grant) -> bool {
        grant.lives(self.as_of)
    }

    /// Returns what was used of the own part of a counter that holds this, and what there is beside it.
    pub(crate) fn consumption(self, own: OwnPart, value: &CounterValue) -> Consumption {
        self.consumption_after(own, value, &[])
    }

    /// Returns what [`consumption`](Self::consumption) does once the draws from grants have changed so.
    pub(crate) fn consumption_after(
        self,
        own: OwnPart,
        value: &CounterValue,
        changed: &[(GrantKey, i64)],
    ) -> Consumption {
        if self.stored.is_empty() && value.marks.is_empty() && self.held == 0 {
            return own.consumption(value.used);
        }
        let more = |grant: &Grant| changed.iter().find(|(key, _)| *key == grant.key);
        let more = |grant: &Grant| more(grant).map_or(0, |(_, more)| *more);
        let left = |grant: &Grant| grant.left().saturating_sub(more(grant));
        let left = self.living().map(left).fold(0, i64::saturating_add);
        let granted = value.marks.draws().total().saturating_add(left);
        own.consumption(value.used).with_granted(granted).with_held(self.held)
    }

    /// Returns what a counter draws that drew `draws`, once its load has changed: what is used and held,
    /// before and after the write. Its own part is `own`; `None` means unlimited.
    pub(crate) fn settle(self, draws: &Draws, load: (i64, i64), own: Option<i64>) -> Settled {
        if self.stored.is_empty() && draws.is_empty() {
            return Settled::default();
        }
        settle(draws, self.kept(), Write { load, own, as_of: self.as_of })
    }

    /// Adds the changes that say in the grants what was drawn from them.
    pub(crate) fn change(
        self,
        changed: &[(GrantKey, i64)],
        facts: &UserFacts,
        changes: &mut Vec<UserChange>,
    ) {
        for (key, more) in changed {
            if let Some(grant) = self.kept().find(|grant| grant.key == *key) {
                let drawn = grant.drawn.saturating_add(*more).clamp(0, grant.amount);
                changes.push((facts.key, Change::SetDrawn { grant: *key, drawn }));
            }
        }
    }
}

/// What grants count by themselves: nothing but what they give.
pub(crate) const ALLOWANCE: Allowance = Allowance { limit: Some(0), ..Allowance::UNLIMITED };

/// Returns the periods of a user's grants where nothing else counts: one that never ends. Its counter is
/// kept under a start that nobody sees.
pub(crate) fn schedule<'a>(user: UserKey) -> Schedule<'a> {
    let origin = Timestamp::from_ms(0).into();
    let source = Source::Grants(user);
    let lifetime = Lifetime { source, origin, ended_at: None, was_ended: false };
    Schedule::of_allowance(lifetime, ALLOWANCE)
}
