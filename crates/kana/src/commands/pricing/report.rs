//! What the commands print: a [diff](super::diff) on a terminal, a line for each finding elsewhere, and
//! JSON for programs.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;

use kana_service::EnvironmentKind;
use serde::Serialize;

use super::diff;
use super::entry::Entry;
use super::file::{Said, Wrong};
use super::server::{Finding, printable};
use super::terminal::Terminal;

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

    /// Writes a diff to a terminal, if the server sends what it takes, and lines otherwise.
    pub(super) fn write(
        &self,
        out: &mut impl Write,
        terminal: Option<Terminal>,
    ) -> std::io::Result<()> {
        match (terminal, &self.entries) {
            (Some(terminal), Some(entries)) => {
                out.write_all(diff::render(self, entries, terminal).as_bytes())
            }
            (terminal, _) => lines(out, self, terminal.is_some_and(|it| it.has_colour)),
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

/// Where to print, and how.
pub(super) struct Output {
    pub(super) json: bool,
    terminal: Option<Terminal>,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json, terminal: Terminal::of_stdout() }
    }

    /// Prints what the changes are and what they come to.
    pub(super) fn plan(&self, report: &Report) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        report.write(&mut out, self.terminal)?;
        out.flush()
    }

    /// What was done, for people.
    pub(super) fn say(&self, text: &str) -> std::io::Result<()> {
        if self.json {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// What was done, for programs.
    pub(super) fn json(&self, value: &impl Serialize) -> std::io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, value)?;
        writeln!(out)?;
        out.flush()
    }
}

/// Writes a line for each finding, and what they come to.
fn lines(out: &mut impl Write, report: &Report, has_colour: bool) -> std::io::Result<()> {
    for finding in &report.findings {
        line(out, &report.file, finding, has_colour)?;
    }
    let Report { changes, errors, warnings, environment, .. } = report;
    if report.is_refused() {
        writeln!(out, "Cannot be published: {}.", count(*errors, "error"))
    } else if *changes == 0 {
        writeln!(out, "Nothing would change in {environment}.")
    } else {
        let changes = count(*changes, "change");
        let (errors, warnings) = (count(*errors, "error"), count(*warnings, "warning"));
        writeln!(out, "{changes} to {environment}: {errors}, {warnings}.")
    }
}

fn line(
    out: &mut impl Write,
    file: &str,
    finding: &Reported,
    has_colour: bool,
) -> std::io::Result<()> {
    match (finding.line, finding.column) {
        (Some(line), Some(column)) => write!(out, "{file}:{line}:{column}: ")?,
        _ => write!(out, "{file}: ")?,
    }
    let (mark, colour) = match finding.severity.as_str() {
        "error" => ("[ERROR] ", "\u{1b}[1;31m"),
        "warning" => ("[WARNING] ", "\u{1b}[1;33m"),
        _ => ("", ""),
    };
    if has_colour && !mark.is_empty() {
        write!(out, "{colour}{}\u{1b}[0m ", mark.trim_end())?;
    } else {
        write!(out, "{mark}")?;
    }
    match &finding.place {
        // What is wrong continues a sentence that its place begins.
        Some(place) if finding.refused => writeln!(out, "{place}: {}", finding.message),
        _ => writeln!(out, "{}", finding.message),
    }
}

/// Writes a number of things, like `1 error` or `2 errors`.
pub(super) fn count<N: Copy + Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {what}{plural}")
}
