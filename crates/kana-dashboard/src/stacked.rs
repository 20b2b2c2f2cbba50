//! A bar of parts side by side, with what is used and held of them below: the server draws it, and the page has the
//! same numbers as a table.

use crate::number::grouped;

/// The width of the drawing, in tenths of its unit.
const WIDTH: i128 = 12_000;

/// Parts that add up to a budget, and how much of it is used and held.
pub(crate) struct Stacked {
    /// The parts, in their order; each 0 or more.
    pub(crate) parts: Vec<i64>,
    /// What was used, which can be more than the parts together.
    pub(crate) used: i64,
    /// What is held for jobs that run, 0 or more.
    pub(crate) held: i64,
}

/// A part as it is drawn.
pub(crate) struct Drawn {
    pub(crate) colour: usize,
    pub(crate) x: String,
    pub(crate) width: String,
}

/// How many colours there are.
const COLOURS: usize = 4;

/// Returns the number of a part's colour; the colours repeat.
pub(crate) fn colour(part: usize) -> usize {
    part % COLOURS + 1
}

impl Stacked {
    /// Returns the name for who does not see it.
    pub(crate) fn name(&self) -> String {
        let (used, budget) = (grouped(self.used), grouped(self.budget()));
        match self.held {
            0 => format!("{used} of {budget} used"),
            held => format!("{used} of {budget} used, and {} held", grouped(held)),
        }
    }

    pub(crate) fn drawn(&self) -> Vec<Drawn> {
        let mut before: i128 = 0;
        let parts = self.parts.iter().enumerate().map(|(index, part)| {
            let from = self.scaled(before);
            before += i128::from(*part).max(0);
            let width = self.scaled(before) - from;
            Drawn { colour: colour(index), x: tenths(from), width: tenths(width) }
        });
        parts.collect()
    }

    /// Returns the width of what was used.
    pub(crate) fn used_width(&self) -> String {
        tenths(self.scaled(self.used.max(0).into()))
    }

    /// Returns the width of what is held.
    pub(crate) fn held_width(&self) -> String {
        tenths(self.scaled(self.taken()) - self.scaled(self.used.max(0).into()))
    }

    /// Returns the class of what is used and held: `bad` if nothing is left of the budget.
    pub(crate) fn class(&self) -> &'static str {
        if self.taken() >= self.budget() { "bad" } else { "" }
    }

    fn taken(&self) -> i128 {
        i128::from(self.used.max(0)) + i128::from(self.held.max(0))
    }

    fn budget(&self) -> i128 {
        self.parts.iter().map(|part| i128::from(*part).max(0)).sum()
    }

    fn scaled(&self, amount: i128) -> i128 {
        let most = self.budget().max(self.taken()).max(1);
        amount * WIDTH / most
    }
}

fn tenths(number: i128) -> String {
    format!("{}.{}", number / 10, number % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(parts: &[i64], used: i64) -> (Vec<(String, String)>, String, &'static str) {
        let stacked = Stacked { parts: parts.to_vec(), used, held: 0 };
        let drawn = stacked.drawn().into_iter().map(|part| (part.x, part.width)).collect();
        (drawn, stacked.used_width(), stacked.class())
    }

    fn part(x: &str, width: &str) -> (String, String) {
        (x.to_owned(), width.to_owned())
    }

    #[test]
    fn parts_stand_side_by_side_and_fill_the_bar() {
        let (parts, used, class) = drawn(&[75, 25], 50);
        assert_eq!(parts, [part("0.0", "900.0"), part("900.0", "300.0")]);
        assert_eq!((used.as_str(), class), ("600.0", ""));
    }

    #[test]
    fn what_is_used_over_the_budget_is_longer_than_the_parts() {
        let (parts, used, class) = drawn(&[100], 200);
        assert_eq!(parts, [part("0.0", "600.0")]);
        assert_eq!((used.as_str(), class), ("1200.0", "bad"));
    }

    #[test]
    fn what_is_held_stands_beside_what_is_used() {
        let stacked = Stacked { parts: vec![100], used: 50, held: 25 };
        assert_eq!((stacked.used_width(), stacked.held_width()), ("600.0".into(), "300.0".into()));
        assert_eq!((stacked.name().as_str(), stacked.class()), ("50 of 100 used, and 25 held", ""));
        let full = Stacked { held: 50, ..stacked };
        assert_eq!((full.held_width(), full.class()), ("600.0".into(), "bad"));
    }

    #[test]
    fn nothing_and_the_largest_numbers_are_drawn() {
        assert_eq!(drawn(&[0], 0), (vec![part("0.0", "0.0")], "0.0".to_owned(), "bad"));
        let (parts, used, _) = drawn(&[i64::MAX, i64::MAX], i64::MAX);
        assert_eq!(parts, [part("0.0", "600.0"), part("600.0", "600.0")]);
        assert_eq!(used, "600.0");
    }
}
