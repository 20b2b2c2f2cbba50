//! What the commands report about a plan, for people and as JSON for programs.

use std::fmt::Display;
use std::path::Path;

use kana_service::EnvironmentKind;
use serde::Serialize;

use super::entry::Entry;
use super::file::{Said, Wrong};
use super::server::Finding;
use super::terminal::printable;

/// A plan, or the problems of the file.
#[derive(Serialize)]
pub(super) struct Report {
    /// The path of the file.
    pub(super) file: String,
    /// `test` or `live`.
    pub(super) environment: &'static str,
    /// The number of features and packages that change.
    pub(super) changes: usize,
    /// The number of errors, including those that prevent publishing.
    pub(super) errors: usize,
    /// The number of warnings.
    pub(super) warnings: usize,
    /// The findings, in the order in which they are printed.
    pub(super) findings: Vec<Reported>,
    /// Whether it was published. Only after `publish`.
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

/// A finding with its place in the file.
#[derive(Serialize)]
pub(super) struct Reported {
    pub(super) severity: String,
    pub(super) message: String,
    /// Whether it prevents publishing, even with `--force`.
    pub(super) refused: bool,
    /// The place within the configuration; null if the file omits what it is about.
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

    /// Returns true if something prevents publishing, even by force.
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
    /// Converts a finding of the server, and adds its place in the file.
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
