//! The terms of a package's features over time (contract: `entitlements.md`, "When a published file
//! changes terms").

use crate::allowance::Allowance;
use crate::timestamp::Timestamp;

/// How many changes of a feature's terms a package keeps.
pub const CHANGES_MAX: usize = 100;

/// How many entries are kept if each has another reset period. Usage from before them is not listed.
const RESETS_MAX: usize = 200;

/// Numbers the reset periods that a feature has had in a package. It is part of a counter's key, so
/// counters of different numbers stay apart even if their periods start at the same instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TermsNumber(pub u32);

/// The terms on which a package gives a feature from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When these terms took effect; [`Timestamp::MIN`] for the oldest known terms.
    pub since: Timestamp,
    /// The number that counters are kept under. Each change of the reset period increments it.
    pub number: TermsNumber,
    /// The package's allowance; `None` while it does not have the feature.
    pub allowance: Option<Allowance>,
}

impl Terms {
    /// Creates terms that have never changed.
    #[must_use]
    pub fn unchanged(allowance: Allowance) -> Self {
        Self { since: Timestamp::MIN, number: TermsNumber::default(), allowance: Some(allowance) }
    }
}

/// The terms that a feature has had since its package was published, oldest first, up to the
/// current ones. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsHistory(Vec<Terms>);

impl TermsHistory {
    /// Creates the history of a feature with this allowance until now; `None` if the package did
    /// not have it.
    #[must_use]
    pub fn beginning_with(allowance: Option<Allowance>) -> Self {
        Self(vec![Terms { since: Timestamp::MIN, number: TermsNumber::default(), allowance }])
    }

    /// Creates a history from stored terms. Returns `None` if they are empty or out of order.
    #[must_use]
    pub fn from_stored(terms: Vec<Terms>) -> Option<Self> {
        let in_order =
            terms.is_sorted_by(|one, next| one.since < next.since && one.number <= next.number);
        (in_order && !terms.is_empty()).then_some(Self(terms))
    }

    /// Returns all terms, oldest first; at least one.
    #[must_use]
    pub fn terms(&self) -> &[Terms] {
        &self.0
    }

    /// Appends terms with this allowance that take effect right after `now`. Does nothing if the
    /// allowance is unchanged.
    pub fn change(&mut self, allowance: Option<Allowance>, now: Timestamp) {
        let Some(current) = self.0.last().copied().filter(|last| last.allowance != allowance)
        else {
            return;
        };
        // They take effect in the next millisecond, since usage of this one may be counted already.
        // If the clock was set back, they still come after the terms before them.
        let since = now.max(current.since).saturating_add_ms(1);
        let given = self.0.iter().rev().find_map(|terms| terms.allowance);
        let resets_otherwise = match (given, allowance) {
            (Some(given), Some(allowance)) => given.reset() != allowance.reset(),
            // A feature that is taken out keeps its counters; a new one has none yet.
            (_, None) | (None, _) => false,
        };
        let number = TermsNumber(current.number.0 + u32::from(resets_otherwise));
        self.0.push(Terms { since, number, allowance });
        if self.0.len() > CHANGES_MAX + 1 {
            self.shorten();
        }
    }

    /// Drops the oldest change that counters do not depend on. A counter is found by when its number
    /// began, so that stays known for as long as possible; what a past period gave may not.
    fn shorten(&mut self) {
        let merged = (0..self.0.len()).find_map(|first| {
            // Another limit, or a feature that was out for a while.
            let next =
                [first + 1, first + 2].into_iter().find(|next| self.is_same(first, *next))?;
            Some((first, next))
        });
        if let Some((first, next)) = merged {
            let since = self.0.get(first).map_or(Timestamp::MIN, |terms| terms.since);
            if let Some(next) = self.0.get_mut(next) {
                next.since = since;
            }
            self.0.drain(first..next);
        } else if self.0.len() > RESETS_MAX {
            self.0.remove(0);
            if let Some(oldest) = self.0.first_mut() {
                oldest.since = Timestamp::MIN;
            }
        }
    }

    /// Returns true if both give the feature under the same number.
    fn is_same(&self, one: usize, other: usize) -> bool {
        let given = |at: usize| self.0.get(at).filter(|terms| terms.allowance.is_some());
        match (given(one), given(other)) {
            (Some(one), Some(other)) => one.number == other.number,
            _ => false,
        }
    }
}
