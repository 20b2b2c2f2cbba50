//! How long each part of a run takes.

use std::ops::Range;
use std::time::Duration;

/// Memory that has grown in less time says nothing: caches were still filling.
const JUDGED_FROM: Duration = Duration::from_secs(4 * 60);

/// The parts of a run, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Course {
    /// Load during which the server is ended again and again.
    pub(super) unrest: Duration,
    /// How long a server runs in that part until it is ended.
    pub(super) life: Range<Duration>,
    /// Load on the last server before anything is measured.
    pub(super) warm_up: Duration,
    /// Load on the last server during which memory is sampled.
    pub(super) calm: Duration,
    /// Time between two samples.
    pub(super) sample_every: Duration,
}

impl Course {
    /// Divides the time: one half of it is unrest. A run of 10 minutes ends its server every 20 to
    /// 40 s, and samples once a second.
    pub(super) fn of(length: Duration) -> Self {
        let second_half = length / 2;
        let warm_up = second_half / 5;
        let calm = second_half - warm_up;
        Self {
            unrest: length - second_half,
            life: (length / 30).min(Duration::from_secs(20))
                ..(length / 15).min(Duration::from_secs(40)),
            warm_up,
            calm,
            sample_every: (calm / 40).min(Duration::from_secs(1)),
        }
    }

    /// Whether the calm part is long enough to judge memory by it.
    pub(super) fn judges_memory(&self) -> bool {
        self.calm >= JUDGED_FROM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_judge_memory_and_a_minute_does_not() {
        let ten = Course::of(Duration::from_secs(600));
        assert_eq!(ten.unrest, Duration::from_secs(300));
        assert_eq!(ten.life, Duration::from_secs(20)..Duration::from_secs(40));
        assert_eq!(ten.warm_up + ten.calm, Duration::from_secs(300));
        assert_eq!(ten.sample_every, Duration::from_secs(1));
        assert!(ten.judges_memory());
        assert!(!Course::of(Duration::from_secs(60)).judges_memory());
    }
}
