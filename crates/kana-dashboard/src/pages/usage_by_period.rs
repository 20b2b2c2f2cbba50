//! The chart of a user's usage of one feature, period by period.

use kana_core::catalog::Feature;
use kana_core::usage_history::{ConsumptionInPeriod, UsageHistory};

use crate::chart::{self, Bar, Chart};
use crate::number::grouped;

/// The most periods of a chart: the newest.
const PERIODS_MAX: usize = 36;

/// Draws what `showUsage` answers. Returns `None` if there is no period yet, or the feature is not
/// counted.
pub(super) fn usage_by_period(feature: &Feature, history: &UsageHistory) -> Option<Chart> {
    let newest = history.current.iter().chain(&history.past).take(PERIODS_MAX);
    let is_current = |shown: &ConsumptionInPeriod| history.current.as_ref() == Some(shown);
    let mut bars: Vec<Bar> = newest.map(|shown| bar(feature, shown, is_current(shown))).collect();
    bars.reverse();
    let (first, last) = (bars.first()?, bars.last()?);
    let name = feature.name.as_str();
    let budget = history.current.as_ref().and_then(|current| current.consumption.budget);
    let budget_said = budget.map(|budget| format!(", budget {}", grouped(budget)));
    Some(Chart {
        name: format!(
            "{name} by period, {} to {}, {} in all{}",
            first.label,
            last.label,
            chart::total(&bars),
            budget_said.unwrap_or_default(),
        ),
        caption: format!("{name} by period"),
        columns: ["Period from", "Used"],
        bars,
        budget,
        labels: 2,
    })
}

fn bar(feature: &Feature, shown: &ConsumptionInPeriod, is_now: bool) -> Bar {
    let start = shown.period.start.to_string();
    let date = start.split('T').next().unwrap_or(&start);
    let used = shown.consumption.used;
    let unit = match feature.unit_labels() {
        (Some(one), _) if used == 1 => one,
        (_, Some(many)) => many,
        _ => "used",
    };
    Bar {
        at: shown.period.start.into(),
        label: date.to_owned(),
        title: format!("Period from {date}: {} {unit}", grouped(used)),
        value: used,
        is_now,
    }
}
