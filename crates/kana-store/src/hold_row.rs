//! Holds as rows, the same in every engine.

use kana_core::Timestamp;
use kana_core::credits::Cost;
use kana_core::facts::CounterKey;
use kana_core::hold::{Hold, HoldEnd};
use kana_core::id::{FeatureId, HoldId, SubscriptionId};
use kana_core::terms::TermsNumber;
use uuid::Uuid;

use crate::error::StoreError;

/// The columns of a hold, in the order of the table.
pub(crate) struct HoldRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) feature: &'a str,
    pub(crate) amount: i64,
    pub(crate) cost: i64,
    pub(crate) balance: &'a str,
    pub(crate) subscription: Uuid,
    pub(crate) terms: TermsNumber,
    pub(crate) period_start: i64,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) ended_at: Option<i64>,
    pub(crate) settled: Option<i64>,
}

impl<'a> HoldRow<'a> {
    pub(crate) fn of(hold: &'a Hold) -> Self {
        let Hold { id, feature, counter, .. } = hold;
        Self {
            id: id.as_str(),
            feature: feature.as_str(),
            amount: hold.amount,
            cost: hold.cost.get(),
            balance: counter.feature.as_str(),
            subscription: counter.subscription.0,
            terms: counter.terms,
            period_start: counter.period_start.as_ms(),
            created_at: hold.created_at.as_ms(),
            expires_at: hold.expires_at.as_ms(),
            ended_at: hold.ended.map(|(_, at)| at.as_ms()),
            settled: hold.settled(),
        }
    }

    pub(crate) fn read(self) -> Result<Hold, StoreError> {
        let end = self.settled.map_or(HoldEnd::Released, HoldEnd::Settled);
        Ok(Hold {
            id: HoldId::new("stored hold id", self.id)?,
            feature: FeatureId::new("stored feature id", self.feature)?,
            amount: self.amount,
            cost: Cost::new(self.cost)?,
            counter: CounterKey {
                subscription: SubscriptionId(self.subscription),
                feature: FeatureId::new("stored feature id", self.balance)?,
                terms: self.terms,
                period_start: Timestamp::from_ms(self.period_start),
            },
            created_at: Timestamp::from_ms(self.created_at),
            expires_at: Timestamp::from_ms(self.expires_at),
            ended: self.ended_at.map(|at| (end, Timestamp::from_ms(at))),
        })
    }
}
