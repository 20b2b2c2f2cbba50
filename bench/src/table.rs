//! The table: a row for each contestant, with what the case is about in the row of Kana.

use std::fmt::Write;

use anyhow::{Error, Result};

use crate::load::{Rounds, Spread};
use crate::servers::Missing;
use crate::stop::Interrupted;

/// What a case must reach.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    /// At least this.
    pub(crate) required: f64,
    /// Better this.
    pub(crate) aim: f64,
    /// What is compared.
    pub(crate) kind: GoalKind,
}

/// What the figure of a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoalKind {
    /// A ratio of rates: more is better.
    Ratio,
    /// A ratio of latencies: less is better.
    RatioAtMost,
    /// A latency in milliseconds: less is better.
    LatencyMs,
    /// A time in seconds: less is better.
    Seconds,
    /// Millions of bytes: less is better.
    Megabytes,
}

impl GoalKind {
    fn show(self, figure: f64) -> String {
        match self {
            Self::Ratio | Self::RatioAtMost => format!("{figure:.2}x"),
            Self::LatencyMs => format!("{figure:.2} ms"),
            Self::Seconds => format!("{figure:.1} s"),
            Self::Megabytes => format!("{figure:.0} MB"),
        }
    }

    fn show_goal(self, figure: f64) -> String {
        match self {
            Self::Ratio => format!("{figure:.2}x"),
            Self::RatioAtMost => format!("under {figure:.2}x"),
            Self::LatencyMs => format!("under {figure:.0} ms"),
            Self::Seconds => format!("under {figure:.0} s"),
            Self::Megabytes => format!("under {figure:.0} MB"),
        }
    }

    /// Whether `figure` is as good as `goal`.
    fn meets(self, figure: f64, goal: f64) -> bool {
        match self {
            Self::Ratio => figure >= goal,
            Self::RatioAtMost | Self::LatencyMs | Self::Seconds | Self::Megabytes => figure < goal,
        }
    }
}

impl Goal {
    fn verdict(self, figure: f64) -> &'static str {
        if self.kind.meets(figure, self.aim) {
            "aim"
        } else if self.kind.meets(figure, self.required) {
            "minimum"
        } else {
            "no"
        }
    }
}

/// A row of the table.
pub(crate) struct Row([String; COLUMNS.len()]);

const COLUMNS: [&str; 11] = [
    "case",
    "of",
    "a second (min to max)",
    "p50 / p99 / p99.9 ms",
    "CPU µs each",
    "server's core",
    "load's core",
    "result (min to max)",
    "at least",
    "aim",
    "reached",
];

/// From here on the generator's core is full.
const FULL: f64 = 0.95;

impl Row {
    /// A row that says something where the figures would be.
    pub(crate) fn note(case: &str, of: &str, note: &str) -> Self {
        let mut row = Self(Default::default());
        row.0[0] = case.to_owned();
        row.0[1] = of.to_owned();
        row.0[2] = note.to_owned();
        row
    }

    /// A contestant that is not on this machine.
    pub(crate) fn missing(case: &str, of: &str, missing: &Missing) -> Self {
        Self::note(case, of, &format!("not available: {missing}"))
    }

    /// A contestant that was measured.
    pub(crate) fn measured(case: &str, of: &str, rounds: &Rounds) -> Self {
        let mut row = Self::note(case, of, &show_rate(rounds.rate()));
        let latency = |quantile| rounds.latency_ms(quantile).median;
        row.0[3] = format!("{:.2} / {:.2} / {:.2}", latency(0.5), latency(0.99), latency(0.999));
        row.0[4] = format!("{:.1}", rounds.cpu_us_each().median);
        let (server, load) = (rounds.server_share(), rounds.load_share());
        row.0[5] = percent(server);
        row.0[6] = percent(load);
        if load > FULL && server < FULL {
            row.0[6].push_str(", **the bottleneck**");
        }
        row
    }

    /// A contestant that was measured by another generator, which tells less.
    pub(crate) fn rate_only(case: &str, of: &str, rate: Spread) -> Self {
        Self::note(case, of, &show_rate(rate))
    }

    /// Adds what the generator's share does not mean: it waits by looking again and again.
    pub(crate) fn spinning(mut self) -> Self {
        self.0[6] = "spins".to_owned();
        self
    }

    /// Adds the figure that the case is about.
    pub(crate) fn result(mut self, figure: Spread, goal: Goal) -> Self {
        let kind = goal.kind;
        self.0[7] = format!(
            "{} ({} to {})",
            kind.show(figure.median),
            kind.show(figure.min),
            kind.show(figure.max)
        );
        self.0[8] = goal.kind.show_goal(goal.required);
        self.0[9] = goal.kind.show_goal(goal.aim);
        self.0[10] = goal.verdict(figure.median).to_owned();
        self
    }
}

fn show_rate(rate: Spread) -> String {
    format!("{} ({} to {})", thousands(rate.median), thousands(rate.min), thousands(rate.max))
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// A whole number with commas.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The rows so far, and whether any case has failed.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    pub(crate) failed: bool,
}

impl Table {
    /// Adds the rows of a case. One that has failed is a row that says so; only an interruption
    /// ends the run.
    pub(crate) fn add(&mut self, case: &str, rows: Result<Vec<Row>>) -> Result<()> {
        match rows {
            Ok(rows) => self.rows.extend(rows),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => self.add_failure(case, &error),
        }
        Ok(())
    }

    fn add_failure(&mut self, case: &str, error: &Error) {
        let note = if error.is::<Missing>() {
            format!("not available: {error:#}")
        } else {
            self.failed = true;
            eprintln!("  FAILED: {case}: {error:#}");
            format!("**FAILED**: {error:#}")
        };
        self.rows.push(Row::note(case, "", &note));
    }

    /// The table in Markdown.
    pub(crate) fn to_markdown(&self) -> String {
        let mut text = String::new();
        line(&mut text, COLUMNS.map(str::to_owned).as_slice());
        line(&mut text, &[const { String::new() }; COLUMNS.len()].map(|_| "---".to_owned()));
        for row in &self.rows {
            line(&mut text, &row.0);
        }
        text
    }
}

fn line(text: &mut String, cells: &[String]) {
    for cell in cells {
        let cell = cell.replace('|', "\\|").replace('\n', " ");
        // Writing to a string does not fail.
        let _ = write!(text, "| {cell} ");
    }
    text.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(median: f64) -> Spread {
        Spread { median, min: median, max: median }
    }

    #[test]
    fn numbers_are_grouped() {
        let grouped = [0.4, 12.0, 123.0, 1234.4, 1_234_567.0].map(thousands);
        assert_eq!(grouped, ["0", "12", "123", "1,234", "1,234,567"]);
    }

    #[test]
    fn goals_are_met_from_the_side_they_are_on() {
        let ratio = Goal { required: 0.5, aim: 0.85, kind: GoalKind::Ratio };
        assert_eq!([0.49, 0.5, 0.85].map(|figure| ratio.verdict(figure)), ["no", "minimum", "aim"]);
        let latency = Goal { required: 10.0, aim: 3.0, kind: GoalKind::LatencyMs };
        let verdicts = [10.0, 9.9, 2.9].map(|figure| latency.verdict(figure));
        assert_eq!(verdicts, ["no", "minimum", "aim"]);
        assert_eq!(latency.verdict(f64::NAN), "no");
    }

    #[test]
    fn a_failure_is_a_row_and_what_is_missing_is_none() {
        let mut table = Table::default();
        table.add("one", Err(Missing("no such program".to_owned()).into())).unwrap();
        assert!(!table.failed);
        table.add("two", Err(anyhow::anyhow!("a|b"))).unwrap();
        assert!(table.failed);
        let goal = Goal { required: 300.0, aim: 100.0, kind: GoalKind::Megabytes };
        let row = Row::rate_only("three", "Kana", spread(1234.0)).result(spread(84.3), goal);
        table.add("three", Ok(vec![row])).unwrap();
        assert!(table.add("four", Err(Interrupted.into())).is_err());
        let text = table.to_markdown();
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| one |  | not available: no such program |  |  |  |  |  |  |  |  |",
                "| two |  | **FAILED**: a\\|b |  |  |  |  |  |  |  |  |",
                "| three | Kana | 1,234 (1,234 to 1,234) |  |  |  |  | 84 MB (84 MB to 84 MB) | \
             under 300 MB | under 100 MB | aim |",
            ]
        );
    }
}
