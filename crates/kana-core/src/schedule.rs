//! The periods of one subscription under terms that change (contract: `entitlements.md`, "When a
//! published file changes terms").
//!
//! A change of the limit keeps the periods and their counters. A change of the reset period gets a
//! new terms number, with counters of its own. If the new reset period is longer, the period that
//! contains the change *takes over* the earlier periods that began within it: it includes their
//! usage, and they are no longer listed. Otherwise the running period ends with the change, and the
//! new terms start *afresh*.

use crate::catalog::{Allowance, Package};
use crate::id::FeatureId;
use crate::overrides::Override;
use crate::period::{Origin, Period, Reset};
use crate::source::Lifetime;
use crate::subscription::Subscription;
use crate::terms::{Terms, TermsNumber};
use crate::timestamp::Timestamp;

/// How many of a terms number's newest counters are kept individually; older ones are folded into
/// one sum. A period never takes over more periods than this.
pub const COUNTED_ONE_BY_ONE: i64 = 1500;

/// How many periods late a counter may be folded. A terms number that has ended keeps this many
/// more counters, so that none is missing from the sum that a period without an end takes over.
pub const FOLDED_LATE_MAX: i64 = 64;

/// The terms of one feature in one package, oldest first. Never empty.
#[derive(Debug, Clone, Copy)]
enum Timeline<'a> {
    Unchanged(Terms),
    Changed(&'a [Terms]),
}

/// The periods of one subscription, or of one override, for one feature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule<'a> {
    pub(crate) lifetime: Lifetime,
    timeline: Timeline<'a>,
}

/// A period of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The terms number that its counter is kept under.
    pub(crate) number: TermsNumber,
    /// The period, cut short where the terms, the feature or the subscription ended.
    pub(crate) period: Period,
    /// The allowance that is in force at its end.
    pub(crate) allowance: Allowance,
    /// Whether it takes over the earlier periods that began within it.
    pub(crate) takes_over: bool,
}

/// What periods have taken over, each with the terms number whose first period did so.
#[derive(Debug)]
pub(crate) struct TakenOver {
    pub(crate) periods: Vec<(TermsNumber, Place)>,
    /// Terms numbers that have a sum of folded counters.
    pub(crate) sums: Vec<(TermsNumber, TermsNumber)>,
}

/// How a terms number starts for a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// No other terms number came before it.
    Anchored,
    /// Its first period starts with the change.
    Afresh,
    /// Its first period takes over the earlier periods that began at this instant or later.
    TakesOver(Timestamp),
}

/// A stretch of time, without a gap, in which the subscription had terms of one number.
#[derive(Debug, Clone, Copy)]
struct Run {
    number: TermsNumber,
    reset: Option<Reset>,
    from: Timestamp,
    /// The first instant after it; `None` while it lasts.
    until: Option<Timestamp>,
}

impl<'a> Schedule<'a> {
    /// Creates the schedule of a feature. Returns `None` if the package never had the feature.
    pub(crate) fn new(
        subscription: &Subscription,
        package: &'a Package,
        feature: &FeatureId,
    ) -> Option<Self> {
        let history = if package.terms.is_empty() { None } else { package.terms.get(feature) };
        let timeline = match history {
            Some(history) => Timeline::Changed(history.terms()),
            None => Timeline::Unchanged(Terms::unchanged(package.features.get(feature)?.allowance)),
        };
        Some(Self { lifetime: subscription.into(), timeline })
    }

    /// Creates the schedule of an override that counts by itself.
    pub(crate) fn of_override(known: &'a Override) -> Self {
        let timeline = Timeline::Changed(known.history.terms());
        Self { lifetime: known.into(), timeline }
    }

    /// Creates the schedule of a feature that has had these terms, oldest first; at least one.
    pub(crate) fn of_terms(lifetime: Lifetime, terms: &'a [Terms]) -> Self {
        Self { lifetime, timeline: Timeline::Changed(terms) }
    }

    /// Creates the schedule of a feature whose terms have never changed.
    pub(crate) fn of_allowance(lifetime: Lifetime, allowance: Allowance) -> Self {
        Self { lifetime, timeline: Timeline::Unchanged(Terms::unchanged(allowance)) }
    }

    fn terms(&self) -> &[Terms] {
        match &self.timeline {
            Timeline::Unchanged(terms) => std::slice::from_ref(terms),
            Timeline::Changed(terms) => terms,
        }
    }

    fn started_at(&self) -> Timestamp {
        self.lifetime.origin.started_at
    }

    fn origin(&self) -> Origin {
        self.lifetime.origin
    }

    /// Returns the allowance at a moment; `None` while the package did not have the feature.
    pub(crate) fn allowance_at(&self, at: Timestamp) -> Option<Allowance> {
        self.terms().iter().rev().find(|terms| terms.since <= at)?.allowance
    }

    /// Returns `now`, but no earlier than the subscription's start, its end, or its newest terms.
    /// This corrects a clock that is behind the one that wrote them.
    pub(crate) fn not_before_known(&self, now: Timestamp) -> Timestamp {
        let newest = self.terms().last().map_or(Timestamp::MIN, |terms| terms.since);
        let ended_at = self.lifetime.ended_at.filter(|_| self.lifetime.was_ended);
        now.max(self.started_at()).max(newest).max(ended_at.unwrap_or(now))
    }

    /// Returns the period of the current terms that contains `now`.
    pub(crate) fn current(&self, now: Timestamp) -> Option<Place> {
        let terms = self.terms().last()?;
        let at = now.max(self.started_at()).max(terms.since);
        Some(self.place(terms.number, terms.allowance?.reset(), at))
    }

    /// Returns the period that contains a moment, under the terms in force at that moment.
    pub(crate) fn at(&self, at: Timestamp) -> Option<Place> {
        let at = at.max(self.started_at());
        let terms = self.terms().iter().rev().find(|terms| terms.since <= at)?;
        Some(self.place(terms.number, terms.allowance?.reset(), at))
    }

    /// Returns the period of a terms number that starts at this instant; `None` if the number was never in
    /// force.
    pub(crate) fn place_of(&self, number: TermsNumber, start: Timestamp) -> Option<Place> {
        let given = |terms: &Terms| terms.allowance.filter(|_| terms.number == number);
        let reset = self.terms().iter().find_map(given)?.reset();
        Some(self.place(number, reset, start.max(self.started_at())))
    }

    /// Returns at most `at_most` periods of a period's terms number that come right before it, oldest first.
    /// Periods in which the package did not have the feature are left out.
    pub(crate) fn earlier(&self, place: &Place, at_most: u32) -> Vec<Place> {
        let Some(reset) = self.reset_of(place.number) else { return Vec::new() };
        let origin = self.origin();
        let since = self.begins(place.number).max(origin.started_at);
        let index = reset.index_at(origin, place.period.start);
        let oldest = reset.index_at(origin, since).max(index.saturating_sub(at_most.into()));
        let places = (oldest..index).map(|index| {
            let at = reset.nth(origin, index).start.max(since);
            self.place(place.number, Some(reset), at)
        });
        let is_there = |place: &Place| place.period.end.is_none_or(|end| place.period.start < end);
        places.filter(is_there).collect()
    }

    /// Returns when usage of a terms number starts again; `None` if it never does, or the number was never in
    /// force.
    fn reset_of(&self, number: TermsNumber) -> Option<Reset> {
        let given = |terms: &Terms| terms.allowance.filter(|_| terms.number == number);
        self.terms().iter().find_map(given)?.reset()
    }

    /// Returns the terms number and the start of each period that usage at a moment can have been counted
    /// in: one for each of the terms that there ever were.
    pub(crate) fn places(&self, at: Timestamp) -> Vec<(TermsNumber, Timestamp)> {
        let place = |terms: &Terms| {
            let at = at.max(self.started_at()).max(terms.since);
            let place = self.place(terms.number, terms.allowance?.reset(), at);
            Some((place.number, place.period.start))
        };
        self.terms().iter().filter_map(place).collect()
    }

    /// Returns the period of a terms number that contains `at`.
    fn place(&self, number: TermsNumber, reset: Option<Reset>, at: Timestamp) -> Place {
        let whole = Period::since(self.origin(), reset, at);
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
        let ends = [whole.end, last_run, self.lifetime.ended_at];
        let end = ends.into_iter().flatten().min();
        let in_force =
            |terms: &&Terms| terms.number == number && end.is_none_or(|end| terms.since < end);
        let given = self.terms().iter().rev().filter(in_force).find_map(|terms| terms.allowance);
        let allowance = given.unwrap_or_else(|| Allowance::unlimited(reset));
        Place { number, period: Period { start, end }, allowance, takes_over }
    }

    /// Returns the first instant after a period of this schedule if an end that was only set is taken back.
    pub(crate) fn lasts_until(&self, place: &Place) -> Option<Timestamp> {
        if self.lifetime.was_ended || self.lifetime.ended_at.is_none() {
            return place.period.end;
        }
        let lasting = Self { lifetime: Lifetime { ended_at: None, ..self.lifetime }, ..*self };
        lasting.place(place.number, self.reset_of(place.number), place.period.start).period.end
    }

    /// Returns when a terms number first gave the feature.
    fn begins(&self, number: TermsNumber) -> Timestamp {
        let mut given = self.terms().iter().filter(|terms| terms.allowance.is_some());
        given.find(|terms| terms.number == number).map_or(Timestamp::MIN, |terms| terms.since)
    }

    /// Returns the end of the last run of a terms number among those whose start satisfies `began`;
    /// `None` if there is no such run, or it still lasts.
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

    fn opening(&self, number: TermsNumber, reset: Option<Reset>) -> Opening {
        let begins = self.begins(number);
        let earlier = || self.runs(begins).filter(|run| run.number < number);
        let Some(before) = earlier().next() else {
            return Opening::Anchored;
        };
        let opens = Period::since(self.origin(), reset, begins);
        let too_many = |run: Run| {
            let reaches = run.until.is_none_or(|until| until > opens.start);
            reaches && !fits(self.origin(), run.reset, opens)
        };
        if !is_longer(reset, before.reset) || earlier().any(too_many) {
            return Opening::Afresh;
        }
        Opening::TakesOver(opens.start)
    }

    /// Returns the subscription's runs that have started by `now`, newest first.
    fn runs(&self, now: Timestamp) -> impl Iterator<Item = Run> {
        let terms = self.terms();
        let (started_at, ended_at) = (self.started_at(), self.lifetime.ended_at);
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
                let from = terms.get(first)?.since.max(started_at);
                let until = [until, ended_at].into_iter().flatten().min();
                let has_lived = from <= now && until.is_none_or(|until| from < until);
                if has_lived {
                    return Some(Run { number, reset: given.reset(), from, until });
                }
            }
            None
        })
    }

    /// Returns the periods that have started by `now` under terms numbers below `below`, including
    /// those that were taken over: newest first, and at most the newest `each` of a number.
    fn periods(&self, now: Timestamp, below: Option<TermsNumber>, each: i64) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        let mut floor = (None, i64::MIN);
        for run in self.runs(now) {
            if below.is_some_and(|below| run.number >= below) {
                continue;
            }
            let (oldest, newest) = run.indexes(self.origin(), now);
            if floor.0 != Some(run.number) {
                floor = (Some(run.number), newest.saturating_sub(each - 1));
            }
            for index in (oldest.max(floor.1)..=newest).rev() {
                // The run may start in the middle of the period.
                let at = run.nth(self.origin(), index).start.max(run.from);
                let place = self.place(run.number, run.reset, at);
                // A feature that was out of the package for part of a period has two runs in it.
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

    /// Returns at most `at_most` periods that are not taken over, newest first within a terms
    /// number. Includes periods that still run.
    pub(crate) fn listed(&self, now: Timestamp, at_most: i64) -> Vec<Place> {
        // A period takes over at most `COUNTED_ONE_BY_ONE` others.
        let each = if self.terms().len() == 1 { at_most } else { COUNTED_ONE_BY_ONE + at_most };
        let takers = self.takers();
        let mut places = self.periods(now, None, each);
        places.retain(|place| taker(&takers, place.number, place.period.start).is_none());
        places.truncate(usize::try_from(at_most).unwrap_or(usize::MAX));
        places
    }

    /// Returns everything that periods of terms numbers below `below`, and its own first period, have
    /// taken over.
    pub(crate) fn taken_over(&self, below: TermsNumber) -> TakenOver {
        let (takers, begins) = (self.takers(), self.begins(below));
        let each = COUNTED_ONE_BY_ONE + FOLDED_LATE_MAX;
        let periods = self.periods(begins, Some(below), each).into_iter();
        let periods = periods.filter_map(|place| {
            let (taker, _) = taker(&takers, place.number, place.period.start)?;
            Some((taker, place))
        });
        let mut sums: Vec<(TermsNumber, TermsNumber)> = self
            .runs(begins)
            .map(|run| run.number)
            .filter(|number| {
                *number < below && self.counted_one_by_one_since(*number, begins).is_some()
            })
            .filter_map(|number| Some((taker(&takers, number, self.started_at())?.0, number)))
            .collect();
        sums.dedup();
        TakenOver { periods: periods.collect(), sums }
    }

    /// Returns the chain of periods that have taken over the period that started at `start`: the
    /// one that took it over, the one that took over that one, and so on.
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

    /// Returns the terms numbers whose first period takes over earlier ones, each with that
    /// period's start.
    fn takers(&self) -> Vec<(TermsNumber, Timestamp)> {
        let mut takers = Vec::new();
        let mut asked = TermsNumber::default();
        for terms in self.terms() {
            let Some(given) = terms.allowance.filter(|_| terms.number > asked) else {
                continue;
            };
            asked = terms.number;
            let lived = self.lifetime.ended_at.is_none_or(|ended_at| terms.since < ended_at);
            if let Opening::TakesOver(start) = self.opening(terms.number, given.reset())
                && lived
            {
                takers.push((terms.number, start));
            }
        }
        takers
    }

    /// Returns the start of the oldest period of a terms number whose counter is kept individually;
    /// `None` if all counters are.
    pub(crate) fn counted_one_by_one_since(
        &self,
        number: TermsNumber,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut runs = self.runs(now).filter(|run| run.number == number);
        let newest = runs.next()?;
        newest.reset?;
        let oldest = runs.last().unwrap_or(newest);
        let (_, last) = newest.indexes(self.origin(), now);
        let (first, _) = oldest.indexes(self.origin(), now);
        let late = if newest.until.is_some() { FOLDED_LATE_MAX } else { 0 };
        let since = last - COUNTED_ONE_BY_ONE - late + 1;
        (since > first).then(|| newest.nth(self.origin(), since).start)
    }
}

/// Returns the first terms number above `number` whose first period takes over the period that
/// started at `start`.
fn taker(
    takers: &[(TermsNumber, Timestamp)],
    number: TermsNumber,
    start: Timestamp,
) -> Option<(TermsNumber, Timestamp)> {
    takers.iter().copied().find(|(taker, from)| *taker > number && *from <= start)
}

impl Run {
    /// Returns the indexes of its first period and of its newest one at `now`.
    fn indexes(&self, origin: Origin, now: Timestamp) -> (i64, i64) {
        let Some(reset) = self.reset else {
            return (0, 0);
        };
        let last = self.until.map_or(now, |until| until.saturating_add_ms(-1).min(now));
        (reset.index_at(origin, self.from), reset.index_at(origin, last.max(self.from)))
    }

    fn nth(&self, origin: Origin, index: i64) -> Period {
        match self.reset {
            None => Period { start: origin.started_at, end: None },
            Some(reset) => reset.nth(origin, index),
        }
    }
}

/// Returns true if `one` is longer than `other`. `None`, which never resets, is the longest.
fn is_longer(one: Option<Reset>, other: Option<Reset>) -> bool {
    match (one, other) {
        (None, Some(_)) => true,
        (Some(one), Some(other)) => one.period > other.period,
        (_, None) => false,
    }
}

/// Returns true if `period` contains few enough periods of the `earlier` reset period to take over.
fn fits(origin: Origin, earlier: Option<Reset>, period: Period) -> bool {
    let (Some(earlier), Some(end)) = (earlier, period.end) else {
        return true;
    };
    let first = earlier.index_at(origin, period.start);
    earlier.index_at(origin, end.saturating_add_ms(-1)) - first < COUNTED_ONE_BY_ONE
}
