//! What the commands report about a plan, for people and as JSON for programs.

use std::fmt::Display;
use std::path::Path;

use kana_service::EnvironmentKind;
use serde::Serialize;

use super::entry::Entry;
use super::file::{Said, Wrong};
use super::server::{Finding, printable};

/// A plan, or why there is none.
#[derive(Serialize)]
pub(super) struct Report {
    /// The file.
    pub(super) file: String,
    /// `test` or `live`.
    pub(super) environment: &'static str,
    /// How many features and packages change.
    pub(super) changes: usize,
    /// How many findings are errors, those that refuse included.
    pub(super) errors: usize,
    /// How many findings are warnings.
    pub(super) warnings: usize,
    /// What was found, in the order in which it is printed.
    pub(super) findings: Vec<Reported>,
    /// Whether the plan was carried out. Only after `publish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<bool>,
    /// The plan as data; `None` if the server is of a release that does not send it.
    #[serde(skip)]
    pub(super) entries: Option<Vec<Entry>>,
    /// The address of the server.
    #[serde(skip)]
    pub(super) server: String,
    /// The text of the file.
    #[serde(skip)]
    pub(super) text: String,
}

/// A finding and where it stands.
#[derive(Serialize)]
pub(super) struct Reported {
    pub(super) severity: String,
    pub(super) message: String,
    /// Whether nothing can be published because of it, not even with `--force`.
    pub(super) refused: bool,
    /// The place within the configuration; null for what stands in the environment only.
    pub(super) place: Option<String>,
    pub(super) line: Option<usize>,
    pub(super) column: Option<usize>,
}

impl Report {
    pub(super) fn new(
        path: &Path,
        environment: EnvironmentKind,
        changes: usize,
        findings: Vec<Reported>,
    ) -> Self {
        let count = |severity| findings.iter().filter(|it| it.severity == severity).count();
        Self {
            file: path.display().to_string(),
            environment: environment.name(),
            changes,
            errors: count("error"),
            warnings: count("warning"),
            findings,
            published: None,
            entries: Some(Vec::new()),
            server: String::new(),
            text: String::new(),
        }
    }

    /// Whether something cannot be published, not even by force.
    pub(super) fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.refused)
    }
}

impl From<Wrong> for Reported {
    fn from(wrong: Wrong) -> Self {
        Self {
            severity: "error".to_owned(),
            message: printable(&wrong.problem),
            refused: true,
            place: wrong.place,
            line: Some(wrong.position.line),
            column: Some(wrong.position.column),
        }
    }
}

impl Reported {
    /// A finding of the server, with where in the file it is.
    pub(super) fn of(finding: Finding, said: &Said) -> Self {
        let position = finding.place.as_ref().map(|_| said.node.find_steps(&finding.steps()));
        Self {
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            severity: finding.severity,
            message: printable(&finding.message),
            refused: finding.refused,
            place: finding.place.as_deref().map(printable),
        }
    }
}

/// Writes a number of things, like `1 error` or `2 errors`.
pub(super) fn count<N: Copy + Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {what}{plural}")
}
