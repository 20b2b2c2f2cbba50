//! Makes a history that goes wrong shorter, while it still goes wrong.

use crate::run::Violation;
use crate::step::{Asked, History, Step};

/// How many shorter histories are tried.
const TRIES_MAX: usize = 600;

/// Returns the shortest history that was found to go wrong, and how it does.
pub(crate) fn shrink(
    history: History,
    violation: Violation,
    run: impl Fn(&History) -> Option<Violation>,
) -> (History, Violation) {
    let mut shrinking = Shrinking { history, violation, tries: 0, run };
    shrinking.cut_after_the_violation();
    loop {
        let before = shrinking.history.clone();
        shrinking.leave_out_steps();
        shrinking.simplify_steps();
        if shrinking.history == before || shrinking.tries >= TRIES_MAX {
            return (shrinking.history, shrinking.violation);
        }
    }
}

struct Shrinking<R> {
    history: History,
    violation: Violation,
    tries: usize,
    run: R,
}

impl<R: Fn(&History) -> Option<Violation>> Shrinking<R> {
    /// Takes the history if it goes wrong, too.
    fn take(&mut self, history: History) -> bool {
        self.tries += 1;
        if self.tries > TRIES_MAX {
            return false;
        }
        match (self.run)(&history) {
            Some(violation) => {
                self.history = history;
                self.violation = violation;
                true
            }
            None => false,
        }
    }

    fn cut_after_the_violation(&mut self) {
        let mut shorter = self.history.clone();
        shorter.steps.truncate(self.violation.step + 1);
        self.take(shorter);
    }

    /// Leaves out steps, many at once first.
    fn leave_out_steps(&mut self) {
        let mut many = self.history.steps.len() / 2;
        while many > 0 {
            let mut from = 0;
            while from < self.history.steps.len() {
                let mut shorter = self.history.clone();
                let to = (from + many).min(shorter.steps.len());
                shorter.steps.drain(from..to);
                if !self.take(shorter) {
                    from += many;
                }
            }
            many /= 2;
        }
    }

    /// Leaves out requests and faults of steps.
    fn simplify_steps(&mut self) {
        for place in (0..self.history.steps.len()).rev() {
            while self.simplify(place) {}
        }
    }

    fn simplify(&mut self, place: usize) -> bool {
        let Step::Ask { asked, faults } = &self.history.steps[place] else {
            return false;
        };
        let (asked, faults) = (asked.clone(), faults.clone());
        let mut simpler = Vec::new();
        for fault in 0..faults.len() {
            let mut fewer = faults.clone();
            fewer.remove(fault);
            simpler.push(Step::Ask { asked: asked.clone(), faults: fewer });
        }
        for left_out in 0..asked.len() {
            let mut fewer = asked.clone();
            fewer.remove(left_out);
            simpler.push(Step::Ask { asked: fewer, faults: faults.clone() });
            if let Asked::Http(request) = &asked[left_out] {
                let mut plain = asked.clone();
                plain[left_out] = Asked::Service(request.clone());
                simpler.push(Step::Ask { asked: plain, faults: faults.clone() });
            }
        }
        simpler.into_iter().any(|step| {
            let mut history = self.history.clone();
            history.steps[place] = step;
            self.take(history)
        })
    }
}
