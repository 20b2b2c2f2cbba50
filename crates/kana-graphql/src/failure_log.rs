//! Logs internal errors: at most one line a second for each cause, however many requests fail.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// The time in which requests that fail for the same cause share a log line and its id.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many causes get a line of their own in that time. Further causes share the newest line.
const CAUSES_MAX: usize = 10;

/// Logs failures and returns the ids of their lines.
#[derive(Debug)]
pub(crate) struct FailureLog(Mutex<Recent>);

#[derive(Debug)]
struct Recent {
    /// When the first of `lines` was written.
    since: Option<Instant>,
    lines: Vec<Line>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    cause: String,
    error_id: Uuid,
    /// How many requests shared the lines of the interval before. Reported by the first line.
    earlier: u64,
    /// How many further requests share this line.
    more: u64,
}

impl FailureLog {
    /// Creates a log without lines.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Recent { since: None, lines: Vec::new() }))
    }

    /// Logs a failure, unless it shares a line of the last second. Returns the id of the line.
    pub(crate) fn add(&self, cause: &dyn std::fmt::Display) -> Uuid {
        let (error_id, line) = self.add_at(&cause.to_string(), Instant::now());
        if let Some(Line { cause, error_id, earlier, .. }) = line {
            tracing::error!(%error_id, cause, earlier, "a request failed");
        }
        error_id
    }

    /// Counts a failure. Returns the id of its line, and the line if it is new.
    fn add_at(&self, cause: &str, now: Instant) -> (Uuid, Option<Line>) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut earlier = 0;
        if recent.since.is_none_or(|at| now.saturating_duration_since(at) >= INTERVAL) {
            recent.since = Some(now);
            let before = std::mem::take(&mut recent.lines);
            earlier = before.iter().map(|line| line.more).sum();
        }
        let lines = &mut recent.lines;
        let full = lines.len() >= CAUSES_MAX;
        let place = lines.iter().position(|line| line.cause == cause);
        let shared = place.or_else(|| lines.len().checked_sub(1).filter(|_| full));
        if let Some(line) = shared.and_then(|place| lines.get_mut(place)) {
            line.more += 1;
            return (line.error_id, None);
        }
        let line = Line { cause: cause.to_owned(), error_id: Uuid::new_v4(), earlier, more: 0 };
        lines.push(line.clone());
        (line.error_id, Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_stands_for_thousands_of_requests() {
        let log = FailureLog::new();
        let start = Instant::now();
        let mut written: Vec<Line> = Vec::new();
        for ms in 0..5000 {
            let (error_id, line) = log.add_at("damaged", start + Duration::from_millis(ms));
            written.extend(line);
            assert_eq!(
                error_id,
                written.last().unwrap().error_id,
                "what a caller is body is there"
            );
        }
        let earlier: Vec<u64> = written.iter().map(|line| line.earlier).collect();
        assert_eq!(earlier, [0, 999, 999, 999, 999]);
    }

    #[test]
    fn each_cause_has_its_line_up_to_a_bound() {
        let log = FailureLog::new();
        let now = Instant::now();
        let lines = (0..1000).filter_map(|n| log.add_at(&n.to_string(), now).1).count();
        assert_eq!(lines, CAUSES_MAX);
        let (_, next) = log.add_at("0", now + INTERVAL);
        assert_eq!(next.unwrap().earlier, 990, "those without a line are counted");
    }
}
