use std::time::{SystemTime, UNIX_EPOCH};

/// The time by which objects are created, events get old and idempotency keys are forgotten: the machine's,
/// moved forwards by as much as a test asked for.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    moved_seconds: i64,
}

impl Clock {
    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX).saturating_add(self.moved_seconds)
    }

    pub(crate) fn advance(&mut self, seconds: u32) {
        self.moved_seconds = self.moved_seconds.saturating_add(i64::from(seconds));
    }
}
