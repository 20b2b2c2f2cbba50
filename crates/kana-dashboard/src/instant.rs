//! Instants as people read them.

use askama::Template;
use kana_core::Timestamp;
use kana_core::day::Day;

/// An instant, or a day, as an element `<time>`: `2026-11-29 09:03:11 UTC`.
#[derive(Debug, Clone, Template)]
#[template(source = r#"<time datetime="{{ exact }}">{{ shown }}</time>"#, ext = "html")]
pub(crate) struct Instant {
    exact: String,
    shown: String,
}

impl askama::filters::HtmlSafe for Instant {}

impl Instant {
    /// An instant of which only the minute is known: `2026-11-29 09:03 UTC`.
    pub(crate) fn of_minute(minute: Timestamp) -> Self {
        let exact = minute.to_string();
        let shown = shown(exact.rsplit_once(':').map_or(exact.as_str(), |(minute, _)| minute));
        Self { exact, shown }
    }

    /// Returns what people read, for where no element can stand.
    pub(crate) fn as_text(&self) -> &str {
        &self.shown
    }

    /// A day in UTC: `2026-11-29`.
    pub(crate) fn of_day(day: Day) -> Self {
        Self { exact: day.to_string(), shown: day.to_string() }
    }
}

impl From<Timestamp> for Instant {
    fn from(timestamp: Timestamp) -> Self {
        let exact = timestamp.to_string();
        Self { shown: shown(&exact), exact }
    }
}

/// Shortens `2026-11-29T09:03:11.000Z`.
fn shown(exact: &str) -> String {
    let seconds = exact.split('.').next().unwrap_or(exact).trim_end_matches('Z');
    format!("{} UTC", seconds.replacen('T', " ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_shown_in_utc_to_the_second() {
        let instant = Timestamp::parse("at", "2026-11-29T09:03:11.042Z").unwrap();
        assert_eq!(
            Instant::from(instant).to_string(),
            r#"<time datetime="2026-11-29T09:03:11.042Z">2026-11-29 09:03:11 UTC</time>"#
        );
        let minute = Instant::of_minute(Timestamp::parse("at", "2026-11-29T09:03:00Z").unwrap());
        assert_eq!(minute.shown, "2026-11-29 09:03 UTC");
        assert_eq!(
            Instant::of_day(Day::of(instant)).to_string(),
            r#"<time datetime="2026-11-29">2026-11-29</time>"#
        );
    }
}
