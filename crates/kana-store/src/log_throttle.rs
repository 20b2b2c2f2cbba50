use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time in which at most one line is due.
const INTERVAL: Duration = Duration::from_secs(1);

/// Limits the log of a repeated failure to one line a second. Each line reports how many failures
/// it stands for.
#[derive(Debug, Default)]
pub struct LogThrottle {
    /// Whether there was a failure since [`end`](Self::end) last returned a number.
    failing: AtomicBool,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    logged_at: Option<Instant>,
    unreported: u64,
}

impl LogThrottle {
    /// Creates a throttle that has seen no failure.
    #[must_use]
    pub const fn new() -> Self {
        let counted = Counted { logged_at: None, unreported: 0 };
        Self { failing: AtomicBool::new(false), counted: Mutex::new(counted) }
    }

    /// Counts failures. If a line is due, returns the number of failures since the last line; the
    /// caller then logs.
    pub fn count(&self, failures: usize) -> Option<u64> {
        self.count_at(failures, Instant::now())
    }

    /// Notes a success. The first one after failures, but not within a second of the last line,
    /// returns the number of unreported failures; the caller then logs the recovery.
    pub fn end(&self) -> Option<u64> {
        // Called after each success, so this is cheap unless there was a failure.
        if self.failing.load(Ordering::Relaxed) { self.end_at(Instant::now()) } else { None }
    }

    fn count_at(&self, failures: usize, now: Instant) -> Option<u64> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.unreported =
            counted.unreported.saturating_add(u64::try_from(failures).unwrap_or(u64::MAX));
        self.failing.store(true, Ordering::Relaxed);
        counted.is_due(now).then(|| counted.report(now))
    }

    fn end_at(&self, now: Instant) -> Option<u64> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = counted.is_due(now) && self.failing.swap(false, Ordering::Relaxed);
        ended.then(|| counted.report(now))
    }
}

impl Counted {
    fn is_due(&self, now: Instant) -> bool {
        self.logged_at.is_none_or(|at| now.saturating_duration_since(at) >= INTERVAL)
    }

    fn report(&mut self, now: Instant) -> u64 {
        self.logged_at = Some(now);
        std::mem::take(&mut self.unreported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER_HALF: Duration = Duration::from_millis(500);

    #[test]
    fn one_line_a_second_stands_for_all_failures() {
        let throttle = LogThrottle::new();
        let start = Instant::now();
        let mut lines = Vec::new();
        for ms in 0..5000 {
            lines.extend(throttle.count_at(2, start + Duration::from_millis(ms)));
        }
        assert_eq!(lines, [2, 2000, 2000, 2000, 2000]);
        assert_eq!(throttle.end_at(start + Duration::from_secs(6)), Some(1998));
        assert_eq!(lines.iter().sum::<u64>() + 1998, 10_000);
    }

    #[test]
    fn the_end_is_reported_once_and_not_at_once() {
        let throttle = LogThrottle::new();
        let start = Instant::now();
        assert_eq!(throttle.end(), None);
        assert_eq!(throttle.count_at(1, start), Some(1));
        assert_eq!(throttle.end_at(start + AFTER_HALF), None);
        assert_eq!(throttle.end_at(start + INTERVAL), Some(0));
        assert_eq!(throttle.end_at(start + 3 * INTERVAL), None);
        // Alternating failures and successes get no more lines than failures alone.
        assert_eq!(throttle.count_at(1, start + INTERVAL + AFTER_HALF), None);
        assert_eq!(throttle.count_at(1, start + 2 * INTERVAL), Some(2));
    }
}
