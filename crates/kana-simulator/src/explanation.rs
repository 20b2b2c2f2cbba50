//! Looks for an order of requests that were sent together in which the model answers as Kana did,
//! and which leaves what is stored: the search of Wing and Gong, for a few calls.

use std::collections::HashSet;

use kana_test_model::answer::Answer;
use kana_test_model::model::Model;
use kana_test_model::request::{At, Id, Request};

use crate::feed::{self, Change};
use crate::told::Told;

/// A request and what its client was told.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) told: Told,
    /// Calls of the same group take effect in their order.
    pub(crate) group: usize,
}

/// What is stored once all is answered.
pub(crate) struct Stored {
    /// What the changes feed has of it.
    pub(crate) changes: Vec<Change>,
    /// What else there is, if it was looked at.
    pub(crate) everything: Option<Everything>,
    /// The ids of users and subscriptions that nobody was told of, in their order.
    pub(crate) new_users: Vec<Id>,
    pub(crate) new_subscriptions: Vec<Id>,
}

/// All that is stored but the changes feed.
pub(crate) struct Everything {
    /// Questions with their answers.
    pub(crate) answers: Vec<(Request, Answer)>,
    /// The idempotency keys that were used.
    pub(crate) keys: Vec<String>,
}

/// Returns what the models may have come to after the calls, or why no model explains them.
///
/// There may be several: of two requests with the same key of which nobody knows what became, one
/// was recorded.
pub(crate) fn explain(
    models: &[Model],
    calls: &[Call],
    now: At,
    stored: &Stored,
) -> Result<Vec<Model>, String> {
    let (seen, ends, problems) = Default::default();
    let mut search = Search { calls, now, stored, seen, ends, problems };
    for model in models {
        let start = Reached { model: model.clone(), ..Reached::default() };
        search.extend(start);
    }
    if search.ends.is_empty() { Err(search.problems.join("\n")) } else { Ok(search.ends) }
}

/// Problems that are told. The first ones are those of the orders that come first.
const PROBLEMS_MAX: usize = 8;

struct Search<'a> {
    calls: &'a [Call],
    now: At,
    stored: &'a Stored,
    /// Where the search has been.
    seen: HashSet<Reached>,
    ends: Vec<Model>,
    problems: Vec<String>,
}

/// What a part of an order has come to.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Reached {
    model: Model,
    /// A bit for each call that was taken.
    done: u64,
    /// How many changes of the feed are explained, and how many ids are given.
    changes: usize,
    users: usize,
    subscriptions: usize,
}

impl Search<'_> {
    fn extend(&mut self, reached: Reached) {
        if reached.done.count_ones() as usize == self.calls.len() {
            if !self.ends.contains(&reached.model) && self.is_what_is_stored(&reached) {
                self.ends.push(reached.model);
            }
            return;
        }
        for (place, call) in self.calls.iter().enumerate() {
            let is_done = |place: usize| reached.done & 1 << place != 0;
            let waits = |(other, before): (usize, &Call)| {
                other < place && before.group == call.group && !is_done(other)
            };
            if is_done(place) || self.calls.iter().enumerate().any(waits) {
                continue;
            }
            let mut next = reached.clone();
            next.done |= 1 << place;
            if matches!(call.told, Told::NotDone(_) | Told::Unknown(_)) {
                self.extend_once(next.clone());
            }
            if !matches!(call.told, Told::NotDone(_)) && self.take_effect(&mut next, call) {
                self.extend_once(next);
            }
        }
    }

    fn extend_once(&mut self, reached: Reached) {
        // Most requests are sent alone, and lead to one place only.
        if self.calls.len() == 1 || self.seen.insert(reached.clone()) {
            self.extend(reached);
        }
    }

    /// Has the model answer. Returns false if it does so in another way.
    fn take_effect(&mut self, reached: &mut Reached, call: &Call) -> bool {
        let request = &call.request;
        let before = reached.clone();
        let given = call.told.made(request).unwrap_or_else(|| self.give(reached, request));
        let answer = reached.model.answer(request, self.now, &given);
        if matches!(answer, Answer::Refused(_)) {
            // Nothing was made.
            (reached.users, reached.subscriptions) = (before.users, before.subscriptions);
        }
        if !matches!(call.told, Told::Unknown(_)) && !call.told.is(request, &answer) {
            self.note(format!(
                "{request:?}\n    told:     {:?}\n    expected: {answer:?}",
                call.told
            ));
            return false;
        }
        let models = (&before.model, &reached.model);
        for change in feed::expected(request, &answer, models, self.now) {
            if self.stored.changes.get(reached.changes) != Some(&change) {
                let found = self.stored.changes.get(reached.changes);
                self.note(format!(
                    "{request:?}\n    the feed has: {found:?}\n    expected:     {change:?}"
                ));
                return false;
            }
            reached.changes += 1;
        }
        true
    }

    /// The ids that nobody was told of. They grow in the order of creation.
    fn give(&self, reached: &mut Reached, request: &Request) -> Vec<Id> {
        let (new, given, wanted) = match request {
            Request::CreateUser { .. } => (&self.stored.new_users, &mut reached.users, 1),
            Request::Subscribe { packages, .. } => {
                (&self.stored.new_subscriptions, &mut reached.subscriptions, packages.len())
            }
            _ => return Vec::new(),
        };
        let ids: Vec<Id> = new.iter().skip(*given).take(wanted).copied().collect();
        *given += ids.len();
        ids
    }

    fn is_what_is_stored(&mut self, reached: &Reached) -> bool {
        if let Some(change) = self.stored.changes.get(reached.changes) {
            self.note(format!("the feed has a change of nothing that happened: {change:?}"));
            return false;
        }
        let Some(Everything { answers, keys }) = &self.stored.everything else {
            return true;
        };
        if !reached.model.keys().eq(keys.iter()) {
            let expected: Vec<_> = reached.model.keys().collect();
            self.note(format!("keys that were used: {keys:?}\n    expected: {expected:?}"));
            return false;
        }
        for (question, found) in answers {
            let expected = reached.model.clone().answer(question, self.now, &[]);
            if *found != expected {
                self.note(format!(
                    "what is stored: {question:?}\n    found:    {found:?}\n    expected: {expected:?}"
                ));
                return false;
            }
        }
        true
    }

    fn note(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}
