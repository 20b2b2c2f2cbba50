//! Shows a plan on a terminal as a diff: what is added (`+`), changed (`~`) and removed (`-`), grouped
//! by features, packages and add-ons. What prevents publishing follows, and a summary is last.

use kana_core::configuration::quoted;

use super::entry::{Difference, Entry};
use super::report::{Report, Reported, count};
use super::terminal::{Span, Style, Terminal, columns, cut, span};

/// The kinds of things: as the server names them, a heading, and a single one.
const KINDS: [(&str, &str, &str); 3] = [
    ("feature", "Features", "feature"),
    ("package", "Packages", "package"),
    ("addon", "Add-ons", "add-on"),
];
/// How many new things of a group are shown. The others surprise nobody and are only counted;
/// whatever is a warning or an error is always shown.
const NEW_MAX: usize = 30;
/// How many features of a new package or a draft are shown.
const FEATURES_MAX: usize = 12;
/// The widest column of ids. What stands beside a longer one moves to the right.
const LABEL_COLUMNS_MAX: usize = 28;

/// Renders the plan of a report.
pub(super) fn render(report: &Report, entries: &[Entry], terminal: Terminal) -> String {
    let mut diff = Diff { terminal, out: String::new(), has_folded: false };
    if !entries.is_empty() || report.is_refused() {
        diff.title(report);
    }
    for (kind, heading, noun) in KINDS {
        let group: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == kind).collect();
        diff.group(heading, noun, &group);
    }
    let is_known = |entry: &&Entry| KINDS.iter().any(|(kind, ..)| *kind == entry.kind);
    let others: Vec<&Entry> = entries.iter().filter(|entry| !is_known(entry)).collect();
    diff.group("Other", "entry", &others);
    diff.problems(report);
    diff.summary(report, entries);
    diff.out
}

struct Diff {
    terminal: Terminal,
    out: String,
    /// Whether something is only counted.
    has_folded: bool,
}

impl Diff {
    fn line(&mut self, spans: &[Span], indent: usize) {
        self.terminal.write(&mut self.out, spans, indent);
    }

    fn title(&mut self, report: &Report) {
        let is_live = report.environment == "live";
        let environment = if is_live { Style::Warning } else { Style::Bold };
        let title = [
            span(Style::Bold, format!("{} → ", report.file)),
            span(environment, report.environment),
            span(Style::Dim, format!("  {}", report.server)),
        ];
        self.line(&title, 2);
        self.out.push('\n');
    }

    fn group(&mut self, heading: &str, noun: &str, entries: &[&Entry]) {
        if entries.is_empty() {
            return;
        }
        self.line(&[span(Style::Bold, heading)], 2);
        let label_columns = widest(entries.iter().map(|entry| entry.id.as_str()));
        let mut new = 0;
        for entry in entries {
            if entry.action == "create" {
                new += 1;
            }
            if entry.action != "create" || new <= NEW_MAX {
                self.entry(entry, label_columns);
            }
        }
        if let Some(more) = new.checked_sub(NEW_MAX).filter(|more| *more > 0) {
            let text = format!("  + {} …", count(more, &format!("more new {noun}")));
            self.line(&[span(Style::Dim, text)], 4);
            self.has_folded = true;
        }
        self.out.push('\n');
    }

    fn entry(&mut self, entry: &Entry, label_columns: usize) {
        let (sign, style) = match entry.action.as_str() {
            "create" => ("+", Style::Added),
            "archive" | "delete" => ("-", Style::Removed),
            "keep" => ("=", Style::Dim),
            _ => ("~", Style::Changed),
        };
        let below = differences_below(entry);
        let mut beside = tag(&entry.severity);
        beside.extend(details(entry, below.is_empty()));
        let label = Label { indent: 2, sign, style, text: &entry.id, columns: label_columns };
        self.labelled(&label, beside);
        self.differences(entry, &below);
    }

    fn differences(&mut self, entry: &Entry, differences: &[&Difference]) {
        let may_fold = entry.severity == "information";
        let shown = if may_fold { FEATURES_MAX.min(differences.len()) } else { differences.len() };
        let label_columns = widest(differences.iter().take(shown).map(|it| label_of(it)));
        for difference in differences.iter().take(shown) {
            self.difference(entry, difference, label_columns);
        }
        let more = differences.len() - shown + entry.omitted_differences;
        if more > 0 {
            self.line(&[span(Style::Dim, format!("      {more} more …"))], 6);
            self.has_folded |= entry.omitted_differences == 0;
        }
    }

    fn difference(&mut self, entry: &Entry, difference: &Difference, label_columns: usize) {
        let (sign, style) = match (&difference.feature, &difference.before, &difference.after) {
            (None, ..) => (" ", Style::Dim),
            (_, None, _) => ("+", Style::Added),
            (_, _, None) => ("-", Style::Removed),
            _ => ("~", Style::Changed),
        };
        let mut beside = values(difference);
        if difference.severity != entry.severity {
            beside.push(span(Style::Plain, "  "));
            beside.extend(tag(&difference.severity));
        }
        let text = label_of(difference);
        let label = Label { indent: 6, sign, style, text, columns: label_columns };
        self.labelled(&label, beside);
        if let Some(note) = &difference.note {
            let indent = label.indent_beside(self.terminal);
            let note = span(Style::Warning, format!("{}{note}", " ".repeat(indent)));
            self.line(&[note], indent);
        }
    }

    /// Writes a sign, a label, and what stands beside it.
    fn labelled(&mut self, label: &Label<'_>, beside: Vec<Span>) {
        let indent = " ".repeat(label.indent);
        let sign = span(label.style, format!("{indent}{} ", label.sign));
        let text = span(label.style, label.text);
        let padding = label.columns.saturating_sub(columns(label.text)) + 2;
        let mut spans = vec![sign, text, span(Style::Plain, " ".repeat(padding))];
        spans.extend(beside);
        self.line(&spans, label.indent_beside(self.terminal));
    }

    fn problems(&mut self, report: &Report) {
        let problems: Vec<&Reported> = report.findings.iter().filter(|it| it.refused).collect();
        if problems.is_empty() {
            return;
        }
        self.line(&[span(Style::Error, "Problems")], 2);
        for problem in problems {
            self.problem(report, problem);
        }
        self.out.push('\n');
    }

    fn problem(&mut self, report: &Report, problem: &Reported) {
        let mut spans = vec![span(Style::Plain, "  ")];
        if let (Some(line), Some(column)) = (problem.line, problem.column) {
            spans.push(span(Style::Bold, format!("{}:{line}:{column} ", report.file)));
        }
        spans.extend(tag("error"));
        // The message continues a sentence that its place begins.
        let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        spans.push(span(Style::Plain, format!("{place}{}", problem.message)));
        self.line(&spans, 4);
        let line = problem.line.and_then(|line| Some((line, report.text.lines().nth(line - 1)?)));
        if let Some((line, text)) = line.filter(|(_, text)| !text.trim().is_empty()) {
            let number = format!("    {line} │ ");
            let room = self.terminal.width.saturating_sub(columns(&number));
            let text = cut(&text.replace('\t', "    "), room);
            self.line(&[span(Style::Dim, number), span(Style::Plain, text)], 4);
        }
    }

    fn summary(&mut self, report: &Report, entries: &[Entry]) {
        if self.has_folded {
            let live = if report.environment == "live" { " --live" } else { "" };
            let hint = format!("A line for each change: kana validate{live} | cat");
            self.line(&[span(Style::Dim, hint)], 2);
        }
        let environment = report.environment;
        if report.is_refused() {
            let errors = count(report.errors, "error");
            self.line(&[span(Style::Error, format!("Cannot be published: {errors}."))], 2);
        } else if report.changes == 0 {
            self.line(&[span(Style::Bold, format!("Nothing would change in {environment}."))], 2);
        } else {
            let changes = count(report.changes, "change");
            let mut spans = vec![span(Style::Bold, format!("{changes} to {environment}: "))];
            spans.extend(totals(report, entries));
            self.line(&spans, 2);
        }
    }
}

/// The beginning of a row.
struct Label<'a> {
    indent: usize,
    sign: &'a str,
    style: Style,
    text: &'a str,
    /// The width of the column of labels.
    columns: usize,
}

impl Label<'_> {
    /// Where what stands beside it begins. Beside a wide column, lines that go on begin below the
    /// label.
    fn indent_beside(&self, terminal: Terminal) -> usize {
        let beside = self.indent + 2 + self.columns + 2;
        if beside > terminal.width / 2 { self.indent + 4 } else { beside }
    }
}

fn widest<'a>(labels: impl Iterator<Item = &'a str>) -> usize {
    labels.map(columns).filter(|width| *width <= LABEL_COLUMNS_MAX).max().unwrap_or(0)
}

/// What stands before a difference: the feature in the package, or the name of the value.
fn label_of(difference: &Difference) -> &str {
    match (&difference.feature, difference.field.as_str()) {
        (Some(feature), _) => feature,
        (None, "unit_label") => "unit label",
        (None, "unit_label_plural") => "unit label (plural)",
        (None, "draws_on") => "draws on",
        (None, "base_packages") => "add-on to",
        (None, field) => field,
    }
}

/// The differences that have a row each. Of something new, the others are told in its own row, and
/// so is a single one that is not about a feature.
fn differences_below(entry: &Entry) -> Vec<&Difference> {
    let of_features = |it: &&Difference| it.feature.is_some();
    if entry.action == "create" {
        return entry.differences.iter().filter(of_features).collect();
    }
    match entry.differences.as_slice() {
        [only] if only.feature.is_none() => Vec::new(),
        all => all.iter().collect(),
    }
}

/// The mark of a warning or an error, as on the lines for programs.
fn tag(severity: &str) -> Vec<Span> {
    match severity {
        "error" => vec![span(Style::Error, "[ERROR]"), span(Style::Plain, " ")],
        "warning" => vec![span(Style::Warning, "[WARNING]"), span(Style::Plain, " ")],
        _ => Vec::new(),
    }
}

/// What stands in the row of the thing itself.
fn details(entry: &Entry, has_single_row: bool) -> Vec<Span> {
    let subscribers = entry.active_subscribers;
    match entry.action.as_str() {
        "create" => new_values(entry),
        "delete" => vec![span(Style::Plain, "is not in the file and is deleted")],
        "archive" => {
            let subscribers = subscribers.unwrap_or(0);
            let keep = match subscribers {
                0 => "it has no active subscribers".to_owned(),
                1 => "1 active subscriber keeps it".to_owned(),
                number => format!("{} keep it", count(number, "active subscriber")),
            };
            let style = if subscribers > 0 { Style::Bold } else { Style::Plain };
            vec![span(Style::Plain, "is not in the file and is archived; "), span(style, keep)]
        }
        "keep" => {
            let reason = entry.reason.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
            vec![span(Style::Plain, format!("is not in the file and is kept{reason}"))]
        }
        _ => match (subscribers, entry.differences.as_slice()) {
            (Some(0), _) => vec![span(Style::Plain, "no active subscribers")],
            (Some(number), _) => vec![span(Style::Bold, count(number, "active subscriber"))],
            (None, [only]) if has_single_row => {
                let mut spans = vec![span(Style::Dim, format!("{} ", label_of(only)))];
                spans.extend(values(only));
                spans
            }
            _ => Vec::new(),
        },
    }
}

/// What something new has, its features excepted.
fn new_values(entry: &Entry) -> Vec<Span> {
    let mut spans = Vec::new();
    for difference in entry.differences.iter().filter(|it| it.feature.is_none()) {
        if !spans.is_empty() {
            spans.push(span(Style::Plain, "  "));
        }
        if !matches!(difference.field.as_str(), "type" | "status" | "name") {
            spans.push(span(Style::Dim, format!("{} ", label_of(difference))));
        }
        let value = value(difference, difference.after.as_deref());
        let padded = match difference.field.as_str() {
            "type" => format!("{value:10}"),
            "status" => format!("{value:9}"),
            _ => value,
        };
        spans.push(span(Style::Plain, padded));
    }
    spans
}

/// Old → new.
fn values(difference: &Difference) -> Vec<Span> {
    let written = |text| value(difference, text);
    match (difference.before.as_deref(), difference.after.as_deref()) {
        // What differs has no values to show.
        (None, None) => vec![span(Style::Plain, "changes")],
        (None, Some(after)) if difference.feature.is_some() => {
            vec![span(Style::Added, written(Some(after)))]
        }
        (Some(before), None) if difference.feature.is_some() => {
            vec![span(Style::Removed, written(Some(before)))]
        }
        (before, after) => vec![
            span(Style::Removed, written(before)),
            span(Style::Plain, " → "),
            span(Style::Added, written(after)),
        ],
    }
}

fn value(difference: &Difference, text: Option<&str>) -> String {
    match text {
        None => "none".to_owned(),
        Some(text)
            if matches!(difference.field.as_str(), "name" | "unit_label" | "unit_label_plural") =>
        {
            quoted(text)
        }
        Some(text) => text.to_owned(),
    }
}

/// What the changes come to.
fn totals(report: &Report, entries: &[Entry]) -> Vec<Span> {
    let of = |action: &str| entries.iter().filter(|entry| entry.action == action).count();
    let actions = [
        (of("create"), "added", Style::Added),
        (of("change"), "changed", Style::Changed),
        (of("archive"), "archived", Style::Removed),
        (of("delete"), "deleted", Style::Removed),
    ];
    let actions = actions.into_iter().filter(|(number, ..)| *number > 0);
    let mut parts: Vec<Span> =
        actions.map(|(number, what, style)| span(style, format!("{number} {what}"))).collect();
    if report.errors > 0 {
        let errors = count(report.errors, "error");
        parts.push(span(Style::Error, format!("{errors} (needs --force)")));
    }
    if report.warnings > 0 {
        parts.push(span(Style::Warning, count(report.warnings, "warning")));
    }
    parts.extend(touched(entries));
    let separator = span(Style::Plain, ", ");
    let mut spans: Vec<Span> = Vec::new();
    for part in parts {
        if !spans.is_empty() {
            spans.push(separator.clone());
        }
        spans.push(part);
    }
    spans.push(span(Style::Plain, "."));
    spans
}

/// How many subscribers the changes touch, if they touch any.
fn touched(entries: &[Entry]) -> Option<Span> {
    let counts = entries.iter().filter_map(|entry| entry.active_subscribers);
    let counts: Vec<u64> = counts.filter(|number| *number > 0).collect();
    // Who is subscribed to two packages is counted for both.
    let at_most = if counts.len() > 1 { "up to " } else { "" };
    let subscribers = count(counts.iter().sum::<u64>(), "subscriber");
    (!counts.is_empty()).then(|| span(Style::Bold, format!("{at_most}{subscribers} touched")))
}

#[cfg(test)]
mod tests;
