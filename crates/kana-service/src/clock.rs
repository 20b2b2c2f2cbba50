use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

use kana_core::Timestamp;

/// The source of the time. Nothing else in Kana asks the operating system for it.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// Returns true from 1970 to 9999. HTTP cannot express other dates, so a server could answer
    /// nothing.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn is_in_range(self) -> bool {
        let since_1970 = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
        let max = u128::from(Timestamp::MAX.as_ms().unsigned_abs());
        since_1970.is_ok_and(|since| since.as_millis() <= max)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 belongs to a machine that was not set up; it counts as 1970.
        let since_1970 = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = since_1970.unwrap_or_default().as_millis();
        Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is set, for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Creates a clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_ms()))
    }

    /// Sets the clock.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_ms(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}
