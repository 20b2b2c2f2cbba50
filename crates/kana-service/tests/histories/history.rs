//! What was asked and answered while several clients did so at the same time.

use std::collections::BTreeSet;
use std::fmt;

use kana_test_model::answer::Answer;
use kana_test_model::request::{At, Id, Request};

/// One request and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Who asked. A client asks again only after it was answered.
    pub(crate) client: usize,
    pub(crate) request: Request,
    pub(crate) answer: Answer,
    /// What Kana's clock showed all the while.
    pub(crate) now: At,
    /// When the client asked and when it had the answer, as numbers in one order of everything
    /// that all clients did.
    pub(crate) asked: usize,
    pub(crate) answered: usize,
}

/// Everything that was asked, in the order in which it was.
#[derive(Debug, Clone)]
pub(crate) struct History(Vec<Call>);

impl History {
    pub(crate) fn new(mut calls: Vec<Call>) -> Self {
        calls.sort_by_key(|call| call.asked);
        Self(calls)
    }

    pub(crate) fn calls(&self) -> &[Call] {
        &self.0
    }

    /// Whether what was made before something else was asked for has the smaller ids, by which
    /// lists are ordered.
    pub(crate) fn ids_grow(&self) -> bool {
        let made: Vec<(&Call, Vec<Id>)> = self
            .0
            .iter()
            .map(|call| (call, call.made()))
            .filter(|(_, ids)| !ids.is_empty())
            .collect();
        made.iter().all(|(before, ids)| {
            let grow_within = ids.is_sorted_by(|one, other| one < other);
            let later = made.iter().filter(|(call, _)| before.answered < call.asked);
            grow_within
                && later.flat_map(|(_, later)| later).all(|id| ids.iter().all(|own| own < id))
        })
    }

    /// Numbers the ids that Kana chose, in their order, so that they can be read.
    pub(crate) fn number_ids(&mut self) {
        let chosen: BTreeSet<Id> = self.0.iter().flat_map(|call| call.answer.ids()).collect();
        let chosen: Vec<Id> = chosen.into_iter().collect();
        let number = |id: &mut Id| {
            let place = chosen.iter().position(|chosen| chosen == id);
            *id = Id(place.map_or(0, |place| place as u128 + 1));
        };
        for call in &mut self.0 {
            call.answer.ids_mut().into_iter().for_each(number);
            if let Request::CancelSubscription(id)
            | Request::UpdateSubscription { id, .. }
            | Request::ChangePackage { id, .. }
            | Request::SetEnd { id, .. }
            | Request::Subscription(id) = &mut call.request
            {
                number(id);
            }
        }
    }
}

impl Call {
    /// The ids of what was made, which Kana has chosen.
    pub(crate) fn made(&self) -> Vec<Id> {
        match self.request {
            Request::CreateUser { .. }
            | Request::Subscribe { .. }
            | Request::ChangePackage { .. } => self.answer.ids(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, request, answer, asked, answered, .. } = self;
        writeln!(f, "{asked:4} to {answered:<4} client {client}: {request:?}")?;
        writeln!(f, "                        {answer:?}")
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut clock = None;
        for call in &self.0 {
            if clock.replace(call.now) != Some(call.now) {
                writeln!(f, "The clock shows {:?}.", call.now)?;
            }
            call.fmt(f)?;
        }
        Ok(())
    }
}
