use std::fmt::{Display, Write as _};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Returns the format that an `Accept` header asks for.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let quality_of = |media_type: &str| {
            let ranges = accept.split(',').filter(|range| {
                let mut parts = range.split(';').map(str::trim);
                let is_meant =
                    parts.next().is_some_and(|name| name.eq_ignore_ascii_case(media_type));
                let is_other_version = |part: &str| {
                    part.strip_prefix("version=").is_some_and(|version| {
                        media_type != TEXT && version.trim_matches('"') != "1.0.0"
                    })
                };
                is_meant && !parts.any(is_other_version)
            });
            ranges.map(quality).max().unwrap_or_default()
        };
        let open_metrics = quality_of(OPEN_METRICS);
        if open_metrics > 0 && open_metrics >= quality_of(TEXT) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// Returns the `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

const TEXT: &str = "text/plain";
const OPEN_METRICS: &str = "application/openmetrics-text";

/// Returns the `q` of a media range in thousandths.
fn quality(range: &str) -> u32 {
    let quality = range.split(';').find_map(|part| part.trim().strip_prefix("q="));
    let Some(quality) = quality else { return 1000 };
    let (whole, rest) = quality.split_once('.').unwrap_or((quality, ""));
    let thousandths: String = rest.chars().chain("000".chars()).take(3).collect();
    match (whole.parse::<u32>(), thousandths.parse::<u32>()) {
        (Ok(whole), Ok(thousandths)) => (whole.min(1) * 1000 + thousandths).min(1000),
        _ => 0,
    }
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Metrics that are being written.
pub(super) struct Page {
    text: String,
    format: Format,
    /// The name of the metric whose samples follow, without the end of a counter's.
    name: &'static str,
    kind: Kind,
}

/// The end of a counter's name.
const TOTAL: &str = "_total";

impl Page {
    pub(super) fn new(format: Format) -> Self {
        Self { text: String::with_capacity(128 * 1024), format, name: "", kind: Kind::Gauge }
    }

    /// Begins a metric. A counter's name ends with `_total`.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        (self.name, self.kind) = (name.strip_suffix(TOTAL).unwrap_or(name), kind);
        let shown = match self.format {
            Format::Text => name,
            Format::OpenMetrics => self.name,
        };
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to memory does not fail.
        let _ = writeln!(self.text, "# HELP {shown} {help}\n# TYPE {shown} {kind}");
    }

    /// Adds a sample of a counter or a gauge.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let end = if self.kind == Kind::Counter { TOTAL } else { "" };
        self.sample_of(end, labels, value);
    }

    /// Adds a sample whose name has this end.
    pub(super) fn sample_of(&mut self, end: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(end);
        self.labels(labels.iter().copied());
        let _ = writeln!(self.text, " {value}");
    }

    /// Adds the number of values up to a bound.
    pub(super) fn bucket(&mut self, labels: &[(&str, &str)], bound: &str, count: u64) {
        let is_whole = bound.bytes().all(|byte| byte.is_ascii_digit());
        let bound = match self.format {
            Format::OpenMetrics if is_whole => format!("{bound}.0"),
            _ => bound.to_owned(),
        };
        self.text.push_str(self.name);
        self.text.push_str("_bucket");
        self.labels(labels.iter().copied().chain([("le", bound.as_str())]));
        let _ = writeln!(self.text, " {count}");
    }

    fn labels<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut before = '{';
        for (name, value) in labels {
            self.text.push(before);
            self.text.push_str(name);
            self.text.push_str("=\"");
            for sign in value.chars() {
                match sign {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    sign => self.text.push(sign),
                }
            }
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_are_for_whoever_prefers_them() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain", Format::Text),
            ("text/html,application/xhtml+xml", Format::Text),
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
            ("application/openmetrics-text; version=2.0.0", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.9", Format::Text),
            ("application/openmetrics-text;q=nonsense", Format::Text),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }

    #[test]
    fn values_of_labels_are_escaped() {
        let mut page = Page::new(Format::Text);
        page.family("a_total", Kind::Counter, "what");
        page.sample(&[("b", "x\"y\\z\n")], 3);
        page.sample(&[], 4);
        let text = "# HELP a_total what\n# TYPE a_total counter\n";
        assert_eq!(page.finish(), format!("{text}a_total{{b=\"x\\\"y\\\\z\\n\"}} 3\na_total 4\n"));
    }
}
