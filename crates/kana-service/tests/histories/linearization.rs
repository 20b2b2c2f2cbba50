//! Looks for an order of a history's calls that the model would have answered alike: the search
//! of Wing and Gong, which remembers where it has been, as Lowe proposed.

use std::collections::HashSet;
use std::fmt;

use crate::history::{Call, History};
use kana_test_model::answer::Answer;
use kana_test_model::model::Model;

/// A set of calls, a bit for each.
type Calls = u128;

/// There is no such order.
#[derive(Debug)]
pub(crate) struct NotLinearizable {
    history: History,
    /// The most calls that could be put in order.
    longest: Vec<usize>,
    /// What could follow them, with what the model would have answered.
    blocked: Vec<(usize, Answer)>,
}

/// Finds an order of the calls, by their places in the history, in which a call that was answered
/// before another was asked stands before it, and in which the model answers each as Kana did.
pub(crate) fn linearize(history: &History, start: &Model) -> Result<Vec<usize>, NotLinearizable> {
    let calls = history.calls();
    assert!(calls.len() <= Calls::BITS as usize, "{} calls are too many", calls.len());
    let mut search = Search { calls, seen: HashSet::new(), longest: Vec::new() };
    let mut order = Vec::with_capacity(calls.len());
    if search.extend(0, start, &mut order) {
        return Ok(order);
    }
    let (mut done, mut model) = (0, start.clone());
    for &place in &search.longest {
        answer(&mut model, &calls[place]);
        done |= 1 << place;
    }
    let blocked = next(calls, done)
        .into_iter()
        .map(|place| (place, answer(&mut model.clone(), &calls[place])))
        .collect();
    Err(NotLinearizable { history: history.clone(), longest: search.longest, blocked })
}

struct Search<'a> {
    calls: &'a [Call],
    /// Which calls were done and what the model had come to, wherever the search has been.
    seen: HashSet<(Calls, Model)>,
    longest: Vec<usize>,
}

impl Search<'_> {
    fn extend(&mut self, done: Calls, model: &Model, order: &mut Vec<usize>) -> bool {
        if order.len() > self.longest.len() {
            self.longest.clone_from(order);
        }
        if order.len() == self.calls.len() {
            return true;
        }
        for place in next(self.calls, done) {
            let mut model = model.clone();
            if answer(&mut model, &self.calls[place]) != self.calls[place].answer {
                continue;
            }
            let done = done | 1 << place;
            if !self.seen.insert((done, model.clone())) {
                continue;
            }
            order.push(place);
            if self.extend(done, &model, order) {
                return true;
            }
            order.pop();
        }
        false
    }
}

/// The calls that may come next: those that were asked before any other that is left was answered.
fn next(calls: &[Call], done: Calls) -> Vec<usize> {
    let left = || (0..calls.len()).filter(|place| done & 1 << place == 0);
    let first_answered = left().map(|place| calls[place].answered).min();
    left().filter(|place| first_answered.is_some_and(|first| calls[*place].asked < first)).collect()
}

/// What the model answers to a call. The ids of what it makes are those that Kana has chosen.
fn answer(model: &mut Model, call: &Call) -> Answer {
    model.answer(&call.request, call.now, &call.made())
}

impl fmt::Display for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.history.calls();
        writeln!(f, "No order explains this history:\n\n{}", self.history)?;
        let asked: Vec<usize> = self.longest.iter().map(|place| calls[*place].asked).collect();
        writeln!(f, "The longest order that can be explained, by when they were asked: {asked:?}")?;
        writeln!(f, "\nWhat could come next is not what the contract says:\n")?;
        for (place, expected) in &self.blocked {
            calls[*place].fmt(f)?;
            writeln!(f, "              expected: {expected:?}")?;
        }
        Ok(())
    }
}
