//! The counters of one feature under one subscription or override, against its events.

use std::collections::{BTreeMap, BTreeSet};

use kana_core::Timestamp;
use kana_core::catalog::Allowance;
use kana_core::explain::Source;
use kana_core::facts::CounterKey;
use kana_core::id::FeatureId;
use kana_core::period::{Origin, Period};
use kana_core::recount::{CountedEvent, Recount};
use kana_core::refusal::InvalidValue;
use kana_core::terms::{Terms, TermsNumber};
use kana_core::usage::LoggedAction;

use crate::error::StoreError;

/// What counts, as far as its counters need it.
pub(super) struct Counting {
    pub(super) environment: i64,
    pub(super) source: Source,
    pub(super) origin: Origin,
    pub(super) ended_at: Option<Timestamp>,
}

/// A check that fails, and why.
pub(super) type Wrong = (&'static str, String);

/// Where a counter is: its terms number, and the start of its period.
type At = (TermsNumber, Timestamp);

/// One feature of one subscription or override.
pub(super) struct CounterGroup {
    pub(super) feature: String,
    origin: Origin,
    terms: Vec<Terms>,
    events: Events,
    /// When the last event was recorded, and whether its place among those of that instant makes a difference.
    last: Option<(Timestamp, bool)>,
}

/// What the events make.
enum Events {
    /// They are not all there.
    Unknown,
    /// Of terms whose reset period never changed: by the start of the period, and the sum of the counters
    /// that are too old to be kept one by one.
    Unchanged { counted: BTreeMap<Timestamp, i64>, sum: Option<i64> },
    /// Of terms whose reset period has changed: a period may have taken over what others have counted, which
    /// takes the rules. Beside that, what the counters are.
    Changed { recount: Box<Recount>, stored: BTreeMap<At, i64> },
}

impl CounterGroup {
    /// Begins with no events. `terms` are those that the source has had for the feature, oldest first.
    /// `is_whole` says that all events are there.
    pub(super) fn new(
        counting: &Counting,
        feature: &str,
        terms: Vec<Terms>,
        is_whole: bool,
    ) -> Result<Self, StoreError> {
        let events = if !is_whole {
            Events::Unknown
        } else if terms.iter().all(|terms| terms.number.0 == 0) {
            Events::Unchanged { counted: BTreeMap::new(), sum: None }
        } else {
            let recount = Box::new(begin_recount(counting, feature, terms.clone())?);
            Events::Changed { recount, stored: BTreeMap::new() }
        };
        let origin = counting.origin;
        Ok(Self { feature: feature.to_owned(), origin, terms, events, last: None })
    }

    /// Notes that the counters have more than the events say.
    pub(super) fn become_unknown(&mut self) {
        self.events = Events::Unknown;
    }

    /// Begins a counter with usage that came along from another package. Of the sum of old counters it cannot be
    /// said what became of it.
    pub(super) fn bring_along(&mut self, (number, start): At, used: i64) {
        match &mut self.events {
            Events::Unknown => {}
            _ if start == CounterKey::FOLDED => self.become_unknown(),
            Events::Unchanged { counted, .. } => {
                counted.insert(start, used);
            }
            Events::Changed { recount, .. } => recount.bring_along((number, start), used),
        }
    }

    /// Counts an event. `arrives_in_order` says that events of the same instant come in the order in which
    /// they were recorded.
    pub(super) fn count(&mut self, event: CountedEvent, arrives_in_order: bool) {
        let (at, matters) =
            (event.recorded_at, event.action != LoggedAction::Add || event.delta < 0);
        let before = self.last.replace((at, matters));
        let is_unsure = |(then, mattered)| then == at && (mattered || matters);
        if !arrives_in_order && before.is_some_and(is_unsure) {
            self.events = Events::Unknown;
        }
        match &mut self.events {
            Events::Unknown => {}
            Events::Unchanged { counted, .. } => {
                let allowance = self.terms.iter().find_map(|terms| terms.allowance);
                let reset = allowance.and_then(Allowance::reset);
                let at = event.occurred_at.max(self.origin.started_at);
                let used = counted.entry(Period::since(self.origin, reset, at).start).or_default();
                *used = event.action.after(*used, event.delta);
            }
            Events::Changed { recount, .. } => recount.count(event),
        }
    }

    /// Compares a counter with what was counted, when all events were.
    pub(super) fn compare(&mut self, (number, start): At, used: i64) -> Vec<Wrong> {
        if let Events::Changed { stored, .. } = &mut self.events {
            stored.insert((number, start), used);
        }
        if start == CounterKey::FOLDED {
            if let Events::Unchanged { sum, .. } = &mut self.events {
                *sum = Some(used);
            }
            return Vec::new();
        }
        if !self.starts_a_period(number, start) {
            return vec![("periods", format!("the counter at {start} starts on no period"))];
        }
        let Events::Unchanged { counted, .. } = &mut self.events else { return Vec::new() };
        if number.0 > 0 {
            return vec![(
                "periods",
                format!("the counter at {start} is of terms that never were"),
            )];
        }
        let made = counted.remove(&start).unwrap_or(0);
        if made == used { Vec::new() } else { vec![differs(start, used, made)] }
    }

    fn starts_a_period(&self, number: TermsNumber, at: Timestamp) -> bool {
        let of_number = self.terms.iter().filter(|terms| terms.number == number);
        let mut given =
            of_number.filter_map(|terms| Some((terms.since, terms.allowance?))).peekable();
        let Some((begins, _)) = given.peek() else {
            // Terms that are no longer known.
            return true;
        };
        let starts = |allowance: Allowance| {
            at >= self.origin.started_at
                && Period::since(self.origin, allowance.reset(), at).start == at
        };
        // The first period of other terms can start with them.
        *begins == at || given.any(|(_, allowance)| starts(allowance))
    }

    /// Returns what is wrong with the counters that were not compared one by one, when all have come.
    pub(super) fn rest(&self) -> Vec<Wrong> {
        match &self.events {
            Events::Unknown => Vec::new(),
            Events::Unchanged { counted, sum: Some(sum) } => {
                let made = counted.values().fold(0_i64, |sum, used| sum.saturating_add(*used));
                let text =
                    format!("the sum of old counters is {sum}, and their events make {made}");
                if *sum == made { Vec::new() } else { vec![("counters", text)] }
            }
            Events::Unchanged { counted, sum: None } => {
                counted.iter().map(|(start, made)| is_missing(*start, *made)).collect()
            }
            Events::Changed { recount, stored } => by_the_rules(recount, stored),
        }
    }
}

/// Returns the differences from what the rules count. None where that is not certain, or where old counters
/// were folded since.
fn by_the_rules(recount: &Recount, stored: &BTreeMap<At, i64>) -> Vec<Wrong> {
    let Some(counted) = recount.counters() else { return Vec::new() };
    let all: BTreeSet<At> = stored.keys().chain(counted.keys()).copied().collect();
    if all.iter().any(|(_, start)| *start == CounterKey::FOLDED) {
        return Vec::new();
    }
    let wrong = all.into_iter().filter_map(|at| {
        let made = counted.get(&at).copied().unwrap_or_else(|| recount.taken_over_by(at));
        match stored.get(&at) {
            Some(used) if *used == made => None,
            Some(used) => Some(differs(at.1, *used, made)),
            None => Some(is_missing(at.1, made)),
        }
    });
    wrong.collect()
}

fn differs(start: Timestamp, used: i64, made: i64) -> Wrong {
    ("counters", format!("the counter at {start} is {used}, and its events make {made}"))
}

fn is_missing(start: Timestamp, made: i64) -> Wrong {
    ("counters", format!("there is no counter at {start}, and its events make {made}"))
}

fn begin_recount(
    counting: &Counting,
    feature: &str,
    terms: Vec<Terms>,
) -> Result<Recount, StoreError> {
    let unreadable = |invalid: InvalidValue| StoreError::Unreadable(invalid.to_string());
    let feature = FeatureId::new("feature", feature).map_err(unreadable)?;
    let stretch = (counting.origin, counting.ended_at);
    let recount = Recount::new(counting.source, stretch, feature, terms);
    recount.ok_or_else(|| StoreError::Unreadable("the id of what counts".to_owned()))
}
