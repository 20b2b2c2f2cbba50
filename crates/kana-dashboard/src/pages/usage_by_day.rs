//! The chart of the usage per day, of one feature or of all together.

use std::collections::HashMap;

use kana_core::catalog::Feature;
use kana_core::day::Day;
use kana_service::{DailyUsage, EnvironmentView};

use crate::chart::{self, Bar, Chart};
use crate::form::Form;
use crate::instant::Instant;
use crate::number::grouped;
use crate::problem::Problem;

/// How many days can be chosen.
const CHOICES: [i64; 3] = [7, 30, 90];
/// How many are shown where none of these was chosen.
const DAYS: i64 = 30;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The usage per day with its sum.
pub(super) struct UsageByDay {
    pub(super) chart: Chart,
    pub(super) total: String,
    /// The unit of the total.
    pub(super) unit: String,
    /// How many days there are.
    pub(super) days: usize,
    pub(super) from: Instant,
    pub(super) to: Instant,
    /// What there is to know of these numbers, a sentence each.
    pub(super) notes: Vec<String>,
    has_events: bool,
}

impl UsageByDay {
    /// Returns true if nothing was used in these days.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_events
    }
}

/// Returns how many days were chosen in the field `days`.
pub(super) fn days_chosen(form: &Form) -> i64 {
    CHOICES.into_iter().find(|days| form.is("days", &days.to_string())).unwrap_or(DAYS)
}

/// Reads the usage of so many days, today included: the amount of a feature that is counted, and the
/// number of usage events of any other feature, and of all features together.
pub(super) async fn usage_by_day(
    view: &EnvironmentView,
    feature: Option<&Feature>,
    days: i64,
) -> Result<UsageByDay, Problem> {
    let to = view.today();
    let from = to.saturating_add(1 - days);
    let usage = view.usage_by_day(feature.map(|feature| &feature.id), from, to).await?;
    let since = view.usage_since().await?;
    Ok(draw(&What::of(feature), &usage, (from, to), since))
}

/// What the bars count.
struct What<'a> {
    /// The name of the feature, or what all features have in common.
    name: &'a str,
    /// The unit of one, and of several.
    units: [&'a str; 2],
    is_amount: bool,
}

impl<'a> What<'a> {
    fn of(feature: Option<&'a Feature>) -> Self {
        let Some(feature) = feature else {
            return Self { name: "Events", units: ["event", "events"], is_amount: false };
        };
        let name = feature.name.as_str();
        if feature.is_binary() {
            return Self { name, units: ["event", "events"], is_amount: false };
        }
        let (one, many) = feature.unit_labels();
        let many = many.unwrap_or("used");
        Self { name, units: [one.unwrap_or(many), many], is_amount: true }
    }

    fn value(&self, usage: &DailyUsage) -> i64 {
        if self.is_amount { usage.amount.unwrap_or(0) } else { usage.events }
    }

    fn unit(&self, value: i64) -> &'a str {
        if value == 1 { self.units[0] } else { self.units[1] }
    }

    fn bar(&self, day: Day, value: i64, today: Day) -> Bar {
        Bar {
            at: Instant::of_day(day),
            label: short(day),
            title: format!("{day}: {} {}", grouped(value), self.unit(value)),
            value,
            is_now: day == today,
        }
    }
}

fn draw(
    what: &What<'_>,
    usage: &[DailyUsage],
    (from, to): (Day, Day),
    since: Option<Day>,
) -> UsageByDay {
    let values: HashMap<Day, i64> = usage.iter().map(|it| (it.day, what.value(it))).collect();
    let days = (from.number()..=to.number()).map(Day::from_number);
    let bars: Vec<Bar> =
        days.map(|day| what.bar(day, values.get(&day).copied().unwrap_or(0), to)).collect();
    let total = chart::total(&bars);
    let sum = |of: fn(&DailyUsage) -> i64| usage.iter().map(|it| i128::from(of(it))).sum::<i128>();
    let (events, uncounted) = (sum(|it| it.events), sum(|it| it.uncounted));
    let mut notes = Vec::new();
    if uncounted > 0 {
        notes.push(format!(
            "Not counted, for want of a package with the feature: {} of {} {}.",
            grouped(uncounted),
            grouped(events),
            if events == 1 { "event" } else { "events" },
        ));
    }
    if let Some(since) = since.filter(|since| *since > from) {
        notes.push(format!("Usage of the days before {since} is not part of this."));
    }
    UsageByDay {
        unit: if total == "1" { what.units[0] } else { what.units[1] }.to_owned(),
        days: bars.len(),
        from: Instant::of_day(from),
        to: Instant::of_day(to),
        chart: Chart {
            name: format!("{} per day, {from} to {to}, {total} in all", what.name),
            caption: format!("{} per day", what.name),
            columns: ["Day", if what.is_amount { "Used" } else { "Events" }],
            bars,
            budget: None,
            labels: 5,
        },
        total,
        notes,
        has_events: events > 0,
    }
}

/// Writes a day for an axis: `29 Nov`.
fn short(day: Day) -> String {
    let date = day.to_string();
    let mut parts = date.split('-').skip(1).map(|part| part.parse::<usize>().unwrap_or(1));
    let (month, day) = (parts.next().unwrap_or(1), parts.next().unwrap_or(1));
    format!("{day} {}", MONTHS.get(month - 1).unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: What<'static> =
        What { name: "Events", units: ["event", "events"], is_amount: false };
    const CALLS: What<'static> =
        What { name: "API calls", units: ["call", "calls"], is_amount: true };

    /// The day so many days after 2026-11-23.
    fn day(number: i64) -> Day {
        Day::from_number(20_780 + number)
    }

    fn usage(number: i64, events: i64, amount: i64, uncounted: i64) -> DailyUsage {
        DailyUsage { day: day(number), events, amount: Some(amount), uncounted }
    }

    #[test]
    fn each_day_has_a_bar_whether_anything_was_used_or_not() {
        let shown = [usage(1, 3, 1_200, 0), usage(6, 1, -1, 0)];
        let drawn = draw(&CALLS, &shown, (day(0), day(6)), None);
        let titles: Vec<_> = drawn.chart.bars.iter().map(|bar| bar.title.as_str()).collect();
        assert_eq!(titles[..2], ["2026-11-23: 0 calls", "2026-11-24: 1,200 calls"]);
        assert_eq!(titles[6], "2026-11-29: -1 calls");
        let today: Vec<_> = drawn.chart.bars.iter().filter(|bar| bar.is_now).collect();
        assert_eq!(today.len(), 1);
        assert_eq!(today[0].label, "29 Nov");
        assert_eq!(drawn.total, "1,199");
        assert_eq!((drawn.unit.as_str(), drawn.days), ("calls", 7));
        let name = "API calls per day, 2026-11-23 to 2026-11-29, 1,199 in all";
        assert_eq!(drawn.chart.name, name);
        assert!(drawn.notes.is_empty() && !drawn.is_empty());
        let drawn = draw(&EVENTS, &shown, (day(0), day(6)), None);
        assert_eq!((drawn.total.as_str(), drawn.chart.columns), ("4", ["Day", "Events"]));
    }

    #[test]
    fn it_says_what_is_not_part_of_the_numbers() {
        let drawn = draw(&CALLS, &[usage(1, 1, 0, 1)], (day(0), day(6)), Some(day(1)));
        assert_eq!(
            drawn.notes,
            [
                "Not counted, for want of a package with the feature: 1 of 1 event.",
                "Usage of the days before 2026-11-24 is not part of this.",
            ]
        );
        assert!(draw(&CALLS, &[], (day(0), day(6)), Some(day(0))).notes.is_empty());
        assert!(draw(&CALLS, &[], (day(0), day(6)), None).is_empty());
    }

    #[test]
    fn a_day_is_short_on_an_axis() {
        for (number, text) in [(0, "1 Jan"), (58, "28 Feb"), (364, "31 Dec"), (-1, "31 Dec")] {
            assert_eq!(short(Day::from_number(number)), text);
        }
    }
}
