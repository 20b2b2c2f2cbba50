//! What recorded usage would have come to, as a table.

use std::ops::Range;
use std::path::Path;

use kana_core::Timestamp;
use kana_dashboard::grouped;
use kana_service::EnvironmentKind;
use serde::Deserialize;
use unicode_width::UnicodeWidthStr as _;

use super::terminal::printable;

/// The server's answer.
#[derive(Debug, Deserialize)]
pub(super) struct Simulated {
    rows: Vec<Row>,
    not_granted: i64,
    events: u64,
}

#[derive(Debug, Deserialize)]
struct Row {
    package: String,
    feature: String,
    users: u64,
    users_over_limit: u64,
    used: i64,
    refused: i64,
    overage: i64,
}

/// The columns. The first two are texts, the others numbers.
const HEADINGS: [&str; 7] =
    ["PACKAGE", "FEATURE", "USERS", "OVER LIMIT", "USED", "REFUSED", "OVERAGE"];
const TEXTS: usize = 2;

/// Returns the answer for people: what was counted, and a row for each feature in each package.
pub(super) fn table(
    simulated: &Simulated,
    file: &Path,
    environment: EnvironmentKind,
    occurred: &Range<Timestamp>,
) -> String {
    let Simulated { rows, not_granted, events } = simulated;
    let events = match events {
        1 => "1 event".to_owned(),
        _ => format!("{} events", grouped(*events)),
    };
    let (from, to) = (short(occurred.start), short(occurred.end));
    let mut text = format!("{events} of {environment}, {from} to {to}, under {}\n", file.display());
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&lines(rows));
    }
    if *not_granted > 0 {
        let not_granted = grouped(*not_granted);
        text.push_str(&format!("\nNo package grants {not_granted} of what was used.\n"));
    }
    // The line's end follows.
    text.truncate(text.trim_end().len());
    text
}

fn lines(rows: &[Row]) -> String {
    let mut cells: Vec<[String; 7]> = vec![HEADINGS.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        [
            printable(&row.package),
            printable(&row.feature),
            grouped(row.users),
            grouped(row.users_over_limit),
            grouped(row.used),
            grouped(row.refused),
            grouped(row.overage),
        ]
    }));
    let width = |column: usize| cells.iter().map(|row| row[column].width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - cell.width());
            let gap = if column == 0 { "" } else { "  " };
            line.push_str(gap);
            if column < TEXTS {
                line.push_str(&format!("{cell}{space}"));
            } else {
                line.push_str(&format!("{space}{cell}"));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns an instant, or a date where that says as much.
fn short(at: Timestamp) -> String {
    let text = at.to_string();
    let date = text.strip_suffix("T00:00:00.000Z");
    date.map_or_else(|| text.replace(".000Z", "Z"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(simulated: &serde_json::Value) -> String {
        let simulated = Simulated::deserialize(simulated).unwrap();
        let at = |text| Timestamp::parse("at", text).unwrap();
        let occurred = at("2026-10-01T00:00:00Z")..at("2026-11-01T09:30:00Z");
        table(&simulated, Path::new("kana/kana.yaml"), EnvironmentKind::Live, &occurred)
    }

    #[test]
    fn a_simulation_is_shown_as_a_table() {
        let row = |package: &str, feature: &str, users: u64, used: i64| {
            serde_json::json!({ "package": package, "feature": feature, "users": users,
                "users_over_limit": users / 10, "used": used, "refused": 1_234, "overage": 0 })
        };
        let many = serde_json::json!({
            "rows": [row("basic", "api-calls", 12_345, 1_234_567), row("größer", "x", 1, 0)],
            "not_granted": 7_000, "events": 1_000_000,
        });
        insta::assert_snapshot!(shown(&many), @r"
        1,000,000 events of live, 2026-10-01 to 2026-11-01T09:30:00Z, under kana/kana.yaml

        PACKAGE  FEATURE     USERS  OVER LIMIT       USED  REFUSED  OVERAGE
        basic    api-calls  12,345       1,234  1,234,567    1,234        0
        größer   x               1           0          0    1,234        0

        No package grants 7,000 of what was used.
        ");
        let none = serde_json::json!({ "rows": [], "not_granted": 0, "events": 1 });
        insta::assert_snapshot!(
            shown(&none),
            @"1 event of live, 2026-10-01 to 2026-11-01T09:30:00Z, under kana/kana.yaml"
        );
    }
}
