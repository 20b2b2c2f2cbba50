//! Features that draw on the balance of another one (contract: `beyond.md`, "Credits").

use crate::id::FeatureId;
use crate::invalid::InvalidValue;

/// The largest cost of a feature.
pub const COST_MAX: i64 = 1_000_000;

/// How many units of the balance one unit of a feature costs: 1 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cost(i64);

impl Cost {
    /// One for one: the default.
    pub const ONE: Self = Self(1);

    /// Creates a cost. Fails if it is out of range.
    pub fn new(cost: i64) -> Result<Self, InvalidValue> {
        if (1..=COST_MAX).contains(&cost) {
            return Ok(Self(cost));
        }
        Err(InvalidValue::new("cost", format!("must be from 1 to {COST_MAX}")))
    }

    /// Returns the number of units.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }

    /// Returns what an amount costs. It always fits.
    pub(crate) fn of(self, amount: i64) -> i128 {
        i128::from(amount) * i128::from(self.0)
    }
}

/// What a feature draws on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// The feature whose balance it is; never changes.
    pub balance: FeatureId,
    /// What one unit costs. A change of it leaves what was counted.
    pub cost: Cost,
}

impl Draw {
    /// Creates what a request says of a new feature: `None` if it draws on nothing. A cost that is left
    /// out is [`Cost::ONE`]. Fails if the cost is out of range, or if there is a cost alone.
    pub fn new(
        balance: Option<FeatureId>,
        cost: Option<i64>,
    ) -> Result<Option<Self>, InvalidValue> {
        let cost = cost.map(Cost::new).transpose()?;
        match (balance, cost) {
            (Some(balance), cost) => Ok(Some(Self { balance, cost: cost.unwrap_or(Cost::ONE) })),
            (None, Some(_)) => Err(InvalidValue::new("cost", "needs drawsOn")),
            (None, None) => Ok(None),
        }
    }

    /// Returns what usage adds to the usage of the day if the balance has changed by `counted`: how much of
    /// the feature, in its own unit, and how much of the balance.
    pub(crate) fn drawn(&self, counted: i64) -> (i64, Drawn) {
        (counted / self.cost.0, Drawn { balance: self.balance.clone(), amount: counted })
    }

    /// Returns the same for what takes back usage of `delta`, which had changed the balance by `added`, if
    /// the balance now changes by `counted`.
    pub(crate) fn taken_back(&self, (delta, added): (i64, i64), counted: i64) -> (i64, Drawn) {
        // The cost may have been another one then. But a revert that stopped at 0 has changed less than its
        // cost, and any number can be a multiple of what it was about.
        let stopped = delta < 0 && i128::from(added) > self.cost.of(delta);
        let exact = |cost: &i64| !stopped && cost.checked_mul(delta) == Some(added);
        let cost = added.checked_div(delta).filter(exact);
        let cost = cost.and_then(|cost| Cost::new(cost).ok()).unwrap_or(self.cost);
        Self { cost, balance: self.balance.clone() }.drawn(counted)
    }
}

/// What an event has changed of the balance that its feature draws on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// The feature whose balance it is.
    pub balance: FeatureId,
    /// By how much its usage has changed, in its unit.
    pub amount: i64,
}

/// Returns what the usage by day has of a feature that draws so, if its counter has changed by `counted`: how
/// much of the feature, and what of the balance.
pub(crate) fn of_day(draw: Option<&Draw>, counted: i64) -> (i64, Option<Drawn>) {
    let Some(draw) = draw else { return (counted, None) };
    let (own, drawn) = draw.drawn(counted);
    (own, Some(drawn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_within_its_range_and_needs_a_balance() {
        let balance = || Some(FeatureId::new("drawsOn", "credits").unwrap());
        let message = |balance, cost| Draw::new(balance, cost).unwrap_err().to_string();
        assert_eq!(Draw::new(None, None), Ok(None));
        assert_eq!(Draw::new(balance(), None).unwrap().unwrap().cost, Cost::ONE);
        for cost in [1, COST_MAX] {
            assert_eq!(Draw::new(balance(), Some(cost)).unwrap().unwrap().cost.get(), cost);
        }
        for cost in [0, -1, COST_MAX + 1] {
            assert_eq!(message(balance(), Some(cost)), "cost must be from 1 to 1000000");
        }
        assert_eq!(message(None, Some(2)), "cost needs drawsOn");
    }

    #[test]
    fn what_is_taken_back_is_what_it_cost_then() {
        let balance = FeatureId::new("drawsOn", "credits").unwrap();
        let draw = Draw { balance, cost: Cost::new(3).unwrap() };
        let own = |delta, added, counted| draw.taken_back((delta, added), counted).0;
        assert_eq!(own(4, 8, -8), -4);
        assert_eq!(own(4, 12, -5), -1);
        // Of what was more than 0, only a part had been taken back.
        assert_eq!(own(-5, -6, 6), 2);
        // Also a part that could be the whole at another cost, as the revert itself was told.
        assert_eq!(draw.drawn(-5).0, -1);
        assert_eq!(own(-5, -5, 5), 1);
        assert_eq!(own(-1, -2, 2), 0);
        assert_eq!(own(-4, -20, 20), 4);
        assert_eq!(own(0, 0, 0), 0);
        assert_eq!(own(-1, i64::MIN, i64::MAX), i64::MAX / 3);
        assert_eq!(own(1, 5, -5), -1);
    }

    #[test]
    fn what_an_amount_costs_never_overflows() {
        let cost = Cost::new(COST_MAX).unwrap();
        assert_eq!(cost.of(i64::MAX), i128::from(i64::MAX) * 1_000_000);
        assert_eq!(cost.of(i64::MIN), i128::from(i64::MIN) * 1_000_000);
    }
}
