//! How many of a package a subscription is for (contract: `beyond.md`, "Quantity and stacking").

use crate::invalid::InvalidValue;
use crate::timestamp::Timestamp;

/// The highest quantity.
pub const QUANTITY_MAX: u32 = 1_000_000;

/// How many changes of its quantity a subscription keeps.
pub const QUANTITY_CHANGES_MAX: usize = 24;

/// How many of a package a subscription is for: 1 to [`QUANTITY_MAX`]. Each limit counts so many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u32);

impl Quantity {
    /// One, the default.
    pub const ONE: Self = Self(1);

    /// Creates a quantity. Fails if it is out of range; the error names `field`.
    pub fn new(field: &'static str, quantity: i64) -> Result<Self, InvalidValue> {
        let in_range = |quantity: &u32| (1..=QUANTITY_MAX).contains(quantity);
        let quantity = u32::try_from(quantity).ok().filter(in_range);
        quantity
            .map(Self)
            .ok_or_else(|| InvalidValue::new(field, format!("must be from 1 to {QUANTITY_MAX}")))
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// Returns a limit so many times; `None`, which means unlimited, stays what it is. A product that
    /// does not fit is [`i64::MAX`].
    pub(crate) fn times(self, limit: Option<i64>) -> Option<i64> {
        limit.map(|limit| limit.saturating_mul(i64::from(self.0)))
    }
}

/// The quantities that a subscription has had: the oldest that is known, and the changes since then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantities {
    oldest: Quantity,
    /// Each with the first instant at which it held, oldest first.
    changes: Vec<(Timestamp, Quantity)>,
}

impl Quantities {
    /// One of the package, always.
    pub const ONE: Self = Self { oldest: Quantity::ONE, changes: Vec::new() };

    /// A quantity that has never changed.
    #[must_use]
    pub fn of(quantity: Quantity) -> Self {
        Self { oldest: quantity, changes: Vec::new() }
    }

    /// Creates it from what is stored. Returns `None` if the changes are out of order, or more than
    /// [`QUANTITY_CHANGES_MAX`].
    #[must_use]
    pub fn from_stored(oldest: Quantity, changes: Vec<(Timestamp, Quantity)>) -> Option<Self> {
        let in_order = changes.is_sorted_by(|(one, _), (next, _)| one < next);
        (in_order && changes.len() <= QUANTITY_CHANGES_MAX).then_some(Self { oldest, changes })
    }

    /// Returns true if it was never anything but one.
    #[must_use]
    pub fn is_always_one(&self) -> bool {
        self.oldest == Quantity::ONE && self.changes.is_empty()
    }

    /// Returns the oldest quantity that is known.
    #[must_use]
    pub fn oldest(&self) -> Quantity {
        self.oldest
    }

    /// Returns the changes, each with the first instant at which it held: oldest first, at most
    /// [`QUANTITY_CHANGES_MAX`].
    #[must_use]
    pub fn changes(&self) -> &[(Timestamp, Quantity)] {
        &self.changes
    }

    /// Returns the quantity now.
    #[must_use]
    pub fn current(&self) -> Quantity {
        self.changes.last().map_or(self.oldest, |(_, quantity)| *quantity)
    }

    /// Returns the quantity at a moment.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Quantity {
        let held = self.changes.iter().rev().find(|(since, _)| *since <= at);
        held.map_or(self.oldest, |(_, quantity)| *quantity)
    }

    /// Changes the quantity from `now` on. The oldest change is forgotten if there are too many. Does
    /// nothing if it is the same.
    pub fn change(&mut self, quantity: Quantity, now: Timestamp) {
        if quantity == self.current() {
            return;
        }
        // If the clock was set back, the newest change is still the newest.
        let since = self.changes.last().map_or(now, |(newest, _)| now.max(*newest));
        self.changes.retain(|(known, _)| *known < since);
        self.changes.push((since, quantity));
        if self.changes.len() > QUANTITY_CHANGES_MAX {
            (_, self.oldest) = self.changes.remove(0);
        }
    }
}

impl Default for Quantities {
    fn default() -> Self {
        Self::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(quantity: i64) -> Quantity {
        Quantity::new("quantity", quantity).unwrap()
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn a_quantity_is_from_one_to_a_million() {
        for right in [1, 2, 1_000_000] {
            assert_eq!(i64::from(of(right).get()), right);
        }
        for wrong in [i64::MIN, -1, 0, 1_000_001, 1 << 32, i64::MAX] {
            let invalid = Quantity::new("quantity", wrong).unwrap_err();
            assert_eq!(invalid.to_string(), "quantity must be from 1 to 1000000");
        }
    }

    #[test]
    fn a_limit_counts_so_many_times_and_no_limit_stays_none() {
        assert_eq!(of(1).times(Some(7)), Some(7));
        assert_eq!(of(1_000_000).times(Some(2_147_483_647)), Some(2_147_483_647_000_000));
        assert_eq!(of(3).times(Some(i64::MAX)), Some(i64::MAX));
        assert_eq!(of(3).times(Some(0)), Some(0));
        assert_eq!(of(3).times(None), None);
    }

    #[test]
    fn a_moment_has_the_quantity_of_then() {
        let mut quantities = Quantities::of(of(2));
        quantities.change(of(5), at(10));
        quantities.change(of(3), at(20));
        let then: Vec<u32> = [-5, 9, 10, 19, 20, 99].map(|ms| quantities.at(at(ms)).get()).to_vec();
        assert_eq!(then, [2, 2, 5, 5, 3, 3]);
        assert_eq!(quantities.current(), of(3));
    }

    #[test]
    fn of_one_instant_the_last_change_holds_and_a_clock_set_back_takes_nothing() {
        let mut quantities = Quantities::ONE;
        quantities.change(of(5), at(10));
        quantities.change(of(6), at(10));
        assert_eq!(quantities.changes(), [(at(10), of(6))]);
        quantities.change(of(7), at(3));
        assert_eq!(quantities.changes(), [(at(10), of(7))]);
        // That it was changed stays known, also where it is what it was.
        quantities.change(of(1), at(10));
        quantities.change(of(1), at(11));
        assert_eq!(quantities.changes(), [(at(10), of(1))]);
        assert!(!quantities.is_always_one() && Quantities::ONE.is_always_one());
    }

    #[test]
    fn the_newest_changes_are_kept() {
        let mut quantities = Quantities::ONE;
        for n in 1..=30 {
            quantities.change(of(n + 1), at(n * 10));
        }
        assert_eq!(quantities.changes().len(), QUANTITY_CHANGES_MAX);
        assert_eq!(quantities.current(), of(31));
        // The six oldest are gone, so what they say of earlier moments is, too.
        assert_eq!(quantities.oldest(), of(7));
        assert_eq!(quantities.at(at(0)), of(7));
        assert_eq!(quantities.at(at(70)), of(8));
        let stored = Quantities::from_stored(quantities.oldest(), quantities.changes().to_vec());
        assert_eq!(stored, Some(quantities));
    }

    #[test]
    fn changes_that_kana_has_not_written_are_none() {
        let change = |ms| (at(ms), of(2));
        assert_eq!(Quantities::from_stored(of(1), vec![change(5), change(5)]), None);
        assert_eq!(Quantities::from_stored(of(1), vec![change(6), change(5)]), None);
        assert_eq!(Quantities::from_stored(of(1), (0..25).map(change).collect()), None);
        assert!(Quantities::from_stored(of(1), (0..24).map(change).collect()).is_some());
    }
}
