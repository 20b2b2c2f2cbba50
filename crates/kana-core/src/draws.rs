//! What a counter drew from grants (contract: `beyond.md`, "Grants").

use uuid::Uuid;

use crate::grant::{GRANTS_MAX, GrantKey};

/// The maximum number of grants of which a counter says what it drew from them.
pub const DRAWS_MAX: usize = GRANTS_MAX + 2;

/// The largest amount of a draw that is read. Draws of many grants can be put together to one, and the sum of
/// all draws of a counter must fit 64 bits.
const TOGETHER_MAX: i64 = 1 << 56;

/// What a counter drew from one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// The grant, which may no longer be kept.
    pub grant: GrantKey,
    /// Whether the grant is drawn before the period's allowance.
    pub is_before_allowance: bool,
    /// How much, 1 or more.
    pub amount: i64,
}

/// What a counter drew from grants, in the order in which they are drawn; first what it drew from grants
/// that are no longer kept; each of another grant. At most [`DRAWS_MAX`] are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draws(Vec<Draw>);

impl Draws {
    /// Nothing.
    pub const NONE: Self = Self(Vec::new());

    /// Creates what was drawn, in this order: from grants that are no longer kept, and from those that are, of
    /// which there are at most [`GRANTS_MAX`]. Where it is too much, the first two of those that are no longer
    /// kept and were drawn on the same side of the allowance are put together.
    pub(crate) fn new(
        forgotten: impl IntoIterator<Item = Draw>,
        kept: impl IntoIterator<Item = Draw>,
    ) -> Self {
        let is_drawn = |draw: &Draw| draw.amount > 0;
        let mut draws: Vec<Draw> = forgotten.into_iter().filter(is_drawn).collect();
        let kept: Vec<Draw> = kept.into_iter().filter(is_drawn).collect();
        while draws.len() + kept.len() > DRAWS_MAX {
            let sides = [false, true].map(|side| {
                let on_it = |(place, draw): (usize, &Draw)| {
                    (draw.is_before_allowance == side).then_some(place)
                };
                let mut places = draws.iter().enumerate().filter_map(on_it);
                Some((places.next()?, places.next()?))
            });
            let Some((first, second)) = sides.into_iter().flatten().min() else { break };
            let gone = draws.remove(first);
            if let Some(stays) = draws.get_mut(second - 1) {
                stays.amount = stays.amount.saturating_add(gone.amount);
            }
        }
        draws.extend(kept);
        Self(draws)
    }

    /// Returns true if nothing was drawn.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what was drawn from each grant.
    #[must_use]
    pub fn as_slice(&self) -> &[Draw] {
        &self.0
    }

    /// Returns how much was drawn from all grants together.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.0.iter().fold(0, |sum, draw| sum.saturating_add(draw.amount))
    }

    /// Returns how much was drawn from a grant.
    #[must_use]
    pub fn of(&self, grant: GrantKey) -> i64 {
        let found = self.0.iter().find(|draw| draw.grant == grant);
        found.map_or(0, |draw| draw.amount)
    }

    /// Returns what two counters drew together, in the order of the first. It can be from more grants than may
    /// be stored.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let mut all = self.0.clone();
        for draw in &other.0 {
            match all.iter_mut().find(|known| known.grant == draw.grant) {
                Some(known) => known.amount = known.amount.saturating_add(draw.amount),
                None => all.push(*draw),
            }
        }
        Self(all)
    }

    /// Returns the same from as few grants as may be stored, for a counter of which it no longer matters what
    /// came from which grant.
    pub(crate) fn put_together(self) -> Self {
        Self::new(self.0, [])
    }

    /// Returns each draw as a word: `g` or, before the allowance, `n`, the key of the grant and the amount.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|draw| {
            let kind = if draw.is_before_allowance { 'n' } else { 'g' };
            format!("{kind}{}:{}", draw.grant.0.simple(), draw.amount)
        })
    }

    /// Adds what a [word](Self::words) says, without its first letter.
    pub(crate) fn read(&mut self, is_before_allowance: bool, word: &str) -> Option<()> {
        let (key, amount) = word.split_once(':')?;
        let grant = GrantKey(Uuid::try_parse(key).ok()?);
        let amount = amount.parse().ok().filter(|amount| (1..=TOGETHER_MAX).contains(amount))?;
        let is_known = self.0.iter().any(|known| known.grant == grant);
        if is_known || self.0.len() >= DRAWS_MAX {
            return None;
        }
        self.0.push(Draw { grant, is_before_allowance, amount });
        Some(())
    }
}
