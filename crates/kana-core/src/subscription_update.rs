//! Changing a subscription that runs (contract: `beyond.md`, "Trials, schedules, changes" and "Quantity and
//! stacking").

use crate::command::{Answer, Basis, Decide, Decision};
use crate::facts::{Change, Obstacle};
use crate::id::SubscriptionId;
use crate::quantity::Quantity;
use crate::refusal::{Refusal, SubscribeRefusal};
use crate::subjects::{Subject, Subjects};
use crate::subscribing::{feed_of, named};
use crate::subscription::SubscriptionStatus;
use crate::timestamp::Timestamp;

/// Changes a subscription. What is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSubscription {
    /// Which one.
    pub subscription: SubscriptionId,
    /// How many of its package it is for from now on: 1 to
    /// [`QUANTITY_MAX`](crate::quantity::QUANTITY_MAX).
    pub quantity: Option<i64>,
}

impl Decide for UpdateSubscription {
    fn subjects(&self) -> Subjects<Subject<'_>> {
        Subjects::one(Subject::Subscriber(self.subscription))
    }

    fn check(&self, _now: Timestamp) -> Result<(), Refusal> {
        self.quantity.map(|quantity| Quantity::new("quantity", quantity)).transpose()?;
        Ok(())
    }

    fn decide(&self, basis: &Basis<'_>) -> Result<Decision, Obstacle> {
        let facts = basis.user(self)?;
        let mut subscription = named(facts, self.subscription)?.clone();
        if subscription.status == SubscriptionStatus::Cancelled || subscription.ended_at.is_some() {
            return Err(SubscribeRefusal::HasEnded.into());
        }
        let mut changes = Vec::new();
        if let Some(quantity) = self.quantity {
            let quantity = Quantity::new("quantity", quantity)?;
            if quantity != subscription.quantities.current() {
                subscription.quantities.change(quantity, basis.now);
                let quantities = subscription.quantities.clone();
                let change = Change::SetQuantities { subscription: subscription.id, quantities };
                changes.push((facts.key, change));
            }
        }
        let feed = feed_of(basis.catalog, facts, &changes, basis.now)?;
        let answer = Answer::SubscriptionUpdated { user: facts.id.clone(), subscription };
        Ok(Decision::told(answer, changes, feed))
    }
}
