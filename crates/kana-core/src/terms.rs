//! What a package gives of a feature over time (contract: `entitlements.md`, "When a published file
//! changes terms").

use crate::catalog::Allowance;
use crate::timestamp::Timestamp;

/// How many changes of a package feature's terms are kept.
pub const CHANGES_MAX: usize = 100;

/// Numbers the reset periods that a package feature has had. Counters of one number are never taken
/// for those of another, whenever their periods start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TermsNumber(pub u32);

/// What a package gives of a feature from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When these terms began; [`Timestamp::MIN`] for the oldest that are known.
    pub since: Timestamp,
    /// The number that counters are kept under. It grows with each change of the reset period.
    pub number: TermsNumber,
    /// How much the package gives; `None` while the feature is not in it.
    pub allowance: Option<Allowance>,
}

impl Terms {
    /// Terms that have never changed.
    #[must_use]
    pub fn unchanged(allowance: Allowance) -> Self {
        Self { since: Timestamp::MIN, number: TermsNumber::default(), allowance: Some(allowance) }
    }
}

/// The terms that a package feature has had since its package was published, oldest first, the
/// current ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsHistory(Vec<Terms>);

impl TermsHistory {
    /// The history of a feature that the package gave, or did not have, until now.
    #[must_use]
    pub fn beginning_with(allowance: Option<Allowance>) -> Self {
        Self(vec![Terms { since: Timestamp::MIN, number: TermsNumber::default(), allowance }])
    }

    /// A stored history; `None` if it is empty or out of order.
    #[must_use]
    pub fn from_stored(terms: Vec<Terms>) -> Option<Self> {
        let in_order =
            terms.is_sorted_by(|one, next| one.since < next.since && one.number <= next.number);
        (in_order && !terms.is_empty()).then_some(Self(terms))
    }

    /// All of it, oldest first; at least one.
    #[must_use]
    pub fn terms(&self) -> &[Terms] {
        &self.0
    }

    /// Notes what the package gives once `now` is over; nothing if it gives the same already.
    pub fn change(&mut self, allowance: Option<Allowance>, now: Timestamp) {
        let Some(current) = self.0.last().copied().filter(|last| last.allowance != allowance)
        else {
            return;
        };
        // From the next millisecond on, since usage of this one may have been counted before. Later
        // than the terms before it also if the clock was set back.
        let since = now.max(current.since).saturating_add_ms(1);
        let given = self.0.iter().rev().find_map(|terms| terms.allowance);
        let resets_otherwise = match (given, allowance) {
            (Some(given), Some(allowance)) => given.reset_period != allowance.reset_period,
            // While the feature is out its counters wait, and before it came in it had none.
            (_, None) | (None, _) => false,
        };
        let number = TermsNumber(current.number.0 + u32::from(resets_otherwise));
        self.0.push(Terms { since, number, allowance });
        if self.0.len() > CHANGES_MAX + 1 {
            self.0.remove(0);
            if let Some(oldest) = self.0.first_mut() {
                oldest.since = Timestamp::MIN;
            }
        }
    }
}
