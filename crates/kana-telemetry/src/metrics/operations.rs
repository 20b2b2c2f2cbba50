//! Operations and the errors of their answers.

use std::time::Duration;

use super::format::{Kind, Page};
use super::number::{Counter, Seconds};
use crate::error_code;
use crate::operation::{OPERATIONS_MAX, Operation};
use crate::request::{Environment, Outcome};

const ENVIRONMENTS: usize = Environment::ALL.len();
const OUTCOMES: usize = Outcome::ALL.len();

static OPERATIONS: [[[Counter; OUTCOMES]; ENVIRONMENTS]; OPERATIONS_MAX] =
    [const { [const { [const { Counter::new() }; OUTCOMES] }; ENVIRONMENTS] }; OPERATIONS_MAX];
static DURATIONS: [Seconds; OPERATIONS_MAX] = [const { Seconds::of_seconds() }; OPERATIONS_MAX];
static ERRORS: [Counter; error_code::CODES.len()] =
    [const { Counter::new() }; error_code::CODES.len()];

/// Counts an operation.
pub(crate) fn ended(operation: Operation, environment: Environment, outcome: Outcome) {
    if let Some(of_operation) = OPERATIONS.get(operation.number()) {
        of_operation[environment as usize][outcome as usize].count();
    }
}

/// Counts how long an operation took.
pub fn took(operation: Operation, duration: Duration) {
    if let Some(durations) = DURATIONS.get(operation.number()) {
        durations.observe(duration);
    }
}

/// Counts an error that was answered.
pub(crate) fn failed(code: &str) {
    let place = error_code::CODES.iter().position(|known| *known == code);
    if let Some(counter) = place.and_then(|place| ERRORS.get(place)) {
        counter.count();
    }
}

pub(super) fn write(page: &mut Page) {
    let help = "Root fields of GraphQL requests, and calls beside GraphQL.";
    page.family("kana_operations_total", Kind::Counter, help);
    for operation in Operation::all() {
        for environment in Environment::ALL {
            for outcome in Outcome::ALL {
                let counters = &OPERATIONS[operation.number()][environment as usize];
                let labels = [
                    ("operation", operation.name()),
                    ("environment", environment.name()),
                    ("outcome", outcome.name()),
                ];
                page.sample(&labels, counters[outcome as usize].value());
            }
        }
    }
    let help = "Time to execute an operation; fields of one document share its time.";
    page.family("kana_operation_duration_seconds", Kind::Histogram, help);
    for operation in Operation::all() {
        DURATIONS[operation.number()].write(page, &[("operation", operation.name())]);
    }
    page.family("kana_errors_total", Kind::Counter, "Errors that were answered, by their codes.");
    for (code, counter) in error_code::CODES.iter().zip(&ERRORS) {
        page.sample(&[("code", code)], counter.value());
    }
}
