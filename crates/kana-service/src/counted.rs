//! What the service counts (contract: `operations.md`, "Metrics"), in the words of the metrics.

use kana_core::Timestamp;
use kana_core::entitlement::Reason;
use kana_core::usage::RecordedUsage;
use kana_store::app::{EnvironmentKind, Key, KeyKind, KeyState};
use kana_telemetry::metrics::access::{self, KeyCounts};
use kana_telemetry::metrics::usage::{self, Asked, Rule, UsageResult};
use kana_telemetry::request::Environment;

use crate::error::Error;
use crate::writer::Answered;

/// Returns an environment as metrics and the log have it.
pub(crate) fn environment(kind: EnvironmentKind) -> Environment {
    match kind {
        EnvironmentKind::Test => Environment::Test,
        EnvironmentKind::Live => Environment::Live,
    }
}

/// Counts a decision. A hold that was there before is none.
pub(crate) fn decision(asked: Asked, kind: EnvironmentKind, reason: Reason) {
    let rule = match reason {
        Reason::Granted => Rule::Binary,
        Reason::Unlimited => Rule::Unlimited,
        Reason::WithinLimit => Rule::Within,
        Reason::Overage => Rule::Overage,
        Reason::LimitReached => Rule::OverLimit,
        Reason::NotGranted => Rule::NotGranted,
        Reason::Denied => Rule::Denied,
        Reason::Held => return,
    };
    usage::decided(asked, environment(kind), rule);
}

/// Counts the usage of `recordUsage`, by its answer.
pub(crate) fn recorded(
    kind: EnvironmentKind,
    answered: Result<(&Answered, RecordedUsage), &Error>,
) {
    let what = match answered {
        Ok((Answered { is_new: false, .. }, _)) => UsageResult::Replayed,
        Ok((_, RecordedUsage::Recorded)) => UsageResult::Counted,
        Ok((_, RecordedUsage::NotCounted)) => UsageResult::Kept,
        Err(Error::Refused(_)) => UsageResult::Refused,
        // Not our callers' doing, and not recorded.
        Err(_) => return,
    };
    usage::recorded(environment(kind), what);
}

/// Counts a `useFeature`, by its answer. What is not granted is no usage.
pub(crate) fn used(kind: EnvironmentKind, answered: Result<(&Answered, bool, Reason), &Error>) {
    match answered {
        Ok((answered, granted, reason)) => {
            decision(Asked::UseFeature, kind, reason);
            if granted {
                let what =
                    if answered.is_new { UsageResult::Counted } else { UsageResult::Replayed };
                usage::recorded(environment(kind), what);
            }
        }
        Err(Error::Refused(_)) => usage::recorded(environment(kind), UsageResult::Refused),
        Err(_) => {}
    }
}

/// Counts a hold that is settled, by its answer.
pub(crate) fn settled(kind: EnvironmentKind, answered: Result<&Answered, &Error>) {
    let what = match answered {
        Ok(Answered { is_new: true, .. }) => UsageResult::Counted,
        Ok(_) => UsageResult::Replayed,
        Err(Error::Refused(_)) => UsageResult::Refused,
        Err(_) => return,
    };
    usage::recorded(environment(kind), what);
}

/// How long before its end a key counts as one that expires.
const EXPIRING_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// Counts the keys that there are.
pub(crate) fn keys(keys: &[Key], now: Timestamp) {
    for kind in EnvironmentKind::ALL {
        for key_kind in [KeyKind::Private, KeyKind::Public] {
            let of_kind =
                keys.iter().filter(|key| key.environment_kind == kind && key.kind == key_kind);
            let soon = now.saturating_add_ms(EXPIRING_MS);
            let counts = count(of_kind.map(|key| [key.state(now), key.state(soon)]));
            access::set_keys(environment(kind), key_kind == KeyKind::Public, counts);
        }
    }
}

/// Counts keys by their states: now, and in two weeks.
fn count(states: impl Iterator<Item = [KeyState; 2]>) -> KeyCounts {
    let mut counts = KeyCounts::default();
    for state in states {
        *match state {
            [KeyState::Active, KeyState::Expired] => &mut counts.expiring,
            [KeyState::Active, _] => &mut counts.active,
            [KeyState::Expired, _] => &mut counts.expired,
            [KeyState::Revoked, _] => &mut counts.revoked,
        } += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_counted_once_and_one_that_ends_soon_as_expiring() {
        use KeyState::{Active, Expired, Revoked};
        let states = [
            [Active, Active],
            [Active, Active],
            [Active, Expired],
            [Expired, Expired],
            [Revoked, Revoked],
        ];
        let counts = KeyCounts { active: 2, expiring: 1, expired: 1, revoked: 1 };
        assert_eq!(count(states.into_iter()), counts);
    }
}
