use kana_core::configuration::{Place, Step};
use kana_core::configuration_plan::{Finding, Severity};
use serde::Serialize;

/// A finding of the plan, as `/cli/validate` writes it.
#[derive(Serialize)]
pub(super) struct WrittenFinding {
    severity: &'static str,
    message: String,
    place: Option<String>,
    steps: Vec<WrittenStep>,
    refused: bool,
}

/// A step to a place: a key, or an item's index.
#[derive(Serialize)]
#[serde(untagged)]
enum WrittenStep {
    Key(String),
    Item(usize),
}

impl From<Finding> for WrittenFinding {
    fn from(finding: Finding) -> Self {
        let steps = finding.place.iter().flat_map(Place::steps);
        let steps = steps.map(|step| match step {
            Step::Key(key) => WrittenStep::Key(key.clone()),
            Step::Item(index) => WrittenStep::Item(*index),
        });
        Self {
            severity: severity_name(finding.severity),
            steps: steps.collect(),
            place: finding.place.map(|place| place.to_string()),
            message: finding.sentence,
            refused: finding.is_refused,
        }
    }
}

pub(super) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Information => "information",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}
