//! What the commands print: a [diff] on a terminal, a line for each finding elsewhere, and JSON for
//! programs.

use std::io::Write;

use serde::Serialize;

use super::diff;
use super::report::{Report, Reported, count};
use super::terminal::Terminal;

/// Standard output.
pub(super) struct Output {
    pub(super) json: bool,
    terminal: Option<Terminal>,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json, terminal: Terminal::of_stdout() }
    }

    /// Prints a plan for people.
    pub(super) fn plan(&self, report: &Report) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        write(&mut out, report, self.terminal)?;
        out.flush()
    }

    /// Prints a line for people; nothing with `--json`.
    pub(super) fn say(&self, text: &str) -> std::io::Result<()> {
        if self.json {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Prints JSON for programs; nothing without `--json`.
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

/// Writes a diff to a terminal, if the server sent the plan as data. Otherwise writes lines.
fn write(out: &mut impl Write, report: &Report, terminal: Option<Terminal>) -> std::io::Result<()> {
    match (terminal, &report.entries) {
        (Some(terminal), Some(entries)) => {
            out.write_all(diff::render(report, entries, terminal).as_bytes())
        }
        (terminal, _) => lines(out, report, terminal.is_some_and(|it| it.has_colour)),
    }
}

/// Writes a line for each finding, and a summary.
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kana_service::EnvironmentKind;

    use super::*;

    #[test]
    fn the_plan_of_an_older_server_is_shown_in_lines() {
        let finding = Reported {
            severity: "warning".to_owned(),
            message: "x changes".to_owned(),
            refused: false,
            place: None,
            line: None,
            column: None,
        };
        let report = Report::new(Path::new("k.yaml"), EnvironmentKind::Live, 1, vec![finding]);
        let older = Report { entries: None, ..report };
        let mut shown = Vec::new();
        write(&mut shown, &older, Some(Terminal { width: 80, has_colour: true })).unwrap();
        assert_eq!(
            String::from_utf8(shown).unwrap(),
            "k.yaml: \u{1b}[1;33m[WARNING]\u{1b}[0m x changes\n\
             1 change to live: 0 errors, 1 warning.\n"
        );
    }
}
