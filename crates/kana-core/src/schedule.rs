//! The periods of one subscription, under terms that change (contract: `entitlements.md`, "When a
//! published file changes terms").
//!
//! Terms that only have another limit count on in the same periods. Terms with another reset period
//! have another number, under which new counters are kept. If the new period is longer, the one that
//! contains the change *takes over* the earlier periods that began within it: their usage is part of
//! it, and they are no longer listed. Otherwise the running period ends with the change, and the new
//! terms begin *afresh*.

use crate::catalog::{Allowance, Package};
use crate::id::FeatureId;
use crate::period::{Period, ResetPeriod, index_at};
use crate::subscription::Subscription;
use crate::terms::{Terms, TermsNumber};
use crate::timestamp::Timestamp;

/// Of each number, the counters of so many newest periods are kept one by one, and older ones are
/// folded into one sum. One period takes over no more than that.
pub const COUNTED_ONE_BY_ONE: i64 = 1500;

/// How many periods late a counter may be folded. Terms that have ended keep so many more, so that
/// none is missing from the sum of a period that never ends.
pub const FOLDED_LATE_MAX: i64 = 64;

/// The terms of one feature in one package, oldest first; at least one.
#[derive(Debug, Clone, Copy)]
enum Timeline<'a> {
    Unchanged(Terms),
    Changed(&'a [Terms]),
}

/// The periods of one subscription for one feature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule<'a> {
    pub(crate) subscription: &'a Subscription,
    timeline: Timeline<'a>,
}

/// A period of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number that its counter is kept under.
    pub(crate) number: TermsNumber,
    /// The period, cut short where the terms, the feature or the subscription ended.
    pub(crate) period: Period,
    /// What is given in it: what was in force at its end.
    pub(crate) allowance: Allowance,
    /// Whether earlier periods that began within it are part of it.
    pub(crate) takes_over: bool,
}

/// How a number of terms begins for a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// No other terms came before it.
    Anchored,
    /// Its first period starts with the change.
    Afresh,
    /// Its first period takes over the earlier ones that began at this instant or later.
    TakesOver(Timestamp),
}

/// Terms of one number, without a gap, as far as the subscription lived through them.
#[derive(Debug, Clone, Copy)]
struct Run {
    number: TermsNumber,
    reset: Option<ResetPeriod>,
    from: Timestamp,
    /// The first instant after it; `None` while it goes on.
    until: Option<Timestamp>,
}

impl<'a> Schedule<'a> {
    /// The schedule of a feature; `None` if the package never had it.
    pub(crate) fn new(
        subscription: &'a Subscription,
        package: &'a Package,
        feature: &FeatureId,
    ) -> Option<Self> {
        let history = if package.terms.is_empty() { None } else { package.terms.get(feature) };
        let timeline = match history {
            Some(history) => Timeline::Changed(history.terms()),
            None => Timeline::Unchanged(Terms::unchanged(package.features.get(feature)?.allowance)),
        };
        Some(Self { subscription, timeline })
    }

    fn terms(&self) -> &[Terms] {
        match &self.timeline {
            Timeline::Unchanged(terms) => std::slice::from_ref(terms),
            Timeline::Changed(terms) => terms,
        }
    }

    fn anchor(&self) -> Timestamp {
        self.subscription.started_at
    }

    /// What was given at a moment; `None` while the package did not have the feature.
    pub(crate) fn allowance_at(&self, at: Timestamp) -> Option<Allowance> {
        self.terms().iter().rev().find(|terms| terms.since <= at)?.allowance
    }

    /// An instant that no clock behind another one's takes back: `now`, but not before the
    /// subscription, its end, or the newest terms that are known.
    pub(crate) fn not_before_known(&self, now: Timestamp) -> Timestamp {
        let newest = self.terms().last().map_or(Timestamp::MIN, |terms| terms.since);
        now.max(self.anchor()).max(newest).max(self.subscription.ended_at.unwrap_or(now))
    }

    /// The period of the current terms that contains `now`.
    pub(crate) fn current(&self, now: Timestamp) -> Option<Place> {
        let terms = self.terms().last()?;
        let at = now.max(self.anchor()).max(terms.since);
        Some(self.place(terms.number, terms.allowance?.reset_period, at))
    }

    /// The period that contains a moment, under the terms that held then.
    pub(crate) fn at(&self, at: Timestamp) -> Option<Place> {
        let at = at.max(self.anchor());
        let terms = self.terms().iter().rev().find(|terms| terms.since <= at)?;
        Some(self.place(terms.number, terms.allowance?.reset_period, at))
    }

    /// The period of a number that contains `at`.
    fn place(&self, number: TermsNumber, reset: Option<ResetPeriod>, at: Timestamp) -> Place {
        let whole = Period::containing(self.anchor(), reset, at);
        let begins = self.begins(number);
        let (mut start, mut takes_over) = (whole.start, false);
        if whole.contains(begins) {
            match self.opening(number, reset) {
                Opening::Anchored => {}
                Opening::Afresh => start = begins,
                Opening::TakesOver(_) => takes_over = true,
            }
        }
        let within = |since: Timestamp| whole.end.is_none_or(|end| since < end);
        let last_run = self.run_until(number, within);
        let ends = [whole.end, last_run, self.subscription.ended_at];
        let end = ends.into_iter().flatten().min();
        let in_force =
            |terms: &&Terms| terms.number == number && end.is_none_or(|end| terms.since < end);
        let given = self.terms().iter().rev().filter(in_force).find_map(|terms| terms.allowance);
        let nothing = Allowance { reset_period: reset, ..Allowance::UNLIMITED };
        let allowance = given.unwrap_or(nothing);
        Place { number, period: Period { start, end }, allowance, takes_over }
    }

    /// When terms of a number began first.
    fn begins(&self, number: TermsNumber) -> Timestamp {
        let mut given = self.terms().iter().filter(|terms| terms.allowance.is_some());
        given.find(|terms| terms.number == number).map_or(Timestamp::MIN, |terms| terms.since)
    }

    /// When the last run of a number ended that began at an instant for which `began` is true.
    fn run_until(
        &self,
        number: TermsNumber,
        began: impl Fn(Timestamp) -> bool,
    ) -> Option<Timestamp> {
        let terms = self.terms();
        let goes_on = |terms: &Terms| terms.number == number && terms.allowance.is_some();
        let last = terms.iter().rposition(|terms| goes_on(terms) && began(terms.since))?;
        let after = terms.get(last..)?.iter().find(|terms| !goes_on(terms))?;
        Some(after.since)
    }

    fn opening(&self, number: TermsNumber, reset: Option<ResetPeriod>) -> Opening {
        let begins = self.begins(number);
        let earlier = || self.runs(begins).filter(|run| run.number < number);
        let Some(before) = earlier().next() else {
            return Opening::Anchored;
        };
        let opens = Period::containing(self.anchor(), reset, begins);
        let too_many = |run: Run| {
            let reaches = run.until.is_none_or(|until| until > opens.start);
            reaches && !fits(self.anchor(), run.reset, opens)
        };
        if !is_longer(reset, before.reset) || earlier().any(too_many) {
            return Opening::Afresh;
        }
        Opening::TakesOver(opens.start)
    }

    /// The runs that the subscription has lived through by `now`, newest first.
    fn runs(&self, now: Timestamp) -> impl Iterator<Item = Run> {
        let terms = self.terms();
        let (anchor, ended_at) = (self.anchor(), self.subscription.ended_at);
        let mut next = terms.len();
        std::iter::from_fn(move || {
            while next > 0 {
                let last = terms.get(next - 1)?;
                let (number, Some(given)) = (last.number, last.allowance) else {
                    next -= 1;
                    continue;
                };
                let same = |terms: &Terms| terms.number == number && terms.allowance.is_some();
                let until = terms.get(next).map(|after| after.since);
                let first = terms.get(..next)?.iter().rposition(|terms| !same(terms));
                let first = first.map_or(0, |before| before + 1);
                next = first;
                let from = terms.get(first)?.since.max(anchor);
                let until = [until, ended_at].into_iter().flatten().min();
                let has_lived = from <= now && until.is_none_or(|until| from < until);
                if has_lived {
                    return Some(Run { number, reset: given.reset_period, from, until });
                }
            }
            None
        })
    }

    /// The periods that have begun by `now` under the numbers below `below`, those that were taken
    /// over included: newest first, at most the newest `each` of a number.
    fn periods(&self, now: Timestamp, below: Option<TermsNumber>, each: i64) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        let mut floor = (None, i64::MIN);
        for run in self.runs(now) {
            if below.is_some_and(|below| run.number >= below) {
                continue;
            }
            let (oldest, newest) = run.indexes(self.anchor(), now);
            if floor.0 != Some(run.number) {
                floor = (Some(run.number), newest.saturating_sub(each - 1));
            }
            for index in (oldest.max(floor.1)..=newest).rev() {
                // Within the period, but not before the run, which may have begun in its middle.
                let at = run.nth(self.anchor(), index).start.max(run.from);
                let place = self.place(run.number, run.reset, at);
                // A feature that was out for a part of a period has two runs in it.
                let is_met = |met: &Place| {
                    (met.number, met.period.start) == (place.number, place.period.start)
                };
                if !places.last().is_some_and(is_met) {
                    places.push(place);
                }
            }
        }
        places
    }

    /// The newest periods that are listed, newest first within a number, at most `at_most`. Those
    /// that still run are among them.
    pub(crate) fn listed(&self, now: Timestamp, at_most: i64) -> Vec<Place> {
        // Those that were taken over are fewer than what one period can take over.
        let each = if self.terms().len() == 1 { at_most } else { COUNTED_ONE_BY_ONE + at_most };
        let takers = self.takers();
        let mut places = self.periods(now, None, each);
        places.retain(|place| taker(&takers, place.number, place.period.start).is_none());
        places.truncate(usize::try_from(at_most).unwrap_or(usize::MAX));
        places
    }

    /// The periods that a period has taken over, without those that these have taken over.
    pub(crate) fn taken_over(&self, by: TermsNumber) -> Vec<Place> {
        let takers = self.takers();
        let each = COUNTED_ONE_BY_ONE + FOLDED_LATE_MAX;
        let mut places = self.periods(self.begins(by), Some(by), each);
        places.retain(|place| {
            let taken = taker(&takers, place.number, place.period.start);
            taken.is_some_and(|(taker, _)| taker == by)
        });
        places
    }

    /// The numbers whose sum of folded counters a period has taken over.
    pub(crate) fn folds_taken_over(&self, by: TermsNumber) -> Vec<TermsNumber> {
        let (takers, begins) = (self.takers(), self.begins(by));
        let mut numbers: Vec<TermsNumber> = self
            .runs(begins)
            .map(|run| run.number)
            .filter(|number| {
                *number < by
                    && self.counted_one_by_one_since(*number, begins).is_some()
                    && taker(&takers, *number, self.anchor()).is_some_and(|(taker, _)| taker == by)
            })
            .collect();
        numbers.dedup();
        numbers
    }

    /// The periods that have taken over the one that started at `start`: the first, the one that
    /// has taken over that, and so on.
    pub(crate) fn takers_of(
        &self,
        number: TermsNumber,
        start: Timestamp,
    ) -> Vec<(TermsNumber, Timestamp)> {
        if self.terms().last().is_some_and(|newest| newest.number == number) {
            return Vec::new();
        }
        let takers = self.takers();
        let first = taker(&takers, number, start);
        std::iter::successors(first, |(number, start)| taker(&takers, *number, *start)).collect()
    }

    /// The numbers whose first period takes over earlier ones, each with that period's start.
    fn takers(&self) -> Vec<(TermsNumber, Timestamp)> {
        let mut takers = Vec::new();
        let mut asked = TermsNumber::default();
        for terms in self.terms() {
            let Some(given) = terms.allowance.filter(|_| terms.number > asked) else {
                continue;
            };
            asked = terms.number;
            let lived = self.subscription.ended_at.is_none_or(|ended_at| terms.since < ended_at);
            if let Opening::TakesOver(start) = self.opening(terms.number, given.reset_period)
                && lived
            {
                takers.push((terms.number, start));
            }
        }
        takers
    }

    /// Where the newest periods of a number begin that are counted one by one; `None` if all are.
    pub(crate) fn counted_one_by_one_since(
        &self,
        number: TermsNumber,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut runs = self.runs(now).filter(|run| run.number == number);
        let newest = runs.next()?;
        newest.reset?;
        let oldest = runs.last().unwrap_or(newest);
        let (_, last) = newest.indexes(self.anchor(), now);
        let (first, _) = oldest.indexes(self.anchor(), now);
        let late = if newest.until.is_some() { FOLDED_LATE_MAX } else { 0 };
        let since = last - COUNTED_ONE_BY_ONE - late + 1;
        (since > first).then(|| newest.nth(self.anchor(), since).start)
    }
}

/// The first number above `number` whose first period takes over what started at `start`.
fn taker(
    takers: &[(TermsNumber, Timestamp)],
    number: TermsNumber,
    start: Timestamp,
) -> Option<(TermsNumber, Timestamp)> {
    takers.iter().copied().find(|(taker, from)| *taker > number && *from <= start)
}

impl Run {
    /// The indexes of its first period and of its newest by `now`.
    fn indexes(&self, anchor: Timestamp, now: Timestamp) -> (i64, i64) {
        let Some(reset) = self.reset else {
            return (0, 0);
        };
        let last = self.until.map_or(now, |until| until.saturating_add_ms(-1).min(now));
        (index_at(anchor, reset, self.from), index_at(anchor, reset, last.max(self.from)))
    }

    fn nth(&self, anchor: Timestamp, index: i64) -> Period {
        match self.reset {
            None => Period { start: anchor, end: None },
            Some(reset) => Period::nth(anchor, reset, index),
        }
    }
}

/// Whether one reset period is longer than another; never is the longest.
fn is_longer(one: Option<ResetPeriod>, other: Option<ResetPeriod>) -> bool {
    match (one, other) {
        (None, Some(_)) => true,
        (Some(one), Some(other)) => one > other,
        (_, None) => false,
    }
}

/// Whether a period may take over all periods of other terms that fit into it.
fn fits(anchor: Timestamp, earlier: Option<ResetPeriod>, period: Period) -> bool {
    let (Some(earlier), Some(end)) = (earlier, period.end) else {
        return true;
    };
    let first = index_at(anchor, earlier, period.start);
    index_at(anchor, earlier, end.saturating_add_ms(-1)) - first < COUNTED_ONE_BY_ONE
}
