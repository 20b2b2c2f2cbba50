//! Spans of traces.

use super::format::{Kind, Page};
use super::number::Counter;

/// Spans that the collector took.
pub static EXPORTED: Counter = Counter::new();
/// Spans that found no room, or that the collector did not take.
pub static DROPPED: Counter = Counter::new();

pub(super) fn write(page: &mut Page) {
    page.family("kana_trace_spans_total", Kind::Counter, "Spans that were recorded, by their end.");
    for (result, counter) in [("exported", &EXPORTED), ("dropped", &DROPPED)] {
        page.sample(&[("result", result)], counter.value());
    }
}
