//! What a counter holds: how much was used and, where that matters, what else happened to it.

use std::sync::Arc;

use crate::draws::Draws;
use crate::threshold::{THRESHOLDS_MAX, Threshold};

/// What a counter holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CounterValue {
    /// The usage, 0 or more.
    pub used: i64,
    /// What else happened to it.
    pub marks: Marks,
}

impl From<i64> for CounterValue {
    /// A counter to which nothing else happened.
    fn from(used: i64) -> Self {
        Self { used, marks: Marks::default() }
    }
}

impl CounterValue {
    /// Adds the usage of another counter, and what it drew.
    pub(crate) fn add(&mut self, other: &Self) {
        self.used = self.used.saturating_add(other.used);
        if !other.marks.draws().is_empty() {
            self.marks = self.marks.with_draws(self.marks.draws().plus(other.marks.draws()));
        }
    }
}

/// How often a counter was SET, which thresholds it has reached, what it drew from grants, and whether its usage
/// came from or went to another package. Nearly all counters have no marks, and one without them takes no more
/// room than its number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(Option<Arc<Marked>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Marked {
    /// How much of its usage came along from another package, 0 or more.
    brought: i64,
    /// Whether its usage has moved to another package.
    has_moved: bool,
    sets: u32,
    /// At most [`THRESHOLDS_MAX`].
    fired: Vec<Threshold>,
    draws: Draws,
}

/// What a counter without marks drew: nothing.
static NO_DRAWS: Draws = Draws::NONE;

impl Marks {
    fn of(marked: Marked) -> Self {
        Self((marked != Marked::default()).then(|| Arc::new(marked)))
    }

    fn marked(&self) -> Marked {
        self.0.as_deref().cloned().unwrap_or_default()
    }

    /// Returns true if nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns how much of the usage came along from another package, 0 or more.
    #[must_use]
    pub fn brought_along(&self) -> i64 {
        self.0.as_ref().map_or(0, |marked| marked.brought)
    }

    /// Returns true if the usage has moved to another package. Then the counter draws nothing, whatever is
    /// written to it.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.0.as_ref().is_some_and(|marked| marked.has_moved)
    }

    /// Returns how often the counter was SET.
    #[must_use]
    pub fn sets(&self) -> u32 {
        self.0.as_ref().map_or(0, |marked| marked.sets)
    }

    /// Returns the thresholds that have fired.
    #[must_use]
    pub fn fired(&self) -> &[Threshold] {
        self.0.as_ref().map_or(&[], |marked| &marked.fired)
    }

    /// Returns what the counter drew from grants.
    #[must_use]
    pub fn draws(&self) -> &Draws {
        self.0.as_ref().map_or(&NO_DRAWS, |marked| &marked.draws)
    }

    /// Returns the marks with other draws.
    #[must_use]
    pub fn with_draws(&self, draws: Draws) -> Self {
        if draws == *self.draws() {
            return self.clone();
        }
        Self::of(Marked { draws, ..self.marked() })
    }

    /// Returns the marks of a counter whose usage came along from another package: so much.
    #[must_use]
    pub fn brought(&self, used: i64) -> Self {
        Self::of(Marked { brought: used, has_moved: false, ..self.marked() })
    }

    /// Returns the marks of a counter whose usage has moved to another package.
    #[must_use]
    pub fn moved(&self) -> Self {
        Self::of(Marked { has_moved: true, ..self.marked() })
    }

    /// Returns the marks after so many more SETs.
    #[must_use]
    pub fn after_sets(&self, more: u32) -> Self {
        let mut marked = self.marked();
        marked.sets = marked.sets.saturating_add(more);
        Self::of(marked)
    }

    /// Returns the marks after `new` thresholds have fired. Where there are too many, those that the
    /// feature does not have any more give way, the oldest first.
    #[must_use]
    pub fn after_firing(&self, new: &[Threshold], of_feature: &[Threshold]) -> Self {
        let mut marked = self.marked();
        marked.fired.extend(new);
        while marked.fired.len() > THRESHOLDS_MAX {
            let is_gone = |fired: &Threshold| !of_feature.contains(fired);
            let oldest = marked.fired.iter().position(is_gone).unwrap_or(0);
            marked.fired.remove(oldest);
        }
        Self::of(marked)
    }

    /// Returns the marks as a short text, like `b5 m s2 p80 l10`: 5 brought along from another package, moved to
    /// another one, two SETs, 80 percent reached, 10 left reached. What was drawn from grants follows. `None` if
    /// there are none.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        let Marked { brought, has_moved, sets, fired, draws } = self.0.as_deref()?;
        let brought = (*brought > 0).then(|| format!("b{brought}"));
        let moved = has_moved.then(|| "m".to_owned());
        let sets = (*sets > 0).then(|| format!("s{sets}"));
        let fired = fired.iter().map(|threshold| match threshold {
            Threshold::Percent(percent) => format!("p{percent}"),
            Threshold::Left(left) => format!("l{left}"),
        });
        let whence = brought.into_iter().chain(moved);
        let words = whence.chain(sets).chain(fired).chain(draws.words());
        Some(words.collect::<Vec<_>>().join(" "))
    }

    /// Reads what [`to_text`](Self::to_text) writes; `None` for anything else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut marked = Marked::default();
        for word in text.split(' ') {
            let (kind, number) = word.split_at_checked(1)?;
            match kind {
                "b" => marked.brought = number.parse().ok()?,
                "m" => marked.has_moved = number.is_empty(),
                "s" => marked.sets = number.parse().ok()?,
                "p" => marked.fired.push(Threshold::new(number.parse().ok(), None).ok()?),
                "l" => marked.fired.push(Threshold::new(None, number.parse().ok()).ok()?),
                "g" => marked.draws.read(false, number)?,
                "n" => marked.draws.read(true, number)?,
                _ => return None,
            }
        }
        let read = Self::of(marked);
        (read.to_text().as_deref() == Some(text) && read.fired().len() <= THRESHOLDS_MAX)
            .then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::draws::{DRAWS_MAX, Draw};
    use crate::grant::GrantKey;

    #[test]
    fn what_was_done_to_a_counter_is_written_shortly() {
        let none = Marks::default();
        assert_eq!((none.to_text(), none.is_empty()), (None, true));
        let fired = [Threshold::Percent(80), Threshold::Left(10)];
        let marks = none.after_sets(2).after_firing(&fired, &fired);
        assert_eq!(marks.to_text().as_deref(), Some("s2 p80 l10"));
        assert_eq!((marks.sets(), marks.fired()), (2, &fired[..]));
        assert_eq!(none.after_sets(0), none);
        assert_eq!(marks.brought(5).moved().to_text().as_deref(), Some("b5 m s2 p80 l10"));
        assert_eq!(Marks::default().moved().brought(7).to_text().as_deref(), Some("b7"));
        for text in [
            "", " ", "b0", "b-1", "m1", "m b5", "s0", "s", "s01", "p0", "l-1", "x1", "p80  l1",
            "p80 s1", "p1 ", "ä",
        ] {
            assert_eq!(Marks::from_text(text), None, "{text:?}");
        }
        assert_eq!(Marks::from_text("p1 p2 p3 p4 p5 p6"), None);
    }

    #[test]
    fn what_was_drawn_from_grants_is_written_at_the_end() {
        let draw = |key, is_before_allowance, amount| Draw {
            grant: GrantKey(Uuid::from_u128(key)),
            is_before_allowance,
            amount,
        };
        let draws = Draws::new([draw(10, true, 5)], [draw(11, false, 7), draw(12, false, 0)]);
        let marks = Marks::default().after_sets(1).with_draws(draws);
        let zeros = "0".repeat(31);
        let text = format!("s1 n{zeros}a:5 g{zeros}b:7");
        assert_eq!(marks.to_text(), Some(text.clone()));
        assert_eq!(Marks::from_text(&text), Some(marks.clone()));
        assert_eq!(marks.with_draws(Draws::NONE).to_text().as_deref(), Some("s1"));
        let twice = format!("g{zeros}a:5 n{zeros}a:5");
        for bad in [&twice, "g:5", &format!("g{zeros}a:0"), &format!("g{zeros}A:1"), "g1:1"] {
            assert_eq!(Marks::from_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn draws_of_grants_that_are_no_longer_kept_are_put_together() {
        let draw = |n: u128, is_before_allowance| Draw {
            grant: GrantKey(Uuid::from_u128(n)),
            is_before_allowance,
            amount: 1,
        };
        let total = |draws: &Draws, before| {
            let all = draws.as_slice().iter();
            all.filter(|draw| draw.is_before_allowance == before).map(|draw| draw.amount).sum()
        };
        // One on a side stays alone, however many there are on the other.
        let forgotten = (1..=30).map(|n| draw(n, n == 7));
        let kept: Vec<Draw> = (31..=50).map(|n| draw(n, n % 2 == 0)).collect();
        let draws = Draws::new(forgotten, kept.iter().copied());
        assert_eq!(draws.as_slice().len(), DRAWS_MAX);
        assert_eq!((total(&draws, true), total(&draws, false)), (11, 39));
        assert!(kept.iter().all(|kept| draws.as_slice().contains(kept)), "what is kept stays");
    }

    #[test]
    fn thresholds_that_the_feature_has_no_more_give_way() {
        let [a, b, c, d, e, f] = [1, 2, 3, 4, 5, 6].map(Threshold::Percent);
        let five = Marks::default().after_firing(&[a, b, c, d, e], &[a, b, c, d, e]);
        let six = five.after_firing(&[f], &[a, b, d, e, f]);
        assert_eq!(six.fired(), [a, b, d, e, f]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (brought, has_moved) in (0..=i64::MAX, any::<bool>()),
            sets in any::<u32>(),
            percents in prop::collection::btree_set(1..=1000_i64, 0..=5),
        ) {
            let fired: Vec<Threshold> = percents.into_iter().map(Threshold::Percent).collect();
            let marks = Marks::default().brought(brought);
            let marks = if has_moved { marks.moved() } else { marks };
            let marks = marks.after_sets(sets).after_firing(&fired, &fired);
            let read = marks.to_text().map_or(Some(Marks::default()), |text| Marks::from_text(&text));
            prop_assert_eq!(read, Some(marks));
        }
    }
}
