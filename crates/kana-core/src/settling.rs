//! What a counter draws from grants with every write (contract: `beyond.md`, "Grants").

use std::cmp::Ordering;

use crate::draws::{Draw, Draws};
use crate::grant::{Grant, GrantKey};
use crate::subscription::AsOf;

/// A write to a counter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    /// What is used and held, before it and after it.
    pub(crate) load: (i64, i64),
    /// What is used of the period's own before grants of priority 0 or more are: the allowance, and what is
    /// carried. `None` means unlimited.
    pub(crate) own: Option<i64>,
    /// The instant of the usage. Grants that live then can be drawn.
    pub(crate) as_of: AsOf,
}

/// What a counter draws after a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) draws: Draws,
    /// By how much the draw from each grant has changed; never 0.
    pub(crate) changed: Vec<(GrantKey, i64)>,
}

/// A grant as a counter sees it.
struct Drawable {
    grant: GrantKey,
    is_before_allowance: bool,
    is_kept: bool,
    before: i64,
    drawn: i64,
    /// What is left of it for anybody; `None` if it does not live.
    left: Option<i64>,
}

/// Returns what a counter that drew `draws` draws after the write. `grants` are all that are kept of the
/// feature.
///
/// What is returned to a grant that has ended stays lost, and what cannot be drawn is over the budget.
pub(crate) fn settle<'a>(
    draws: &Draws,
    grants: impl IntoIterator<Item = &'a Grant>,
    write: Write,
) -> Settled {
    let mut all = drawable(draws, grants, write.as_of);
    let (before, after) = write.load;
    match write.own {
        None => all.iter_mut().for_each(|known| known.drawn = 0),
        Some(own) => {
            let first = drawn(&all, true);
            let excess = first.saturating_sub(before.min(after)).max(0);
            give_back(&mut all, true, excess);
            draw(&mut all, true, after.saturating_sub(before).max(0));
            let covered = drawn(&all, true).saturating_add(own);
            let wanted = after.saturating_sub(covered).max(0);
            let other = drawn(&all, false);
            match wanted.cmp(&other) {
                Ordering::Less => give_back(&mut all, false, other - wanted),
                Ordering::Equal => {}
                Ordering::Greater => draw(&mut all, false, wanted - other),
            }
        }
    }
    let changed = all.iter().map(|known| (known.grant, known.drawn - known.before));
    let changed = changed.filter(|(_, difference)| *difference != 0).collect();
    let (kept, forgotten): (Vec<&Drawable>, Vec<&Drawable>) =
        all.iter().partition(|known| known.is_kept);
    let draw = |known: &Drawable| Draw {
        grant: known.grant,
        is_before_allowance: known.is_before_allowance,
        amount: known.drawn,
    };
    let draws = Draws::new(forgotten.into_iter().map(draw), kept.into_iter().map(draw));
    Settled { draws, changed }
}

/// Returns the grants in the order in which they are drawn: first those that are no longer kept, so that
/// what is returned goes to others before.
fn drawable<'a>(
    draws: &Draws,
    grants: impl IntoIterator<Item = &'a Grant>,
    as_of: AsOf,
) -> Vec<Drawable> {
    let mut grants: Vec<&Grant> = grants.into_iter().collect();
    grants.sort_by(|one, other| one.order(other));
    let is_kept = |draw: &&Draw| grants.iter().any(|grant| grant.key == draw.grant);
    let forgotten = draws.as_slice().iter().filter(|draw| !is_kept(draw));
    let mut all: Vec<Drawable> = forgotten
        .map(|draw| Drawable {
            grant: draw.grant,
            is_before_allowance: draw.is_before_allowance,
            is_kept: false,
            before: draw.amount,
            drawn: draw.amount,
            left: None,
        })
        .collect();
    all.extend(grants.into_iter().map(|grant| {
        let drawn = draws.of(grant.key);
        Drawable {
            grant: grant.key,
            is_before_allowance: grant.is_before_allowance(),
            is_kept: true,
            before: drawn,
            drawn,
            left: grant.lives(as_of).then(|| grant.left()),
        }
    }));
    all
}

fn drawn(all: &[Drawable], is_before_allowance: bool) -> i64 {
    let on_that_side = all.iter().filter(|known| known.is_before_allowance == is_before_allowance);
    on_that_side.fold(0, |sum: i64, known| sum.saturating_add(known.drawn))
}

/// Draws an amount, as far as the grants reach.
fn draw(all: &mut [Drawable], is_before_allowance: bool, mut amount: i64) {
    for known in all.iter_mut().filter(|known| known.is_before_allowance == is_before_allowance) {
        let Some(left) = &mut known.left else { continue };
        let part = amount.min(*left);
        known.drawn += part;
        *left -= part;
        amount -= part;
    }
}

/// Returns an amount that was drawn, in the opposite order. A grant that lives can be drawn again.
fn give_back(all: &mut [Drawable], is_before_allowance: bool, mut amount: i64) {
    let on_that_side =
        all.iter_mut().rev().filter(|known| known.is_before_allowance == is_before_allowance);
    for known in on_that_side {
        let part = amount.min(known.drawn);
        known.drawn -= part;
        known.left = known.left.map(|left| left.saturating_add(part));
        amount -= part;
    }
}
