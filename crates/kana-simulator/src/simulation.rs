//! Many histories, one after the other.

use std::fmt;

use kana_test_model::model::Model;

use crate::faults::Fault;
use crate::flaw::Flaw;
use crate::generator::history;
use crate::run::{Summary, Violation, run};
use crate::shrink::shrink;
use crate::step::{Asked, History, Step};

/// How many steps a history has. A longer one says less: there are few names, and at some time all
/// of them are taken.
const STEPS: usize = 150;

/// What was done without anything going wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Simulated {
    pub histories: usize,
    pub steps: usize,
    pub all: Summary,
}

/// A history that went wrong.
pub struct Found {
    /// Its seed.
    pub seed: u64,
    /// How many steps were done before it went wrong.
    pub after_steps: usize,
    flaw: Option<Flaw>,
    model: Model,
    history: History,
    violation: Violation,
}

/// Runs the histories of this seed and of those that follow, until there were so many steps.
pub fn simulate(
    seed: u64,
    steps: usize,
    flaw: Option<Flaw>,
    model: &Model,
) -> Result<Simulated, Box<Found>> {
    let mut simulated = Simulated::default();
    let mut seed = seed;
    while simulated.steps < steps {
        let history = history(seed, STEPS);
        match run(&history, flaw, model.clone()) {
            Ok(summary) => simulated.add(&history, &summary),
            Err(violation) => {
                let (after_steps, model) = (simulated.steps + violation.step, model.clone());
                return Err(Box::new(Found { seed, after_steps, flaw, model, history, violation }));
            }
        }
        seed = seed.wrapping_add(1);
    }
    Ok(simulated)
}

impl Found {
    /// Makes the history shorter, while it still goes wrong.
    #[must_use]
    pub fn shrunk(self) -> Self {
        let Self { flaw, model, history, violation, .. } = self;
        let again = |history: &History| run(history, flaw, model.clone()).err();
        let (history, violation) = shrink(history, violation, again);
        Self { model, history, violation, ..self }
    }
}

impl Simulated {
    fn add(&mut self, history: &History, summary: &Summary) {
        self.histories += 1;
        self.steps += history.steps.len();
        self.all.requests += summary.requests;
        self.all.failed += summary.failed;
        self.all.unknown += summary.unknown;
        self.all.faults += summary.faults;
        self.all.crashes += summary.crashes;
        self.all.calls += summary.calls;
        self.all.trace ^= summary.trace;
        self.all.simulated += summary.simulated;
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, history, violation, .. } = self;
        let Violation { step, problem } = violation;
        writeln!(f, "KANA_SIMULATE_SEED={seed} goes wrong at step {step} of these:\n")?;
        if history.gathers {
            writeln!(f, "Questions gather.")?;
        }
        for (place, step) in history.steps.iter().enumerate() {
            write!(f, "{place:4} ")?;
            write_step(step, f)?;
        }
        writeln!(f, "\n{problem}")
    }
}

fn write_step(step: &Step, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Step::Ask { asked, faults } = step else {
        return writeln!(f, "{step:?}");
    };
    for (place, asked) in asked.iter().enumerate() {
        f.write_str(if place == 0 { "" } else { "   & " })?;
        match asked {
            Asked::Service(request) => writeln!(f, "{request:?}")?,
            Asked::Http(request) => writeln!(f, "over HTTP: {request:?}")?,
            Asked::Batch(usages) => writeln!(f, "together: {usages:?}")?,
        }
    }
    faults.iter().try_for_each(|fault: &Fault| writeln!(f, "       {fault}"))
}
