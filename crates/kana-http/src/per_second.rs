use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lets something happen so many times a second and counts the rest, without a lock. At the turn of a
/// second, one or two more than allowed may pass.
#[derive(Debug)]
pub(crate) struct PerSecond {
    max: u64,
    start: Instant,
    /// The second since `start` that `passed` is about.
    second: AtomicU64,
    passed: AtomicU64,
    held_back: AtomicU64,
}

impl PerSecond {
    pub(crate) fn new(max: u32, start: Instant) -> Self {
        let (second, passed, held_back) = Default::default();
        Self { max: max.into(), start, second, passed, held_back }
    }

    /// Returns true if it may happen at `now`, and counts it otherwise.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        let second = now.saturating_duration_since(self.start).as_secs();
        let counted = self.second.load(Ordering::Relaxed);
        let is_next = counted < second
            && self
                .second
                .compare_exchange(counted, second, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_next {
            self.passed.store(0, Ordering::Relaxed);
        }
        // Once the second is full, this is only read, so that cores do not compete for it.
        let allows = self.passed.load(Ordering::Relaxed) < self.max
            && self.passed.fetch_add(1, Ordering::Relaxed) < self.max;
        if !allows {
            self.held_back.fetch_add(1, Ordering::Relaxed);
        }
        allows
    }

    /// Returns how many were held back since the last call.
    pub(crate) fn take_held_back(&self) -> u64 {
        self.held_back.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_pass_each_second_and_the_rest_is_counted() {
        let start = Instant::now();
        let per_second = PerSecond::new(100, start);
        let times = (0..3000).map(|ms| start + Duration::from_millis(ms));
        let passed = times.filter(|now| per_second.allows(*now)).count();
        assert_eq!((passed, per_second.take_held_back()), (300, 2700));
        assert_eq!(per_second.take_held_back(), 0);
    }

    #[test]
    fn with_zero_none_passes() {
        let start = Instant::now();
        let per_second = PerSecond::new(0, start);
        assert!(!per_second.allows(start) && !per_second.allows(start + Duration::from_secs(5)));
    }
}
