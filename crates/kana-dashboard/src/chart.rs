//! A chart of amounts over time: bars that the server draws, with the same numbers as a table.

use crate::instant::Instant;
use crate::number::{grouped, short};

/// The height of the drawing, in tenths of its unit.
const HEIGHT: i128 = 1600;
/// The width of a bar with its distance, in the drawing's unit.
const BAR_WIDTH: usize = 10;
/// For how many bars there is room at least, so that a single one is no slab.
const ROOM_MIN: usize = 6;
/// Up to how many bars each has a label.
const LABELS_MAX: usize = 8;

/// Amounts over time, oldest first.
pub(crate) struct Chart {
    /// What it shows, from when to when, and the total, for who does not see it.
    pub(crate) name: String,
    /// The name of the table.
    pub(crate) caption: String,
    /// The heads of the table's columns: of what a bar stands for, and of how high it is.
    pub(crate) columns: [&'static str; 2],
    pub(crate) bars: Vec<Bar>,
    /// A budget, drawn as a line.
    pub(crate) budget: Option<i64>,
    /// How many bars have a label where not each can have one: 2 or more.
    pub(crate) labels: usize,
}

/// The amount of a span of time.
pub(crate) struct Bar {
    /// When the span begins.
    pub(crate) at: Instant,
    /// The beginning, short.
    pub(crate) label: String,
    /// What the bar says when it is pointed at.
    pub(crate) title: String,
    /// Drawn from 0 on: what is below has no height.
    pub(crate) value: i64,
    /// Whether the span still runs.
    pub(crate) is_now: bool,
}

/// A bar as it is drawn.
pub(crate) struct Drawn<'a> {
    pub(crate) title: &'a str,
    pub(crate) is_now: bool,
    pub(crate) x: usize,
    pub(crate) y: String,
    pub(crate) height: String,
}

impl Bar {
    /// Returns the amount as people read it.
    pub(crate) fn shown(&self) -> String {
        grouped(self.value)
    }
}

impl Chart {
    /// Returns the budget as people read it.
    pub(crate) fn budget_text(&self) -> Option<String> {
        self.budget.map(grouped)
    }

    pub(crate) fn width(&self) -> usize {
        self.bars.len().max(ROOM_MIN) * BAR_WIDTH
    }

    /// Returns the labels of the four lines, from the top.
    pub(crate) fn levels(&self) -> [String; 4] {
        let step = self.step();
        [step * 3, step * 2, step, 0].map(short)
    }

    pub(crate) fn drawn(&self) -> impl Iterator<Item = Drawn<'_>> {
        self.bars.iter().enumerate().map(|(index, bar)| {
            let height = self.height(bar.value);
            Drawn {
                title: &bar.title,
                is_now: bar.is_now,
                x: index * BAR_WIDTH,
                y: tenths(HEIGHT - height),
                height: tenths(height),
            }
        })
    }

    /// Returns where the line of the budget is drawn.
    pub(crate) fn budget_line(&self) -> Option<String> {
        self.budget.map(|budget| tenths(HEIGHT - self.height(budget)))
    }

    /// Returns true if each bar has a label.
    pub(crate) fn labels_each(&self) -> bool {
        self.bars.len() <= LABELS_MAX
    }

    /// Returns the labels under the bars: of each, empty where there is room for more bars, or of some at
    /// equal distances, the first and the last among them.
    pub(crate) fn labels(&self) -> Vec<&str> {
        let count = if self.labels_each() { self.bars.len() } else { self.labels };
        let last = self.bars.len().saturating_sub(1);
        let shown = (0..count).map(|label| last * label / count.saturating_sub(1).max(1));
        let labels = shown.filter_map(|index| self.bars.get(index)).map(|bar| bar.label.as_str());
        let room = if self.labels_each() { ROOM_MIN.saturating_sub(count) } else { 0 };
        labels.chain(std::iter::repeat_n("", room)).collect()
    }

    /// Returns the distance of two lines: 1, 2 or 5 times a power of ten, so that three of them hold
    /// everything.
    fn step(&self) -> i128 {
        let values = self.bars.iter().map(|bar| bar.value).chain(self.budget);
        let most = i128::from(values.max().unwrap_or(0));
        let mut power = 1;
        loop {
            let fits = |step: &i128| step * 3 >= most;
            if let Some(step) = [power, power * 2, power * 5].into_iter().find(fits) {
                return step;
            }
            // Ends before it overflows, since an amount is below 10^19.
            power *= 10;
        }
    }

    fn height(&self, value: i64) -> i128 {
        i128::from(value.max(0)) * HEIGHT / (self.step() * 3)
    }
}

fn tenths(number: i128) -> String {
    format!("{}.{}", number / 10, number % 10)
}

/// Returns the sum of all bars, exactly.
pub(crate) fn total(bars: &[Bar]) -> String {
    grouped(bars.iter().map(|bar| i128::from(bar.value)).sum::<i128>())
}

#[cfg(test)]
mod tests {
    use kana_core::Timestamp;

    use super::*;

    fn chart(values: &[i64], budget: Option<i64>) -> Chart {
        let bar = |value: &i64| Bar {
            at: Timestamp::from_ms(0).into(),
            label: value.to_string(),
            title: String::new(),
            value: *value,
            is_now: false,
        };
        let bars = values.iter().map(bar).collect();
        let columns = ["Day", "Used"];
        Chart { name: String::new(), caption: String::new(), columns, bars, budget, labels: 2 }
    }

    #[test]
    fn the_lines_of_a_chart_are_round_and_hold_every_bar_and_the_budget() {
        for (values, budget, levels) in [
            (&[][..], None, ["3", "2", "1", "0"]),
            (&[0, 1], None, ["3", "2", "1", "0"]),
            (&[612, 1_130], Some(1_000), ["1.5k", "1k", "500", "0"]),
            (&[10], Some(4_000_000), ["6M", "4M", "2M", "0"]),
            (&[i64::MAX], None, ["15,000,000T", "10,000,000T", "5,000,000T", "0"]),
        ] {
            let chart = chart(values, budget);
            assert_eq!(chart.levels(), levels.map(str::to_owned));
            assert!(chart.drawn().all(|bar| !bar.y.starts_with('-')));
        }
    }

    #[test]
    fn a_bar_stands_on_the_base_line() {
        let chart = chart(&[-7, 750, 1_500], Some(1_000));
        let drawn: Vec<_> = chart.drawn().map(|bar| (bar.x, bar.y, bar.height)).collect();
        let expected = [(0, "160.0", "0.0"), (10, "80.0", "80.0"), (20, "0.0", "160.0")];
        let expected = expected.map(|(x, y, height)| (x, y.to_owned(), height.to_owned()));
        assert_eq!(drawn, expected);
        assert_eq!(chart.budget_line().as_deref(), Some("53.4"));
        assert_eq!(total(&chart.bars), "2,243");
    }

    #[test]
    fn of_many_bars_some_have_labels_those_at_both_ends_among_them() {
        let many: Vec<i64> = (0..30).collect();
        assert_eq!(chart(&many, None).labels(), ["0", "29"]);
        let five = Chart { labels: 5, ..chart(&many, None) };
        assert_eq!(five.labels(), ["0", "7", "14", "21", "29"]);
        assert_eq!(chart(&many[..8], None).labels().len(), 8);
        assert_eq!(chart(&many[..6], None).labels(), ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(chart(&many[..3], None).labels(), ["0", "1", "2", "", "", ""]);
        assert_eq!(chart(&many[..1], None).labels(), ["0", "", "", "", "", ""]);
        assert_eq!(chart(&many[..1], None).width(), 60);
    }
}
