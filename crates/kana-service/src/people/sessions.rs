//! How long sessions last, and how one begins.

use kana_core::Timestamp;
use kana_store::people::{AdminId, Session};

use super::secret::SessionSecret;
use super::visitor::Visitor;

const HOUR_MS: i64 = 60 * 60 * 1000;
/// How long a session lasts that is not used.
const UNUSED_MS: i64 = 24 * HOUR_MS;
/// How long a session lasts at most.
const LASTS_MS: i64 = 14 * 24 * HOUR_MS;
/// How often it is written that a session was used.
const SEEN_EVERY_MS: i64 = 5 * 60 * 1000;

/// Returns a new session, to be stored.
pub(super) fn begin(
    secret: &SessionSecret,
    admin: AdminId,
    visitor: &Visitor,
    now: Timestamp,
) -> Session {
    Session {
        hash: secret.hash(),
        admin,
        created_at: now,
        last_seen_at: now,
        ends_at: end_after_use(now, now),
        address: visitor.address.to_string(),
        browser: visitor.browser.clone(),
    }
}

/// Returns when a session ends that began at `created_at` and is used at `now`.
pub(super) fn end_after_use(created_at: Timestamp, now: Timestamp) -> Timestamp {
    now.saturating_add_ms(UNUSED_MS).min(created_at.saturating_add_ms(LASTS_MS))
}

/// Returns true if a session has not ended.
pub(super) fn is_open(session: &Session, now: Timestamp) -> bool {
    now < session.ends_at
}

/// Returns true if it is time to write that a session was used.
pub(super) fn is_seen_anew(session: &Session, now: Timestamp) -> bool {
    now.as_ms() - session.last_seen_at.as_ms() >= SEEN_EVERY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_a_day_after_its_last_use_and_two_weeks_after_its_first() {
        let start = Timestamp::from_ms(1_700_000_000_000);
        let hours = |hours: i64| start.saturating_add_ms(hours * HOUR_MS);
        assert_eq!(end_after_use(start, start), hours(24));
        assert_eq!(end_after_use(start, hours(10)), hours(34));
        assert_eq!(end_after_use(start, hours(13 * 24)), hours(14 * 24));
        assert_eq!(end_after_use(start, hours(14 * 24 - 1)), hours(14 * 24));
    }
}
