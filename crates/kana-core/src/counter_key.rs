//! What names a counter.

use crate::id::{FeatureId, SubscriptionId};
use crate::terms::TermsNumber;
use crate::timestamp::Timestamp;

/// What a counter counts: usage of one feature under one subscription in one period.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey {
    /// The subscription that counted. An override that counts by itself has its id in this place.
    pub subscription: SubscriptionId,
    /// The feature that was used.
    pub feature: FeatureId,
    /// The terms number that it was counted under.
    pub terms: TermsNumber,
    /// When the period starts, or [`FOLDED`](Self::FOLDED).
    pub period_start: Timestamp,
}

impl CounterKey {
    /// Stands for a period's start in the key of the sum that old counters are folded into.
    pub const FOLDED: Timestamp = Timestamp::MIN;

    /// Returns true if this is the sum of folded counters.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        self.period_start == Self::FOLDED
    }
}
