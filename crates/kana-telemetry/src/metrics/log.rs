//! The log, and panics.

use super::format::{Kind, Page};
use super::number::Counter;

/// Lines that found no room, or could not be written.
pub static DROPPED: Counter = Counter::new();
/// Panics.
pub static PANICS: Counter = Counter::new();

const LEVELS: [(tracing::Level, &str); 5] = [
    (tracing::Level::ERROR, "error"),
    (tracing::Level::WARN, "warn"),
    (tracing::Level::INFO, "info"),
    (tracing::Level::DEBUG, "debug"),
    (tracing::Level::TRACE, "trace"),
];

static LINES: [Counter; LEVELS.len()] = [const { Counter::new() }; LEVELS.len()];

/// Counts a line of this level.
pub fn written(level: tracing::Level) {
    let place = LEVELS.iter().position(|(known, _)| *known == level);
    if let Some(counter) = place.and_then(|place| LINES.get(place)) {
        counter.count();
    }
}

pub(super) fn write(page: &mut Page) {
    page.family("kana_log_lines_total", Kind::Counter, "Lines of the log, dropped ones included.");
    for ((_, name), counter) in LEVELS.into_iter().zip(&LINES) {
        page.sample(&[("level", name)], counter.value());
    }
    let help = "Lines of the log that found no room or could not be written.";
    page.family("kana_log_lines_dropped_total", Kind::Counter, help);
    page.sample(&[], DROPPED.value());
    page.family("kana_panics_total", Kind::Counter, "Panics, each of which is a bug.");
    page.sample(&[], PANICS.value());
}
