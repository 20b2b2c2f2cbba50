use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::format::Page;

/// A number that only grows.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds one.
    pub fn count(&self) {
        self.add(1);
    }

    /// Adds `more`.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

/// A number that goes up and down.
#[derive(Debug)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Begins with this value.
    #[must_use]
    pub const fn new(value: i64) -> Self {
        Self(AtomicI64::new(value))
    }

    /// Sets the value. One that does not fit becomes the largest.
    pub fn set(&self, value: impl TryInto<i64>) {
        self.0.store(value.try_into().unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Adds to the value.
    pub fn add(&self, more: i64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The bounds of a histogram of seconds, in nanoseconds, and as they are written.
pub const SECONDS: [(u64, &str); 16] = [
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
];

/// How many values were up to each of `N` bounds, and their sum.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static [(u64, &'static str); N],
    /// Not cumulative.
    buckets: [AtomicU64; N],
    /// Above the last bound.
    above: AtomicU64,
    sum: AtomicU64,
}

/// A histogram of durations.
pub type Seconds = Histogram<{ SECONDS.len() }>;

impl Seconds {
    /// A histogram of durations, without any.
    #[must_use]
    pub const fn of_seconds() -> Self {
        Self::new(&SECONDS)
    }

    /// Adds a duration.
    pub fn observe(&self, duration: Duration) {
        self.observe_value(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn write(&self, page: &mut Page, labels: &[(&str, &str)]) {
        let nanoseconds = self.sum.load(Ordering::Relaxed);
        let (whole, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        self.write_with_sum(page, labels, format_args!("{whole}.{rest:09}"));
    }
}

impl<const N: usize> Histogram<N> {
    /// A histogram without values.
    #[must_use]
    pub const fn new(bounds: &'static [(u64, &'static str); N]) -> Self {
        let buckets = [const { AtomicU64::new(0) }; N];
        Self { bounds, buckets, above: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    /// Adds a value.
    pub fn observe_value(&self, value: u64) {
        let place = self.bounds.partition_point(|(bound, _)| *bound < value);
        self.buckets.get(place).unwrap_or(&self.above).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub(super) fn write_values(&self, page: &mut Page, labels: &[(&str, &str)]) {
        let sum = self.sum.load(Ordering::Relaxed);
        self.write_with_sum(page, labels, format_args!("{sum}"));
    }

    fn write_with_sum(
        &self,
        page: &mut Page,
        labels: &[(&str, &str)],
        sum: std::fmt::Arguments<'_>,
    ) {
        let mut count = 0;
        for ((_, bound), bucket) in self.bounds.iter().zip(&self.buckets) {
            count += bucket.load(Ordering::Relaxed);
            page.bucket(labels, bound, count);
        }
        count += self.above.load(Ordering::Relaxed);
        page.bucket(labels, "+Inf", count);
        page.sample_of("_sum", labels, sum);
        page.sample_of("_count", labels, count);
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{Format, Kind};
    use super::*;

    #[test]
    fn a_value_counts_up_to_each_bound_that_is_not_below_it() {
        let histogram = Seconds::of_seconds();
        for micros in [0, 100, 101, 2_000_000, 60_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut page = Page::new(Format::Text);
        page.family("time_seconds", Kind::Histogram, "a time");
        histogram.write(&mut page, &[("of", "x")]);
        let text = page.finish();
        for line in [
            "time_seconds_bucket{of=\"x\",le=\"0.0001\"} 2",
            "time_seconds_bucket{of=\"x\",le=\"0.00025\"} 3",
            "time_seconds_bucket{of=\"x\",le=\"1\"} 3",
            "time_seconds_bucket{of=\"x\",le=\"2.5\"} 4",
            "time_seconds_bucket{of=\"x\",le=\"10\"} 4",
            "time_seconds_bucket{of=\"x\",le=\"+Inf\"} 5",
            "time_seconds_sum{of=\"x\"} 62.000201000",
            "time_seconds_count{of=\"x\"} 5",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is missing in {text}");
        }
    }
}
