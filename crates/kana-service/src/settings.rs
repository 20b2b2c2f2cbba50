const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Operator settings.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Days that user tokens are valid.
    pub user_token_days: u32,
    /// Minimum days that idempotency keys are kept. After that, a request with the same key is new.
    pub idempotency_days: u32,
    /// Minimum days that usage events are kept; `None` means for ever.
    pub events_days: Option<u32>,
    /// Days that changes stay in the changes feed.
    pub changes_days: u32,
    /// Maximum number of changes in the changes feed of an environment.
    pub changes_max: i64,
    /// Days that entries of the audit log are kept.
    pub audit_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_token_days: 30,
            idempotency_days: 30,
            events_days: None,
            changes_days: 30,
            changes_max: 10_000_000,
            audit_days: 400,
        }
    }
}

impl Settings {
    pub(crate) fn user_token_ms(self) -> i64 {
        i64::from(self.user_token_days) * DAY_MS
    }

    pub(crate) fn events_ms(self) -> Option<i64> {
        self.events_days.map(|days| i64::from(days) * DAY_MS)
    }

    pub(crate) fn changes_ms(self) -> i64 {
        i64::from(self.changes_days) * DAY_MS
    }

    pub(crate) fn audit_ms(self) -> i64 {
        i64::from(self.audit_days) * DAY_MS
    }

    pub(crate) fn idempotency_ms(self) -> i64 {
        i64::from(self.idempotency_days) * DAY_MS
    }
}
