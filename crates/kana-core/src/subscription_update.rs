//! Changing a subscription that is not over (contract: `beyond.md`, "Trials, schedules, changes" and
//! "Quantity and stacking").

use crate::command::{Answer, Basis, Decide, Decision};
use crate::facts::Obstacle;
use crate::id::SubscriptionId;
use crate::invalid::InvalidValue;
use crate::period::{Period, Reset, ResetAnchor, ResetPeriod};
use crate::quantity::Quantity;
use crate::refusal::{Refusal, SubscribeRefusal};
use crate::stretches::{check_overlaps, differences, follow_bases, from_now_on, not_over};
use crate::subjects::{Subject, Subjects};
use crate::subscribing::{named, told};
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::timestamp::Timestamp;

/// Changes a subscription. What is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSubscription {
    /// Which one.
    pub subscription: SubscriptionId,
    /// How many of its package it is for from now on: 1 to
    /// [`QUANTITY_MAX`](crate::quantity::QUANTITY_MAX).
    pub quantity: Option<i64>,
    /// When it ends: ahead of now and of its start. `Some(None)` takes the end back.
    pub cancel_at: Option<Option<Timestamp>>,
    /// That it ends with the current period of this length, counted from its start; not together with
    /// `cancel_at`.
    pub cancel_at_end_of: Option<ResetPeriod>,
    /// When its trial ends: ahead of now and of its start. `Some(None)` means that it is over.
    pub trial_ends_at: Option<Option<Timestamp>>,
}

impl UpdateSubscription {
    /// Changes nothing.
    #[must_use]
    pub fn nothing(subscription: SubscriptionId) -> Self {
        Self {
            subscription,
            quantity: None,
            cancel_at: None,
            cancel_at_end_of: None,
            trial_ends_at: None,
        }
    }

    /// The instants that it names, each with its field.
    fn instants(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        let named = [("cancelAt", self.cancel_at), ("trialEndsAt", self.trial_ends_at)];
        named.into_iter().filter_map(|(field, at)| Some((field, at??)))
    }

    /// Checks the values, as far as that is possible without the subscription.
    pub fn check_values(&self, now: Timestamp) -> Result<(), InvalidValue> {
        self.quantity.map(|quantity| Quantity::new("quantity", quantity)).transpose()?;
        if self.cancel_at.is_some() && self.cancel_at_end_of.is_some() {
            let problem = "cannot be given together with cancelAt";
            return Err(InvalidValue::new("cancelAtEndOf", problem));
        }
        match self.instants().find(|(_, at)| *at <= now) {
            Some((field, _)) => Err(InvalidValue::new(field, "must be in the future")),
            None => Ok(()),
        }
    }

    /// Changes the subscription, but for what follows for add-ons.
    fn apply(&self, one: &mut Subscription, now: Timestamp) -> Result<(), InvalidValue> {
        if let Some((field, _)) = self.instants().find(|(_, at)| *at <= one.started_at) {
            let problem = format!("must be after the subscription's start, {}", one.started_at);
            return Err(InvalidValue::new(field, problem));
        }
        if let Some(quantity) = self.quantity {
            one.quantities.change(Quantity::new("quantity", quantity)?, now);
        }
        let end = match self.cancel_at_end_of {
            Some(period) => Some(end_of_current(period, one, now)),
            None => self.cancel_at,
        };
        if let Some(end) = end {
            (one.timing.end_asked, one.timing.end) = (end, end);
        }
        if let Some(trial_ends_at) = self.trial_ends_at {
            one.timing.trial_ends_at = trial_ends_at;
        }
        Ok(())
    }
}

impl Decide for UpdateSubscription {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::Subscriber(self.subscription))
    }

    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        Ok(self.check_values(now)?)
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let Basis { catalog, now, .. } = *basis;
        let known = named(facts, self.subscription)?;
        let is_over = known.is_over(now) || known.status == SubscriptionStatus::Cancelled;
        let before = not_over(facts, now);
        let place = before.iter().position(|one| one.id == known.id).filter(|_| !is_over);
        let place = place.ok_or(SubscribeRefusal::HasEnded)?;
        let mut after = before.clone();
        if let Some(one) = after.get_mut(place) {
            self.apply(one, now)?;
        }
        follow_bases(catalog, &mut after, now);
        check_overlaps(catalog, &before, &after, now)?;
        let subscription = after.get(place).unwrap_or(known).as_of(now);
        let answer = Answer::SubscriptionUpdated { user: facts.id.clone(), subscription };
        told(basis, facts, answer, differences(facts.key, &before, &after))
    }
}

/// Returns the end of the subscription's current period of this length, counted from its anchor; `None` if no
/// instant is late enough. Before it begins, its first one is the current one.
pub(crate) fn end_of_current(
    period: ResetPeriod,
    one: &Subscription,
    now: Timestamp,
) -> Option<Timestamp> {
    let reset = Reset { period, anchor: ResetAnchor::Subscription };
    let at = from_now_on(one, now).max(one.started_at);
    Period::since(one.origin(), Some(reset), at).end
}
